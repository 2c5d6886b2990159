"""Colours to grey, so that ink and paper part: a red and a green can be of one brightness."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinymnist.imaging.filters import shrink
from tinymnist.imaging.paper import otsu
from tinymnist.imaging.pixels import Array, luminance

_SAMPLE_SIDE = 96
"""Pixels on the longer side of the picture in which the grey is chosen."""
_COLOURFUL = 0.03
"""Below this mean distance between channels, a picture is grey anyway."""
_MUCH_BETTER = 2.0
"""Brightness is left only for a grey that separates so many times better."""


def grey_of_colours(colours: npt.NDArray[Any]) -> Array:
    """Brightness, or the grey in which ink and paper part much better.

    Candidates are brightness, the three channels, and the direction in which the colours of the
    picture vary most (their first principal component).

    Args:
        colours: (h, w, 3) bytes, or floats in 0..1.

    Returns:
        (h, w) float32 in 0..1; lighter colours stay lighter.
    """
    plain = luminance(colours)
    scale = np.float32(255 if colours.dtype == np.uint8 else 1)
    channels = [np.asarray(colours[..., c], np.float32) / scale for c in range(3)]
    small = np.stack([shrink(channel, _SAMPLE_SIDE) for channel in channels], axis=-1)
    if np.ptp(small, axis=2).mean() < _COLOURFUL:
        return plain
    pixels = small.reshape(-1, 3).astype(float)
    best, most = None, _MUCH_BETTER * _parting(shrink(plain, _SAMPLE_SIDE))
    for weights in (*np.eye(3), _principal_axis(pixels)):
        low, high = _range(weights)
        parting = _parting((pixels @ weights - low) / (high - low))
        if parting > most:
            best, most = weights, parting
    if best is None:
        return plain
    low, high = _range(best)
    grey = sum(c * np.float32(weight) for c, weight in zip(channels, best, strict=True))
    return np.asarray(np.clip((grey - low) / (high - low), 0, 1), np.float32)


def _parting(grey: npt.NDArray[Any]) -> float:
    """How far apart ink and paper are, times how surely: the level is Otsu's."""
    level, sureness = otsu(grey)
    light = grey > level
    if light.all() or not light.any():
        return 0.0
    return float(grey[light].mean() - grey[~light].mean()) * sureness


def _principal_axis(pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The unit vector along which colours vary most, pointing to the lighter ones."""
    axis: npt.NDArray[np.float64] = np.linalg.eigh(np.cov(pixels.T, bias=True))[1][:, -1]
    return axis if axis.sum() >= 0 else -axis


def _range(weights: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The least and the greatest value that a colour can have."""
    return float(np.minimum(weights, 0).sum()), float(np.maximum(weights, 0).sum())
