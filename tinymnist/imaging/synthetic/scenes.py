"""Digits in MNIST's form painted into pictures such as people make, for training.

The way back, through the recipe, gives MNIST's digits with the recipe's own leftovers: frayed
edges of noise, strokes made thicker and thinner, bitmaps blown up, corners cut. A network that was
trained on those meets nothing new in a real picture. Nobody's pictures are needed for it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from tinymnist.imaging.digit.bounds import bounds
from tinymnist.imaging.digit.filters import resize
from tinymnist.imaging.digit.normalize import NoDigitFound, normalize
from tinymnist.imaging.digit.strokes import grown, stroke_width, with_stroke_width
from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.paint import clouds, slope
from tinymnist.imaging.synthetic.skeleton import skeleton
from tinymnist.imaging.synthetic.styles import pen_stroke

_SIDES = (20, 120)
"""How tall a digit is drawn, in pixels."""
_SHARE_OF_BITMAPS = 0.2
_SHARE_OF_FINE_PENS = 0.3
_STRETCH = 0.25
"""Digits are drawn up to exp of this times wider or narrower than they are."""


def revisit(digit: Array, rng: np.random.Generator) -> Array:
    """Paint a digit into a picture, and bring the picture to MNIST's form again.

    Args:
        digit: (28, 28) in 0..1, in MNIST's form.
        rng: where everything that varies comes from.

    Returns:
        (28, 28) float32; the digit itself where the recipe finds nothing in the picture.
    """
    picture = bitmap(digit, rng) if rng.random() < _SHARE_OF_BITMAPS else scene(digit, rng)
    try:
        return normalize(picture)
    except NoDigitFound:
        return digit


def scene(digit: Array, rng: np.random.Generator) -> Array:
    """Pen and paper, or chalk and board, under some light, seen by some camera or scanner.

    Args:
        digit: (28, 28) in 0..1, in MNIST's form.
        rng: where everything that varies comes from.

    Returns:
        (h, w) float32 in 0..1 as displayed, dark on light or light on dark.
    """
    ink = _framed(_written(digit, rng), rng)
    if rng.random() < 0.15:
        ink = ink * _dry(ink.shape, rng)
    if rng.random() < 0.3:
        ink = np.maximum(ink, _dust(ink.shape, rng))
    if rng.random() < 0.15:
        ink = np.maximum(ink, _rules(ink.shape, rng))
    if rng.random() < 0.15:
        ink = np.maximum(ink, _neighbour(ink.shape, rng))
    contrast = rng.uniform(0.25, 1) if rng.random() < 0.6 else 1.0
    seen = _blurred(1 - contrast * ink, rng) if rng.random() < 0.5 else 1 - contrast * ink
    if rng.random() < 0.5:
        light = 1 - rng.uniform(0, 0.5) * slope(ink.shape, rng.uniform(0, 360))
        seen = seen * (light + rng.uniform(0, 0.03) * clouds(ink.shape, 6, rng))
    if rng.random() < 0.5:
        seen = seen + rng.uniform(0, 0.2 * contrast) * rng.standard_normal(seen.shape, np.float32)
    if rng.random() < 0.3:
        seen = 1 - seen
    return np.asarray(np.clip(seen, 0, 1), np.float32)


def bitmap(digit: Array, rng: np.random.Generator) -> Array:
    """A small picture whose frame the digit fills, in two levels or in many.

    Args:
        digit: (28, 28) in 0..1, in MNIST's form.
        rng: where everything that varies comes from.

    Returns:
        (h, w) float32 in 0..1, light on dark; 14 to 40 pixels tall.
    """
    ink = _written(digit, rng)
    cut = ink[bounds(ink > 0.3)]
    height = rng.integers(14, 41)
    widest = height * rng.uniform(0.8, 1.2)
    width = widest if rng.random() < 0.4 else min(cut.shape[1] * height / cut.shape[0], widest)
    small = np.clip(resize(cut, (int(height), max(3, round(width)))), 0, 1)
    if rng.random() < 0.6:
        small = (small + rng.normal(0, 0.08, small.shape) > rng.uniform(0.3, 0.6)).astype(float)
    return np.asarray(np.pad(small, rng.integers(0, 3)), np.float32)


def _written(digit: Array, rng: np.random.Generator) -> Array:
    """The digit drawn large, with another pen and wider or narrower: about (1.4 * side,) * 2."""
    side = np.exp(rng.uniform(*np.log(_SIDES)))
    high, stretch = round(1.4 * side), np.exp(rng.uniform(-_STRETCH, _STRETCH))
    large = resize(digit, (high, round(high * stretch)), Image.Resampling.BICUBIC)
    large = np.clip(large, 0, 1)
    level, softness = rng.uniform(0.3, 0.7), rng.uniform(0.05, 0.4)
    ink = np.clip((large - level) / softness + 0.5, 0, 1)
    pen = rng.random()
    if pen < _SHARE_OF_FINE_PENS:
        ink = _with_fine_pen(ink, rng)
    elif pen < _SHARE_OF_FINE_PENS + 0.4:
        width = stroke_width(ink) * np.exp(rng.uniform(-0.5, 0.7))
        ink = with_stroke_width(ink, width, width)
    return np.asarray(ink if ink.max() > 0.5 else large, np.float32)


def _with_fine_pen(ink: Array, rng: np.random.Generator) -> Array:
    """The middle line of every stroke, drawn with a pen of one width."""
    line = skeleton(ink > 0.5).astype(np.float32)
    return grown(line, max(0.5, rng.uniform(0.005, 0.035) * ink.shape[0]))


def _framed(ink: Array, rng: np.random.Generator) -> Array:
    """Paper around the digit, of which the margin of MNIST's form is a part."""
    most = rng.uniform(0, 0.6) * ink.shape[0]
    return np.pad(ink, rng.uniform(0, most + 1, (2, 2)).astype(int))


def _dry(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Where a pen fails now and then: 0, else 1."""
    grain = clouds((shape[0], shape[1]), max(4, shape[0] // 4), rng)
    return (grain > -rng.uniform(1.0, 2.5)).astype(np.float32)


def _dust(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """A few specks."""
    specks = np.zeros(shape, np.float32)
    for _ in range(rng.integers(1, 6)):
        size = rng.integers(1, 2 + shape[0] // 50, 2)
        top, left = (int(rng.integers(0, side)) for side in shape)
        specks[top : top + size[0], left : left + size[1]] = rng.uniform(0.3, 1)
    return specks


def _rules(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Ruled or squared paper: straight lines from edge to edge, fainter than ink, slightly turned.

    Their distance is that of exercise books, in which a digit is one or two lines tall.
    """
    apart = rng.uniform(0.3, 0.9) * shape[0]
    down, right = np.indices(shape, np.float32)
    turn = np.tan(rng.uniform(-0.05, 0.05))
    ways = [down + turn * right, right - turn * down][: rng.integers(1, 3)]
    half = max(0.5, rng.uniform(0.002, 0.01) * shape[0])
    off = [np.abs((way + start) % apart - apart / 2) for way, start in
           zip(ways, rng.uniform(0, apart, len(ways)), strict=True)]  # fmt: skip
    lines = np.clip(half + 0.5 - np.minimum.reduce(off), 0, 1)
    return np.asarray(rng.uniform(0.2, 0.8) * lines, np.float32)


def _neighbour(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """What reaches into the picture from beside it: a stroke at one of its edges."""
    spot = rng.uniform(0, 1, (2, 2))
    edge, axis = rng.integers(0, 2), rng.integers(0, 2)
    spot[:, axis] = edge + rng.uniform(-0.06, 0.06, 2)
    spot[1, 1 - axis] = spot[0, 1 - axis] + rng.uniform(0.05, 0.5)
    return pen_stroke(shape, spot * shape, rng.uniform(0.01, 0.05) * shape[0])


def _blurred(seen: Array, rng: np.random.Generator) -> Array:
    """Out of focus by up to a hundredth of the height, but at least a pixel is to be seen."""
    image = Image.fromarray(np.uint8(np.clip(seen, 0, 1) * 255))
    radius = rng.uniform(0.3, 0.6 + 0.02 * seen.shape[0])
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / np.float32(255)
