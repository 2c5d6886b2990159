"""New variants of pictures for training: bent, turned, moved, sheared, zoomed; then damaged.

All that moves pixels is one map, so every picture is resampled once and blurred once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tinymnist.imaging.synthetic.damage import KINDS

_CONTROLS = 5
"""Control points of the elastic map to a side: a digit is bent as a whole, not crumpled."""


@dataclass(frozen=True)
class RandomDistortion:
    """A random affine and elastic map for each picture; call it as ``augment(images, rng)``.

    Elastic maps for training on MNIST: Simard, Steinkraus and Platt, "Best Practices for
    Convolutional Neural Networks Applied to Visual Document Analysis" (2003).

    Attributes:
        rotation_range: degrees to either side.
        shift_range: pixels to each of the four sides.
        shear_range: degrees to either side.
        zoom_range: 0.1 means between 1 / 1.1 and 1.1 times, for width and height apart.
        elastic: by how many pixels points of the picture move by themselves: the standard
            deviation, smooth over the picture.
    """

    rotation_range: float = 12.0
    shift_range: float = 2.0
    shear_range: float = 9.0
    zoom_range: float = 0.12
    elastic: float = 0.0

    def __call__(
        self, images: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Draw a variant of every picture.

        Args:
            images: (n, h, w, 1), dark outside.
            rng: where the variants come from.

        Returns:
            A new array of the same shape and dtype, within the range of the old one.
        """
        varied = np.empty_like(images)
        for image, places, out in zip(images, self._places(images, rng), varied, strict=True):
            ndimage.map_coordinates(image[..., 0], places, output=out[..., 0], order=1)
        return varied

    def _places(self, images: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
        """For every pixel of a result, the (row, column) it shows: (n, 2, h, w)."""
        n, h, w, _ = images.shape
        centre = np.array([h - 1, w - 1]) / 2
        grid = np.indices((h, w)).reshape(2, h * w) - centre[:, None]
        places = self._matrices(n, rng) @ grid  # (n, 2, 2) @ (2, h*w) -> (n, 2, h*w)
        shifts = rng.uniform(-self.shift_range, self.shift_range, (n, 2))
        places += (centre + shifts)[..., None]
        places = places.reshape(n, 2, h, w)
        if self.elastic:
            moves = rng.normal(0, self.elastic, (n, 2, _CONTROLS, _CONTROLS))
            places += _hats(h) @ moves @ _hats(w).T
        return places

    def _matrices(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Rotation @ shear @ zoom for each picture: (n, 2, 2), over (row, column)."""
        turn = np.deg2rad(rng.uniform(-self.rotation_range, self.rotation_range, n))
        shear = np.tan(np.deg2rad(rng.uniform(-self.shear_range, self.shear_range, n)))
        limit = np.log1p(self.zoom_range)
        zoom = np.exp(rng.uniform(-limit, limit, (n, 2)))
        cos, sin = np.cos(turn), np.sin(turn)
        rotation = np.array([[cos, -sin], [sin, cos]])  # (2, 2, n)
        sheared = np.stack([rotation[:, 0], rotation[:, 0] * shear + rotation[:, 1]], axis=1)
        return np.moveaxis(sheared, -1, 0) * zoom[:, None, :]


def _hats(side: int) -> NDArray[np.float64]:
    """How much each pixel follows each control point: (side, controls), rows summing to 1."""
    distances = np.linspace(0, _CONTROLS - 1, side)[:, None] - np.arange(_CONTROLS)
    weights = np.exp(-2 * distances**2)
    shares: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return shares


@dataclass(frozen=True)
class RandomDamage:
    """Some of what is listed in ``imaging.damage``; call it as ``augment(images, rng)``.

    Attributes:
        share: which share of the pictures is damaged.
        twice: which share of the damaged ones suffers a second kind.
    """

    share: float = 0.55
    twice: float = 0.3

    def __call__(
        self, images: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Damage some of the pictures; the others are copied.

        Args:
            images: (n, h, w, 1) in 0..1.
            rng: where the choice comes from.

        Returns:
            A new array of the same shape and dtype, in 0..1.
        """
        damaged = images.copy()
        times = (rng.random(len(images)) < self.share) * (
            1 + (rng.random(len(images)) < self.twice)
        )
        for number in np.flatnonzero(times):
            for kind in rng.choice(
                len(KINDS), times[number], replace=False, p=list(KINDS.values())
            ):
                picture = list(KINDS)[kind](damaged[number, ..., 0], rng)
                damaged[number, ..., 0] = np.clip(picture, 0, 1)
        return damaged
