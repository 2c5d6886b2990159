"""Clouds for the corruption "fog": random heights by the diamond-square algorithm, many at a time.

The algorithm is that of Fournier, Fussell and Carpenter, "Computer Rendering of Stochastic Models"
(1982), on a map that wraps around: start with one point, set the centre of each square to the mean
of its corners plus a random number, do the same for the diamonds, halve the step, reduce the range
of the random numbers, and repeat until every point is set.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]

_AT_ONCE = 16
"""Maps computed at once: few enough for the processor's cache."""


def plasma(n: int, crop: int, decay: float, rng: np.random.Generator, side: int = 256) -> Array:
    """The corner of n maps of side x side points, each stretched to 0..1 as a whole.

    Args:
        n: number of maps.
        crop: height and width of the corner to return; at most ``side``.
        decay: its square divides the random range at each step: small for rough maps.
        rng: the source of randomness.
        side: a power of two.

    Returns:
        (n, crop, crop) float32.
    """
    corners = np.empty((n, crop, crop), np.float32)
    for first in range(0, n, _AT_ONCE):
        heights = _heights(min(_AT_ONCE, n - first), decay, rng, side)
        low, high = (how(axis=(1, 2), keepdims=True) for how in (heights.min, heights.max))
        corners[first : first + _AT_ONCE] = ((heights - low) / (high - low))[:, :crop, :crop]
    return corners


def _heights(n: int, decay: float, rng: np.random.Generator, side: int) -> Array:
    heights = np.zeros((n, side, side), np.float32)
    step, wobble = side, 1.0
    while step > 1:
        half = step // 2
        known = heights[:, ::step, ::step]
        below, right = np.roll(known, -1, 1), np.roll(known, -1, 2)
        middle = (known + below + right + np.roll(below, -1, 2)) / 4
        middle += _wobble(middle.shape, wobble, rng)
        heights[:, half::step, half::step] = middle
        top = (known + right + middle + np.roll(middle, 1, 1)) / 4
        heights[:, ::step, half::step] = top + _wobble(top.shape, wobble, rng)
        left = (known + below + middle + np.roll(middle, 1, 2)) / 4
        heights[:, half::step, ::step] = left + _wobble(left.shape, wobble, rng)
        step, wobble = half, wobble / decay**2
    return heights


def _wobble(shape: Any, wobble: float, rng: np.random.Generator) -> Array:
    """Uniform in -wobble..wobble."""
    uniform: Array = rng.random(shape, np.float32)
    return (uniform - np.float32(0.5)) * np.float32(2 * wobble)
