"""What Keras's generator does to the values of pictures: channel shift, flips, brightness."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[Any]


def shift_channels(images: Images, intensities: NDArray[Any]) -> Images:
    """Add one number to all channels of a picture, within the picture's own range.

    Args:
        images: (n, h, w, c).
        intensities: (n,).
    """
    over = (1, 2, 3)
    lowest, highest = images.min(axis=over, keepdims=True), images.max(axis=over, keepdims=True)
    shifted = np.clip(images + intensities.reshape(-1, 1, 1, 1), lowest, highest)
    kept: Images = shifted.astype(images.dtype)
    return kept


def flip(images: Images, chosen: NDArray[Any], axis: int) -> Images:
    """Mirror the chosen pictures; ``axis`` 1 is top to bottom, 2 left to right."""
    flipped = images.copy()
    flipped[chosen] = np.flip(images[chosen], axis)
    return flipped


def brighten(images: Images, factors: NDArray[Any]) -> Images:
    """Multiply pictures by a factor each, as Keras does: in whole numbers of 0..255.

    Keras hands the picture to Pillow, which keeps bytes. Fractions are cut off before and after, so
    pictures in 0..1 lose everything: a warning says so, and that ``rescale`` comes after. Pictures
    that leave 0..255 are stretched to it, and back again.

    Args:
        images: (n, h, w, c); of four channels the last is opacity and stays.
        factors: (n,).

    Returns:
        (n, h, w, c) float32.
    """
    values = images.astype(np.float32)
    if values.size and 0 < values.max() <= 1:
        warnings.warn(
            "brightness_range rounds to whole numbers, as Keras's does, and leaves nothing of "
            "pictures in 0..1: give it pictures in 0..255 and rescale=1/255",
            stacklevel=2,
        )
    over = (1, 2, 3)
    lowest, highest = values.min(axis=over, keepdims=True), values.max(axis=over, keepdims=True)
    stretched = (lowest < 0) | (highest > 255)
    span = highest - lowest
    unit = (values - lowest) / np.where(span > 0, span, 1) * np.float32(255)
    whole = np.trunc(np.where(stretched, unit, values))
    opaque = slice(0, 3 if images.shape[3] == 4 else None)
    scaled = whole[..., opaque] * factors.astype(np.float32).reshape(-1, 1, 1, 1)
    whole[..., opaque] = np.trunc(np.clip(scaled, 0, 255))
    back: Images = np.where(stretched, whole / 255 * span + lowest, whole)
    return back.astype(np.float32, copy=False)
