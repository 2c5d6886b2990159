"""What Keras's generator does to pixel values: brightness, centring and scaling."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.memory import checksum

Images = NDArray[Any]

_EPSILON = 1e-6  # Keras adds this to every standard deviation


def shift_channels(images: Images, intensities: NDArray[Any]) -> Images:
    """Add ``intensities`` (n,) to images (n, h, w, c), clipped to each image's own range."""
    shifted = np.clip(images + intensities.reshape(-1, 1, 1, 1), *_limits(images))
    kept: Images = shifted.astype(images.dtype)
    return kept


def brighten(images: Images, factors: NDArray[Any]) -> Images:
    """Multiply images by a factor each, in integers of 0..255, as Keras does.

    Keras converts to a Pillow image of bytes, so fractions are cut off before and after. Images in
    0..1 become black; a warning suggests 0..255 with ``rescale``. Images with values outside of
    0..255 are scaled to that range, and back. The fourth of four channels is opacity and stays.
    """
    values = images.astype(np.float32)
    if values.size and 0 < values.max() <= 1:
        warnings.warn(
            "brightness_range rounds to integers, as in Keras, which turns images in 0..1 black: "
            "use images in 0..255 and rescale=1/255",
            stacklevel=2,
        )
    lowest, highest = _limits(values)
    stretched = (lowest < 0) | (highest > 255)
    span = highest - lowest
    unit = (values - lowest) / np.where(span > 0, span, 1) * np.float32(255)
    whole = np.trunc(np.where(stretched, unit, values))
    opaque = slice(0, 3 if images.shape[3] == 4 else None)
    scaled = whole[..., opaque] * factors.astype(np.float32).reshape(-1, 1, 1, 1)
    whole[..., opaque] = np.trunc(np.clip(scaled, 0, 255))
    back: Images = np.where(stretched, whole / 255 * span + lowest, whole)
    return back.astype(np.float32, copy=False)


def _limits(images: Images) -> tuple[Images, Images]:
    """The lowest and the highest value of each image: (n, 1, 1, 1)."""
    return images.min((1, 2, 3), keepdims=True), images.max((1, 2, 3), keepdims=True)


@dataclass
class Standardization:
    """Keras's settings, in the order in which they apply, and the statistics from :meth:`fit`.

    Attributes:
        featurewise_center: part of ``featurewise_std_normalization`` and ``zca_whitening`` too.
        zca_epsilon: limits the gain of directions with little variance.
        mean, std: (1, 1, c).
        whitening: (h * w * c, h * w * c).
    """

    preprocessing_function: Callable[[Images], Images] | None = None
    rescale: float | None = None
    samplewise_center: bool = False
    samplewise_std_normalization: bool = False
    featurewise_center: bool = False
    featurewise_std_normalization: bool = False
    zca_whitening: bool = False
    zca_epsilon: float = 1e-6
    mean: Images | None = None
    std: Images | None = None
    whitening: Images | None = None

    def plan(self) -> dict[str, Any]:
        """Everything the result depends on, as plain values for a checkpoint to compare."""
        settings = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in settings.items():
            if isinstance(value, np.ndarray):
                settings[name] = checksum([value])
            elif callable(value):
                settings[name] = getattr(value, "__qualname__", type(value).__qualname__)
        return settings

    def fit(self, images: Images) -> None:
        """Compute the statistics that the settings need from float images (n, h, w, c).

        Keras's whitening is ``U diag(sqrt(n) / (s + zca_epsilon)) U^T``, with the singular value
        decomposition ``X^T = U diag(s) V^T`` of the flattened images.
        """
        if self.featurewise_center:
            self.mean = np.mean(images, axis=(0, 1, 2)).reshape(1, 1, -1)
            images = images - self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(images, axis=(0, 1, 2)).reshape(1, 1, -1)
            images = images / (self.std + _EPSILON)
        if self.zca_whitening:
            flat = images.reshape(len(images), -1)
            u, s, _ = np.linalg.svd(flat.T, full_matrices=False)
            self.whitening = (u * (np.sqrt(len(flat)) / (s + self.zca_epsilon))) @ u.T

    def apply(self, images: Images, over: tuple[int, ...]) -> Images:
        """Standardize float images (n, h, w, c), in place except for ZCA whitening.

        ``over`` are the axes of a "sample": (1, 2, 3) for single images.
        """
        if self.preprocessing_function is not None:
            for picture in images:
                picture[...] = self.preprocessing_function(picture)
        if self.rescale:
            images *= self.rescale
        if self.samplewise_center:
            images -= images.mean(axis=over, keepdims=True)
        if self.samplewise_std_normalization:
            images /= images.std(axis=over, keepdims=True) + _EPSILON
        if self.featurewise_center and self.mean is None:
            warnings.warn(
                "featurewise settings need statistics of the training set: call "
                "generator.fit(images) first. Until then they have no effect, as in Keras",
                stacklevel=2,
            )
        if self.mean is not None:
            images -= self.mean
        if self.std is not None:
            images /= self.std + _EPSILON
        if self.whitening is not None:
            images = (images.reshape(len(images), -1) @ self.whitening).reshape(images.shape)
        return images
