"""Digits painted from strokes, and light and dirt to go with them: pictures without an owner."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from tinymnist.imaging.digit.filters import resize
from tinymnist.imaging.picture.pixels import Array

Point = tuple[float, float]

STROKES: dict[int, list[list[Point]]] = {
    0: [[(0.50, 0.02), (0.22, 0.20), (0.16, 0.58), (0.34, 0.95), (0.66, 0.92), (0.84, 0.55),
         (0.78, 0.18), (0.52, 0.02)]],
    1: [[(0.32, 0.22), (0.54, 0.02), (0.53, 0.50), (0.50, 0.98)]],
    2: [[(0.18, 0.24), (0.36, 0.04), (0.68, 0.06), (0.76, 0.30), (0.55, 0.60), (0.17, 0.95)],
        [(0.17, 0.95), (0.45, 0.91), (0.86, 0.95)]],
    3: [[(0.20, 0.12), (0.48, 0.01), (0.76, 0.16), (0.66, 0.38), (0.42, 0.46)],
        [(0.42, 0.46), (0.76, 0.56), (0.80, 0.80), (0.52, 0.98), (0.18, 0.86)]],
    4: [[(0.40, 0.02), (0.30, 0.32), (0.15, 0.62)], [(0.15, 0.62), (0.50, 0.61), (0.88, 0.58)],
        [(0.68, 0.22), (0.65, 0.60), (0.60, 0.99)]],
    5: [[(0.80, 0.04), (0.54, 0.04), (0.28, 0.06)], [(0.28, 0.06), (0.25, 0.24), (0.23, 0.44)],
        [(0.23, 0.44), (0.56, 0.36), (0.82, 0.58), (0.72, 0.88), (0.42, 0.98), (0.16, 0.86)]],
    6: [[(0.68, 0.02), (0.38, 0.24), (0.20, 0.62), (0.32, 0.94), (0.64, 0.94), (0.76, 0.70),
         (0.56, 0.52), (0.24, 0.66)]],
    7: [[(0.14, 0.06), (0.46, 0.07), (0.84, 0.05)], [(0.84, 0.05), (0.60, 0.44), (0.44, 0.98)]],
    8: [[(0.74, 0.14), (0.46, 0.02), (0.24, 0.20), (0.48, 0.44), (0.74, 0.68), (0.60, 0.96),
         (0.32, 0.94), (0.22, 0.70), (0.50, 0.46), (0.76, 0.26), (0.72, 0.12)]],
    9: [[(0.76, 0.24), (0.54, 0.03), (0.26, 0.16), (0.30, 0.44), (0.58, 0.46), (0.77, 0.24)],
        [(0.77, 0.24), (0.74, 0.60), (0.64, 0.98)]],
}  # fmt: skip
"""The strokes of each digit: points (right, down) in the unit square."""

_OVERSAMPLING = 3  # digits are drawn this many times larger and then reduced, for smooth edges


def curve(points: list[Point], steps: int = 24) -> list[Point]:
    """A smooth line through points: the Catmull-Rom spline.

    Between p1 and p2, with their neighbours p0 and p3 and t from 0 to 1, it is
    ``((2 p1) + (p2 - p0) t + (2 p0 - 5 p1 + 4 p2 - p3) t^2 + (3 p1 - p0 - 3 p2 + p3) t^3) / 2``
    (Catmull and Rom, 1974).
    """
    p = np.array([points[0], *points, points[-1]])
    t = np.linspace(0, 1, steps)[:, None]
    line: list[Point] = []
    for p0, p1, p2, p3 in zip(p, p[1:], p[2:], p[3:], strict=False):
        square, cube = 2 * p0 - 5 * p1 + 4 * p2 - p3, 3 * p1 - p0 - 3 * p2 + p3
        line += map(tuple, (2 * p1 + (p2 - p0) * t + square * t**2 + cube * t**3) / 2)
    return line


def ink(
    digit: int,
    size: tuple[int, int],
    *,
    height: float,
    pen: float,
    centre: Point = (0.5, 0.5),
    slant: float = 0.0,
    turn: float = 0.0,
) -> Array:
    """Write one digit.

    Args:
        digit: 0 to 9.
        size: (h, w) of the picture in pixels.
        height: of the digit, as a fraction of the picture's height.
        pen: width of the stroke, as a fraction of the digit's height.
        centre: of the digit, (right, down) in the unit square.
        slant: how far the top leans right, as a fraction of the height.
        turn: degrees, counterclockwise.

    Returns:
        (h, w) float32: the inked fraction of each pixel, 0..1.
    """
    h, w = (side * _OVERSAMPLING for side in size)
    tall = height * h
    radius = pen * tall / 2
    angle = np.deg2rad(turn)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    image = Image.new("L", (w, h), 0)
    draw = ImageDraw.Draw(image)
    for stroke in STROKES[digit]:
        points = np.array(curve(stroke)) - 0.5
        points[:, 0] = points[:, 0] * 0.72 - slant * points[:, 1]
        line = points @ rotation.T * tall + (centre[0] * w, centre[1] * h)
        draw.line([(x, y) for x, y in line], fill=255, width=round(2 * radius), joint="curve")
        for x, y in line:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(image.reduce(_OVERSAMPLING), np.float32) / np.float32(255)


def pen_stroke(shape: tuple[int, ...], points: npt.ArrayLike, radius: float) -> Array:
    """A stroke with round ends and edges that are soft over one pixel.

    Args:
        shape: (h, w) of the picture.
        points: (n, 2), (down, right) in pixels, joined by straight lines.
        radius: half the pen's width, in pixels.

    Returns:
        (h, w) float32 in 0..1.
    """
    corners = np.asarray(points, np.float32)[:, :, None, None]  # (n, 2, 1, 1)
    rises, runs = np.diff(corners, axis=0).swapaxes(0, 1)  # (n - 1, 1, 1) each
    down = np.arange(shape[0], dtype=np.float32)[:, None] - corners[:-1, 0]  # (n - 1, h, 1)
    right = np.arange(shape[1], dtype=np.float32) - corners[:-1, 1]  # (n - 1, 1, w)
    lengths = np.maximum(rises**2 + runs**2, np.float32(1e-9))
    share = np.clip((down * rises + right * runs) / lengths, 0, 1)
    squares = (down - share * rises) ** 2 + (right - share * runs) ** 2
    line: Array = np.clip(np.float32(radius + 0.5) - np.sqrt(squares.min(0)), 0, 1)
    return line


def clouds(size: tuple[int, int], cells: int, rng: np.random.Generator) -> Array:
    """Smooth random blotches, ``cells`` per side: (h, w) float32, mean 0 and deviation 1."""
    return resize(rng.standard_normal((cells, cells)).astype(np.float32), size)


def slope(size: tuple[int, int], degrees: float) -> Array:
    """Light from one side: (h, w) float32, 0 in the far corner to 1 in the near one."""
    down, right = np.mgrid[0 : 1 : size[0] * 1j, 0 : 1 : size[1] * 1j]
    angle = np.deg2rad(degrees)
    ramp: Array = (right * np.cos(angle) + down * np.sin(angle)).astype(np.float32)
    share: Array = (ramp - ramp.min()) / np.ptp(ramp)
    return share
