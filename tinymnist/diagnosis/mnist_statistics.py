"""MNIST's distribution of each property, and how far other pictures are from it: their drift.

Every property of one picture is one number, so a set of pictures has a distribution of each. Drift
is the Wasserstein-1 distance ("earth mover's distance"): the average by which numbers must be moved
to turn one distribution into the other. Its unit is MNIST's own standard deviation, or a tolerance
if MNIST hardly varies (its polarity, paper and size are constants, which cannot serve as units).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.diagnosis.properties import ALL
from tinymnist.files import whole_file

Values = NDArray[np.float64]

LEVELS = 501
"""Quantiles that stand for a distribution, at 0.5/501, 1.5/501 ... 500.5/501."""
REFERENCE = Path(__file__).parent / "mnist_statistics.npz"
"""MNIST's own distributions, measured by ``python -m tinymnist.diagnosis.diagnose``."""


@dataclass(frozen=True)
class Reference:
    """MNIST's distributions.

    Attributes:
        quantiles: property -> (LEVELS,), ascending.
        deviations: property -> MNIST's standard deviation.
        classes: (10,), the share of each digit.
        n: how many pictures were measured.
    """

    quantiles: dict[str, Values]
    deviations: dict[str, float]
    classes: Values
    n: int

    def unit(self, name: str) -> float:
        """The unit of drift: MNIST's standard deviation, but at least the tolerance."""
        return max(self.deviations[name], ALL[name].tolerance)

    def drift(self, name: str, values: NDArray[np.floating]) -> float:
        """The Wasserstein-1 distance of values (n,) from MNIST's, in units; NaN if there are none.

        It is the mean distance of the quantiles: C. Villani, "Topics in Optimal Transportation"
        (2003), theorem 2.18.
        """
        if not values.size:
            return float("nan")
        distance = np.abs(quantiles_of(values) - self.quantiles[name]).mean()
        return float(distance) / self.unit(name)

    def chance(self, name: str, n: int, rng: np.random.Generator, trials: int = 20) -> float:
        """The mean drift of n of MNIST's own pictures, drawn at random."""
        drawn = rng.choice(self.quantiles[name], (trials, min(max(n, 1), 2000)))
        return float(np.mean([self.drift(name, values) for values in drawn]))


def quantiles_of(values: NDArray[np.floating]) -> Values:
    """(n,) -> the (LEVELS,) quantiles, each of them one of the values."""
    levels = (np.arange(LEVELS) + 0.5) / LEVELS
    return np.quantile(np.asarray(values, np.float64), levels, method="inverted_cdf")


def make_reference(values: Mapping[str, NDArray[np.floating]], classes: Values) -> Reference:
    """Summarize the values of each of :data:`ALL`, without NaN, and the share of each class."""
    known = {name: column[~np.isnan(column)] for name, column in values.items()}
    quantiles = {name: quantiles_of(column) for name, column in known.items()}
    deviations = {name: float(np.std(column, dtype=np.float64)) for name, column in known.items()}
    return Reference(quantiles, deviations, classes, len(values["size"]))


def save_reference(reference: Reference, path: Path = REFERENCE) -> None:
    """Write statistics to an .npz file, completely or not at all."""
    arrays: dict[str, Any] = {"n": reference.n, "classes": reference.classes}
    for name in ALL:
        arrays[f"quantiles/{name}"] = reference.quantiles[name].astype(np.float32)
        arrays[f"deviation/{name}"] = reference.deviations[name]
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


@cache
def mnist_reference() -> Reference:
    """MNIST's statistics as shipped."""
    with np.load(REFERENCE, allow_pickle=False) as arrays:
        return Reference(
            {name: arrays[f"quantiles/{name}"].astype(np.float64) for name in ALL},
            {name: float(arrays[f"deviation/{name}"]) for name in ALL},
            arrays["classes"],
            int(arrays["n"]),
        )
