"""Digits from scratch as other hands write them: open or slim 8s, slashed 0s, square 9s, dots.

Each entry is one way to write a digit, as strokes of points (right, down) in a box that is 1 tall
and about 0.6 wide. The points move a little every time, and are joined by straight lines or by a
smooth curve.
"""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.frame import SIDE, centre, fit_box
from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.paint import Point, curve, pen_stroke

Stroke = list[Point]

_SCALE = 20.0  # pixels of a digit's height before it is brought to MNIST's form
_MARGIN = 8
_WOBBLE = 0.03  # the deviation of each point, as a share of the height
_SHARE_OF_STRAIGHT = 0.4
_SHARE_OF_DOTTED = 0.08


def _loop(right: float, down: float, wide: float, tall: float, *, gap: float = 0.0) -> Stroke:
    """An ellipse from its top, counterclockwise; ``gap`` of a turn is left open at the end."""
    angles = np.linspace(0, 2 * np.pi * (1 - gap), 12)
    return [(right - wide * np.sin(a), down - tall * np.cos(a)) for a in angles]


_ZERO = _loop(0.3, 0.5, 0.3, 0.5)
HANDS: dict[int, list[list[Stroke]]] = {
    0: [
        [_ZERO],
        [_ZERO, [(0.45, 0.25), (0.3, 0.5), (0.15, 0.75)]],
        [_ZERO, [(0.15, 0.25), (0.3, 0.5), (0.45, 0.75)]],
        [_ZERO, [(0.7, -0.05), (0.3, 0.5), (-0.1, 1.05)]],
        [_ZERO, [(0.28, 0.5), (0.32, 0.5)]],
        [_ZERO, [(0.02, 0.5), (0.3, 0.5), (0.58, 0.5)]],
        [_loop(0.3, 0.5, 0.3, 0.5, gap=0.08)],
        [_loop(0.45, 0.5, 0.45, 0.5)],
    ],
    1: [
        [[(0.0, 0.0), (0.0, 0.5), (0.0, 1.0)]],
    ],
    2: [
        [[(0.0, 0.0), (0.6, 0.0)], [(0.6, 0.0), (0.3, 0.5), (0.0, 1.0)], [(0.0, 1.0), (0.6, 1.0)]],
        [[(0.05, 0.25), (0.25, 0.0), (0.55, 0.08), (0.5, 0.4), (0.2, 0.85), (0.05, 0.95),
          (0.03, 0.8), (0.2, 0.8), (0.4, 0.98), (0.65, 0.92)]],
        [[(0.05, 0.2), (0.3, 0.0), (0.55, 0.2), (0.3, 0.6), (0.0, 1.0)], [(0.0, 1.0), (0.6, 1.0)]],
    ],
    3: [
        [[(0.0, 0.0), (0.55, 0.0)], [(0.55, 0.0), (0.4, 0.2), (0.22, 0.42)],
         [(0.22, 0.42), (0.55, 0.5), (0.55, 0.85), (0.25, 1.0), (0.0, 0.88)]],
        [[(0.0, 0.1), (0.3, 0.0), (0.5, 0.2), (0.2, 0.47), (0.55, 0.7), (0.3, 1.0), (0.0, 0.9)]],
    ],
    4: [
        [[(0.4, 0.0), (0.2, 0.32), (0.0, 0.62)], [(0.0, 0.62), (0.6, 0.62)],
         [(0.4, 0.0), (0.4, 1.0)]],
        [[(0.1, 0.0), (0.05, 0.3), (0.0, 0.58)], [(0.0, 0.58), (0.55, 0.58)],
         [(0.45, 0.15), (0.42, 1.0)]],
        [[(0.0, 0.0), (0.02, 0.5)], [(0.02, 0.5), (0.5, 0.5)], [(0.5, 0.0), (0.5, 1.0)]],
    ],
    5: [
        [[(0.55, 0.05), (0.25, 0.0), (0.05, 0.2), (0.25, 0.45), (0.55, 0.65), (0.45, 0.95),
          (0.0, 0.92)]],
        [[(0.1, 0.05), (0.07, 0.4), (0.4, 0.4), (0.55, 0.7), (0.35, 0.98), (0.0, 0.9)],
         [(0.15, -0.02), (0.6, -0.04)]],
        [[(0.55, 0.0), (0.05, 0.0)], [(0.05, 0.0), (0.03, 0.42)],
         [(0.03, 0.42), (0.4, 0.38), (0.58, 0.7), (0.35, 1.0), (0.0, 0.9)]],
    ],
    6: [
        [[(0.05, 0.0), (0.02, 0.4), (0.03, 0.75)], _loop(0.28, 0.72, 0.26, 0.28)],
        [[(0.45, 0.0), (0.1, 0.4), (0.02, 0.75)], _loop(0.28, 0.74, 0.26, 0.26)],
        [[(0.5, 0.05), (0.1, 0.35), (0.05, 0.85), (0.35, 1.0), (0.55, 0.75), (0.3, 0.6),
          (0.15, 0.7)]],
    ],
    8: [
        [_loop(0.25, 0.25, 0.22, 0.25), _loop(0.25, 0.75, 0.25, 0.25)],
        [_loop(0.12, 0.25, 0.1, 0.25), _loop(0.12, 0.75, 0.12, 0.25)],
        [[(0.5, 0.02), (0.15, 0.2), (0.45, 0.65), (0.3, 0.98), (0.05, 0.75), (0.3, 0.5),
          (0.55, 0.1)]],
        [[(0.55, 0.12), (0.3, 0.0), (0.1, 0.22), (0.3, 0.45), (0.5, 0.72), (0.3, 1.0),
          (0.08, 0.75), (0.3, 0.5), (0.5, 0.3)]],
        [[(0.12, 0.0), (0.0, 0.25), (0.12, 0.5), (0.24, 0.25), (0.12, 0.0)],
         [(0.12, 0.5), (0.0, 0.75), (0.12, 1.0), (0.24, 0.75), (0.12, 0.5)]],
    ],
    9: [
        [_loop(0.26, 0.27, 0.26, 0.27), [(0.52, 0.25), (0.52, 0.6), (0.5, 1.0)]],
        [_loop(0.26, 0.27, 0.26, 0.27), [(0.52, 0.25), (0.52, 0.65), (0.35, 0.95), (0.05, 0.95)]],
        [[(0.5, 0.0), (0.0, 0.0)], [(0.0, 0.0), (0.0, 0.42)], [(0.0, 0.42), (0.5, 0.42)],
         [(0.5, 0.0), (0.5, 1.0)]],
        [[(0.5, 0.08), (0.25, 0.0), (0.03, 0.25), (0.2, 0.48), (0.48, 0.3)],
         [(0.55, 0.05), (0.5, 0.5), (0.45, 1.0)]],
    ],
}  # fmt: skip
"""Ways to write each digit. A 1 with a flag and a 7 differ by angles: :mod:`.styles` draws them."""


def written(digit: int, rng: np.random.Generator) -> Array:
    """Draw a digit of :data:`HANDS` in one of its ways: (28, 28) in MNIST's form."""
    ways = HANDS[digit]
    strokes = ways[rng.integers(len(ways))]
    wide, lean = np.exp(rng.normal(0, 0.2)), rng.normal(0.1, 0.12)
    is_straight, is_dotted = rng.random() < _SHARE_OF_STRAIGHT, rng.random() < _SHARE_OF_DOTTED
    width = wide * np.ptp([right for stroke in strokes for right, _ in stroke])
    thickest = min(2.2, 0.25 * _SCALE * width) if width else 2.2  # a slim 8 keeps its holes
    radius = rng.uniform(0.7, 1.3) if is_dotted else rng.uniform(0.5, max(0.6, thickest))
    canvas = np.zeros((int(_SCALE * 1.2) + 2 * _MARGIN, 2 * SIDE + 2 * _MARGIN), np.float32)
    for stroke in strokes:
        moved = np.array(stroke) + rng.normal(0, _WOBBLE, (len(stroke), 2))
        line = moved if is_straight or len(moved) < 3 else np.array(curve(moved.tolist(), 6))
        right = line[:, 0] * wide + lean * (1 - line[:, 1])
        points = (np.stack([line[:, 1], right], 1) * _SCALE + (_MARGIN, _MARGIN + 6)).astype(
            np.float32
        )
        for part in _dots(points, 2.6 * radius) if is_dotted else [points]:
            np.maximum(canvas, pen_stroke(canvas.shape, part, radius), out=canvas)
    return centre(fit_box(canvas))


def _dots(points: Array, apart: float) -> list[Array]:
    """Points at equal distances along a line, each as a stroke of no length."""
    along = np.concatenate([[0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
    places = np.linspace(0, along[-1], max(2, round(along[-1] / apart) + 1))
    down, right = (np.interp(places, along, side) for side in points.T)
    return [np.array([spot, spot]) for spot in zip(down, right, strict=True)]
