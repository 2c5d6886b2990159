"""Small image filters on arrays, by NumPy and Pillow, so that reading a picture needs no SciPy."""

from __future__ import annotations

from functools import reduce

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from tinymnist.imaging.picture.pixels import Array

_CACHED = 1 << 15
"""Numbers in a band of a picture that goes through several steps while a core's cache holds it."""


def resize(grey: Array, shape: tuple[int, int], how: Resampling = Resampling.BILINEAR) -> Array:
    """Resample (h, w) to ``shape``; Pillow widens its filter when it reduces, against aliasing."""
    # ``fromarray`` and ``np.array`` of a picture do the same by three times as many calls.
    picture = Image.frombytes("F", grey.shape[::-1], np.ascontiguousarray(grey, np.float32).data)
    return np.frombuffer(picture.resize(shape[::-1], how).tobytes(), np.float32).reshape(shape)


def shrink(grey: Array, longest_side: int) -> Array:
    """Average blocks of pixels until no side is longer; smaller pictures come back unchanged."""
    factor = -(-max(grey.shape) // longest_side)
    if factor < 2:
        return grey
    return _block_means(_block_means(np.asarray(grey, np.float32), factor).T, factor).T


def shrink_to_lines(grey: Array, longest_side: int) -> Array:
    """Like :func:`shrink`, but a block becomes its darkest pixel, so that hairlines do not pale.

    It becomes its lightest pixel if those differ more from the median than the darkest do.
    """
    factor = -(-max(grey.shape) // longest_side)
    if min(grey.shape) < factor:  # too narrow for blocks
        return shrink(grey, longest_side)
    height, width = (side // factor * factor for side in grey.shape)
    blocks = grey[:height, :width].reshape(height // factor, factor, width // factor, factor)
    darkest, lightest = blocks.min(axis=(1, 3)), blocks.max(axis=(1, 3))
    middle = np.median(darkest) + np.median(lightest)
    is_dark = float((darkest + lightest - middle).sum()) < 0
    lines: Array = darkest if is_dark else lightest
    return lines


def _block_means(lines: Array, factor: int) -> Array:
    """Average each ``factor`` lines, and those that are left over at the end.

    Pillow's ``reduce`` does the same, but moving floats to Pillow and back takes longer than this.
    """
    whole = len(lines) // factor * factor
    means = lines[0:whole:factor].copy("K")
    for first in range(1, factor):
        means += lines[first:whole:factor]
    means /= np.float32(factor)
    if whole == len(lines):
        return means
    return np.concatenate([means, lines[whole:].mean(0, keepdims=True)])


def pad_edges(grey: Array, margin: int) -> Array:
    """Repeat the outermost pixels ``margin`` times, faster than ``np.pad(..., mode="edge")``."""
    if margin == 0:
        return grey
    height, width = grey.shape
    wide = np.empty((height + 2 * margin, width + 2 * margin), grey.dtype)
    middle = wide[margin:-margin]
    middle[:, margin:-margin] = grey
    middle[:, :margin], middle[:, -margin:] = grey[:, :1], grey[:, -1:]
    wide[:margin], wide[-margin:] = middle[0], middle[-1]
    return wide


def average(grey: Array) -> Array:
    """The mean of 3x3 pixels: noise falls to a third, and strokes of two pixels stay."""
    padded = pad_edges(grey, 1)
    rows = padded[2:] + padded[1:-1]
    rows += padded[:-2]
    means = rows[:, 2:] + rows[:, 1:-1]
    means += rows[:, :-2]
    means /= means.dtype.type(9)
    return np.asarray(means, np.float32)


def dilate(ink: Array, radius: float) -> Array:
    """Take the largest value (h, w) within a disc around each pixel: grey dilation.

    Pixels that the disc covers in part count in part. The radius, in pixels, is not negative.
    """
    reach = int(np.ceil(radius))
    distances = np.hypot(*np.indices((reach + 1, reach + 2)))
    cover = np.clip(radius + 0.5 - distances, 0, 1).tolist()  # of each pixel, down and right
    height, width = ink.shape
    padded = pad_edges(ink, reach)
    largest: dict[float, Array] = {}  # by the share of a pixel that is covered
    within = padded[:, reach : reach + width]  # the largest value at most ``right`` pixels away
    for right in range(reach + 1):
        left_one, right_one = padded[:, reach - right :], padded[:, reach + right :]
        beside = np.maximum(left_one[:, :width], right_one[:, :width])
        within = np.maximum(within, beside)
        for down in range(reach + 1):
            if (share := cover[down][right]) == 0 or cover[down][right + 1] == 1:
                continue  # outside of the disc, or inside of a longer row of it
            row = within if share == 1 else beside
            both = np.maximum(row[reach - down :][:height], row[reach + down :][:height])
            largest[share] = np.maximum(largest[share], both) if share in largest else both
    return reduce(np.maximum, [np.float32(share) * grey for share, grey in largest.items()], ink)


def maximum(grey: Array, radius: int) -> Array:
    """Take the largest value within a square of 2 * radius + 1 pixels around each pixel."""
    return _running(np.maximum, grey, radius)


def minimum(grey: Array, radius: int) -> Array:
    """Take the smallest value within a square of 2 * radius + 1 pixels around each pixel."""
    return _running(np.minimum, grey, radius)


def _running(extreme: np.ufunc, grey: Array, radius: int) -> Array:
    """The extreme of a square around each pixel: along the rows, then along the columns.

    Beyond the edge the outermost pixels are repeated, which changes no extreme.
    """
    height, width = grey.shape
    down, right = min(radius, height - 1), min(radius, width - 1)
    tall = np.empty((height + 2 * down, width), grey.dtype)
    lines = tall[down : down + height]
    step = max(1, _CACHED // (width + 2 * right))
    for top in range(0, height, step):
        lines[top : top + step] = _along_rows(extreme, grey[top : top + step], right)
    tall[:down], tall[down + height :] = lines[0], lines[-1]
    if len(tall) * width <= 2 * _CACHED:
        return _extreme_ahead(extreme, tall, 2 * down + 1)
    step = max(1, 2 * _CACHED // len(tall))
    for left in range(0, width, step):
        columns = tall[:, left : left + step]
        columns[:height] = _extreme_ahead(extreme, columns, 2 * down + 1)
    return tall[:height]


def _along_rows(extreme: np.ufunc, grey: Array, right: int) -> Array:
    """The extreme of ``right`` pixels on either side of each pixel in a row, and of itself.

    All rows one after the other are one long line, which is quick; the windows that reach from one
    row into the next come out in the columns that are cut off.
    """
    width = grey.shape[1]
    wide = np.concatenate([grey[:, :1].repeat(right, 1), grey, grey[:, -1:].repeat(right, 1)], 1)
    ahead = _extreme_ahead(extreme, wide.ravel(), 2 * right + 1)
    return np.concatenate([ahead, wide[-1, width:]]).reshape(wide.shape)[:, :width]


def _extreme_ahead(extreme: np.ufunc, lines: Array, width: int) -> Array:
    """The extreme of each line and the ``width`` - 1 lines after it, while there are that many.

    It takes log2(width) steps: the extreme of 2k values is that of two extremes of k.
    """
    covered = 1
    while covered < width:
        step = min(covered, width - covered)
        lines = extreme(lines[:-step], lines[step:])
        covered += step
    return lines
