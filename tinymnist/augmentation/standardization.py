"""Centring and scaling of values, sample by sample or by what a training set is like."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.checksum import checksum

Images = NDArray[Any]

_SMALL = 1e-6
"""Keras adds this to every standard deviation."""


@dataclass
class Standardization:
    """Keras's settings, in the order in which they act, and what :meth:`fit` found.

    Attributes:
        preprocessing_function: from one picture (h, w, c) to another of that shape.
        rescale: a factor.
        samplewise_center, samplewise_std_normalization: each picture by its own mean and spread.
        featurewise_center, featurewise_std_normalization: by those of each channel in the
            training set.
        zca_whitening: whether neighbouring pixels are made independent of each other; it needs a
            matrix of (h * w * c)^2 numbers.
        zca_epsilon: keeps directions without variance from being blown up.
        mean, std: (1, 1, c), from :meth:`fit`.
        whitening: (h * w * c, h * w * c), from :meth:`fit`.
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

    @property
    def needs_fit(self) -> bool:
        """Whether any setting depends on a training set."""
        return self.featurewise_center or self.featurewise_std_normalization or self.zca_whitening

    def plan(self) -> dict[str, Any]:
        """What the result depends on, for a checkpoint to compare: plain values by setting."""
        settings = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in settings.items():
            if isinstance(value, np.ndarray):
                settings[name] = checksum([value])
            elif callable(value):
                settings[name] = getattr(value, "__qualname__", type(value).__qualname__)
        return settings

    def fit(self, images: Images) -> None:
        """Measure what the featurewise settings need on float pictures (n, h, w, c).

        The whitening is Keras's, ``U diag(sqrt(n) / (s + zca_epsilon)) U^T`` by the singular value
        decomposition ``X^T = U diag(s) V^T`` of the pictures as rows.
        """
        if self.featurewise_center:
            self.mean = np.mean(images, axis=(0, 1, 2)).reshape(1, 1, -1)
            images = images - self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(images, axis=(0, 1, 2)).reshape(1, 1, -1)
            images = images / (self.std + _SMALL)
        if self.zca_whitening:
            flat = images.reshape(len(images), -1)
            u, s, _ = np.linalg.svd(flat.T, full_matrices=False)
            self.whitening = (u * (np.sqrt(len(flat)) / (s + self.zca_epsilon))) @ u.T

    def apply(self, images: Images, over: tuple[int, ...]) -> Images:
        """Standardize float pictures (n, h, w, c), in place where that is possible.

        Args:
            images: a batch that belongs to the caller.
            over: the axes that "samplewise" takes the mean over: (1, 2, 3) for each picture.

        Returns:
            (n, h, w, c): the same array, or a new one after ZCA whitening.
        """
        if self.preprocessing_function is not None:
            for picture in images:
                picture[...] = self.preprocessing_function(picture)
        if self.rescale:
            images *= self.rescale
        if self.samplewise_center:
            images -= images.mean(axis=over, keepdims=True)
        if self.samplewise_std_normalization:
            images /= images.std(axis=over, keepdims=True) + _SMALL
        if self.featurewise_center and self._knows("mean"):
            images -= self.mean
        if self.featurewise_std_normalization and self._knows("std"):
            images /= self.std + _SMALL  # type: ignore[operator]
        if self.zca_whitening and self._knows("whitening"):
            images = (images.reshape(len(images), -1) @ self.whitening).reshape(images.shape)
        return images

    def _knows(self, figure: str) -> bool:
        if getattr(self, figure) is None:
            warnings.warn(
                "featurewise settings need figures of the training set: call generator.fit(images) "
                "first. Until then they are left out, as in Keras",
                stacklevel=3,
            )
            return False
        return True
