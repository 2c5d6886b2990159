"""Transforms that change values where they are: strokes, focus, light, dirt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tinymnist.augmentation.compose import Images, Limits, Transform, per_picture
from tinymnist.imaging.digit.strokes import grown
from tinymnist.imaging.synthetic.damage import hidden

Numbers = NDArray[np.float64]

_DISC = 1.5
"""The radius, from the middle of a pixel, of a disc that covers its four neighbours."""


@dataclass(frozen=True)
class StrokeWidth(Transform):
    """Thicker and thinner pens, by grey dilation and erosion with a disc.

    Attributes:
        thinner, thicker: by how many pixels, at most 1, the edge of a light stroke may move in or
            out.
    """

    limits: ClassVar[Limits] = {"thinner": (0, 1), "thicker": (0, 1)}

    thinner: float = 0.5
    thicker: float = 0.7

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        moves = rng.uniform(-self.thinner, self.thicker, len(images))
        planes = np.moveaxis(images, -1, 1)  # (n, c, h, w)
        goals = [
            [_one_pixel(plane, move > 0) for plane in picture]
            for picture, move in zip(planes, moves, strict=True)
        ]
        varied = np.moveaxis(np.array(goals, images.dtype), 1, -1) - images
        varied *= per_picture(np.abs(moves), images)  # part of the way, for parts of a pixel
        varied += images
        return varied


def _one_pixel(plane: Images, thicker: bool) -> Images:
    """Let light strokes grow by a pixel, or the darkness around them."""
    return grown(plane, _DISC) if thicker else 1 - grown(1 - plane, _DISC)


@dataclass(frozen=True)
class Blur(Transform):
    """Out of focus, by a Gaussian.

    Attributes:
        low, high: its standard deviation in pixels, drawn for each picture.
    """

    limits: ClassVar[Limits] = {"low": (0.01, math.inf)}

    low: float = 0.3
    high: float = 1.0

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        sigmas = rng.uniform(self.low, self.high, len(images))
        reach = int(4 * self.high + 0.5)  # the rest is less than 1e-4
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigmas[:, None]) ** 2)
        weights /= weights.sum(axis=1, keepdims=True)  # (n, taps)
        return _convolved(_convolved(images, weights, 1), weights, 2)


def _convolved(images: Images, weights: Numbers, axis: int) -> Images:
    """Along rows or columns, each picture with weights of its own; mirrored beyond the edge."""
    taps, size = weights.shape[1], images.shape[axis]
    margins = [(taps // 2, taps // 2) if i == axis else (0, 0) for i in range(4)]
    padded = np.moveaxis(np.pad(images, margins, mode="symmetric"), axis, 0)
    shifted = np.moveaxis(images, axis, 0)
    total = np.zeros_like(shifted)
    for tap in range(taps):
        total += padded[tap : tap + size] * per_picture(weights[:, tap], images)[:, 0]
    return np.moveaxis(total, 0, axis)


@dataclass(frozen=True)
class Contrast(Transform):
    """Distances from the picture's mean, times a factor.

    Attributes:
        low, high: of the factor.
    """

    limits: ClassVar[Limits] = {"low": (0, math.inf)}

    low: float = 0.6
    high: float = 1.4

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        factors = per_picture(rng.uniform(self.low, self.high, len(images)), images)
        mean = images.mean(axis=(1, 2, 3), keepdims=True)
        varied: Images = mean + factors * (images - mean)
        return varied


@dataclass(frozen=True)
class Gamma(Transform):
    """Values to a power, as scanners and screens do it: black and white stay.

    Attributes:
        low, high: of the power; evenly distributed as logarithms.
    """

    limits: ClassVar[Limits] = {"low": (0.01, math.inf)}

    low: float = 0.6
    high: float = 1.6

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        powers = np.exp(rng.uniform(np.log(self.low), np.log(self.high), len(images)))
        varied: Images = np.clip(images, 0, 1) ** per_picture(powers, images)
        return varied


@dataclass(frozen=True)
class Noise(Transform):
    """Normal noise from pixel to pixel.

    Attributes:
        strongest: its standard deviation is drawn between 0 and this.
    """

    limits: ClassVar[Limits] = {"strongest": (0, math.inf)}

    strongest: float = 0.2

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        strengths = per_picture(rng.uniform(0, self.strongest, len(images)), images)
        varied: Images = images + strengths * rng.standard_normal(images.shape, images.dtype.type)
        return varied


@dataclass(frozen=True)
class Cutout(Transform):
    """A rectangle is covered; see :func:`tinymnist.imaging.synthetic.damage.hidden`.

    Attributes:
        longest: pixels, of either side.
    """

    limits: ClassVar[Limits] = {"longest": (1, math.inf)}

    longest: int = 10

    def _vary(self, images: Images, rng: np.random.Generator) -> Images:
        return np.stack([hidden(picture, rng, self.longest) for picture in images])
