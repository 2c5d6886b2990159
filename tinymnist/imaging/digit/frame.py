"""A digit into MNIST's frame: its stroke width, 20 pixels long, its mass in the middle of 28."""

from __future__ import annotations

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from tinymnist.imaging.digit.components import bounds
from tinymnist.imaging.digit.filters import dilate, pad_edges, resize
from tinymnist.imaging.digit.isolate import no_digit_error
from tinymnist.imaging.picture.pixels import Array

SIDE = 28
"""Pixels of MNIST's square frame."""
BOX = 20
"""Pixels of the longer side of a digit in it."""
MNIST_WIDTHS = (1.85, 3.35)
"""Stroke widths of MNIST's training images in pixels of a 28x28 image, 10th to 90th percentile."""
_FINE = 4  # pixels drawn for each pixel of the box before the digit is reduced to it
_ROOM = 2 * _FINE  # pixels drawn around the digit, into which strokes may grow

_MIN_SHARE_KEPT = 0.6
"""With less of the ink in pixels that are more than half ink, lines are too thin to be reduced."""


def deskew(ink: Array) -> Array:
    """Take the slant away: shear the digit (h, w) until its mass leans to neither side.

    The slant is the covariance of row and column over the variance of the row, the measure that
    LeCun et al. deskewed MNIST by in "Gradient-Based Learning Applied to Document Recognition"
    (1998). The result is wider by what the shear adds.
    """
    down, right = np.indices(ink.shape, np.float32)
    total, (row, column) = float(ink.sum()), centre_of_mass(ink)
    variance = float((ink * (down - row) ** 2).sum()) / total
    slant = float((ink * (down - row) * (right - column)).sum()) / total / max(variance, 1e-6)
    margin = int(abs(slant) * ink.shape[0] / 2) + 1
    wide = np.pad(ink, ((0, 0), (margin, margin)))
    picture = Image.fromarray(np.ascontiguousarray(wide, np.float32))
    matrix = (1, slant, -slant * row, 0, 1, 0)  # where each pixel of the result comes from
    sheared = picture.transform(picture.size, Image.Transform.AFFINE, matrix, Resampling.BILINEAR)
    return np.asarray(sheared, np.float32)


def stroke_width(ink: Array) -> float:
    """Measure the average width of the strokes, in pixels; 0 if there is no ink.

    A stroke of length l, width w and darkness d holds l * w * d of ink, and the picture climbs by d
    along both its edges: the sum of the gradient's length is 2 * l * d. So w is twice the ink
    over that sum, whatever the darkness, and blur does not change it.

    Args:
        ink: (h, w), 0 is paper; give it a margin, since edges along the frame are not seen.
    """
    around = pad_edges(ink, 2)
    down = around[2:, 1:-1] - around[:-2, 1:-1]  # over two pixels
    right = around[1:-1, 2:] - around[1:-1, :-2]
    down *= down
    right *= right
    down += right
    climb = float(np.sqrt(down, out=down).sum()) / 2
    return 2 * float(ink.sum()) / climb if climb > 0 else 0.0


def with_stroke_width(ink: Array, narrowest: float, widest: float) -> Array:
    """Thicken or thin the strokes of ink (h, w) until their average width is within the limits.

    The limits are in pixels. Wide strokes never shrink by more than half.
    """
    width = stroke_width(ink)
    if 0 < width < narrowest:
        return dilate(ink, (narrowest - width) / 2)
    if width > widest:
        return 1 - dilate(1 - ink, min((width - widest) / 2, width / 4))
    return ink


def fit_box(ink: Array) -> Array:
    """Cut the digit out and scale it to fit 20x20; strokes come to MNIST's width on the way.

    Ink and result are in 0..1, 0 is paper. NoDigitFound if no pixel is more than half ink.
    """
    digit = ink[bounds(ink > 0.5)]
    if digit.size == 0:
        raise no_digit_error()
    height, width = _scaled_shape(digit.shape, BOX * _FINE)
    fine = np.zeros((height + 2 * _ROOM, width + 2 * _ROOM), np.float32)
    inside = fine[_ROOM:-_ROOM, _ROOM:-_ROOM]
    inside[:] = np.clip(resize(digit, (height, width)), 0, 1)
    scale = max(digit.shape) / (BOX * _FINE)
    if scale > 1 and float(inside[inside > 0.5].sum()) < _MIN_SHARE_KEPT * inside.sum():
        step = 1 + int(scale / 8)  # a disc of many pixels takes long on a large picture
        small = np.maximum.reduceat(digit, range(0, digit.shape[0], step), axis=0)
        small = np.maximum.reduceat(small, range(0, digit.shape[1], step), axis=1)
        inside[:] = np.clip(resize(dilate(small, scale / step), (height, width)), 0, 1)
    fine = with_stroke_width(fine, _FINE * MNIST_WIDTHS[0], _FINE * MNIST_WIDTHS[1])
    if (cut := fine[bounds(fine > 0.5)]).size:
        fine = cut
    boxed = resize(fine, _scaled_shape(fine.shape, BOX), Resampling.BOX)
    bright: Array = np.clip(boxed / boxed.max(), 0, 1)
    return bright


def centre(digit: Array) -> Array:
    """Put the centre of mass into the middle of (28, 28), as near as whole pixels allow."""
    image = np.zeros((SIDE, SIDE), np.float32)
    (height, width), (down, right) = digit.shape, centre_of_mass(digit)
    top = min(max(round(SIDE / 2 - down), 0), SIDE - height)
    left = min(max(round(SIDE / 2 - right), 0), SIDE - width)
    image[top : top + height, left : left + width] = digit
    return image


def _scaled_shape(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Scale a shape, so that its longer side is ``side`` and none is below 1."""
    scale = side / max(shape)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def centre_of_mass(ink: Array) -> tuple[float, float]:
    """(row, column) of the middle of the ink."""
    total = float(ink.sum())
    vertical = float(ink.sum(1) @ np.arange(ink.shape[0])) / total
    return vertical, float(ink.sum(0) @ np.arange(ink.shape[1])) / total
