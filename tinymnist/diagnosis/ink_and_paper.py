"""Ink and paper of one picture: which pixels are the digit's, and how bright both are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from tinymnist.imaging.digit.components import bounds
from tinymnist.imaging.digit.filters import shrink
from tinymnist.imaging.digit.frame import BOX, SIDE, centre_of_mass
from tinymnist.imaging.digit.isolate import no_digit_error
from tinymnist.imaging.digit.normalize import STAGES, is_mnist
from tinymnist.imaging.digit.paper import ink_is_dark, is_empty
from tinymnist.imaging.picture.pixels import Array

WORKING_SIDE = 256
"""Larger pictures are reduced to at most this many pixels on the longer side."""
_SHAPING = ("slant", "box", "centre")
"""The recipe's stages that move ink; those before them find it."""
_MIDDLE = (SIDE / 2 + 0.5) / SIDE
"""MNIST's centre of mass as a share of the frame: the middle of pixel 14 of 0..27."""

Window = tuple[float, float, float, float]
"""Top, left, bottom and right of a part of the picture, in pixels; it may reach beyond it."""


@dataclass(frozen=True)
class InkAndPaper:
    """A picture of one digit, separated into ink and paper.

    Attributes:
        grey: (h, w) float32 in 0..1, as displayed, at the working size.
        is_dark: whether the ink is darker than the paper.
        ink: (h, w) float32, the digit's ink alone: 1 ink, 0 paper, soft edges.
        box: top, left, bottom, right of the ink in pixels; bottom and right are exclusive.
        middle: row and column of the ink's centre of mass, in pixels from the frame's corner.
        paper: the median of what is not the digit in :attr:`light`, 0..1.
        full: the median of the digit in :attr:`light`, 0..1; more than ``paper``.
        is_mnist: whether the original picture had MNIST's form.
    """

    grey: Array
    is_dark: bool
    ink: Array
    box: tuple[int, int, int, int]
    middle: tuple[float, float]
    paper: float
    full: float
    is_mnist: bool

    @property
    def light(self) -> Array:
        """The picture with light ink: inverted if the ink is dark. Black paper is 0."""
        return 1 - self.grey if self.is_dark else self.grey

    @property
    def longest(self) -> int:
        """The longer side of the box, in pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


def separate_ink(grey: Array) -> InkAndPaper:
    """Separate digit and paper, by the stages of the recipe that find the ink.

    ``grey`` is (h, w) float32 in 0..1 as displayed, with dark or light ink.

    Raises:
        NoDigitFound: when the picture is blank, or no ink stands out in it.
    """
    small = shrink(grey, WORKING_SIDE)
    if is_empty(small):
        raise no_digit_error()
    state: Any = small
    for name, (work, _) in STAGES.items():
        if name not in _SHAPING:
            state = work(state)
    ink: Array = state.picture
    if not (ink > 0.5).any():
        raise no_digit_error()
    is_dark = ink_is_dark(small)
    light = 1 - small if is_dark else small
    paper, full = float(np.median(light[ink <= 0])), float(np.median(light[ink > 0.5]))
    paper = min(paper, full - 0.01)  # ink must stay lighter, even among worse clutter
    row, column = centre_of_mass(ink)
    middle = (row + 0.5, column + 0.5)
    return InkAndPaper(small, is_dark, ink, box_of(ink), middle, paper, full, is_mnist(grey))


def box_of(ink: Array) -> tuple[int, int, int, int]:
    """Top, left, bottom, right (exclusive) of the pixels above 0.5, of which there must be some."""
    rows, columns = bounds(ink > 0.5)
    return rows.start, columns.start, rows.stop, columns.stop


def window(parts: InkAndPaper, box: Window, *, fitted: bool, centred: bool) -> Window:
    """The part of a picture, with a digit in this box, that becomes 28x28.

    Args:
        fitted: True for a square in which the longer side of the box takes 20 of 28 pixels; False
            for the size and shape of the frame.
        centred: True to bring the centre of mass to MNIST's; False to keep the middle of the box as
            far across and down as in the frame. Either way the box stays inside.
    """
    top, left, bottom, right = box
    height, width = parts.grey.shape

    def span(start: float, end: float, side: float, mass: float) -> tuple[float, float]:
        new_side = max(bottom - top, right - left) * SIDE / BOX if fitted else float(side)
        middle = (start + end) / 2
        first = mass - _MIDDLE * new_side if centred else middle - middle / side * new_side
        first = float(np.clip(first, end - new_side, start))
        return first, first + new_side

    first, last = span(top, bottom, height, parts.middle[0])
    second, end = span(left, right, width, parts.middle[1])
    return first, second, last, end


def view(
    picture: Array, part: Window, fill: float, corner: tuple[float, float] = (0.0, 0.0)
) -> Array:
    """A part of a picture (h, w) at 28x28, by the cubic interpolation of the tutorials' recipe.

    Args:
        picture: float32 in 0..1, as is the result.
        part: which part.
        fill: the value beyond the picture's edges.
        corner: the row and column of the picture's top left corner, if it was cut out of the frame.
    """
    top, left, bottom, right = (side - corner[i % 2] for i, side in enumerate(part))
    height, width = picture.shape
    first, last = int(np.floor(top)), int(np.ceil(bottom))
    second, end = int(np.floor(left)), int(np.ceil(right))
    inside = picture[max(first, 0) : max(last, 0), max(second, 0) : max(end, 0)]
    missing = ((max(-first, 0), max(last - height, 0)), (max(-second, 0), max(end - width, 0)))
    padded = np.pad(inside, missing, constant_values=fill) if np.any(missing) else inside
    image = Image.fromarray(np.ascontiguousarray(padded, np.float32))
    box = (left - second, top - first, right - second, bottom - first)
    return np.clip(np.array(image.resize((SIDE, SIDE), Resampling.BICUBIC, box), np.float32), 0, 1)
