"""Properties of a picture of a digit, one number for each, and how far they are from MNIST's.

A set of pictures has a distribution of each property. Its drift is the Wasserstein-1 distance
("earth mover's distance") from MNIST's: the average by which numbers must be moved to turn one
distribution into the other. The unit is MNIST's own standard deviation, or a tolerance if MNIST
hardly varies (its polarity, paper and size are constants, which cannot serve as units).

``python -m tinymnist.diagnosis.properties`` measures MNIST and writes the shipped statistics, in a
few minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinymnist.data import load_mnist
from tinymnist.diagnosis.ink_and_paper import InkAndPaper, separate_ink, view, window
from tinymnist.files import whole_file
from tinymnist.imaging.digit.filters import maximum, resize
from tinymnist.imaging.digit.frame import BOX, stroke_width
from tinymnist.imaging.digit.recipes import tutorial
from tinymnist.imaging.picture.decode import decode
from tinymnist.imaging.picture.otsu import NORMAL_MEDIAN

Values = NDArray[np.floating]

LEVELS = 501
"""Quantiles that stand for a distribution, at 0.5/501, 1.5/501 ... 500.5/501."""
REFERENCE = Path(__file__).parent / "mnist_statistics.npz"
_CELLS = 8
"""Uneven light is measured in this many rows and columns of paper."""


class Property(NamedTuple):
    """What is measured: its name in reports, and the unit of its numbers.

    ``tolerance`` is the smallest unit of drift, in that unit; ``repair`` what changes it, or "".
    """

    title: str
    unit: str
    tolerance: float
    repair: str


PROPERTIES = {
    "polarity": Property("polarity", "share with dark ink", 0.1, "polarity"),
    "frame": Property("frame", "width / height", 0.1, "size"),
    "size": Property("size", "longer side of the digit, share of the frame", 0.05, "size"),
    "aspect": Property("aspect", "width / height of the digit", 0.05, "size"),
    "fill": Property("fill", "share of the frame that is ink", 0.02, "size"),
    "across": Property(
        "position across", "right of the middle, share of the frame", 0.02, "position"
    ),
    "down": Property("position down", "below the middle, share of the frame", 0.02, "position"),
    "level": Property("background level", "brightness off pure paper", 0.05, "paper"),
    "variation": Property(
        "background variation", "standard deviation over the frame", 0.02, "paper"
    ),
    "noise": Property("noise", "standard deviation of a pixel", 0.01, "paper"),
    "contrast": Property("contrast", "brightness, ink to paper", 0.05, "intensity"),
    "stroke": Property("stroke width", "pixels, digit 20 long", 0.1, "stroke"),
    "sharpness": Property(
        "edge sharpness", "share of the contrast a pixel, digit 20 long", 0.02, ""
    ),
    "slant": Property("slant", "degrees to the right", 1.0, ""),
}
"""Name -> property. "Level" is how far paper is from black under light ink, from white under dark;
all brightnesses are 0..1, those of noise and paper at the working size of 256 pixels or fewer."""
INTENSITY = Property("intensity distribution", "pixel of recipe resize", 0.05, "intensity")
"""Unlike the others it has 784 numbers per picture: the pixels that the tutorials' recipe makes."""
ALL = PROPERTIES | {"intensity": INTENSITY}


def measure(parts: InkAndPaper) -> dict[str, float]:
    """The number of each of :data:`PROPERTIES` for one picture; NaN if it cannot be measured."""
    top, left, bottom, right = parts.box
    height, width = parts.grey.shape
    radius = max(1, round(max(height, width) / 64))
    bare = maximum(parts.ink, radius) <= 0  # paper, away from the soft edges of the ink
    return {
        "polarity": float(parts.is_dark),
        "frame": width / height,
        "size": max((bottom - top) / height, (right - left) / width),
        "aspect": (right - left) / (bottom - top),
        "fill": float(parts.ink.mean()),
        "across": parts.middle[1] / width - 0.5,
        "down": parts.middle[0] / height - 0.5,
        "level": parts.paper,
        "variation": _variation(parts.light, bare),
        "noise": _noise(parts.light, bare),
        "contrast": parts.full - parts.paper,
        "stroke": stroke_width(np.pad(parts.ink, 1)) * BOX / parts.longest,
        "sharpness": _sharpness(parts),
        "slant": _slant(parts),
    }


def _variation(light: NDArray[np.float32], bare: NDArray[np.bool_]) -> float:
    """The standard deviation of the paper's mean light over the cells of a grid."""
    share = resize(bare.astype(np.float32), (_CELLS, _CELLS))
    means = resize(light * bare, (_CELLS, _CELLS))
    cells = share > 0.1
    return float((means[cells] / share[cells]).std()) if cells.any() else np.nan


def _noise(light: NDArray[np.float32], bare: NDArray[np.bool_]) -> float:
    """As :func:`tinymnist.imaging.digit.paper.noise_level`, on the paper alone."""
    if min(light.shape) < 3:
        return np.nan
    rows = light[2:] - 2 * light[1:-1] + light[:-2]
    both = np.abs(rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2])[bare[1:-1, 1:-1]]
    return float(np.median(both)) / (6 * NORMAL_MEDIAN) if both.size >= 9 else np.nan


def _sharpness(parts: InkAndPaper) -> float:
    """The mean slope of brightness, weighted by itself: flat parts count nothing, noise little."""
    part = window(parts, parts.box, fitted=True, centred=True)
    near = maximum(view(parts.ink, part, 0), 1) > 0.05
    seen = view(parts.light, part, parts.paper) / (parts.full - parts.paper)
    slope = np.hypot(*np.gradient(seen))[near]
    return float((slope**2).sum() / slope.sum()) if slope.sum() > 0 else np.nan


def _slant(parts: InkAndPaper) -> float:
    """The angle of the ink's shear, from its second moments."""
    down, right = np.indices(parts.ink.shape, np.float64)
    ink = parts.ink / parts.ink.sum(dtype=np.float64)
    down, right = down + 0.5 - parts.middle[0], right + 0.5 - parts.middle[1]
    return float(np.degrees(np.arctan2(-(ink * down * right).sum(), (ink * down**2).sum())))


@dataclass(frozen=True)
class Reference:
    """MNIST's distributions.

    Attributes:
        quantiles: property -> (LEVELS,), ascending.
        deviations: property -> standard deviation.
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

    def drift(self, name: str, values: Values) -> float:
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


def quantiles_of(values: Values) -> Values:
    """(n,) -> the (LEVELS,) quantiles, each of them one of the values."""
    levels = (np.arange(LEVELS) + 0.5) / LEVELS
    return np.quantile(np.asarray(values, np.float64), levels, method="inverted_cdf")


def make_reference(values: Mapping[str, Values], classes: Values) -> Reference:
    """Summarize the values of each of :data:`ALL`, without NaN, and the share of each class."""
    known = {name: column[~np.isnan(column)] for name, column in values.items()}
    quantiles = {name: quantiles_of(column) for name, column in known.items()}
    deviations = {name: float(np.std(column, dtype=np.float64)) for name, column in known.items()}
    return Reference(quantiles, deviations, classes, len(values["size"]))


def measure_mnist() -> Reference:
    """Measure MNIST, on all training pictures.

    A regular selection would mislead, because every other picture is from another group of writers.
    """
    images, labels = load_mnist("train")
    greys = [decode(image) for image in images]
    measured = [measure(separate_ink(grey)) for grey in greys]
    values: dict[str, Values] = {n: np.array([one[n] for one in measured]) for n in PROPERTIES}
    values["intensity"] = np.stack([tutorial(grey) for grey in greys]).reshape(-1)
    return make_reference(values, np.bincount(labels, minlength=10) / len(labels))


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


if __name__ == "__main__":
    save_reference(measure_mnist())
