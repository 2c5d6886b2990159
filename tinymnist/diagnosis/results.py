"""What a diagnosis holds: every picture read after every set of repairs, and all drifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.archives import FileContent
from tinymnist.diagnosis.costs import Cost, Flags, costs_of
from tinymnist.diagnosis.repairs import NONE, PLANS, REPAIRS, Repairs, in_sequence
from tinymnist.diagnosis.script import ByHand
from tinymnist.errors import InputError

UNREAD = -1
"""The class of a picture in which no digit was found."""


@dataclass(frozen=True)
class Pictures:
    """The set to diagnose.

    Attributes:
        name: of the set.
        sources: n of what :func:`tinymnist.imaging.picture.decode.decode` takes.
        labels: (n,) indices of the reader's classes, or None.
    """

    name: str
    sources: Sequence[Any] | NDArray[Any]
    labels: NDArray[np.int64] | None = None

    def name_of(self, number: int) -> str:
        """What to call a picture: its file, or its number in the set, from 0."""
        source = self.sources[number]
        return (
            str(source) if isinstance(source, str | PathLike | FileContent) else f"picture {number}"
        )


@dataclass(frozen=True)
class Drift:
    """How far a property is from MNIST's.

    Attributes:
        values: of the pictures, (n,); of the intensity (n, 784). NaN if not measurable.
        distance: Wasserstein-1, in units of :meth:`Reference.unit`; NaN if nothing was measured.
        chance: the mean distance of the same number of MNIST's own pictures.
    """

    values: NDArray[np.floating]
    distance: float
    chance: float

    @property
    def is_notable(self) -> bool:
        """Whether it is both large and more than chance."""
        return self.distance >= 0.5 and self.distance > 2 * self.chance


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis:
    """What was measured; n pictures, v = len(PLANS) + 1 variants of each, the last the recipe's.

    Attributes:
        pictures: the set.
        model: the network's name.
        class_names: of the network.
        found: (n, v) the classes read; -1 if no digit was found.
        confidence: (n, v), 0..1.
        drifts: of each of :data:`tinymnist.diagnosis.properties.ALL`.
        class_shares: (classes,) of the labels, or else of the classes that the recipe reads.
        class_drift: their total variation distance from MNIST's, 0..1: half the sum of all
            differences; NaN if the network's classes are not the digits.
        failures: picture -> the reason why the recipe could not prepare it.
        by_hand: what the main steps achieve in a few lines of NumPy and Pillow.
    """

    pictures: Pictures
    model: str
    class_names: tuple[str, ...]
    found: NDArray[np.int64]
    confidence: NDArray[np.float32]
    drifts: dict[str, Drift]
    class_shares: NDArray[np.float64]
    class_drift: float
    failures: dict[int, InputError]
    by_hand: ByHand

    def __repr__(self) -> str:
        before, after = (float(self.right(plan).mean()) for plan in (NONE, None))
        kind = "accuracy" if self.is_labelled else "agreement"
        on = f"{self.model} on {self.pictures.name}, n={self.n}"
        return f"Diagnosis({on}, {kind} {before:.4f} -> {after:.4f} with all repaired)"

    @property
    def n(self) -> int:
        """The number of pictures."""
        return len(self.found)

    @property
    def is_labelled(self) -> bool:
        """Whether accuracy is measured; else agreement with what the full recipe reads."""
        return self.pictures.labels is not None

    @property
    def truth(self) -> NDArray[np.int64]:
        """(n,) the labels, or else the classes that the recipe reads."""
        labels = self.pictures.labels
        return self.found[:, -1] if labels is None else labels

    def right(self, plan: Repairs | None) -> Flags:
        """Which pictures (n,) are read right after some repairs; None is the full recipe."""
        read: NDArray[np.int64] = self.found[:, place_of(plan)]
        right: Flags = (read == self.truth) & (read != UNREAD)
        return right

    def mean_confidence(self, plan: Repairs | None) -> float:
        """The mean over all pictures after some repairs, 0..1; None is the full recipe."""
        return float(self.confidence[:, place_of(plan)].mean())

    @property
    def costs(self) -> list[Cost]:
        """What each mismatch costs, the highest cost first."""
        return costs_of(self.right)

    def sequence(self) -> list[tuple[str, float, float]]:
        """(name, share read right, mean confidence): nothing repaired, one repair more, recipe."""
        plans: dict[str, Repairs | None] = {"nothing (recipe 'resize')": NONE}
        plans |= {f"+ {name}": in_sequence(name) for name in REPAIRS}
        plans["the whole recipe 'mnist'"] = None
        return [
            (name, float(self.right(plan).mean()), self.mean_confidence(plan))
            for name, plan in plans.items()
        ]


def place_of(plan: Repairs | None) -> int:
    """The column of a set of repairs among the variants; None is the full recipe."""
    return -1 if plan is None else PLANS.index(plan)
