"""New variants of pictures for training: bent, turned, moved, sheared, zoomed; then damaged.

All that moves pixels is one map, so every picture is resampled once and blurred once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

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
    """Noise, loss of focus, and parts that are hidden; call it as ``augment(images, rng)``.

    Hidden parts: DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks
    with Cutout" (2017).

    Attributes:
        share: which share of the pictures suffers each kind of damage.
        noise: the strongest standard deviation.
        cutout: the longest side of what is hidden, in pixels.
    """

    share: float = 0.25
    noise: float = 0.3
    cutout: int = 10

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
        for number, suffers in enumerate(rng.random((len(images), 3)) < self.share):
            picture = damaged[number, ..., 0]
            if suffers[0]:
                ndimage.gaussian_filter(picture, rng.uniform(0.4, 1), output=picture)
            if suffers[1]:
                self._hide(picture, rng)
            if suffers[2]:
                grain = rng.standard_normal(picture.shape, np.float32)
                damaged[number, ..., 0] += np.float32(rng.uniform(0, self.noise)) * grain
        return np.clip(damaged, 0, 1, out=damaged)

    def _hide(self, picture: NDArray[np.float32], rng: np.random.Generator) -> None:
        """Set a rectangle to one value, which may be paper, ink, or between."""
        sides = rng.integers(2, self.cutout + 1, 2)
        top, left = (
            int(rng.integers(1 - s, size)) for s, size in zip(sides, picture.shape, strict=False)
        )
        rows, columns = slice(max(top, 0), top + sides[0]), slice(max(left, 0), left + sides[1])
        picture[rows, columns] = np.clip(rng.uniform(-1, 1.3), 0, 1)
