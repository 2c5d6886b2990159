"""Paints the sample pictures of the package: ``python -m benchmarks.samples FOLDER``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.common import command_line
from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.paint import clouds, ink, slope


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
    """A scene (h, w, 3) as a camera sees it: uneven light, out of focus, with noise."""
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
    """Crumbly strokes on a wiped board."""
    size = (420, 420)
    crumbs = (rng.random(size, np.float32) < 0.75) | (clouds(size, 140, rng) > 0.4)
    board = 0.13 + 0.035 * clouds(size, 7, rng)
    chalk = ink(8, size, height=0.7, pen=0.085, slant=0.1) * crumbs
    return to_image(board + (0.9 - board) * chalk).filter(ImageFilter.GaussianBlur(0.8))


def tilted_photo(rng: np.random.Generator) -> Image.Image:
    """A phone's photo of a page: held at an angle, lamp on the left, blue ink, warm paper."""
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
    """A drawing program's file: black on transparent, which careless code reads as all black."""
    alpha = ink(4, (256, 256), height=0.8, pen=0.09, centre=(0.5, 0.52))
    return to_image(np.dstack([np.zeros((256, 256, 3), np.float32), alpha]))


def small_bitmap(rng: np.random.Generator) -> Image.Image:
    """16x16 pixels, white on black, filled to the edge, as in other data sets."""
    return to_image(ink(2, (16, 16), height=0.94, pen=0.15))


SAMPLES: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "2-small-bitmap.png": small_bitmap,
    "3-thin-pen-on-white.png": thin_pen_on_white,
    "4-transparent-drawing.png": transparent_drawing,
    "5-marker-on-yellow.jpg": marker_on_yellow,
    "7-tilted-photo.jpg": tilted_photo,
    "8-chalk-on-black.jpg": chalk_on_black,
}
"""The sample pictures by file name, which starts with the digit."""


def paint_samples(folder: Path) -> None:
    """Write the sample pictures, always the same ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, paint in SAMPLES.items():
        paint(np.random.default_rng(0)).save(folder / name, optimize=True, quality=80)


def main(arguments: Sequence[str] | None = None) -> int:
    """Paint the samples into a folder."""
    parser = command_line("samples", "Paint the sample pictures that ship with the package.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    paint_samples(parser.parse_args(arguments).folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
