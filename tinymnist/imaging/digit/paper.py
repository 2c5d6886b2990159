"""Ink and paper: which is which, how bright the paper is where, and how strong the noise is.

Each function takes a grey picture and answers one question. None knows what a digit is.
"""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.filters import average, maximum, minimum, pad_edges, shrink
from tinymnist.imaging.picture.otsu import (
    MIN_CONTRAST,
    NORMAL_MEDIAN,
    SAMPLE_SIZE,
    OtsuSplit,
    median,
    median_exceeds,
    split_at_otsu,
)
from tinymnist.imaging.picture.pixels import Array

COARSE_SIDE = 64
"""Pixels on the longer side of the picture in which polarity and emptiness are judged."""
_NO_DARKNESS = 1e-5
"""Smaller values of :func:`ink_darkness` are rounding: light alone, without ink, leaves as much."""
_WIDEST_STROKE = 0.3  # strokes are at most this share of the longer side wide; wider is paper
_MIN_PAPER = 0.25  # paper in the shadow has at least this share of the brightest paper's light
_MAX_PAPER_NOISE = 0.015
"""Standard deviation of noise that hardly moves the estimate of the paper's brightness."""
_MAX_NOISE_TO_CONTRAST = 0.12  # up to this share of the ink's contrast, noise does no harm
_SMALLEST_NOISY = 40
"""Pixels on the shorter side; in smaller pictures, strokes are as narrow as grains of noise."""
_SMALLEST_SPECKLED = 24
"""Pixels on the shorter side; in smaller pictures, a stroke's own pixels look like specks."""
_MAX_PASSES = 4  # times that a picture is smoothed
_MAX_DIFFERENCE_ALIKE = 0.3  # neighbouring pixels that differ by less (of 0..1) count as alike
_MAX_SHARE_OF_SPECKS = 0.015  # a larger share of isolated pixels in a picture is noise
_RIDGE_DISTANCES = (1, 2, 4)  # pixels from a stroke's middle to the paper on either side


def ink_is_dark(grey: Array) -> bool:
    """Whether the picture (h, w) is dark on light, as most are; see :func:`ink_darkness`."""
    return ink_darkness(grey) >= 0


def ink_darkness(grey: Array) -> float:
    """How surely the picture is dark on light: -1.25 (certainly light on dark) to 1.25.

    The main evidence are strokes: a stroke is a ridge, darker (or lighter) than what lies on both
    its sides, which the borders of tables and shadows and gradients of light are not. The rest is
    the skewness, with a quarter of a vote: there is less ink than paper, so it lies further from
    the mean. The picture (h, w) in 0..1 is reduced to ``COARSE_SIDE`` first.
    """
    coarse = shrink(grey, COARSE_SIDE)
    deviation = coarse.mean() - coarse
    darkness = ridge_darkness(coarse) + _balance(deviation, deviation * deviation) / 4
    return darkness if abs(darkness) > _NO_DARKNESS else 0.0


def ridge_darkness(grey: Array) -> float:
    """Whether narrow strokes are dark on light: -1 (all are light) to 1 (all are dark)."""
    padded = pad_edges(grey, max(_RIDGE_DISTANCES))
    ridges = _ridges(padded)
    return _balance(ridges, np.abs(ridges))


def ink_map(grey: Array) -> Array:
    """How much of the paper's light dark ink takes away, 0..1; from the picture (h, w) in 0..1."""
    passes = _MAX_PASSES if min(grey.shape) >= _SMALLEST_NOISY else 0
    return light_taken(grey, _WIDEST_STROKE, _MAX_PAPER_NOISE, passes)


def light_taken(grey: Array, widest_stroke: float, most_noise: float, passes: int) -> Array:
    """The share (h, w) of the paper's light, 0..1, that is missing: a comparison with the paper.

    The paper's brightness is a grey closing, the maximum around each pixel followed by the
    minimum: it fills whatever is darker and narrower than a stroke and keeps slow changes of light
    and the edges of a shadow. The brightest of many noisy pixels is far too bright, so the paper is
    taken from a picture that is smoothed until its noise is small.

    Args:
        grey: (h, w) in 0..1, dark ink on lighter paper.
        widest_stroke: as a share of the frame's longer side.
        most_noise: the standard deviation of noise below which the maximum can be trusted.
        passes: times that the picture is smoothed at most.
    """
    smooth = grey
    for _ in range(passes):
        if not noise_exceeds(smooth, most_noise):
            break
        smooth = average(smooth)
    radius = max(1, round(widest_stroke * max(grey.shape) / 2))
    paper = minimum(maximum(smooth, radius), radius)
    np.maximum(paper, _MIN_PAPER * paper.max() + 1e-6, out=paper)
    ink: Array = np.divide(grey, paper, out=paper)
    return np.subtract(1, ink, out=ink).clip(0, 1, out=ink)


def is_empty(grey: Array) -> bool:
    """Whether there is nothing but smooth light in a picture (h, w): no pixel stands out from it.

    The light is a polynomial of the second degree in both directions, fitted by least squares to
    the whole picture, which is reduced to ``COARSE_SIDE`` first.
    """
    coarse = shrink(grey, COARSE_SIDE)
    if _bends_too_much(coarse) or _bends_too_much(coarse.T):
        return False
    down, right = np.meshgrid(*(np.linspace(-1, 1, side) for side in coarse.shape), indexing="ij")
    terms = np.stack([np.ones_like(down), down, right, down**2, down * right, right**2], axis=-1)
    terms, values = terms.reshape(-1, 6), coarse.reshape(-1).astype(float)
    # The normal equations; a side of one or two pixels leaves them many solutions.
    weights = np.linalg.pinv(terms.T @ terms) @ (terms.T @ values)
    return bool(np.abs(values - terms @ weights).max() < MIN_CONTRAST)


def _bends_too_much(grey: Array) -> bool:
    """Whether no polynomial of the second degree comes near, which settles most pictures quickly.

    Along a line its second differences are all alike, and values that are off by at most e move
    each of them by at most 4 e.
    """
    for step in (1, 2, 4):
        if len(grey) > 2 * step:
            bends = grey[2 * step :] - 2 * grey[step:-step] + grey[: -2 * step]
            if float(np.ptp(bends)) > 8 * MIN_CONTRAST:
                return True
    return False


def noise_level(grey: Array) -> float:
    """Estimate the standard deviation of noise that differs from pixel to pixel; at least 3x3.

    A second difference in both directions leaves nothing of a slope or of a straight edge. Its
    spread under noise is 6 times that of the noise (J. Immerkaer, "Fast Noise Variance
    Estimation", CVIU 64, 1996); the median keeps the few pixels of strokes from counting.
    """
    return median(_second_differences(grey)) / (6 * NORMAL_MEDIAN)


def noise_exceeds(grey: Array, limit: float) -> bool:
    """Whether :func:`noise_level` is above a limit, which is quicker to say than how high it is."""
    return median_exceeds(_second_differences(grey), limit * 6 * NORMAL_MEDIAN)


def _second_differences(grey: Array) -> Array:
    """The sizes of second differences in both directions (n,), of a large picture a sample."""
    rows = 2 * grey[1:-1]
    np.subtract(grey[2:], rows, out=rows)
    rows += grey[:-2]
    height, width = rows.shape[0], rows.shape[1] - 2
    if (step := height * width // SAMPLE_SIZE) < 2:
        both: Array = np.abs(rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2])
        return both.ravel()
    place = np.arange(0, height * width, step)
    place += 2 * (place // width)  # a row of ``rows`` has two more pixels
    flat = rows.ravel()
    both = np.abs(flat[place + 2] - 2 * flat[place + 1] + flat[place])
    return both


def denoise(ink: Array) -> OtsuSplit:
    """Make noise small against ink (h, w): smooth it, or in small pictures remove single specks.

    The result is split into ink and paper.
    """
    if min(ink.shape) < _SMALLEST_SPECKLED:
        return split_at_otsu(ink)
    if min(ink.shape) < _SMALLEST_NOISY:
        split = split_at_otsu(_remove_specks(ink))
        return split if split.stands_out else split_at_otsu(average(split.picture))
    for _ in range(_MAX_PASSES):
        split = split_at_otsu(ink)
        too_noisy = noise_exceeds(ink, _MAX_NOISE_TO_CONTRAST * split.contrast)
        if not too_noisy and split.stands_out:
            return split
        ink = average(ink)
    return split_at_otsu(ink)


def _remove_specks(ink: Array) -> Array:
    """Give pixels that resemble at most one neighbour the median of all eight, if they abound.

    A stroke of a single pixel's width is safe: its pixels have two neighbours that resemble them.
    """
    for _ in range(_MAX_PASSES):
        mirrored = pad_edges(ink, 1)
        mirrored[0], mirrored[-1] = mirrored[2], mirrored[-3]
        mirrored[:, 0], mirrored[:, -1] = mirrored[:, 2], mirrored[:, -3]
        around = _neighbours(mirrored, 1, 1)
        alike = np.abs(around - around[1, 1]) < _MAX_DIFFERENCE_ALIKE
        alone = np.add.reduce(alike, axis=(0, 1), dtype=np.uint8) <= 2  # with the pixel itself
        inside = _unflattened(alone, mirrored.shape, 1)
        if np.count_nonzero(inside) <= _MAX_SHARE_OF_SPECKS * ink.size:
            break
        down, right = inside.nonzero()
        nine = around[:, :, down * mirrored.shape[1] + right].reshape(9, -1)
        ordered = np.sort(nine[[0, 1, 2, 3, 5, 6, 7, 8]], axis=0)  # 4 is the pixel itself
        ink = ink.copy()
        ink[down, right] = (ordered[3] + ordered[4]) / 2
    return ink


def _ridges(padded: Array) -> Array:
    """How much darker each pixel is than both neighbours in some direction; lighter is negative.

    The picture (h, w) is in a margin as wide as the largest distance. The result is (d, h, w), for
    each distance. The buffers are few and small, as glibc may request those above 128 KiB from the
    system every time.
    """
    margin, row = max(_RIDGE_DISTANCES), padded.shape[1]
    line, middle = padded.ravel(), max(_RIDGE_DISTANCES) * (padded.shape[1] + 1)
    n = len(line) - 2 * middle  # as in :func:`_neighbours`
    grey = line[middle : middle + n]
    ridges = np.empty((len(_RIDGE_DISTANCES), n), padded.dtype)
    pair, light = np.empty_like(grey), np.empty_like(grey)
    for distance, dark in zip(_RIDGE_DISTANCES, ridges, strict=True):
        dark[:] = light[:] = grey  # no ridge is lower than 0
        for direction in (row - 1, row, row + 1, 1):
            before, after = middle - distance * direction, middle + distance * direction
            opposite = line[before : before + n], line[after : after + n]
            np.maximum(dark, np.minimum(*opposite, out=pair), out=dark)
            np.minimum(light, np.maximum(*opposite, out=pair), out=light)
        np.subtract(dark, grey, out=dark)
        np.subtract(grey, light, out=light)
        np.negative(light, out=dark, where=dark < light)
    return _unflattened(ridges, padded.shape, margin)


def _neighbours(padded: Array, distance: int, margin: int) -> Array:
    """Each pixel and the eight that lie so far from it in all directions: a view (3, 3, n).

    All rows of a picture in a margin are one long line, which is quicker than row by row: n pixels
    from its first to its last. Those of the margin are passed over on the way.
    """
    down, right = padded.strides
    n = padded.size - 2 * margin * (padded.shape[1] + 1)
    first = (margin - distance) * (down + right)
    steps = (distance * down, distance * right, right)
    return np.ndarray((3, 3, n), padded.dtype, padded, first, steps)


def _unflattened(line: Array, shape: tuple[int, ...], margin: int) -> Array:
    """Lines (..., n) as in :func:`_neighbours` as pictures (..., h, w), without the margin."""
    height, width = shape
    whole = np.empty((*line.shape[:-1], (height - 2 * margin) * width), line.dtype)
    whole[..., : line.shape[-1]] = line
    return whole.reshape(*line.shape[:-1], -1, width)[..., : width - 2 * margin]


def _balance(values: Array, weights: Array) -> float:
    """-1 (all negative) to 1 (all positive), each value counting by its size and its weight."""
    votes = values * weights
    total = float(np.abs(votes).sum())
    return float(votes.sum()) / total if total > 0 else 0.0
