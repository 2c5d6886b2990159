"""A way of writing that MNIST's American writers seldom used: the 1 with a flag, and with a foot.

Most of the world writes a 1 with an upstroke from the lower left, often half as long as the stem;
among MNIST's 6,742 training ones there are few. Here such strokes are added to ones that lack
them.
"""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.frame import centre, fit_box
from tinymnist.imaging.pixels import Array
from tinymnist.imaging.strokes import stroke_width

_FLAG_ANGLES = (22.0, 58.0)
"""Degrees between stem and flag."""
_STEEPEST = 62.0
"""Degrees between a flag and the vertical; a flag that lies flatter makes a 7."""
_FLAG_LENGTHS = (0.2, 0.6)
_FOOT_LENGTHS = (0.3, 0.8)
_FOOT_SHARE = 0.3
"""Which share of the ones gets a foot as well."""


def with_flag(one: Array, rng: np.random.Generator) -> Array:
    """Add the upstroke, and sometimes the foot, to a 1 in MNIST's form.

    Args:
        one: (28, 28) in 0..1, white ink on black; anything but a 1 makes no sense.
        rng: where lengths, angles and bends come from.

    Returns:
        (28, 28) float32, again in MNIST's form.
    """
    top, bottom = _ends(one)
    stem = bottom - top
    length = float(np.hypot(*stem))
    radius = max(stroke_width(one), 1.6) / 2 * rng.uniform(0.8, 1.1)
    lean = np.rad2deg(np.arctan2(-stem[1], stem[0]))
    angle = np.deg2rad(max(min(rng.uniform(*_FLAG_ANGLES), _STEEPEST - lean), _FLAG_ANGLES[0] / 2))
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) @ stem
    tip = top + turned * rng.uniform(*_FLAG_LENGTHS)
    bend = (top + tip) / 2 + rng.normal(0, 0.04 * length, 2)
    strokes = [(top, bend), (bend, tip)]
    if rng.random() < _FOOT_SHARE:
        left, right = rng.uniform(*_FOOT_LENGTHS, 2) * length / 2
        up, down = rng.normal(0, 0.03 * length, 2)
        strokes.append((bottom + np.array([up, -left]), bottom + np.array([down, right])))
    canvas = np.pad(one, 14)
    for start, end in strokes:
        np.maximum(canvas, _segment(canvas.shape, start + 14, end + 14, radius), out=canvas)
    rows, columns = (np.flatnonzero((canvas > 0).any(axis)) for axis in (1, 0))
    return centre(fit_box(canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]))


def _ends(one: Array) -> tuple[Array, Array]:
    """Where the stem begins and ends: the mean of the ink in its first and last two rows."""
    rows = np.flatnonzero((one > 0.3).any(1))
    columns = np.arange(one.shape[1])
    ends = []
    for row in (rows[0], rows[-1]):
        near = one[max(row - 1, 0) : row + 2].sum(0)
        ends.append(np.array([float(row), float(near @ columns / near.sum())], np.float32))
    return ends[0], ends[1]


def _segment(shape: tuple[int, ...], start: Array, end: Array, radius: float) -> Array:
    """A stroke with round ends: full ink within ``radius`` of the line, soft over a pixel."""
    points = np.moveaxis(np.indices(shape), 0, -1) - start
    along = end - start
    share = np.clip(points @ along / max(float(along @ along), 1e-9), 0, 1)[..., None]
    distance = np.hypot(*np.moveaxis(points - share * along, -1, 0))
    return np.asarray(np.clip(radius + 0.5 - distance, 0, 1), np.float32)
