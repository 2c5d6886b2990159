"""Which scaling a network was trained with, and which architecture its weights belong to.

No file says what pixels a network was fed, and a wrong scaling raises no error: it costs 1 to 90
points of accuracy. So every scaling in use is tried on labelled pictures, and likewise every
architecture that fits. It is a race: on few pictures first, and what falls clearly behind is out.
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

ROUNDS = (8, 32, 128, 512, 2048)
"""Pictures that decide who stays in the race, before all of them decide who wins."""
DOUBT = 3.0
"""Standard errors behind the best at which an entry is out."""
DEAD_HEAT = 1.5e-4
"""Two entries this close are as good as each other; the likelier one, the first, wins."""
MOST_CLASSES = 64
"""With more outputs a network tells no classes apart: an autoencoder, for instance."""


@dataclass(frozen=True)
class Labelled:
    """Pictures in MNIST's form and what they show.

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
        """The same pictures in an order drawn by lot, always the same one."""
        order = np.random.default_rng(0).permutation(len(self.labels))
        return Labelled(self.name, self.images[order], self.labels[order])

    def below(self, classes: int) -> Labelled:
        """Those that a network of so many classes can know."""
        if len(self.labels) == 0 or self.labels.max() < classes:
            return self
        known = self.labels < classes
        return Labelled(f"{self.name}, classes below {classes}", self.images[known],
                        self.labels[known])  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One way to use a network.

    Attributes:
        make: gives the network.
        scaling: a name of :data:`~tinymnist.adapter.SCALINGS`.
        fit: how 28x28 becomes another size, or None.
        plan: the architecture in words, "" where the file tells it.
    """

    make: Callable[[], Sequential]
    scaling: str
    fit: str | None = None
    plan: str = ""

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What a model's metadata says about this."""
        entry: dict[str, Any] = {"scaling": scaling_entry(self.scaling)}
        return entry | ({"fit": self.fit} if self.fit else {})


@dataclass(frozen=True)
class Score:
    """How an entry did.

    Attributes:
        entry: what was measured.
        right: for each picture that it saw, in the order of :attr:`Labelled.mixed`, whether the
            class with the largest output was the right one.
    """

    entry: Entry
    right: NDArray[np.bool_]

    @property
    def n(self) -> int:
        """How many pictures it saw before it left the race."""
        return len(self.right)

    @property
    def accuracy(self) -> float:
        """The share that was right."""
        return float(self.right.mean())

    def beats(self, other: Score) -> bool:
        """Whether it is better than chance explains (McNemar's test), on the same pictures."""
        gained = int((self.right & ~other.right).sum())
        lost = int((other.right & ~self.right).sum())
        return gained - lost > DOUBT * math.sqrt(gained + lost)


def entries(makers: Iterable[tuple[Callable[[], Sequential], str]]) -> list[Entry]:
    """Every scaling and fit of every network; the scaling most in use comes first."""
    return [
        Entry(make, scaling, fit, plan)
        for make, plan in makers
        for fit in possible_fits(make().input_shape)
        for scaling in SCALINGS
    ]


def race(field: Sequence[Entry], pictures: Labelled, at_least: float = 0.0) -> list[Score]:
    """Let entries compete.

    Args:
        field: the entries; where several do equally well, the first wins.
        pictures: what they are measured on.
        at_least: entries that will clearly not get there are out, even if there is no better one.

    Returns:
        The scores of those that saw all pictures, the winner first, then of those that fell out
        before, the last to do so first.
    """
    mixed, last = pictures.mixed, len(pictures.labels)
    running = [Score(entry, np.zeros(0, bool)) for entry in field]
    out: list[Score] = []
    for n in (*(n for n in ROUNDS if n < last), last):
        running = [_seen_further(score, mixed, n) for score in running]
        best = max((score.accuracy for score in running), default=0.0)
        least = _least(max(best, at_least), n) if n < last else 0.0
        fallen = [score for score in running if score.accuracy < least]
        out = sorted(fallen, key=_by_accuracy) + out
        running = [score for score in running if score.accuracy >= least]
    return ranked(running) + out


def _seen_further(score: Score, pictures: Labelled, n: int) -> Score:
    """The same entry's score on the first ``n`` pictures."""
    part = slice(score.n, n)
    model = score.entry.make()
    x = model_input(pictures.images[part], model.input_shape, score.entry.preprocessing)
    outputs = model.predict(x, logits=True)
    found = outputs.reshape(len(x), -1).argmax(axis=1)
    return Score(score.entry, np.concatenate([score.right, found == pictures.labels[part]]))


def _least(best: float, n: int) -> float:
    """The accuracy on ``n`` pictures below which nobody catches up with ``best``."""
    return best - DOUBT * math.sqrt(max(best * (1 - best), 1 / n) / n)


def ranked(scores: list[Score]) -> list[Score]:
    """Best first, but the first of those that are in a dead heat with the best before them.

    Args:
        scores: on the same pictures.
    """
    if not scores:
        return []
    best = max(score.accuracy for score in scores)
    winner = next(s for s in scores if s.accuracy >= best - DEAD_HEAT)
    return [winner, *sorted((s for s in scores if s is not winner), key=_by_accuracy)]


def _by_accuracy(score: Score) -> float:
    return -score.accuracy
