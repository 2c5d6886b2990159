"""Colours to a grey in which ink and paper differ: red on green can be of equal brightness."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinymnist.imaging.picture.otsu import split_at_otsu
from tinymnist.imaging.picture.pixels import Array, luminance

Weights = npt.NDArray[np.float64]
"""How much red, green and blue count: (3,)."""

_SAMPLE_SIDE = 96
"""Pixels on the longer side of the picture from which the grey is chosen."""
_MIN_COLOURFULNESS = 0.03
"""Mean range of the channels (0..1); below it, a picture is grey anyway."""
_MIN_GAIN = 2.0
"""Another grey replaces brightness only if it separates this many times better,"""
_CLEAR_SEPARATION = 0.2
"""and only if brightness separates ink and paper by less than this."""


def grey_of_colours(colours: npt.NDArray[Any]) -> Array:
    """Convert to brightness, or to the grey that separates ink and paper much better.

    Args:
        colours: (h, w, 3) bytes, or floats in 0..1.

    Returns:
        (h, w) float32 in 0..1; lighter colours stay lighter.
    """
    weights = separating_weights(colours)
    return luminance(colours) if weights is None else weigh(colours, weights)


def separating_weights(colours: npt.NDArray[Any]) -> Weights | None:
    """Find weights that separate ink and paper much better than brightness; None if none do.

    Candidates are the three channels, and the direction in which the colours of the picture vary
    most (their first principal component).

    Args:
        colours: as for :func:`grey_of_colours`.
    """
    step = -(-max(colours.shape) // _SAMPLE_SIDE)
    small = colours[::step, ::step].copy()  # all that follows is slow on scattered pixels
    height, width = small.shape[:2]
    planes = small.transpose(2, 0, 1).reshape(3 * height, width)  # one below the other
    channels = luminance(planes).reshape(3, height, width)
    if np.ptp(channels, axis=0).mean() < _MIN_COLOURFULNESS:
        return None
    bright = _separation(luminance(small))
    if bright >= _CLEAR_SEPARATION:
        return None
    axis = _principal_axis(channels.reshape(3, -1))
    candidates = [*zip(np.eye(3), channels, strict=True), (axis, weigh(small, axis))]
    best, most = None, _MIN_GAIN * bright
    for weights, grey in candidates:
        separation = _separation(grey)
        if separation > most:
            best, most = weights, separation
    return best


def weigh(colours: npt.NDArray[Any], weights: Weights) -> Array:
    """Sum the weighted channels, stretched so that every colour gives 0..1: (h, w)."""
    low, high = np.minimum(weights, 0).sum(), np.maximum(weights, 0).sum()
    scale = (high - low) * (255 if colours.dtype == np.uint8 else 1)
    grey = colours.astype(np.float32) @ (weights / scale).astype(np.float32)
    return np.asarray(np.clip(grey - low / (high - low), 0, 1), np.float32)


def _separation(grey: Array) -> float:
    """How far apart the classes of Otsu's split are, times how sure the split is."""
    split = split_at_otsu(grey)
    return split.contrast * split.sureness


def _principal_axis(channels: Array) -> Weights:
    """The unit vector along which colours (3, n) vary most, pointing to the lighter ones."""
    off = (channels - channels.mean(1, keepdims=True)).astype(np.float64)
    axis: Weights = np.linalg.eigh(off @ off.T)[1][:, -1]  # of n times the covariance
    return axis if axis.sum() >= 0 else -axis
