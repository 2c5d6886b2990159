"""The distortion that the shipped models and fine-tuning learn from.

Rotation, shift, shear, zoom and bending form a single map, so each image is resampled (and thereby
blurred) only once. SciPy interpolates: ``resample`` is faster but rounds differently, and a
training would no longer end in the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tinymnist.augmentation.warps import gaussian_weights

_CONTROLS = 5
"""Control points of the elastic map per side: few, so that a digit bends as a whole."""


@dataclass(frozen=True)
class RandomDistortion:
    """A random affine and elastic map for each image; call it as ``augment(images, rng)``.

    Elastic maps for training on MNIST: Simard, Steinkraus and Platt, "Best Practices for
    Convolutional Neural Networks Applied to Visual Document Analysis" (2003).

    Attributes:
        rotation_range: degrees in either direction.
        shift_range: pixels in each of the four directions.
        shear_range: degrees in either direction.
        zoom_range: 0.1 means between 1 / 1.1 and 1.1 times, for width and height independently.
        elastic: standard deviation, in pixels, of a smooth random displacement.
    """

    rotation_range: float = 12.0
    shift_range: float = 2.0
    shear_range: float = 9.0
    zoom_range: float = 0.12
    elastic: float = 0.0

    def __call__(
        self, images: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Draw a variant of every image.

        Args:
            images: (n, h, w, 1); the area outside is taken as 0.
            rng: the source of randomness.

        Returns:
            A new array of the same shape and dtype, within the range of the input.
        """
        varied = np.empty_like(images)
        for image, places, out in zip(images, self._places(images, rng), varied, strict=True):
            ndimage.map_coordinates(image[..., 0], places, output=out[..., 0], order=1)
        return varied

    def _places(self, images: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
        """The (row, column) to sample for every pixel of the output: (n, 2, h, w)."""
        n, h, w, _ = images.shape
        centre = np.array([h - 1, w - 1]) / 2
        grid = np.indices((h, w)).reshape(2, h * w) - centre[:, None]
        places = self._matrices(n, rng) @ grid  # (n, 2, 2) @ (2, h*w) -> (n, 2, h*w)
        shifts = rng.uniform(-self.shift_range, self.shift_range, (n, 2))
        places += (centre + shifts)[..., None]
        places = places.reshape(n, 2, h, w)
        if self.elastic:
            moves = rng.normal(0, self.elastic, (n, 2, _CONTROLS, _CONTROLS))
            places += _influence(h) @ moves @ _influence(w).T
        return places

    def _matrices(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Rotation @ shear @ zoom for each image: (n, 2, 2), over (row, column)."""
        turn = np.deg2rad(rng.uniform(-self.rotation_range, self.rotation_range, n))
        shear = np.tan(np.deg2rad(rng.uniform(-self.shear_range, self.shear_range, n)))
        limit = np.log1p(self.zoom_range)
        zoom = np.exp(rng.uniform(-limit, limit, (n, 2)))
        cos, sin = np.cos(turn), np.sin(turn)
        rotation = np.array([[cos, -sin], [sin, cos]])  # (2, 2, n)
        sheared = np.stack([rotation[:, 0], rotation[:, 0] * shear + rotation[:, 1]], axis=1)
        return np.moveaxis(sheared, -1, 0) * zoom[:, None, :]


def _influence(side: int) -> NDArray[np.float64]:
    """The weight of each control point for each pixel: (side, controls), rows summing to 1."""
    pixels = np.linspace(0, _CONTROLS - 1, side)
    weights = gaussian_weights(pixels, np.arange(float(_CONTROLS)), sigma=0.5)
    shares: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return shares
