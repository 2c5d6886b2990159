"""Digits painted from strokes, with pens, papers and cameras: pictures that belong to nobody.

``python -m tinymnist.imaging.synthetic.paint FOLDER`` paints the sample
pictures that ship with the package. Everything is drawn larger than it is needed and then reduced, which makes smooth edges.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

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
"""How each digit is written: strokes through points (right, down) in the unit square."""

_OVERSAMPLING = 3


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
        height: of the digit, as a share of the picture's height.
        pen: width of the stroke, as a share of the digit's height.
        centre: where the digit's middle lies, (right, down) in the unit square.
        slant: how far the top leans right, as a share of the height.
        turn: degrees against the clock.

    Returns:
        (h, w) float32: how much of each pixel is inked, 0..1.
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


def clouds(size: tuple[int, int], cells: int, rng: np.random.Generator) -> Array:
    """Smooth random light and dark, about 0 with deviation 1; ``cells`` blotches to a side."""
    return resize(rng.standard_normal((cells, cells)).astype(np.float32), size)


def slope(size: tuple[int, int], degrees: float) -> Array:
    """Light that falls in from one side: 0 at the far corner to 1 at the near one."""
    down, right = np.mgrid[0 : 1 : size[0] * 1j, 0 : 1 : size[1] * 1j]
    angle = np.deg2rad(degrees)
    ramp: Array = (right * np.cos(angle) + down * np.sin(angle)).astype(np.float32)
    share: Array = (ramp - ramp.min()) / np.ptp(ramp)
    return share


def tint(ink: Array, pen: str, paper: str) -> Array:
    """Ink (h, w) in the colour of a pen on the colour of a paper: (h, w, 3), 0..1."""
    dark, light = (
        np.array(Image.new("RGB", (1, 1), c))[0, 0] / np.float32(255) for c in (pen, paper)
    )
    coloured: Array = light + (dark - light) * ink[..., None]
    return coloured


def photograph(
    scene: Array, *, light: Array, blur: float, noise: float, rng: np.random.Generator
) -> Array:
    """What a camera makes of a scene (h, w, 3): uneven light, lack of focus, noise."""
    lit = to_image(scene * light[..., None]).filter(ImageFilter.GaussianBlur(blur))
    seen = np.asarray(lit, np.float32) / 255
    noisy: Array = np.clip(seen + noise * rng.standard_normal(seen.shape, np.float32), 0, 1)
    return noisy


def to_image(values: Array) -> Image.Image:
    """An array in 0..1, (h, w) or (h, w, 3 or 4), as a Pillow image."""
    return Image.fromarray(np.uint8(np.clip(values, 0, 1) * 255 + 0.5))


def thin_pen_on_white(rng: np.random.Generator) -> Image.Image:
    """A scanned note: large, and a pen much thinner than MNIST's."""
    return to_image(1 - 0.9 * ink(3, (560, 480), height=0.55, pen=0.035, centre=(0.42, 0.4)))


def chalk_on_black(rng: np.random.Generator) -> Image.Image:
    """Crumbly strokes, on a board that was wiped."""
    size = (420, 420)
    crumbs = (rng.random(size, np.float32) < 0.75) | (clouds(size, 140, rng) > 0.4)
    board = 0.13 + 0.035 * clouds(size, 7, rng)
    chalk = ink(8, size, height=0.7, pen=0.085, slant=0.1) * crumbs
    return to_image(board + (0.9 - board) * chalk).filter(ImageFilter.GaussianBlur(0.8))


def tilted_photo(rng: np.random.Generator) -> Image.Image:
    """A telephone's picture of a page: held askew, lamp on the left, ink blue, paper warm."""
    size = (800, 600)
    digit = ink(7, size, height=0.28, pen=0.07, centre=(0.58, 0.56), turn=14)
    light = 1.0 - 0.5 * slope(size, 25) + 0.02 * clouds(size, 9, rng)
    page = tint(digit * 0.85, "#1c2f66", "#efe6d2")
    return to_image(photograph(page, light=light, blur=2.0, noise=0.03, rng=rng))


def marker_on_yellow(rng: np.random.Generator) -> Image.Image:
    """A broad red marker on a sticky note."""
    size = (360, 360)
    page = tint(ink(5, size, height=0.72, pen=0.16, slant=0.05), "#c0232b", "#f6e36a")
    light = 0.97 - 0.2 * slope(size, 60)
    return to_image(photograph(page, light=light, blur=1.0, noise=0.015, rng=rng))


def transparent_drawing(rng: np.random.Generator) -> Image.Image:
    """A drawing program's: black on nothing, into which careless code sees black on black."""
    alpha = ink(4, (256, 256), height=0.8, pen=0.09, centre=(0.5, 0.52))
    return to_image(np.dstack([np.zeros((256, 256, 3), np.float32), alpha]))


def small_bitmap(rng: np.random.Generator) -> Image.Image:
    """16x16 pixels, white on black, filled to the edge, as in other collections of digits."""
    return to_image(ink(2, (16, 16), height=0.94, pen=0.15))


SAMPLES: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "2-small-bitmap.png": small_bitmap,
    "3-thin-pen-on-white.png": thin_pen_on_white,
    "4-transparent-drawing.png": transparent_drawing,
    "5-marker-on-yellow.jpg": marker_on_yellow,
    "7-tilted-photo.jpg": tilted_photo,
    "8-chalk-on-black.jpg": chalk_on_black,
}
"""The sample pictures by file name; the digit comes first."""


def paint_samples(folder: Path) -> None:
    """Write the sample pictures; the same ones every time."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, paint in SAMPLES.items():
        paint(np.random.default_rng(0)).save(folder / name, optimize=True, quality=80)


if __name__ == "__main__":
    paint_samples(Path(sys.argv[1]))
