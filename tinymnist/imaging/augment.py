"""New variants of pictures for training: each is turned, moved, sheared and zoomed a little.

All four together are one affine map, so every picture is resampled once and blurred once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@dataclass(frozen=True)
class RandomAffine:
    """A random affine map for each picture; call it as ``augment(images, rng)``.

    Attributes:
        rotation_range: degrees to either side.
        shift_range: pixels to each of the four sides.
        shear_range: degrees to either side.
        zoom_range: 0.1 means between 1 / 1.1 and 1.1 times, for width and height apart.
    """

    rotation_range: float = 12.0
    shift_range: float = 2.0
    shear_range: float = 9.0
    zoom_range: float = 0.12

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
        n, h, w, _ = images.shape
        centre = np.array([h - 1, w - 1]) / 2
        matrices = self._matrices(n, rng)
        shifts = rng.uniform(-self.shift_range, self.shift_range, (n, 2))
        varied = np.empty_like(images)
        for image, matrix, shift, out in zip(images, matrices, shifts, varied, strict=True):
            # A pixel p of the result shows what lies at matrix @ (p - centre) + centre + shift.
            offset = centre + shift - matrix @ centre
            ndimage.affine_transform(image[..., 0], matrix, offset, output=out[..., 0], order=1)
        return varied

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
