"""What a picture of a digit is like: one number for each property, from its anatomy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinymnist.diagnosis.strokes_and_loops import Anatomy, view, window
from tinymnist.imaging.digit.filters import maximum, resize
from tinymnist.imaging.digit.frame import BOX
from tinymnist.imaging.digit.strokes import stroke_width

_NORMAL_MEDIAN = 0.6745
"""The median of the absolute value of a standard normal number."""
_CELLS = 8
"""Uneven light is looked for in so many rows and columns of paper."""


@dataclass(frozen=True)
class Property:
    """Something that a picture has more or less of.

    Attributes:
        title: what to call it.
        unit: of its numbers.
        tolerance: the smallest unit of drift, in the property's own unit.
        repair: which repair of :mod:`tinymnist.diagnosis.repairs` changes it; "" if none does.
        measure: picture taken apart -> its number; NaN where it cannot be measured.
    """

    title: str
    unit: str
    tolerance: float
    repair: str
    measure: Callable[[Anatomy], float]


def _frame(anatomy: Anatomy) -> float:
    height, width = anatomy.grey.shape
    return float(width / height)


def _size(anatomy: Anatomy) -> float:
    top, left, bottom, right = anatomy.box
    height, width = anatomy.grey.shape
    return float(max((bottom - top) / height, (right - left) / width))


def _aspect(anatomy: Anatomy) -> float:
    top, left, bottom, right = anatomy.box
    return (right - left) / (bottom - top)


def _polarity(anatomy: Anatomy) -> float:
    return float(anatomy.is_dark)


def _fill(anatomy: Anatomy) -> float:
    return float(anatomy.ink.mean())


def _across(anatomy: Anatomy) -> float:
    return float(anatomy.middle[1] / anatomy.grey.shape[1] - 0.5)


def _down(anatomy: Anatomy) -> float:
    return float(anatomy.middle[0] / anatomy.grey.shape[0] - 0.5)


def _level(anatomy: Anatomy) -> float:
    return anatomy.paper


def _bare(anatomy: Anatomy) -> NDArray[np.bool_]:
    """Where there is paper, and no soft edge of the digit's ink near."""
    radius = max(1, round(max(anatomy.ink.shape) / 64))
    return maximum(anatomy.ink, radius) <= 0


def _variation(anatomy: Anatomy) -> float:
    bare = _bare(anatomy).astype(np.float32)
    share = resize(bare, (_CELLS, _CELLS))
    light = resize(anatomy.light * bare, (_CELLS, _CELLS))
    cells = share > 0.1
    return float((light[cells] / share[cells]).std()) if cells.any() else np.nan


def _noise(anatomy: Anatomy) -> float:
    """As :func:`tinymnist.imaging.digit.paper.noise_level`, on the paper alone."""
    light, bare = anatomy.light, _bare(anatomy)
    if min(light.shape) < 3:
        return np.nan
    rows = light[2:] - 2 * light[1:-1] + light[:-2]
    both = np.abs(rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2])[bare[1:-1, 1:-1]]
    return float(np.median(both)) / (6 * _NORMAL_MEDIAN) if both.size >= 9 else np.nan


def _contrast(anatomy: Anatomy) -> float:
    return anatomy.full - anatomy.paper


def _stroke(anatomy: Anatomy) -> float:
    return stroke_width(np.pad(anatomy.ink, 1)) * BOX / anatomy.longest


def _sharpness(anatomy: Anatomy) -> float:
    """The gradient's length, averaged by itself: flat parts do not count, noise little."""
    part = window(anatomy, fitted=True, centred=True)
    near = maximum(view(anatomy.ink, part, 0), 1) > 0.05
    seen = view(anatomy.light, part, anatomy.paper) / (anatomy.full - anatomy.paper)
    slope = np.hypot(*np.gradient(seen))[near]
    return float((slope**2).sum() / slope.sum()) if slope.sum() > 0 else np.nan


def _slant(anatomy: Anatomy) -> float:
    down, right = np.indices(anatomy.ink.shape, np.float64)
    ink = anatomy.ink / anatomy.ink.sum(dtype=np.float64)
    down, right = down + 0.5 - anatomy.middle[0], right + 0.5 - anatomy.middle[1]
    return float(np.degrees(np.arctan2(-(ink * down * right).sum(), (ink * down**2).sum())))


PROPERTIES = {
    "polarity": Property("polarity", "share with dark ink", 0.1, "polarity", _polarity),
    "frame": Property("frame", "width / height", 0.1, "size", _frame),
    "size": Property("size", "longer side of the digit, share of the frame", 0.05, "size", _size),
    "aspect": Property("aspect", "width / height of the digit", 0.05, "size", _aspect),
    "fill": Property("fill", "share of the frame that is ink", 0.02, "size", _fill),
    "across": Property(
        "position across", "right of the middle, share of the frame", 0.02, "position", _across
    ),
    "down": Property(
        "position down", "below the middle, share of the frame", 0.02, "position", _down
    ),
    "level": Property("background level", "brightness off pure paper", 0.05, "paper", _level),
    "variation": Property(
        "background variation", "standard deviation over the frame", 0.02, "paper", _variation
    ),
    "noise": Property("noise", "standard deviation of a pixel", 0.01, "paper", _noise),
    "contrast": Property("contrast", "brightness, ink to paper", 0.05, "intensity", _contrast),
    "stroke": Property("stroke width", "pixels, digit 20 long", 0.1, "stroke", _stroke),
    "sharpness": Property(
        "edge sharpness", "share of the contrast a pixel, digit 20 long", 0.02, "", _sharpness
    ),
    "slant": Property("slant", "degrees to the right", 1.0, "", _slant),
}
"""Name -> property. "Level" is how far paper is from black under light ink, from white under dark;
all brightnesses are 0..1, those of noise and paper at the working size of 256 pixels or fewer."""
INTENSITY = Property(
    "intensity distribution", "pixel of recipe resize", 0.05, "intensity", lambda _: np.nan
)
"""Unlike the others it has 784 numbers a picture: the pixels that the tutorials' recipe makes."""
ALL = PROPERTIES | {"intensity": INTENSITY}


def measure(anatomy: Anatomy) -> dict[str, float]:
    """The number of each of :data:`PROPERTIES` on one picture."""
    return {name: prop.measure(anatomy) for name, prop in PROPERTIES.items()}
