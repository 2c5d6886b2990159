"""Transforms beyond Keras's generator: stroke width, focus, light, noise, holes, deformation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tinymnist.augmentation.compose import Images, Transform, map_planes, per_image
from tinymnist.augmentation.resample import Places, resample
from tinymnist.imaging.digit.filters import dilate

_DISC = 1.5  # the radius, from the centre of a pixel, of a disc that covers its four neighbours


@dataclass(frozen=True)
class StrokeWidth(Transform, thinner=(0, 1), thicker=(0, 1)):
    """Thicker and thinner pens, by grey dilation and erosion with a disc.

    Attributes:
        thinner, thicker: how far, in pixels up to 1, the edge of a stroke may move in or out.
    """

    thinner: float = 0.5
    thicker: float = 0.7

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        moves = rng.uniform(-self.thinner, self.thicker, len(images))

        def by_one_pixel(plane: Images, i: int) -> Images:
            return dilate(plane, _DISC) if moves[i] > 0 else 1 - dilate(1 - plane, _DISC)

        varied = map_planes(by_one_pixel, images) - images
        varied *= per_image(np.abs(moves), images)  # a fraction of a pixel: interpolate
        varied += images
        return varied


@dataclass(frozen=True)
class Blur(Transform, low=(0.01, math.inf)):
    """Out of focus: a Gaussian blur with a standard deviation of low..high pixels."""

    low: float = 0.3
    high: float = 1.0

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        sigmas = rng.uniform(self.low, self.high, len(images))
        reach = int(4 * self.high + 0.5)  # weights beyond add up to less than 1e-4
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigmas[:, None]) ** 2)
        weights /= weights.sum(axis=1, keepdims=True)  # (n, taps)
        return _convolved(_convolved(images, weights, 1), weights, 2)


def _convolved(images: Images, weights: Places, axis: int) -> Images:
    """Convolve along one axis, each image with its own weights; mirrored at the border."""
    taps, size = weights.shape[1], images.shape[axis]
    margins = [(taps // 2, taps // 2) if i == axis else (0, 0) for i in range(4)]
    padded = np.moveaxis(np.pad(images, margins, mode="symmetric"), axis, 0)
    shifted = np.moveaxis(images, axis, 0)
    total = np.zeros_like(shifted)
    for tap in range(taps):
        total += padded[tap : tap + size] * per_image(weights[:, tap], images)[:, 0]
    return np.moveaxis(total, 0, axis)


@dataclass(frozen=True)
class Contrast(Transform, low=(0, math.inf)):
    """Distances from the image's mean, times a factor in low..high."""

    low: float = 0.6
    high: float = 1.4

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        factors = per_image(rng.uniform(self.low, self.high, len(images)), images)
        mean = images.mean(axis=(1, 2, 3), keepdims=True)
        varied: Images = mean + factors * (images - mean)
        return varied


@dataclass(frozen=True)
class Gamma(Transform, low=(0.01, math.inf)):
    """Values to a power in low..high, log-uniform, as in scanners; black and white stay."""

    low: float = 0.6
    high: float = 1.6

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        powers = np.exp(rng.uniform(np.log(self.low), np.log(self.high), len(images)))
        varied: Images = np.clip(images, 0, 1) ** per_image(powers, images)
        return varied


@dataclass(frozen=True)
class Noise(Transform, strongest=(0, math.inf)):
    """Independent normal noise in every pixel, with a standard deviation of 0..``strongest``."""

    strongest: float = 0.2

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        deviations = per_image(rng.uniform(0, self.strongest, len(images)), images)
        return images + deviations * rng.standard_normal(images.shape, images.dtype.type)


@dataclass(frozen=True)
class Cutout(Transform, longest=(1, math.inf)):
    """Covers a rectangle with sides of up to ``longest`` pixels; see :func:`cover_rectangle`."""

    longest: int = 10

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        return np.stack([cover_rectangle(image, rng, self.longest) for image in images])


def cover_rectangle(image: Images, rng: np.random.Generator, longest: int = 10) -> Images:
    """Set a random rectangle to one value: background, ink, or in between.

    DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout"
    (2017). Images are (h, w) or (h, w, c) in 0..1. Sides have 2..``longest`` pixels; part of the
    rectangle may lie outside.
    """
    sides = rng.integers(2, longest + 1, 2)
    first = [int(rng.integers(1 - s, n)) for s, n in zip(sides, image.shape[:2], strict=True)]
    rows, columns = (slice(max(f, 0), f + s) for f, s in zip(first, sides, strict=True))
    covered = image.copy()
    covered[rows, columns] = np.clip(rng.uniform(-1, 1.3), 0, 1)
    return covered


@dataclass(frozen=True)
class Elastic(Transform, sigma=(0.01, math.inf)):
    """Moves every pixel a little, neighbours together, as handwriting varies.

    Simard, Steinkraus and Platt, "Best Practices for Convolutional Neural Networks Applied to
    Visual Document Analysis" (2003): a uniform number in -1..1 for each pixel and direction,
    smoothed by a Gaussian of ``sigma`` pixels, times ``alpha``. Their 34 and 4 move the pixels of
    a 28x28 image by 1.4 pixels (standard deviation) in each direction. ``fill_mode`` and ``cval``
    fill the outside, as in ``resample``.
    """

    alpha: float = 34.0
    sigma: float = 4.0
    fill_mode: str = "nearest"
    cval: float = 0.0

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        n, h, w, _ = images.shape
        noise = rng.uniform(-1, 1, (n, 2, h, w))
        moves = self.alpha * (_smoothing(h, self.sigma) @ noise @ _smoothing(w, self.sigma))
        return resample(images, np.indices((h, w)) + moves, self.fill_mode, self.cval)


def _smoothing(side: int, sigma: float) -> Places:
    """A matrix that convolves ``side`` numbers with a Gaussian; there are zeros beyond the ends."""
    reach = int(6 * sigma) + 1
    total = gaussian_weights(np.arange(-reach, reach + 1.0), np.zeros(1), sigma).sum()
    pixels = np.arange(float(side))
    smoothing: Places = gaussian_weights(pixels, pixels, sigma) / total
    return smoothing


def gaussian_weights(places: Places, centres: Places, sigma: float) -> Places:
    """``exp(-d^2 / (2 sigma^2))`` for the distance d of each place from each centre: (n, k)."""
    weights: Places = np.exp(-0.5 * ((places[:, None] - centres) / sigma) ** 2)
    return weights


@dataclass(frozen=True)
class Perspective(Transform, strength=(0, 0.49)):
    """The paper as seen by a camera held at an angle.

    Attributes:
        strength: how far each corner may move, as a fraction of the sides; below one half.
        fill_mode, cval: what fills the outside, as in ``resample``.
    """

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
    """The maps (n, 3, 3) that take four points (4, 2), no three on a line, to ``goals`` (n, 4, 2).

    A homography takes (r, c) to (a r + b c + d, e r + f c + g) / (p r + q c + 1). Multiplied by the
    denominator, each point gives two linear equations for the eight unknowns.
    """
    n = len(goals)
    equations = np.zeros((n, 4, 2, 8))
    for axis in (0, 1):
        equations[:, :, axis, 3 * axis : 3 * axis + 2] = corners
        equations[:, :, axis, 3 * axis + 2] = 1
        equations[:, :, axis, 6:] = -corners * goals[..., axis, None]
    unknowns = np.linalg.solve(equations.reshape(n, 8, 8), goals.reshape(n, 8, 1))[..., 0]
    return np.concatenate([unknowns, np.ones((n, 1))], axis=1).reshape(n, 3, 3)
