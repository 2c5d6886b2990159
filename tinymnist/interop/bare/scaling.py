"""A race on labelled pictures, for the scaling and the architecture of a network.

No file records how pixels were scaled in training, and a wrong scaling raises no error: it costs 1
to 90 points of accuracy. So every common scaling is tried on labelled pictures, with every
architecture that fits. It is a race: all start on a few pictures, and those that fall clearly
behind are dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.adapter import (
    SCALING_NAMES,
    SCALINGS,
    model_input,
    possible_fits,
    probabilities,
    scaling_entry,
)
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

_ROUNDS = (16, 64, 256, 1024, 4096)
"""Pictures after which entries are dropped, before all of them decide."""
_MANY = 256
"""Pictures after which cross-entropy alone drops an entry."""
_DOUBT = 3.0
"""Standard errors of a mean difference, picture by picture, beyond which it is not chance."""
_MEMORIZED = 0.02
"""Cross-entropy below which a network knows the pictures by heart, and only repeats them louder or
quieter; differences between two such entries say nothing."""
_EQUAL = 1e-4
"""A difference of cross-entropy that is rounding."""
_LEAST = 1e-7
"""The lowest probability that counts, as in Keras's cross-entropy."""


@dataclass(frozen=True)
class Labelled:
    """Pictures in MNIST's form and their labels.

    Attributes:
        name: of the set.
        images: (n, 28, 28, 1) in 0..1.
        labels: (n,) whole numbers.
    """

    name: str
    images: Array
    labels: NDArray[np.int64]

    @cached_property
    def mixed(self) -> Labelled:
        """The same pictures in a random order, the same every time."""
        order = np.random.default_rng(0).permutation(len(self.labels))
        return Labelled(self.name, self.images[order], self.labels[order])

    def below(self, classes: int) -> Labelled:
        """The pictures whose label a network with this number of classes can output."""
        known = self.labels < classes
        if known.all():
            return self
        name = f"{self.name}, classes below {classes}"
        return Labelled(name, self.images[known], self.labels[known])


@dataclass(frozen=True)
class Entry:
    """One way to use a network.

    Attributes:
        make: returns the network.
        scaling: one of :data:`~tinymnist.adapter.SCALING_NAMES`.
        fit: how 28x28 becomes another size, or None.
        plan: the architecture in words, "" if the file defines it.
    """

    make: Callable[[], Sequential]
    scaling: str
    fit: str | None = None
    plan: str = ""

    @property
    def way(self) -> str:
        """Scaling and fit in words."""
        return f"{self.scaling}, {self.fit}" if self.fit else self.scaling

    @property
    def preprocessing(self) -> dict[str, Any]:
        """The entry for the model's metadata."""
        return {"scaling": scaling_entry(self.scaling)} | ({"fit": self.fit} if self.fit else {})


@dataclass(frozen=True)
class Score:
    """How an entry did, per picture so far, in the order of :attr:`Labelled.mixed`.

    A wrong scaling often costs little accuracy and still ruins every probability: pixels in 0..255
    instead of 0..1 make a network far too sure. So cross-entropy decides, not accuracy.

    Attributes:
        right: whether the largest output was the right class's.
        losses: the cross-entropy, -log of the right class's probability.
    """

    entry: Entry
    right: NDArray[np.bool_]
    losses: NDArray[np.float32]

    @property
    def n(self) -> int:
        """The number of pictures before it was dropped."""
        return len(self.right)

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float(self.right.mean())

    @property
    def loss(self) -> float:
        """The mean cross-entropy; 0 is perfect, log(classes) is guessing."""
        return float(self.losses.mean())

    @property
    def described(self) -> str:
        """Accuracy and cross-entropy in words."""
        return f"{self.accuracy:.2%}, cross-entropy {self.loss:.4f}"

    def beats(self, other: Score, doubt: float = _DOUBT) -> bool:
        """Whether its cross-entropy is lower by more than ``doubt`` standard errors."""
        if max(self.loss, other.loss) < _MEMORIZED:
            return False
        gains = other.losses[: self.n].astype(np.float64) - self.losses[: other.n]
        return float(gains.mean()) > doubt * float(gains.std()) / math.sqrt(len(gains)) + _EQUAL


def entries(makers: Iterable[tuple[Callable[[], Sequential], str]]) -> list[Entry]:
    """Every scaling and fit of every network; the most common scaling comes first."""
    return [
        Entry(make, scaling, fit, plan)
        for make, plan in makers
        for fit in possible_fits(make().input_shape)
        for scaling in SCALING_NAMES
    ]


def race(
    field: Sequence[Entry],
    pictures: Labelled,
    goal: Score | None = None,
    tick: Callable[[str], None] = lambda _: None,
) -> list[Score]:
    """Measure entries on more and more pictures, dropping those that fall behind.

    Args:
        field: the entries; if several do equally well, the first wins.
        pictures: to measure on.
        goal: entries that clearly stay behind this one are dropped in any case.
        tick: called with a line on the progress.

    Returns:
        The scores of those that saw all pictures, the winner first, then of those that were
        dropped, the last first.
    """
    mixed, last = pictures.mixed, len(pictures.labels)
    running = [Score(entry, np.zeros(0, bool), np.zeros(0, np.float32)) for entry in field]
    out: list[Score] = []
    for n in (*(n for n in _ROUNDS if n < last), last):
        for i, score in enumerate(running):
            tick(f"{n} of {last} pictures, way {i + 1} of {len(running)}")
            running[i] = _seen_further(score, mixed, n)
        if n < last and running:
            best = min([*running, *([goal] if goal else [])], key=_loss_on(n))
            kept = [score for score in running if not _is_behind(score, best, n)]
            fallen = [score for score in running if _is_behind(score, best, n)]
            out = sorted(fallen, key=_loss_on(n)) + out
            running = kept
    return ranked(running) + out


def _is_behind(score: Score, best: Score, n: int) -> bool:
    """Whether an entry may be dropped after n pictures.

    A few right answers say little of an entry that is too sure: its first wrong one costs more than
    all of them gained. So early on, only those are dropped that also have fewer right answers.
    """
    fewer = score.right[:n].sum() < best.right[:n].sum()
    return best.beats(score) and bool(n >= _MANY or fewer)


def _loss_on(n: int) -> Callable[[Score], float]:
    """The key that sorts scores by their loss on the first n pictures."""
    return lambda score: float(score.losses[:n].mean())


def _seen_further(score: Score, pictures: Labelled, n: int) -> Score:
    """The same entry's score on the first ``n`` pictures."""
    part, model = slice(score.n, n), score.entry.make()
    x = model_input(pictures.images[part], model.input_shape, score.entry.preprocessing)
    labels, found = pictures.labels[part], probabilities(model, x)
    with np.errstate(invalid="ignore"):
        sure = np.nan_to_num(found[np.arange(len(x)), labels], nan=0.0)
    losses = -np.log(np.clip(sure, _LEAST, 1)).astype(np.float32)
    return Score(
        score.entry,
        np.concatenate([score.right, found.argmax(axis=1) == labels]),
        np.concatenate([score.losses, losses]),
    )


def ranked(scores: list[Score]) -> list[Score]:
    """Scores on the same pictures, best first; a dead heat goes to the first entry.

    Rare is a network that learned from vectors of length 1. It is taken for one only if that does
    not cost right answers either.
    """
    if not scores:
        return []
    most = max((s.accuracy for s in scores if s.entry.scaling in SCALINGS), default=0.0)
    fit = [s for s in scores if s.entry.scaling in SCALINGS or s.accuracy >= most]
    best = min(fit, key=lambda score: score.loss)
    winner = next(s for s in fit if s is best or not best.beats(s, doubt=1.0))
    return [winner, *sorted((s for s in scores if s is not winner), key=lambda s: s.loss)]
