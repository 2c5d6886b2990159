"""Properties of a picture of a digit: one number for each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinymnist.diagnosis.ink_and_paper import InkAndPaper, view, window
from tinymnist.imaging.digit.filters import maximum, resize
from tinymnist.imaging.digit.frame import BOX
from tinymnist.imaging.digit.strokes import stroke_width

_NORMAL_MEDIAN = 0.6745
"""The median of the absolute value of a standard normal number."""
_CELLS = 8
"""Uneven light is measured in this many rows and columns of paper."""


class Property(NamedTuple):
    """What is measured.

    Attributes:
        title: its name in reports.
        unit: of its numbers.
        tolerance: the smallest unit of drift, in the property's own unit.
        repair: which repair of :mod:`tinymnist.diagnosis.repairs` changes it; "" if none does.
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
    return {
        "polarity": float(parts.is_dark),
        "frame": width / height,
        "size": max((bottom - top) / height, (right - left) / width),
        "aspect": (right - left) / (bottom - top),
        "fill": float(parts.ink.mean()),
        "across": parts.middle[1] / width - 0.5,
        "down": parts.middle[0] / height - 0.5,
        "level": parts.paper,
        "variation": _variation(parts),
        "noise": _noise(parts),
        "contrast": parts.full - parts.paper,
        "stroke": stroke_width(np.pad(parts.ink, 1)) * BOX / parts.longest,
        "sharpness": _sharpness(parts),
        "slant": _slant(parts),
    }


def _bare_paper(parts: InkAndPaper) -> NDArray[np.bool_]:
    """Where there is paper, away from the soft edges of the digit's ink."""
    radius = max(1, round(max(parts.ink.shape) / 64))
    return maximum(parts.ink, radius) <= 0


def _variation(parts: InkAndPaper) -> float:
    """The standard deviation of the paper's mean light over the cells of a grid."""
    bare = _bare_paper(parts).astype(np.float32)
    share = resize(bare, (_CELLS, _CELLS))
    light = resize(parts.light * bare, (_CELLS, _CELLS))
    cells = share > 0.1
    return float((light[cells] / share[cells]).std()) if cells.any() else np.nan


def _noise(parts: InkAndPaper) -> float:
    """As :func:`tinymnist.imaging.digit.paper.noise_level`, on the paper alone."""
    light, bare = parts.light, _bare_paper(parts)
    if min(light.shape) < 3:
        return np.nan
    rows = light[2:] - 2 * light[1:-1] + light[:-2]
    both = np.abs(rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2])[bare[1:-1, 1:-1]]
    return float(np.median(both)) / (6 * _NORMAL_MEDIAN) if both.size >= 9 else np.nan


def _sharpness(parts: InkAndPaper) -> float:
    """The mean slope of brightness, weighted by itself: flat parts count nothing, noise little."""
    part = window(parts, fitted=True, centred=True)
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
