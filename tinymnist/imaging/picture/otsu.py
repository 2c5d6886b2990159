"""Otsu's split of a picture into two classes, such as paper and ink."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

NORMAL_MEDIAN = 0.6745
"""The median of the absolute value of a standard normal number."""
MIN_CONTRAST = 0.04
"""Ink differs from paper by at least this much of the range 0..1,"""
_MIN_CONTRAST_TO_NOISE = 4  # and by at least this many standard deviations of the paper
_LEVEL_CENTRES = (np.arange(256) + 0.5) / 256
_PORTION = 1 << 15
SAMPLE_SIZE = 8192
"""Values from which the median of a large picture is estimated, and up to twice as many."""


class OtsuSplit:
    """A picture with its two classes. In a picture of ink, ink is above the level, paper below.

    Attributes:
        picture: (h, w) in 0..1, what was split.
        is_above: (h, w) bool, which pixels are above the level.
        above: (n,), their values.
        below: (m,), the values of the others.
        sureness: the share of the variance that lies between the classes, 0..1.
        is_uniform: whether one class is empty because all pixels are alike.
    """

    def __init__(self, picture: Array, level: float, sureness: float) -> None:
        """Split a picture at a level."""
        self.picture, self.sureness = picture, sureness
        self.is_above = picture > level
        # Where pixels of a class lie side by side, as ink does, this is quicker than ``compress``.
        self.above, self.below = picture[self.is_above], picture[~self.is_above]
        self.is_uniform = not (self.above.size and self.below.size)

    @property
    def contrast(self) -> float:
        """The difference between the means of the classes, 0..1."""
        return 0.0 if self.is_uniform else float(_mean(self.above) - _mean(self.below))

    @cached_property
    def medians(self) -> tuple[float, float]:
        """The medians of ``below`` and ``above``; not defined for a uniform picture."""
        return median(sample(self.below)), median(sample(self.above))

    @cached_property
    def stands_out(self) -> bool:
        """Whether ``above`` differs from ``below`` by more than ``below`` from itself.

        Otsu's level splits anything, noise as well: then the medians of both sides are 2.1 standard
        deviations of the lower side apart, as those of a normal distribution cut in the middle. If
        noise hides a digit, averaging brings them further apart; it does not if there is only
        noise.
        """
        if self.is_uniform:
            return False
        paper, full = self.medians
        contrast = full - paper
        return contrast >= MIN_CONTRAST and not self.noise_exceeds(
            contrast / _MIN_CONTRAST_TO_NOISE
        )

    def noise_exceeds(self, limit: float) -> bool:
        """Whether the standard deviation of ``below`` is larger; it is estimated by a median."""
        deviations = np.abs(sample(self.below) - np.float32(self.medians[0]))
        return median_exceeds(deviations, limit * NORMAL_MEDIAN)


def split_at_otsu(picture: Array) -> OtsuSplit:
    """Split a picture (h, w) in 0..1 at Otsu's level."""
    return OtsuSplit(picture, *otsu_level(picture))


def otsu_level(values: Array) -> tuple[float, float]:
    """Find the level that separates values best into two classes, and how well it does.

    It maximises the variance between the classes: N. Otsu, "A threshold selection method from
    gray-level histograms", IEEE Trans. SMC 9 (1979).

    Args:
        values: any shape, in 0..1.

    Returns:
        The level in 0..1 (the middle if an empty stretch between the classes makes it ambiguous),
        and the share of the variance that lies between the classes, 0..1.
    """
    counts = _histogram(values.ravel())
    below, total = counts.cumsum()[:-1], float(values.size)
    mass = (counts * _LEVEL_CENTRES).cumsum()
    between = np.square(below / total * mass[-1] - mass[:-1])  # exactly 0 if a class is empty
    between /= np.maximum(below * (total - below), 1)
    most = float(between.max())
    is_best = between >= most * (1 - 1e-9)
    first = int(is_best.argmax())
    width = int(is_best[first:].argmin()) or 255 - first  # a later plateau may be as high
    level = (2 * first + width + 1) / 512
    variance = float(counts @ (_LEVEL_CENTRES - mass[-1] / total) ** 2) / total
    return level, most / variance if variance > 0 else 0.0


def _histogram(values: Array) -> npt.NDArray[np.float64]:
    """How many of (n,) values in 0..1 are in each of 256 levels; 1 itself belongs to the last."""
    counts = np.zeros(257)
    for first in range(0, len(values), _PORTION):  # all at once would leave the cache
        levels = (values[first : first + _PORTION] * 256).astype(np.intp)
        counts += np.bincount(levels, minlength=257)
    counts[255] += counts[256]
    return counts[:256]


def sample(values: Array) -> Array:
    """Take evenly spaced values, enough to estimate the median: (at most 2 * 8192,)."""
    return values.ravel()[:: max(1, values.size // SAMPLE_SIZE)]


def _mean(values: Array) -> np.float32:
    """The mean of (n,) numbers, as ``values.mean()`` in half the time."""
    total: np.float32 = np.add.reduce(values)
    return total / np.float32(len(values))


def median(values: Array) -> float:
    """The median of (n,) numbers, n > 0, without the overhead of ``np.median``.

    All are sorted: a partition would do, but is slower if many are equal, as on clean paper.
    """
    half, least = len(values) // 2, values.min()
    if np.count_nonzero(values == least) > half:  # clean paper
        return float(least)
    ordered = np.sort(values)
    return (float(ordered[half]) + float(ordered[-half - 1])) / 2


def median_exceeds(values: Array, limit: float) -> bool:
    """Whether the median of (n,) numbers, n > 0, is above a limit: they are counted, not sorted."""
    half, count = len(values) // 2, np.count_nonzero(values <= limit)
    if count == half and len(values) % 2 == 0:  # the limit lies between the two in the middle
        return median(values) > limit
    return bool(count <= half)
