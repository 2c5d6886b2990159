"""Pixel values of any kind to grey between 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinymnist.errors import InputError

Array: TypeAlias = npt.NDArray[np.float32]

_REC_601 = np.array([0.299, 0.587, 0.114], np.float32)
"""The share of red, green and blue in perceived brightness (ITU-R BT.601)."""
_MAX_OVERSHOOT = 0.25
"""How far floats may lie outside 0..1 and still count as such, as after a bicubic resize."""
_MAX_INK_DEVIATION = 0.1
"""Standard deviation of brightness above which opaque pixels are both ink and paper."""


def grey_of_array(
    array: npt.NDArray[Any], of_colours: Callable[[npt.NDArray[Any]], Array] | None = None
) -> Array:
    """Convert an array that may be an image to grey, as displayed.

    Args:
        array: (h, w), (h, w, 1..4), (1, h, w) or (1, h, w, 1..4); booleans, integers or floats.
        of_colours: converts opaque colours (h, w, 3) to grey (h, w); None takes their brightness.

    Returns:
        (h, w) float32 in 0..1, a new array.

    Raises:
        InputError: if its shape, dtype or values are not those of an image.
    """
    image = _channels_last(array)
    if array.dtype.kind not in "buif":
        raise InputError(f"an image array holds numbers. Received: dtype={array.dtype}")
    if not np.isfinite(image).all():
        raise InputError("an image array holds finite numbers. Received: nan or inf")
    values = _unit_range(image)
    channels = values.shape[2]
    to_grey = of_colours if of_colours and channels == 3 else luminance
    grey = values[..., 0] if channels < 3 else to_grey(values[..., :3])
    return flatten_alpha(grey, values[..., -1]) if channels in (2, 4) else grey.copy()


def luminance(image: npt.NDArray[Any]) -> Array:
    """Convert bytes or values in 0..1 to brightness: (h, w) or (h, w, 3) -> (h, w) in 0..1."""
    if image.ndim == 2 and image.dtype == np.uint8:  # one pass instead of three
        return np.asarray(np.divide(image, np.float32(255), dtype=np.float32))
    grey = image @ _REC_601 if image.ndim == 3 else image
    scale = np.float32(255 if image.dtype == np.uint8 else 1)
    bright: Array = np.clip(grey.astype(np.float32) / scale, 0, 1)
    return bright


def flatten_alpha(grey: Array, alpha: Array) -> Array:
    """Put a picture with transparency on the background that leaves its ink visible.

    If ink and paper are both drawn, the paper (their median) continues behind the transparent
    parts. If only ink is drawn, it is put on white if it is dark and on black if it is light.

    Args:
        grey: (h, w) brightness in 0..1.
        alpha: (h, w), 0 transparent to 1 opaque.

    Returns:
        (h, w) float32.
    """
    if alpha.min() >= 1:
        return grey.astype(np.float32)
    return (grey * alpha + _backdrop(grey, alpha) * (1 - alpha)).astype(np.float32)


def _backdrop(grey: Array, alpha: Array) -> float:
    drawn = grey[alpha > 0.5]
    if drawn.size == 0:
        drawn = grey[alpha > 0]
    if drawn.size == 0:
        return 1.0
    if drawn.std() > _MAX_INK_DEVIATION:
        return float(np.median(drawn))
    return 0.0 if drawn.mean() > 0.5 else 1.0


def _channels_last(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """To (h, w, c); a leading axis of 1 (a batch of one, or PyTorch's channel) is dropped."""
    image = array[0] if array.ndim == 4 and array.shape[0] == 1 else array
    if image.ndim == 3 and image.shape[0] == 1 and image.shape[2] > 4:
        image = image[0]
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or not 1 <= image.shape[2] <= 4 or image.size == 0:
        raise InputError(
            "an image array has shape (h, w) or (h, w, channels) with 1 to 4 channels and at "
            f"least one pixel. Received: shape={array.shape}"
        )
    return image


def _unit_range(image: npt.NDArray[Any]) -> Array:
    """Numbers to 0..1 by the range they come in: 0..1, 0..255, 0..65535, or their own."""
    low, high = float(image.min()), float(image.max())
    if image.dtype.kind == "f" and low >= -_MAX_OVERSHOOT and high <= 1 + _MAX_OVERSHOOT:
        return np.asarray(np.clip(image, 0, 1), np.float32)
    ceilings = (1.0, 255.0, 65535.0) if image.dtype.kind in "ui" else (1.0, 255.0)
    for ceiling in ceilings:
        if low >= 0 and high <= ceiling:
            return (image / np.float64(ceiling)).astype(np.float32)
    if low == high:
        return np.zeros(image.shape, np.float32)
    halved = image.astype(np.float64) / 2  # the span of the largest floats is infinite
    return ((halved - low / 2) / (high / 2 - low / 2)).astype(np.float32)
