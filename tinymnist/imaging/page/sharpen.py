"""Blurred ink made sharp, so that the holes of a small 8 are open again.

A stroke's edge that is blurred by a Gaussian of standard deviation s climbs by at most its height
over s times the root of 2 pi, which shows s. Wiener's filter (N. Wiener, "Extrapolation,
Interpolation, and Smoothing of Stationary Time Series", 1949) then undoes as much of the blur as
the noise allows.
"""

from __future__ import annotations

import math

import numpy as np

from tinymnist.imaging.digit.components import Mask
from tinymnist.imaging.picture.pixels import Array

_FULL, _STEEPEST = 0.95, 0.97  # quantiles of ink and of its slope, safe from single pixels
_MIN_BLUR = 0.9  # pixels; a step from one pixel to the next measures 0.8
_OUT_OF_FOCUS = 1.8  # pixels; print is compared with blurred models from here on
_ROUNDED = 1.25  # blur also rounds strokes thinner than itself, which lowers their slope less
_NOISE = 0.007  # power of the noise over that of the ink


def blur(ink: Array, mask: Mask) -> float:
    """Estimate the standard deviation, in pixels, of the blur of ink (h, w) within a mask."""
    slope = np.zeros_like(ink)
    down = (ink[2:, 1:-1] - ink[:-2, 1:-1]) / 2
    right = (ink[1:-1, 2:] - ink[1:-1, :-2]) / 2
    slope[1:-1, 1:-1] = np.hypot(down, right)
    full = float(np.quantile(ink[mask], _FULL))
    steepest = float(np.quantile(slope[mask], _STEEPEST))
    return full / max(steepest, 1e-6) / math.sqrt(2 * math.pi)


def is_blurred(ink: Array, mask: Mask) -> bool:
    """Whether ink (h, w) within a mask is so blurred that sharpening may not bring it back."""
    return blur(ink, mask) >= _OUT_OF_FOCUS


def sharpen(ink: Array, mask: Mask) -> Array:
    """Undo the blur of ink (h, w) in 0..1 that is measured within a mask; sharp ink stays as is."""
    spread = _ROUNDED * blur(ink, mask)
    if spread < _ROUNDED * _MIN_BLUR:
        return ink
    margin = math.ceil(3 * spread)
    wide = np.pad(ink, margin, mode="edge")
    down = np.fft.fftfreq(wide.shape[0])[:, None]
    right = np.fft.rfftfreq(wide.shape[1])
    blurred = np.exp(-2 * (math.pi * spread) ** 2 * (down**2 + right**2))
    spectrum = np.fft.rfft2(wide) * blurred / (blurred**2 + _NOISE)
    clear = np.fft.irfft2(spectrum, s=wide.shape)[margin:-margin, margin:-margin]
    return np.asarray(np.clip(clear / max(float(clear[mask].max()), 1e-6), 0, 1), np.float32)
