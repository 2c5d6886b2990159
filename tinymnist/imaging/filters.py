"""Small image filters on arrays, by NumPy and Pillow, so that reading a picture needs no SciPy."""

from __future__ import annotations

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from tinymnist.imaging.pixels import Array


def resize(grey: Array, shape: tuple[int, int], how: Resampling = Resampling.BILINEAR) -> Array:
    """(h, w) -> shape; Pillow widens the filter when it reduces, which is what avoids aliasing."""
    height, width = shape
    picture = Image.fromarray(np.ascontiguousarray(grey, np.float32))
    return np.array(picture.resize((width, height), how), np.float32)


def shrink(grey: Array, longest_side: int) -> Array:
    """Average blocks of pixels until no side is longer; smaller pictures stay as they are."""
    factor = -(-max(grey.shape) // longest_side)
    if factor < 2:
        return grey
    picture = Image.fromarray(np.ascontiguousarray(grey, np.float32))
    return np.array(picture.reduce((min(factor, grey.shape[1]), min(factor, grey.shape[0]))))


def maximum(grey: Array, radius: int) -> Array:
    """The largest value within a square of 2 * radius + 1 pixels around each."""
    for axis in (0, 1):
        grey = _running_maximum(grey, radius, axis)
    return grey


def minimum(grey: Array, radius: int) -> Array:
    """The smallest value within a square of 2 * radius + 1 pixels around each."""
    return -maximum(-grey, radius)


def _running_maximum(grey: Array, radius: int, axis: int) -> Array:
    """In log2(radius) steps: the maximum of 2k values is that of two maxima of k."""
    width = 2 * radius + 1
    padding = [(0, 0), (0, 0)]
    padding[axis] = (radius, radius)
    out = np.moveaxis(np.pad(grey, padding, mode="edge"), axis, 0)
    size = out.shape[0] - 2 * radius
    covered = 1
    while covered < width:
        step = min(covered, width - covered)
        out = np.maximum(out[:-step], out[step:])
        covered += step
    return np.moveaxis(out[:size], 0, axis)
