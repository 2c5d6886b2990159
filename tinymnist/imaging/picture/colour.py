"""Colours to grey, so that ink and paper part: a red and a green can be of one brightness."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinymnist.imaging.digit.paper import part
from tinymnist.imaging.picture.pixels import Array, luminance

Weights = npt.NDArray[np.float64]
"""How much red, green and blue count: (3,)."""

_SAMPLE_SIDE = 96
"""Pixels on the longer side of the picture in which the grey is chosen."""
_COLOURFUL = 0.03
"""Below this mean distance between channels, a picture is grey anyway."""
_MUCH_BETTER = 2.0
"""Brightness is left only for a grey that separates so many times better,"""
_CLEAR = 0.2
"""and where it parts ink and paper by less than this."""


def grey_of_colours(colours: npt.NDArray[Any]) -> Array:
    """Brightness, or the grey in which ink and paper part much better.

    Args:
        colours: (h, w, 3) bytes, or floats in 0..1.

    Returns:
        (h, w) float32 in 0..1; lighter colours stay lighter.
    """
    weights = parting_weights(colours)
    return luminance(colours) if weights is None else weigh(colours, weights)


def parting_weights(colours: npt.NDArray[Any]) -> Weights | None:
    """The weights of a grey in which ink and paper part much better than by brightness, or None.

    Candidates are the three channels, and the direction in which the colours of the picture vary
    most (their first principal component).

    Args:
        colours: as for :func:`grey_of_colours`.
    """
    step = -(-max(colours.shape) // _SAMPLE_SIDE)
    small = colours[::step, ::step].copy()  # all that follows is slow on scattered pixels
    channels = np.stack([luminance(small[..., channel]) for channel in range(3)])
    if np.ptp(channels, axis=0).mean() < _COLOURFUL:
        return None
    bright = _parting(luminance(small))
    if bright >= _CLEAR:
        return None
    axis = _principal_axis(channels.reshape(3, -1))
    candidates = [*zip(np.eye(3), channels, strict=True), (axis, weigh(small, axis))]
    best, most = None, _MUCH_BETTER * bright
    for weights, grey in candidates:
        parting = _parting(grey)
        if parting > most:
            best, most = weights, parting
    return best


def weigh(colours: npt.NDArray[Any], weights: Weights) -> Array:
    """The weighted sum of the channels, stretched so that every colour gives 0..1: (h, w)."""
    low, high = np.minimum(weights, 0).sum(), np.maximum(weights, 0).sum()
    scale = (high - low) * (255 if colours.dtype == np.uint8 else 1)
    grey = colours.astype(np.float32) @ (weights / scale).astype(np.float32)
    return np.asarray(np.clip(grey - low / (high - low), 0, 1), np.float32)


def _parting(grey: Array) -> float:
    """How far apart ink and paper are, times how surely: the level is Otsu's."""
    parting = part(grey)
    return parting.contrast * parting.sureness


def _principal_axis(channels: Array) -> Weights:
    """The unit vector along which colours (3, n) vary most, pointing to the lighter ones."""
    off = (channels - channels.mean(1, keepdims=True)).astype(np.float64)
    axis: Weights = np.linalg.eigh(off @ off.T)[1][:, -1]  # of the covariance, but for a factor
    return axis if axis.sum() >= 0 else -axis
