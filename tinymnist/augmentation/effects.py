"""Transforms that change values in place: stroke width, focus, light, noise, covered areas."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tinymnist.augmentation.compose import Images, Limits, Transform, per_image
from tinymnist.imaging.digit.strokes import dilate

_DISC = 1.5
"""The radius, from the centre of a pixel, of a disc that covers its four neighbours."""


@dataclass(frozen=True)
class StrokeWidth(Transform):
    """Thicker and thinner pens, by grey dilation and erosion with a disc.

    Attributes:
        thinner, thicker: how far, in pixels up to 1, the edge of a stroke may move in or out.
    """

    limits: ClassVar[Limits] = {"thinner": (0, 1), "thicker": (0, 1)}

    thinner: float = 0.5
    thicker: float = 0.7

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        moves = rng.uniform(-self.thinner, self.thicker, len(images))
        planes = np.moveaxis(images, -1, 1)  # (n, c, h, w)
        goals = [
            [_by_one_pixel(plane, move > 0) for plane in image]
            for image, move in zip(planes, moves, strict=True)
        ]
        varied = np.moveaxis(np.array(goals, images.dtype), 1, -1) - images
        varied *= per_image(np.abs(moves), images)  # a fraction of a pixel: interpolate
        varied += images
        return varied


def _by_one_pixel(plane: Images, thicker: bool) -> Images:
    """Dilate or erode light strokes by a pixel."""
    return dilate(plane, _DISC) if thicker else 1 - dilate(1 - plane, _DISC)


@dataclass(frozen=True)
class Blur(Transform):
    """Out of focus: a Gaussian blur.

    Attributes:
        low, high: limits of its standard deviation in pixels.
    """

    limits: ClassVar[Limits] = {"low": (0.01, math.inf)}

    low: float = 0.3
    high: float = 1.0

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        sigmas = rng.uniform(self.low, self.high, len(images))
        reach = int(4 * self.high + 0.5)  # weights beyond add up to less than 1e-4
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigmas[:, None]) ** 2)
        weights /= weights.sum(axis=1, keepdims=True)  # (n, taps)
        return _convolved(_convolved(images, weights, 1), weights, 2)


def _convolved(images: Images, weights: NDArray[np.float64], axis: int) -> Images:
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
class Contrast(Transform):
    """Distances from the image's mean, times a factor.

    Attributes:
        low, high: limits of the factor.
    """

    limits: ClassVar[Limits] = {"low": (0, math.inf)}

    low: float = 0.6
    high: float = 1.4

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        factors = per_image(rng.uniform(self.low, self.high, len(images)), images)
        mean = images.mean(axis=(1, 2, 3), keepdims=True)
        varied: Images = mean + factors * (images - mean)
        return varied


@dataclass(frozen=True)
class Gamma(Transform):
    """Values to a power, as in scanners and screens: black and white stay.

    Attributes:
        low, high: limits of the exponent, whose logarithm is uniformly distributed.
    """

    limits: ClassVar[Limits] = {"low": (0.01, math.inf)}

    low: float = 0.6
    high: float = 1.6

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        powers = np.exp(rng.uniform(np.log(self.low), np.log(self.high), len(images)))
        varied: Images = np.clip(images, 0, 1) ** per_image(powers, images)
        return varied


@dataclass(frozen=True)
class Noise(Transform):
    """Independent normal noise in every pixel.

    Attributes:
        strongest: upper limit of its standard deviation; the lower limit is 0.
    """

    limits: ClassVar[Limits] = {"strongest": (0, math.inf)}

    strongest: float = 0.2

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        return add_noise(
            images, per_image(rng.uniform(0, self.strongest, len(images)), images), rng
        )


@dataclass(frozen=True)
class Cutout(Transform):
    """Covers a rectangle; see :func:`cover_rectangle`.

    Attributes:
        longest: the longest side of the rectangle in pixels.
    """

    limits: ClassVar[Limits] = {"longest": (1, math.inf)}

    longest: int = 10

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        return np.stack([cover_rectangle(image, rng, self.longest) for image in images])


def add_noise(image: Images, deviation: Images | np.floating, rng: np.random.Generator) -> Images:
    """Add normal noise of a standard deviation to each value, in the image's dtype."""
    noisy: Images = image + deviation * rng.standard_normal(image.shape, image.dtype.type)
    return noisy


def cover_rectangle(image: Images, rng: np.random.Generator, longest: int = 10) -> Images:
    """Set a random rectangle to one value: background, ink, or in between.

    DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout"
    (2017).

    Args:
        image: (h, w) or (h, w, c) in 0..1.
        rng: the source of randomness.
        longest: the longest side in pixels; part of the rectangle may lie outside the image.

    Returns:
        A new image.
    """
    sides = rng.integers(2, longest + 1, 2)
    first = [int(rng.integers(1 - s, n)) for s, n in zip(sides, image.shape[:2], strict=True)]
    rows, columns = (slice(max(f, 0), f + s) for f, s in zip(first, sides, strict=True))
    covered = image.copy()
    covered[rows, columns] = np.clip(rng.uniform(-1, 1.3), 0, 1)
    return covered
