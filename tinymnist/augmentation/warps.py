"""Transforms that move pixels, beyond Keras's generator: elastic deformation and perspective."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tinymnist.augmentation.compose import Images, Limits, Transform
from tinymnist.augmentation.resample import resample

Places = NDArray[np.float64]


@dataclass(frozen=True)
class Elastic(Transform):
    """Moves every pixel a little, neighbours together, as handwriting varies.

    Simard, Steinkraus and Platt, "Best Practices for Convolutional Neural Networks Applied to
    Visual Document Analysis" (2003): a uniform number in -1..1 for each pixel and direction,
    smoothed by a Gaussian of ``sigma`` pixels, times ``alpha``. Their 34 and 4 move the pixels of
    a 28x28 image by 1.4 pixels (standard deviation) in each direction.

    Attributes:
        alpha: strength of the displacement.
        sigma: over how many pixels the displacement is smoothed.
        fill_mode, cval: what fills the outside, as in ``resample``.
    """

    limits: ClassVar[Limits] = {"sigma": (0.01, math.inf)}

    alpha: float = 34.0
    sigma: float = 4.0
    fill_mode: str = "nearest"
    cval: float = 0.0

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        n, h, w, _ = images.shape
        noise = rng.uniform(-1, 1, (n, 2, h, w))
        moves = self.alpha * (_smoothing(h, self.sigma) @ noise @ _smoothing(w, self.sigma))
        places = np.indices((h, w)) + moves
        return resample(images, places, self.fill_mode, self.cval)


@dataclass(frozen=True)
class Perspective(Transform):
    """The paper as seen by a camera held at an angle.

    Attributes:
        strength: how far each corner may move, as a fraction of the sides; below one half.
        fill_mode, cval: what fills the outside, as in ``resample``.
    """

    limits: ClassVar[Limits] = {"strength": (0, 0.49)}

    strength: float = 0.1
    fill_mode: str = "nearest"
    cval: float = 0.0

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        n, h, w, _ = images.shape
        corners = np.array([[0, 0], [0, w], [h, 0], [h, w]]) - 0.5
        moves = rng.uniform(-self.strength, self.strength, (n, 4, 2)) * (h, w)
        maps = homographies(corners, corners + moves)
        grid = np.stack([*np.indices((h, w)).reshape(2, -1), np.ones(h * w)])  # (3, h*w)
        seen = maps @ grid  # (n, 3, 3) @ (3, h*w) -> (n, 3, h*w)
        places = (seen[:, :2] / seen[:, 2:]).reshape(n, 2, h, w)
        return resample(images, places, self.fill_mode, self.cval)


def homographies(corners: Places, goals: Places) -> Places:
    """The maps that take four points to given places.

    A homography takes (r, c) to (a r + b c + d, e r + f c + g) / (p r + q c + 1). Multiplied by the
    denominator, each point gives two linear equations for the eight unknowns.

    Args:
        corners: (4, 2), no three on a line.
        goals: (n, 4, 2).

    Returns:
        (n, 3, 3), with 1 as the last entry of each.
    """
    n = len(goals)
    equations = np.zeros((n, 4, 2, 8))
    for axis in (0, 1):
        equations[:, :, axis, 3 * axis : 3 * axis + 2] = corners
        equations[:, :, axis, 3 * axis + 2] = 1
        equations[:, :, axis, 6:] = -corners * goals[..., axis, None]
    unknowns = np.linalg.solve(equations.reshape(n, 8, 8), goals.reshape(n, 8, 1))[..., 0]
    return np.concatenate([unknowns, np.ones((n, 1))], axis=1).reshape(n, 3, 3)


def gaussian_weights(places: Places, centres: Places, sigma: float) -> Places:
    """``exp(-d^2 / (2 sigma^2))`` for the distance d of each place from each centre: (n, k)."""
    weights: Places = np.exp(-0.5 * ((places[:, None] - centres) / sigma) ** 2)
    return weights


def _smoothing(side: int, sigma: float) -> Places:
    """A matrix that convolves ``side`` numbers with a Gaussian; there are zeros beyond the ends."""
    reach = int(6 * sigma) + 1
    total = gaussian_weights(np.arange(-reach, reach + 1.0), np.zeros(1), sigma).sum()
    pixels = np.arange(float(side))
    smoothing: Places = gaussian_weights(pixels, pixels, sigma) / total
    return smoothing
