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

from tinymnist.adapter import SCALINGS, model_input, possible_fits, scaling_entry
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

_ROUNDS = (8, 32, 128, 512, 2048)
"""Pictures after which entries are dropped, before all of them decide."""
_DOUBT = 3.0
"""Standard errors behind the best at which an entry is dropped."""
_DEAD_HEAT = 1.5e-4
"""Accuracies this close count as equal; then the first, more likely entry wins."""


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
        scaling: a name of :data:`~tinymnist.adapter.SCALINGS`.
        fit: how 28x28 becomes another size, or None.
        plan: the architecture in words, "" if the file defines it.
    """

    make: Callable[[], Sequential]
    scaling: str
    fit: str | None = None
    plan: str = ""

    @property
    def preprocessing(self) -> dict[str, Any]:
        """The entry for the model's metadata."""
        return {"scaling": scaling_entry(self.scaling)} | ({"fit": self.fit} if self.fit else {})


@dataclass(frozen=True)
class Score:
    """How an entry did: per picture so far, whether the largest output was the right class's.

    The pictures are in the order of :attr:`Labelled.mixed`.
    """

    entry: Entry
    right: NDArray[np.bool_]

    @property
    def n(self) -> int:
        """The number of pictures before it was dropped."""
        return len(self.right)

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float(self.right.mean())

    def beats(self, other: Score) -> bool:
        """Whether it is significantly better on the same pictures (McNemar's test)."""
        gained = int((self.right & ~other.right).sum())
        lost = int((other.right & ~self.right).sum())
        return gained - lost > _DOUBT * math.sqrt(gained + lost)


def entries(makers: Iterable[tuple[Callable[[], Sequential], str]]) -> list[Entry]:
    """Every scaling and fit of every network; the most common scaling comes first."""
    return [
        Entry(make, scaling, fit, plan)
        for make, plan in makers
        for fit in possible_fits(make().input_shape)
        for scaling in SCALINGS
    ]


def race(field: Sequence[Entry], pictures: Labelled, at_least: float = 0.0) -> list[Score]:
    """Measure entries on more and more pictures, dropping those that fall behind.

    Args:
        field: the entries; if several do equally well, the first wins.
        pictures: to measure on.
        at_least: entries that clearly stay below this accuracy are dropped in any case.

    Returns:
        The scores of those that saw all pictures, the winner first, then of those that were
        dropped, the last first.
    """
    mixed, last = pictures.mixed, len(pictures.labels)
    running = [Score(entry, np.zeros(0, bool)) for entry in field]
    out: list[Score] = []
    for n in (*(n for n in _ROUNDS if n < last), last):
        running = [_seen_further(score, mixed, n) for score in running]
        best = max((score.accuracy for score in running), default=0.0)
        goal = max(best, at_least)
        # Below this accuracy an entry will not catch up.
        least = goal - _DOUBT * math.sqrt(max(goal * (1 - goal), 1 / n) / n) if n < last else 0.0
        fallen = [score for score in running if score.accuracy < least]
        out = _by_accuracy(fallen) + out
        running = [score for score in running if score.accuracy >= least]
    return ranked(running) + out


def _seen_further(score: Score, pictures: Labelled, n: int) -> Score:
    """The same entry's score on the first ``n`` pictures."""
    part, model = slice(score.n, n), score.entry.make()
    x = model_input(pictures.images[part], model.input_shape, score.entry.preprocessing)
    found = model.predict(x, logits=True).reshape(len(x), -1).argmax(axis=1)
    return Score(score.entry, np.concatenate([score.right, found == pictures.labels[part]]))


def ranked(scores: list[Score]) -> list[Score]:
    """Scores on the same pictures, best first; a :data:`_DEAD_HEAT` goes to the first entry."""
    if not scores:
        return []
    best = max(score.accuracy for score in scores)
    winner = next(s for s in scores if s.accuracy >= best - _DEAD_HEAT)
    return [winner, *_by_accuracy(s for s in scores if s is not winner)]


def _by_accuracy(scores: Iterable[Score]) -> list[Score]:
    return sorted(scores, key=lambda score: -score.accuracy)
