"""What may happen to a digit in MNIST's form before it is read: each a function of one picture.

Every kind takes a picture (h, w) float32 in 0..1 and a random generator, and gives a new picture of
the same shape, float32; what leaves 0..1 is cut off by the caller. They stand for what real
pictures do in general: dirt, light, lines on the paper, pens that leave but an outline.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.styles import pen_stroke

Kind = Callable[[Array, np.random.Generator], Array]

_CROSS = ndimage.generate_binary_structure(2, 1)
_SQUARE = ndimage.generate_binary_structure(2, 2)


def blurred(picture: Array, rng: np.random.Generator) -> Array:
    """Out of focus."""
    soft: Array = ndimage.gaussian_filter(picture, rng.uniform(0.4, 1.1))
    return soft


def hidden(picture: Array, rng: np.random.Generator, longest: int = 10) -> Array:
    """A rectangle of up to ``longest`` pixels a side set to one value: paper, ink, or between.

    DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout"
    (2017).
    """
    sides = rng.integers(2, longest + 1, 2)
    first = [int(rng.integers(1 - s, n)) for s, n in zip(sides, picture.shape[:2], strict=True)]
    rows, columns = (slice(max(f, 0), f + s) for f, s in zip(first, sides, strict=True))
    covered = picture.copy()
    covered[rows, columns] = np.clip(rng.uniform(-1, 1.3), 0, 1)
    return covered


def grainy(picture: Array, rng: np.random.Generator) -> Array:
    """Noise from pixel to pixel: normal, or Student's t with its many outliers."""
    strength = np.float32(rng.uniform(0.02, 0.3))
    if rng.random() < 0.5:
        return picture + strength * rng.standard_normal(picture.shape, np.float32)
    outliers = np.asarray(rng.standard_t(1.5, picture.shape), np.float32)
    return picture + strength * outliers


def lit(picture: Array, rng: np.random.Generator) -> Array:
    """Less contrast, and paper that is grey, evenly or in blotches."""
    contrast = np.float32(rng.uniform(0.25, 1))
    level = rng.uniform(0, 1 - contrast) if rng.random() < 0.7 else rng.uniform(0, 0.6)
    blotches = ndimage.zoom(rng.standard_normal((4, 4)), np.array(picture.shape) / 4, order=1)
    light = level + rng.uniform(0, 0.15) * blotches
    return np.asarray(contrast * picture + light, np.float32)


def crossed(picture: Array, rng: np.random.Generator) -> Array:
    """Struck through or underlined: by a straight line, a broken one, or a scribble."""
    corners = int(rng.integers(2, 14)) if rng.random() < 0.6 else 2
    is_short = rng.random() < 0.4
    first, last = np.sort(rng.uniform(-0.1, 1.1, 2)) if is_short else (-0.05, 1.05)
    along = np.linspace(first, last, corners)
    across = rng.uniform(0, 1) + rng.uniform(-0.35, 0.35) * (along - 0.5)
    if corners > 2:
        across += rng.normal(0, rng.uniform(0, 0.09), corners)
    points = np.stack([across, along], axis=1) * picture.shape
    if rng.random() < 0.25:
        points = points[:, ::-1]  # from top to bottom
    line = pen_stroke(picture.shape, points, rng.uniform(0.3, 0.9))
    if corners == 2 and rng.random() < 0.5:
        line = line * _gaps(picture.shape, rng)
    darker: Array = np.maximum(picture, np.float32(rng.uniform(0.4, 1)) * line)
    return darker


def _gaps(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Stripes of 1 and 0, upright or aslant, that make dashes of a line."""
    down, right = np.indices(shape)
    period = int(rng.integers(2, 9))
    place = right + down * (rng.random() < 0.3) + rng.integers(period)
    return np.asarray(place % period < period * rng.uniform(0.3, 0.7), np.float32)


def hollow(picture: Array, rng: np.random.Generator) -> Array:
    """Nothing but the outline, as of letters drawn to be filled in."""
    inside = picture > rng.uniform(0.25, 0.65)
    shape = _CROSS if rng.random() < 0.5 else _SQUARE
    if rng.random() < 0.5:
        outline = ndimage.binary_dilation(inside, shape) & ~inside
    else:
        outline = inside & ~ndimage.binary_erosion(inside, shape)
    drawn = np.asarray(outline, np.float32)
    soft: Array = ndimage.gaussian_filter(drawn, rng.uniform(0.3, 0.6))
    return soft if rng.random() < 0.3 else drawn


def on_two_papers(picture: Array, rng: np.random.Generator) -> Array:
    """Beyond an edge, ink and paper change places, on one side of the digit or on two."""
    down, right = np.indices(picture.shape)
    turn = rng.normal(0, 0.2) + np.pi / 2 * rng.integers(0, 2)
    across = np.cos(turn) * (right - right.mean()) + np.sin(turn) * (down - down.mean())
    near, far = rng.uniform(2, 0.5 * max(picture.shape), 2)
    beyond = across > near
    if rng.random() < 0.5:
        beyond |= across < -far
    return np.where(beyond, 1 - picture, picture)


KINDS: dict[Kind, float] = {
    blurred: 0.18,
    hidden: 0.2,
    grainy: 0.2,
    lit: 0.12,
    crossed: 0.16,
    hollow: 0.06,
    on_two_papers: 0.08,
}
"""Every kind with its share of the damage."""
