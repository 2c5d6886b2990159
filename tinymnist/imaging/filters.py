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


def bordered(grey: Array, margin: int) -> Array:
    """Repeat the outermost pixels ``margin`` times: ``np.pad(grey, margin, mode="edge")``, quickly.

    NumPy's own takes longer than many a filter that needs it.
    """
    if margin == 0:
        return grey
    height, width = grey.shape
    wide = np.empty((height + 2 * margin, width + 2 * margin), grey.dtype)
    middle = wide[margin:-margin]
    middle[:, margin:-margin] = grey
    middle[:, :margin], middle[:, -margin:] = grey[:, :1], grey[:, -1:]
    wide[:margin], wide[-margin:] = middle[0], middle[-1]
    return wide


def _running_maximum(grey: Array, radius: int, axis: int) -> Array:
    """In log2(radius) steps: the maximum of 2k values is that of two maxima of k."""
    lines = np.moveaxis(grey, axis, 0)
    size, width = len(lines), 2 * radius + 1
    ahead, covered = lines, 1  # ahead[i]: the maximum of lines[i : i + covered]
    while covered < min(width, size):
        step = min(covered, width - covered)
        ahead = np.concatenate([np.maximum(ahead[:-step], ahead[step:]), ahead[-step:]])
        covered += step
    out = np.empty_like(lines)
    first = min(radius, size)
    ends = np.minimum(np.arange(first) + radius, size - 1)
    out[:first] = np.maximum.accumulate(lines[: radius + first])[ends]
    out[first:] = ahead[: size - first]
    return np.moveaxis(out, 0, axis)
