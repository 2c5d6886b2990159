"""Ink and paper: which is which, how bright the paper is where, and how strong the noise is.

Each function takes a grey picture and answers one question. None knows what a digit is.
"""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.filters import average, maximum, minimum, pad_edges, shrink
from tinymnist.imaging.picture.otsu import NORMAL_MEDIAN, OtsuSplit, median, sample, split_at_otsu
from tinymnist.imaging.picture.pixels import Array

COARSE_SIDE = 64
"""Pixels on the longer side of the picture in which polarity and emptiness are judged."""
_NO_DARKNESS = 1e-5
"""Smaller values of :func:`ink_darkness` are rounding: light alone, without ink, leaves as much."""
_WIDEST_STROKE = 0.3  # strokes are at most this share of the longer side wide; wider is paper
_MIN_PAPER = 0.25  # paper in the shadow has at least this share of the brightest paper's light
_MIN_CONTRAST = 0.04  # ink differs from paper by at least this much of the range 0..1
_MIN_CONTRAST_TO_NOISE = 4  # and by at least this many standard deviations of the paper
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
    ridges = np.stack([_ridges(grey, 1), _ridges(grey, 2), _ridges(grey, 4)])
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
        if noise_level(smooth) <= most_noise:
            break
        smooth = average(smooth)
    radius = max(1, round(widest_stroke * max(grey.shape) / 2))
    paper = minimum(maximum(smooth, radius), radius)
    paper = np.maximum(paper, _MIN_PAPER * paper.max() + 1e-6)
    ink: Array = np.clip(1 - grey / paper, 0, 1)
    return ink


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
    return bool(np.abs(values - terms @ weights).max() < _MIN_CONTRAST)


def _bends_too_much(grey: Array) -> bool:
    """Whether no polynomial of the second degree comes near, which settles most pictures quickly.

    Along a line its second differences are all alike, and values that are off by at most e move
    each of them by at most 4 e.
    """
    for step in (1, 2, 4):
        if len(grey) > 2 * step:
            bends = grey[2 * step :] - 2 * grey[step:-step] + grey[: -2 * step]
            if float(np.ptp(bends)) > 8 * _MIN_CONTRAST:
                return True
    return False


def noise_level(grey: Array) -> float:
    """Estimate the standard deviation of noise that differs from pixel to pixel; at least 3x3.

    A second difference in both directions leaves nothing of a slope or of a straight edge. Its
    spread under noise is 6 times that of the noise (J. Immerkaer, "Fast Noise Variance
    Estimation", CVIU 64, 1996); the median keeps the few pixels of strokes from counting.
    """
    rows = grey[2:] - 2 * grey[1:-1] + grey[:-2]
    both = rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2]
    return median(np.abs(sample(both))) / (6 * NORMAL_MEDIAN)


def denoise(ink: Array) -> OtsuSplit:
    """Make noise small against ink (h, w): smooth it, or in small pictures remove single specks.

    The result is split into ink and paper.
    """
    if min(ink.shape) < _SMALLEST_SPECKLED:
        return split_at_otsu(ink)
    if min(ink.shape) < _SMALLEST_NOISY:
        split = split_at_otsu(_remove_specks(ink))
        return split if stands_out(split) else split_at_otsu(average(split.picture))
    for _ in range(_MAX_PASSES):
        split = split_at_otsu(ink)
        if noise_level(ink) <= _MAX_NOISE_TO_CONTRAST * split.contrast and stands_out(split):
            return split
        ink = average(ink)
    return split_at_otsu(ink)


def stands_out(split: OtsuSplit) -> bool:
    """Whether ink differs from paper by more than paper from paper.

    Otsu's level splits anything, noise as well: then the medians of both sides are 2.1 standard
    deviations of the lower side apart, as those of a normal distribution cut in the middle. If
    noise hides a digit, averaging brings them further apart; it does not if there is only noise.
    """
    if split.is_uniform:
        return False
    paper, full = split.medians
    return full - paper >= max(_MIN_CONTRAST, _MIN_CONTRAST_TO_NOISE * split.noise)


def _remove_specks(ink: Array) -> Array:
    """Give pixels that resemble at most one neighbour the median of all eight, if they abound.

    A stroke of a single pixel's width is safe: its pixels have two neighbours that resemble them.
    """
    for _ in range(_MAX_PASSES):
        height, width = ink.shape
        mirrored = ink[[1, *range(height), -2]][:, [1, *range(width), -2]]  # np.pad is slower
        shifts = [divmod(place, 3) for place in range(9) if place != 4]  # 4 is the pixel itself
        around = np.stack([mirrored[d : d + height, r : r + width] for d, r in shifts])
        alone = (np.abs(around - ink) < _MAX_DIFFERENCE_ALIKE).sum(axis=0, dtype=np.uint8) <= 1
        if np.count_nonzero(alone) <= _MAX_SHARE_OF_SPECKS * alone.size:
            break
        ink = ink.copy()
        ink[alone] = np.median(around[:, alone], axis=0)
    return ink


def _ridges(grey: Array, distance: int) -> Array:
    """How much darker each pixel is than both neighbours in some direction; lighter is negative."""
    height, width = grey.shape
    padded, twice = pad_edges(grey, distance), 2 * distance
    darker = lighter = grey
    for down, right in ((0, distance), (distance, 0), (0, 0), (0, twice)):  # of four directions
        one = padded[down:, right:][:height, :width]
        other = padded[twice - down :, twice - right :][:height, :width]
        darker = np.maximum(darker, np.minimum(one, other))
        lighter = np.minimum(lighter, np.maximum(one, other))
    dark, light = darker - grey, grey - lighter
    ridge: Array = np.where(dark >= light, dark, -light)
    return ridge


def _balance(values: Array, weights: Array) -> float:
    """-1 (all negative) to 1 (all positive), each value counting by its size and its weight."""
    votes = values * weights
    total = float(np.abs(votes).sum())
    return float(votes.sum()) / total if total > 0 else 0.0
