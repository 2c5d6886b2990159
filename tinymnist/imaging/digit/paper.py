"""Ink and paper: which is which, how bright the paper is where, and how dark ink must be.

Each function takes a grey picture and answers one question. None knows what a digit is.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import numpy.typing as npt

from tinymnist.imaging.digit.filters import bordered, maximum, minimum, shrink
from tinymnist.imaging.picture.pixels import Array

_COARSE = 64
"""Pixels on the longer side of the picture in which paper and polarity are looked for."""
_WIDEST_STROKE = 0.3
"""No stroke is wider than this share of the frame; what is wider is taken for paper."""
_DARKEST_PAPER = 0.25
"""Paper in the shadow is at most this much darker than the brightest paper."""
_FAINTEST = 0.04
"""What stands out less from the light around it is not seen."""
_OUTSTANDING = 4
"""Ink must differ from paper by so many standard deviations of the paper."""
_FINE_GRAIN = 0.015
"""Noise below this standard deviation does not move the paper's brightness much."""
_BEARABLE = 0.12
"""Noise that is this small against the ink does no harm."""
_SMALLEST_NOISY = 40
"""In smaller pictures, strokes are as narrow as grains."""
_SMALLEST_SPECKLED = 24
"""In smaller ones still, a stroke's own pixels resemble each other as little as specks."""
_MOST_PASSES = 4
_SAMPLE = 8192
_ALIKE = 0.3
"""Neighbours that differ by less resemble each other."""
_FEW_SPECKS = 0.015
"""Which share of a picture may be specks before they are taken for noise."""
_ROUNDING = 1e-5
"""Less darkness than this says nothing: light alone, without ink, leaves as much."""
_LEVEL_CENTRES = (np.arange(256) + 0.5) / 256
_NORMAL_MEDIAN = 0.6745
"""The median of the absolute value of a standard normal number."""


@dataclass(frozen=True)
class Parting:
    """A picture parted in two at Otsu's level: in a picture of ink, ink above and paper below.

    Attributes:
        is_above: (h, w), which pixels lie above the level.
        above: (n,) float32, their values.
        below: (m,) float32, those of the others.
        sureness: how well the level parts them, 0..1; see :func:`otsu`.
    """

    is_above: npt.NDArray[np.bool_]
    above: Array
    below: Array
    sureness: float

    @property
    def is_one(self) -> bool:
        """Whether all pixels are on one side: they are all alike."""
        return not (self.above.size and self.below.size)

    @property
    def contrast(self) -> float:
        """How far apart the means of both sides are."""
        return 0.0 if self.is_one else float(self.above.mean() - self.below.mean())

    @cached_property
    def medians(self) -> tuple[float, float]:
        """Of what is below and of what is above; neither side may be empty."""
        return median(sample(self.below)), median(sample(self.above))


_last: list[tuple[weakref.ref[Array], Parting]] = []
"""What was parted last, if anything: denoising ends and thresholding begins with the same question
about the same array. No stage changes an array in place."""


def part(picture: Array) -> Parting:
    """Part a picture (h, w) in 0..1 at Otsu's level."""
    for known, parting in tuple(_last):  # another thread may change it at any time
        if known() is picture:
            return parting
    parting = _part(picture)
    _last[:] = [(weakref.ref(picture), parting)]
    return parting


def _part(picture: Array) -> Parting:
    level, sureness = otsu(picture)
    is_above = picture > level
    mask, values = is_above.ravel(), picture.ravel()
    # Indexing with the mask gives the same and takes four times as long.
    return Parting(is_above, values.compress(mask), values.compress(~mask), sureness)


def otsu(values: Array) -> tuple[float, float]:
    """The level that parts values best into two classes, and how well it parts them.

    It maximises the variance between the classes: N. Otsu, "A threshold selection method from
    gray-level histograms", IEEE Trans. SMC 9 (1979).

    Args:
        values: any shape, in 0..1.

    Returns:
        The level in 0..1 (of a plateau, an empty stretch between the classes, its middle), and
        the share of the variance that lies between the classes, 0..1.
    """
    levels = (values * 256).astype(np.intp).ravel()
    counts = np.bincount(levels, minlength=257).astype(float)  # mixed with integers, all is slower
    counts[255] += counts[256:].sum()  # 1 itself belongs to the last level
    counts = counts[:256]
    below, total = np.cumsum(counts)[:-1], float(levels.size)
    mass = np.cumsum(counts * _LEVEL_CENTRES)
    between = (mass[-1] * below / total - mass[:-1]) ** 2
    pairs = below * (total - below)
    between = np.divide(between, pairs, out=np.zeros(255), where=pairs > 0)
    most = float(between.max())
    best = np.flatnonzero(between >= most * (1 - 1e-9))
    plateau = best[best - best[0] == np.arange(len(best))]  # another may be as high, further on
    level = float(plateau[0] + plateau[-1] + 2) / 512
    variance = float(counts @ (_LEVEL_CENTRES - mass[-1] / total) ** 2) / total
    return level, most / variance if variance > 0 else 0.0


def ink_is_dark(grey: Array) -> bool:
    """Whether the picture is dark on light, as most are; see :func:`ink_darkness`."""
    return ink_darkness(grey) >= -_ROUNDING


def ink_darkness(grey: Array) -> float:
    """How surely the picture is dark on light: -1.25 (light on dark, no doubt) to 1.25.

    The chief witness is the stroke: it is a ridge, darker (or lighter) than what lies on both its
    sides, and so are its borders to no table, shadow or gradient of light. The other is the
    skewness: ink is less than paper, so it lies further from the mean. It has a quarter of a vote.
    """
    coarse = shrink(grey, _COARSE)
    deviation = coarse.mean() - coarse
    return ridge_darkness(coarse) + _balance(deviation, deviation * deviation) / 4


def ridge_darkness(grey: Array) -> float:
    """Whether narrow strokes are dark on light: -1 (all are light) to 1 (all are dark)."""
    ridges = np.stack([_ridges(grey, distance) for distance in (1, 2, 4)])
    return _balance(ridges, np.abs(ridges))


def ink_map(grey: Array) -> Array:
    """How much of the paper's light the ink takes away, for dark ink on lighter paper.

    The paper's brightness is a grey closing, the maximum around each pixel followed by the
    minimum: it fills whatever is darker and narrower than ``_WIDEST_STROKE`` and keeps slow
    changes of light and the edges of a shadow.

    Args:
        grey: (h, w) in 0..1.

    Returns:
        (h, w) float32 in 0..1; 0 is paper.
    """
    radius = max(1, round(_WIDEST_STROKE * max(grey.shape) / 2))
    paper = minimum(maximum(_without_grain(grey), radius), radius)
    paper = np.maximum(paper, _DARKEST_PAPER * paper.max() + 1e-6)
    ink: Array = np.clip(1 - grey / paper, 0, 1)
    return ink


def is_empty(grey: Array) -> bool:
    """Whether there is nothing to be seen but smooth light: no pixel stands out from it.

    The light is a polynomial of the second degree in both directions, fitted to the whole picture
    by least squares.

    Args:
        grey: (h, w) in 0..1.
    """
    coarse = shrink(grey, _COARSE)
    if _bends_too_much(coarse) or _bends_too_much(coarse.T):
        return False
    down, right = np.meshgrid(*(np.linspace(-1, 1, side) for side in coarse.shape), indexing="ij")
    terms = np.stack([np.ones_like(down), down, right, down**2, down * right, right**2], axis=-1)
    terms, values = terms.reshape(-1, 6), coarse.reshape(-1).astype(float)
    # The normal equations; where a side has but one or two pixels, they have many solutions.
    weights = np.linalg.pinv(terms.T @ terms) @ (terms.T @ values)
    return bool(np.abs(values - terms @ weights).max() < _FAINTEST)


def _bends_too_much(grey: Array) -> bool:
    """Whether no polynomial of the second degree comes near: most pictures are done with that.

    Along a line its second differences are all alike, and values that are off by at most e move
    each of them by at most 4 e.
    """
    return any(
        float(np.ptp(grey[2 * step :] - 2 * grey[step:-step] + grey[: -2 * step])) > 8 * _FAINTEST
        for step in (1, 2, 4)
        if len(grey) > 2 * step
    )


def noise_level(grey: Array) -> float:
    """The standard deviation of noise that differs from pixel to pixel.

    A second difference in both directions leaves nothing of a slope or of a straight edge. Its
    spread under noise is 6 times that of the noise (J. Immerkaer, "Fast Noise Variance
    Estimation", CVIU 64, 1996); the median keeps the few pixels of strokes from counting.

    Args:
        grey: (h, w), at least 3x3.
    """
    rows = grey[2:] - 2 * grey[1:-1] + grey[:-2]
    both = rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2]
    return median(np.abs(sample(both))) / (6 * _NORMAL_MEDIAN)


def sample(values: Array) -> Array:
    """Enough of many values to tell their median: (at most ``2 * _SAMPLE``,)."""
    flat = values.ravel()
    return flat[:: max(1, flat.size // _SAMPLE)]


def median(values: Array) -> float:
    """Of (n,) numbers, n > 0: ``np.median``, which takes several times as long to get ready.

    All are sorted: a partition, which would do, is slower where many are equal, as on clean paper.
    """
    ordered, half = np.sort(values), len(values) // 2
    return (float(ordered[half]) + float(ordered[-half - 1])) / 2


def denoise(ink: Array) -> Array:
    """Make noise small against ink: grains by averaging, in small pictures specks one by one.

    Args:
        ink: (h, w) in 0..1, 0 is paper.
    """
    if min(ink.shape) < _SMALLEST_SPECKLED:
        return ink
    if min(ink.shape) < _SMALLEST_NOISY:
        clean = _without_specks(ink)
        return clean if stands_out(part(clean)) else _averaged(clean)
    for _ in range(_MOST_PASSES):
        parting = part(ink)
        if noise_level(ink) <= _BEARABLE * parting.contrast and stands_out(parting):
            break
        ink = _averaged(ink)
    return ink


def stands_out(parting: Parting) -> bool:
    """Whether ink differs from paper by more than paper from paper.

    Otsu's level parts anything, noise as well: then the medians of both sides are 2.1 standard
    deviations of the lower side apart, as those of a normal distribution cut in the middle. Where
    noise hides a digit, averaging brings them further apart; of noise alone it does not.
    """
    if parting.is_one:
        return False
    around, (paper, full) = sample(parting.below), parting.medians
    spread = median(np.abs(around - np.float32(paper))) / _NORMAL_MEDIAN
    return full - paper >= max(_FAINTEST, _OUTSTANDING * spread)


def _without_grain(grey: Array) -> Array:
    """Average until no grain is left that a maximum would pick: for the paper's brightness only."""
    for _ in range(_MOST_PASSES if min(grey.shape) >= _SMALLEST_NOISY else 0):
        if noise_level(grey) <= _FINE_GRAIN:
            break
        grey = _averaged(grey)
    return grey


def _averaged(values: Array) -> Array:
    """The mean of each pixel and its eight neighbours."""
    padded = bordered(values, 1)
    rows = padded[2:] + padded[1:-1] + padded[:-2]
    return np.asarray((rows[:, 2:] + rows[:, 1:-1] + rows[:, :-2]) / 9, np.float32)


def _without_specks(ink: Array) -> Array:
    """Give pixels that resemble at most one neighbour the median of all eight, where they abound.

    A stroke of a single pixel's width is safe: its pixels have two neighbours that resemble them.
    """
    for _ in range(_MOST_PASSES):
        height, width = ink.shape
        mirrored = ink[[1, *range(height), -2]][:, [1, *range(width), -2]]  # np.pad is slower
        around = np.stack(
            [
                mirrored[down : down + height, right : right + width]
                for down in range(3)
                for right in range(3)
                if (down, right) != (1, 1)
            ]
        )
        alone = (np.abs(around - ink) < _ALIKE).sum(axis=0, dtype=np.uint8) <= 1
        if np.count_nonzero(alone) <= _FEW_SPECKS * alone.size:
            break
        ink = ink.copy()
        ink[alone] = np.median(around[:, alone], axis=0)
    return ink


def _ridges(grey: Array, distance: int) -> Array:
    """How much darker each pixel is than both neighbours in some direction; lighter is negative."""
    height, width = grey.shape
    padded = bordered(grey, distance)
    shifted = {
        (down, right): padded[distance * down :, distance * right :][:height, :width]
        for down in range(3)
        for right in range(3)
    }
    pairs = (((0, 1), (2, 1)), ((1, 0), (1, 2)), ((0, 0), (2, 2)), ((0, 2), (2, 0)))
    darker = reduce(np.maximum, [np.minimum(shifted[one], shifted[two]) for one, two in pairs])
    lighter = reduce(np.minimum, [np.maximum(shifted[one], shifted[two]) for one, two in pairs])
    dark, light = np.maximum(darker - grey, 0), np.maximum(grey - lighter, 0)
    ridge: Array = np.where(dark >= light, dark, -light)
    return ridge


def _balance(values: Array, weights: Array) -> float:
    """-1 (all negative) to 1 (all positive), each value counting by its size and its weight."""
    votes = values * weights
    total = float(np.abs(votes).sum())
    return float(votes.sum()) / total if total > 0 else 0.0
