"""One picture taken apart: which pixels are the digit's ink, and how bright ink and paper are."""

from __future__ import annotations

from dataclasses import dataclass

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
"""Larger pictures are taken apart at this many pixels (or fewer) on the longer side."""
_SHAPING = ("slant", "box", "centre")
"""The recipe's stages that move ink; those before them find it."""
_MIDDLE = (SIDE / 2 + 0.5) / SIDE
"""Where MNIST has the centre of mass: at pixel 14 of 0..27, whose middle this is."""

Window = tuple[float, float, float, float]
"""Top, left, bottom and right of a part of the picture, in pixels; it may reach beyond it."""


@dataclass(frozen=True)
class Anatomy:
    """What was found on a picture of one digit.

    Attributes:
        grey: (h, w) float32 in 0..1, as displayed, at the working size.
        is_dark: whether the ink is darker than the paper.
        ink: (h, w) float32, the digit's ink alone: 1 ink, 0 paper, soft edges.
        box: top, left, bottom, right of the ink in pixels; bottom and right are exclusive.
        middle: row and column of the ink's centre of mass, in pixels from the frame's corner.
        paper: the median of what is not the digit in :attr:`light`, 0..1.
        full: the median of the digit in :attr:`light`, 0..1; more than ``paper``.
        is_mnist: whether the picture had MNIST's form as it came.
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


def dissect(grey: Array) -> Anatomy:
    """Find digit and paper, by the recipe's own stages up to where the digit is cut out.

    Args:
        grey: (h, w) float32 in 0..1 as displayed, of either polarity.

    Raises:
        NoDigitFound: when the picture is blank, or nothing stands out in it.
    """
    small = shrink(grey, WORKING_SIDE)
    if is_empty(small):
        raise no_digit_error()
    ink = small
    for name, (work, _) in STAGES.items():
        if name not in _SHAPING:
            ink = work(ink)
    if not (ink > 0.5).any():
        raise no_digit_error()
    is_dark = ink_is_dark(small)
    light = 1 - small if is_dark else small
    paper, full = float(np.median(light[ink <= 0])), float(np.median(light[ink > 0.5]))
    row, column = centre_of_mass(ink)
    return Anatomy(
        grey=small,
        is_dark=is_dark,
        ink=ink,
        box=box_of(ink),
        middle=(row + 0.5, column + 0.5),
        paper=min(paper, full - 0.01),  # a digit hidden in worse clutter is still some lighter
        full=full,
        is_mnist=is_mnist(grey),
    )


def box_of(ink: Array) -> tuple[int, int, int, int]:
    """Top, left, bottom, right (exclusive) of what is more than half ink; there must be some."""
    rows, columns = bounds(ink > 0.5)
    return rows.start, columns.start, rows.stop, columns.stop


def window(
    anatomy: Anatomy,
    *,
    fitted: bool,
    centred: bool,
    box: tuple[float, float, float, float] | None = None,
) -> Window:
    """The part of a picture that becomes 28x28.

    Args:
        anatomy: of the picture.
        fitted: a square in which the longer side of the box takes 20 of 28 pixels; else as large
            as the frame, whatever its shape.
        centred: the centre of mass comes to MNIST's middle, else the digit keeps its place (the
            middle of its box as far across and down as in the frame); as far as it stays inside.
        box: of the digit, where it is not the anatomy's own.
    """
    top, left, bottom, right = anatomy.box if box is None else box
    height, width = anatomy.grey.shape
    high, wide = float(height), float(width)
    if fitted:
        high = wide = max(bottom - top, right - left) * SIDE / BOX
    if centred:
        first = float(np.clip(anatomy.middle[0] - _MIDDLE * high, bottom - high, top))
        second = float(np.clip(anatomy.middle[1] - _MIDDLE * wide, right - wide, left))
    else:
        first = _kept(top, bottom, height, high)
        second = _kept(left, right, width, wide)
    return first, second, first + high, second + wide


def _kept(start: float, end: float, side: int, new_side: float) -> float:
    """Where a window begins in which the middle of a box lies as it does in the frame."""
    middle = (start + end) / 2
    return float(np.clip(middle - middle / side * new_side, end - new_side, start))


def view(
    picture: Array, part: Window, fill: float, corner: tuple[float, float] = (0.0, 0.0)
) -> Array:
    """A part of a picture at 28x28, by the cubic interpolation that the tutorials' recipe uses.

    Args:
        picture: (h, w) float32.
        part: which part.
        fill: what there is beyond the picture.
        corner: where in the frame the picture's top left corner is, for a picture cut out of it.

    Returns:
        (28, 28) float32 in 0..1.
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
