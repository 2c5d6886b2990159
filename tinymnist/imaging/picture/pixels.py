"""Pixel values of any kind to grey between 0 and 1.

Colours become the grey in which ink and paper differ: red on green can be of equal brightness.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinymnist.errors import InputError
from tinymnist.imaging.picture.otsu import split_at_otsu

Array: TypeAlias = npt.NDArray[np.float32]
Weights = npt.NDArray[np.float64]
"""How much red, green and blue count: (3,)."""

_REC_601 = np.array([0.299, 0.587, 0.114], np.float32)
"""The share of red, green and blue in perceived brightness (ITU-R BT.601)."""
_MAX_OVERSHOOT = 0.25  # floats this far outside 0..1 count as within, as after a bicubic resize
_MAX_INK_DEVIATION = 0.1
"""Standard deviation of brightness above which opaque pixels are both ink and paper."""
_SAMPLE_SIDE = 96  # pixels on the longer side of the picture from which the grey is chosen
_MIN_COLOURFULNESS = 0.03  # mean range of the channels (0..1); below it, a picture is grey anyway
_MIN_GAIN = 2.0  # another grey replaces brightness only if it separates this many times better,
_CLEAR_SEPARATION = 0.2  # and only if brightness separates ink and paper by less than this


def grey_of_array(array: npt.NDArray[Any]) -> Array:
    """Convert an array that may be an image to grey, as displayed.

    Args:
        array: (h, w), (h, w, 1..4), (1, h, w) or (1, h, w, 1..4); booleans, integers or floats.

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
    if channels == 3:
        return grey_of_colours(values)
    if channels == 4:
        return grey_of_rgba(values[..., :3], values[..., 3])
    grey = values[..., 0]
    return flatten_alpha(grey, values[..., -1]) if channels == 2 else grey.copy()


def luminance(image: npt.NDArray[Any]) -> Array:
    """Convert bytes or values in 0..1 to brightness: (h, w) or (h, w, 3) -> (h, w) in 0..1."""
    if image.ndim == 2 and image.dtype == np.uint8:  # one pass instead of three
        return np.asarray(np.divide(image, np.float32(255), dtype=np.float32))
    grey = image @ _REC_601 if image.ndim == 3 else image
    scale = np.float32(255 if image.dtype == np.uint8 else 1)
    bright: Array = np.clip(grey.astype(np.float32) / scale, 0, 1)
    return bright


def grey_of_colours(colours: npt.NDArray[Any]) -> Array:
    """Convert (h, w, 3) bytes, or floats in 0..1, to the grey (h, w) that shows the ink best.

    That is brightness, unless other weights separate ink and paper much better.
    """
    weights = separating_weights(colours)
    return luminance(colours) if weights is None else weigh(colours, weights)


def grey_of_rgba(colours: npt.NDArray[Any], alpha: Array) -> Array:
    """Convert (h, w, 3) bytes, or floats in 0..1, and alpha (h, w) in 0..1 to grey (h, w).

    Transparent parts show the background of :func:`flatten_alpha`, or if ink and paper are both
    drawn in colours of one brightness, the paper's colour. Then it is as :func:`grey_of_colours`.
    """
    if alpha.min() >= 1:
        return grey_of_colours(colours)
    grey = luminance(colours)
    drawn = colours[alpha > 0.5]
    unit = np.float32(255 if colours.dtype == np.uint8 else 1)
    if len(drawn) and (drawn.std(0) > _MAX_INK_DEVIATION * unit).any():
        ground = np.median(drawn, axis=0) / unit
        cover = alpha[..., None]
        composed = np.asarray(colours / unit * cover + ground * (1 - cover), np.float32)
        if (weights := separating_weights(composed)) is not None:
            return weigh(composed, weights)
    return flatten_alpha(grey, alpha)


def separating_weights(colours: npt.NDArray[Any]) -> Weights | None:
    """Find weights that separate ink and paper much better than brightness; None if none do.

    Candidates are the three channels, and the direction in which the colours of the picture vary
    most (their first principal component).
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
    separations = [_separation(grey) for _, grey in candidates]
    most = max(separations)
    return candidates[separations.index(most)][0] if most > _MIN_GAIN * bright else None


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


def flatten_alpha(grey: Array, alpha: Array) -> Array:
    """Put a picture with transparency on the background that leaves its ink visible.

    If ink and paper are both drawn, the paper (their median) continues behind the transparent
    parts. If only ink is drawn, it is put on white if it is dark and on black if it is light.
    Both arguments are (h, w); alpha is 0 where the picture is transparent and 1 where opaque.
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
    for ceiling in (1.0, 255.0, 65535.0)[: 3 if image.dtype.kind in "ui" else 2]:
        if low >= 0 and high <= ceiling:
            return (image / np.float64(ceiling)).astype(np.float32)
    if low == high:
        return np.zeros(image.shape, np.float32)
    halved = image.astype(np.float64) / 2  # the span of the largest floats is infinite
    return ((halved - low / 2) / (high / 2 - low / 2)).astype(np.float32)
