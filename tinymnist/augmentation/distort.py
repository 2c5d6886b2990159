"""What the shipped models and fine-tuning learn from: distorted digits, and damage of real ones.

A kind of damage takes an image (h, w) float32 in 0..1 and a random generator, and returns a new
float32 image of the same shape; the caller clips it to 0..1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tinymnist.augmentation.effects import cover_rectangle, gaussian_weights
from tinymnist.augmentation.resample import Places
from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.paint import pen_stroke

Kind = Callable[[Array, np.random.Generator], Array]

_CONTROLS = 5  # points of the elastic map per side: few, so that a digit bends as a whole
_CROSS = ndimage.generate_binary_structure(2, 1)
_SQUARE = ndimage.generate_binary_structure(2, 2)


@dataclass(frozen=True)
class RandomDistortion:
    """A random affine and elastic map for each image; call it as ``augment(images, rng)``.

    Rotation, shift, shear, zoom and bending form a single map, so each image is resampled (and
    thereby blurred) only once. SciPy interpolates: ``resample`` is faster but rounds differently,
    and a training would no longer end in the same bytes. Elastic maps: see :class:`.Elastic`.

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

    def __call__(self, images: Array, rng: np.random.Generator) -> Array:
        """Draw variants of images (n, h, w, 1), 0 outside: a new array within the same range."""
        varied = np.empty_like(images)
        for image, places, out in zip(images, self._places(images, rng), varied, strict=True):
            ndimage.map_coordinates(image[..., 0], places, output=out[..., 0], order=1)
        return varied

    def _places(self, images: Array, rng: np.random.Generator) -> Places:
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

    def _matrices(self, n: int, rng: np.random.Generator) -> Places:
        """Rotation @ shear @ zoom for each image: (n, 2, 2), over (row, column)."""
        turn = np.deg2rad(rng.uniform(-self.rotation_range, self.rotation_range, n))
        shear = np.tan(np.deg2rad(rng.uniform(-self.shear_range, self.shear_range, n)))
        limit = np.log1p(self.zoom_range)
        zoom = np.exp(rng.uniform(-limit, limit, (n, 2)))
        cos, sin = np.cos(turn), np.sin(turn)
        rotation = np.array([[cos, -sin], [sin, cos]])  # (2, 2, n)
        sheared = np.stack([rotation[:, 0], rotation[:, 0] * shear + rotation[:, 1]], axis=1)
        return np.moveaxis(sheared, -1, 0) * zoom[:, None, :]


def _influence(side: int) -> Places:
    """The weight of each control point for each pixel: (side, controls), rows summing to 1."""
    pixels = np.linspace(0, _CONTROLS - 1, side)
    weights = gaussian_weights(pixels, np.arange(float(_CONTROLS)), sigma=0.5)
    shares: Places = weights / weights.sum(axis=1, keepdims=True)
    return shares


def blurred(image: Array, rng: np.random.Generator) -> Array:
    """Out of focus."""
    soft: Array = ndimage.gaussian_filter(image, rng.uniform(0.4, 1.1))
    return soft


def grainy(image: Array, rng: np.random.Generator) -> Array:
    """Independent noise in every pixel: normal, or Student's t with its many outliers."""
    strength = np.float32(rng.uniform(0.02, 0.3))
    if rng.random() < 0.5:
        return image + strength * rng.standard_normal(image.shape, np.float32)
    return image + strength * rng.standard_t(1.5, image.shape).astype(np.float32)


def lit(image: Array, rng: np.random.Generator) -> Array:
    """Less contrast, and a background that is grey, evenly or in blotches."""
    contrast = np.float32(rng.uniform(0.25, 1))
    level = rng.uniform(0, 1 - contrast) if rng.random() < 0.7 else rng.uniform(0, 0.6)
    blotches = ndimage.zoom(rng.standard_normal((4, 4)), np.array(image.shape) / 4, order=1)
    light = level + rng.uniform(0, 0.15) * blotches
    return np.asarray(contrast * image + light, np.float32)


def crossed(image: Array, rng: np.random.Generator) -> Array:
    """Struck through or underlined: with a straight line, a dashed one, or a scribble."""
    corners = int(rng.integers(2, 14)) if rng.random() < 0.6 else 2
    is_short = rng.random() < 0.4
    first, last = np.sort(rng.uniform(-0.1, 1.1, 2)) if is_short else (-0.05, 1.05)
    along = np.linspace(first, last, corners)
    across = rng.uniform(0, 1) + rng.uniform(-0.35, 0.35) * (along - 0.5)
    if corners > 2:
        across += rng.normal(0, rng.uniform(0, 0.09), corners)
    points = np.stack([across, along], axis=1) * image.shape
    if rng.random() < 0.25:
        points = points[:, ::-1]  # from top to bottom
    line = pen_stroke(image.shape, points, rng.uniform(0.3, 0.9))
    if corners == 2 and rng.random() < 0.5:
        line = line * _dashes(image.shape, rng)
    inked: Array = np.maximum(image, np.float32(rng.uniform(0.4, 1)) * line)
    return inked


def _dashes(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Vertical or slanted stripes of 1 and 0 that turn a line into dashes."""
    down, right = np.indices(shape)
    period = int(rng.integers(2, 9))
    place = right + down * (rng.random() < 0.3) + rng.integers(period)
    return np.asarray(place % period < period * rng.uniform(0.3, 0.7), np.float32)


def hollow(image: Array, rng: np.random.Generator) -> Array:
    """Only the outline, as in letters drawn to be filled in."""
    inside = image > rng.uniform(0.25, 0.65)
    shape = _CROSS if rng.random() < 0.5 else _SQUARE
    if rng.random() < 0.5:
        outline = ndimage.binary_dilation(inside, shape) & ~inside
    else:
        outline = inside & ~ndimage.binary_erosion(inside, shape)
    drawn = np.asarray(outline, np.float32)
    soft: Array = ndimage.gaussian_filter(drawn, rng.uniform(0.3, 0.6))
    return soft if rng.random() < 0.3 else drawn


def on_two_papers(image: Array, rng: np.random.Generator) -> Array:
    """Ink and background swapped beyond an edge, on one side of the digit or on both."""
    down, right = np.indices(image.shape)
    turn = rng.normal(0, 0.2) + np.pi / 2 * rng.integers(0, 2)
    across = np.cos(turn) * (right - right.mean()) + np.sin(turn) * (down - down.mean())
    near, far = rng.uniform(2, 0.5 * max(image.shape), 2)
    beyond = across > near
    if rng.random() < 0.5:
        beyond |= across < -far
    return np.where(beyond, 1 - image, image)


KINDS: dict[Kind, float] = {
    blurred: 0.18,
    cover_rectangle: 0.2,
    grainy: 0.2,
    lit: 0.12,
    crossed: 0.16,
    hollow: 0.06,
    on_two_papers: 0.08,
}
"""Every kind of damage and its probability."""


@dataclass(frozen=True)
class RandomDamage:
    """Damages some of the images with the :data:`KINDS`; call it as ``augment(images, rng)``.

    Attributes:
        share: the fraction of images that is damaged.
        twice: the fraction of these that gets a second kind of damage.
    """

    share: float = 0.55
    twice: float = 0.3

    def __call__(self, images: Array, rng: np.random.Generator) -> Array:
        """Damage some of the images (n, h, w, 1) in 0..1: a new array in 0..1."""
        damaged = images.copy()
        is_hit = rng.random(len(images)) < self.share
        times = is_hit * (1 + (rng.random(len(images)) < self.twice))
        kinds, shares = list(KINDS), list(KINDS.values())
        for number in np.flatnonzero(times):
            for kind in rng.choice(len(kinds), times[number], replace=False, p=shares):
                image = kinds[kind](damaged[number, ..., 0], rng)
                damaged[number, ..., 0] = np.clip(image, 0, 1)
        return damaged
