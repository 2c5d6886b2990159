"""A digit into MNIST's frame: upright if wanted, 20 pixels long, its mass in the middle of 28."""

from __future__ import annotations

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from tinymnist.imaging.digit.bounds import bounds
from tinymnist.imaging.digit.filters import resize
from tinymnist.imaging.digit.isolate import blank
from tinymnist.imaging.digit.strokes import MNIST_WIDTHS, with_stroke_width
from tinymnist.imaging.picture.pixels import Array

SIDE = 28
BOX = 20
_FINE = 4
"""The digit is drawn this much larger than the box before it is reduced,"""
_ROOM = 2 * _FINE
"""and with so many pixels around it, into which strokes may grow."""


def upright(ink: Array) -> Array:
    """Take the slant away: shear the digit until its mass leans to neither side.

    The slant is the covariance of row and column over the variance of the row, the measure that
    LeCun et al. deskewed MNIST by in "Gradient-Based Learning Applied to Document Recognition"
    (1998).

    Args:
        ink: (h, w) in 0..1, 0 is paper.

    Returns:
        (h, w + whatever the shear needs) float32.
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


def fit_box(ink: Array) -> Array:
    """Cut the digit out and scale it to fit 20x20; strokes come to MNIST's width on the way.

    Returns:
        (h, w), the longer side of 20 pixels.
    """
    digit = ink[bounds(ink > 0.5)]
    if digit.size == 0:
        raise blank()
    height, width = _fitted(digit.shape, BOX * _FINE)
    fine = np.zeros((height + 2 * _ROOM, width + 2 * _ROOM), np.float32)
    fine[_ROOM:-_ROOM, _ROOM:-_ROOM] = np.clip(resize(digit, (height, width)), 0, 1)
    narrowest, widest = (_FINE * limit for limit in MNIST_WIDTHS)
    fine = with_stroke_width(fine, narrowest, widest)
    if (cut := fine[bounds(fine > 0.5)]).size:
        fine = cut
    boxed = resize(fine, _fitted(fine.shape, BOX), Resampling.BOX)
    bright: Array = np.clip(boxed / boxed.max(), 0, 1)
    return bright


def centre(digit: Array) -> Array:
    """Put the centre of mass into the middle, as near as whole pixels allow: (28, 28)."""
    image = np.zeros((SIDE, SIDE), np.float32)
    corner = [
        min(max(round(SIDE / 2 - mass), 0), SIDE - size)
        for mass, size in zip(centre_of_mass(digit), digit.shape, strict=True)
    ]
    image[corner[0] : corner[0] + digit.shape[0], corner[1] : corner[1] + digit.shape[1]] = digit
    return image


def _fitted(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Scale a shape, so that its longer side is ``side`` and none is below 1."""
    scale = side / max(shape)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def centre_of_mass(ink: Array) -> tuple[float, float]:
    """(row, column) of the middle of the ink."""
    total = float(ink.sum())
    vertical = float(ink.sum(1) @ np.arange(ink.shape[0])) / total
    return vertical, float(ink.sum(0) @ np.arange(ink.shape[1])) / total
