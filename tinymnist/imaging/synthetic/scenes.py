"""Digits in MNIST's form rendered into realistic pictures, for training.

The recipe turns such a picture into MNIST's form again, with its own side effects: frayed edges
from noise, thicker and thinner strokes, enlarged bitmaps, cut corners. A network trained on these
has seen what the recipe makes of real pictures, without needing any.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from tinymnist.imaging.digit.components import Mask, bounds
from tinymnist.imaging.digit.filters import dilate, resize
from tinymnist.imaging.digit.frame import stroke_width, with_stroke_width
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.paint import clouds, pen_stroke, slope

_SIDES = (20, 120)  # the shortest and tallest digit, in pixels
SHARE_OF_BITMAPS = 0.2
_SHARE_OF_FINE_PENS = 0.3
_SHARE_OF_BROKEN = 0.2
_STRETCH = 0.25  # digits are drawn up to exp(0.25) times wider or narrower


def render_and_renormalize(
    digit: Array, rng: np.random.Generator, *, share_of_bitmaps: float = SHARE_OF_BITMAPS
) -> Array:
    """Render a digit (28, 28) into a picture, and bring the picture to MNIST's form again.

    ``share_of_bitmaps`` of the pictures are by :func:`bitmap`, the others by :func:`scene`. The
    digit itself is returned if the recipe finds none in the picture.
    """
    picture = bitmap(digit, rng) if rng.random() < share_of_bitmaps else scene(digit, rng)
    try:
        return normalize(picture)
    except NoDigitFound:
        return digit


def scene(digit: Array, rng: np.random.Generator) -> Array:
    """A digit (28, 28) on paper, or in chalk on a board, in random light, seen by a camera.

    It is (h, w) float32 in 0..1 as displayed, dark on light or light on dark.
    """
    ink = _written(digit, rng)
    margin = rng.uniform(0, 0.6) * ink.shape[0]
    ink = np.pad(ink, rng.uniform(0, margin + 1, (2, 2)).astype(int))
    if rng.random() < 0.15:  # the pen runs dry
        grain = clouds(ink.shape, max(4, ink.shape[0] // 4), rng)
        ink = ink * (grain > -rng.uniform(1.0, 2.5))
    if rng.random() < _SHARE_OF_BROKEN:
        ink = _broken(ink, rng)
    for share, dirt in ((0.3, _dust), (0.15, _rules), (0.15, _neighbour)):
        if rng.random() < share:
            ink = np.maximum(ink, dirt(ink.shape, rng))
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
    """A small picture filled by the digit (28, 28), in two grey levels or in many.

    It is light on dark, (h, w) float32 in 0..1, 14 to 40 pixels tall.
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
    """The digit drawn large, with a random pen and width: about (1.4 * side, 1.4 * side)."""
    side = np.exp(rng.uniform(*np.log(_SIDES)))
    high, stretch = round(1.4 * side), np.exp(rng.uniform(-_STRETCH, _STRETCH))
    large = resize(digit, (high, round(high * stretch)), Image.Resampling.BICUBIC)
    large = np.clip(large, 0, 1)
    level, softness = rng.uniform(0.3, 0.7), rng.uniform(0.05, 0.4)
    ink = np.clip((large - level) / softness + 0.5, 0, 1)
    pen = rng.random()
    if pen < _SHARE_OF_FINE_PENS:
        centre_line = skeleton(ink > 0.5).astype(np.float32)
        ink = dilate(centre_line, max(0.5, rng.uniform(0.005, 0.035) * ink.shape[0]))
    elif pen < _SHARE_OF_FINE_PENS + 0.4:
        width = stroke_width(ink) * np.exp(rng.uniform(-0.5, 0.7))
        ink = with_stroke_width(ink, width, width)
    return np.asarray(ink if ink.max() > 0.5 else large, np.float32)


def _broken(ink: Array, rng: np.random.Generator) -> Array:
    """Strokes with one to three gaps, where a pen skipped or a threshold was too high."""
    down, right = np.indices(ink.shape)
    spots = np.argwhere(ink > 0.5)
    for spot in spots[rng.integers(len(spots), size=rng.integers(1, 4))]:
        apart = np.hypot(down - spot[0], right - spot[1])
        ink = ink * np.clip(apart - rng.uniform(0.015, 0.06) * ink.shape[0], 0, 1)
    return np.asarray(ink, np.float32)


def _dust(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """A few specks."""
    specks = np.zeros(shape, np.float32)
    for _ in range(rng.integers(1, 6)):
        size = rng.integers(1, 2 + shape[0] // 50, 2)
        top, left = (int(rng.integers(0, side)) for side in shape)
        specks[top : top + size[0], left : left + size[1]] = rng.uniform(0.3, 1)
    return specks


def _rules(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Ruled or squared paper: faint, slightly rotated lines from edge to edge.

    They are as far apart as in exercise books, where a digit is one or two lines tall.
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
    """A stroke that reaches into the picture at one of its edges."""
    spot = rng.uniform(0, 1, (2, 2))
    edge, axis = rng.integers(0, 2), rng.integers(0, 2)
    spot[:, axis] = edge + rng.uniform(-0.06, 0.06, 2)
    spot[1, 1 - axis] = spot[0, 1 - axis] + rng.uniform(0.05, 0.5)
    return pen_stroke(shape, spot * shape, rng.uniform(0.01, 0.05) * shape[0])


def _blurred(seen: Array, rng: np.random.Generator) -> Array:
    """Blur with a radius of at least 0.3 pixels, and up to 0.6 plus a fiftieth of the height."""
    image = Image.fromarray(np.uint8(np.clip(seen, 0, 1) * 255))
    radius = rng.uniform(0.3, 0.6 + 0.02 * seen.shape[0])
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / np.float32(255)


_AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
"""The eight neighbours as (down, right), clockwise from above: P2 to P9 in the paper."""


def skeleton(mask: Mask) -> Mask:
    """Thin strokes to one pixel without breaking them.

    T. Y. Zhang and C. Y. Suen, "A fast parallel algorithm for thinning digital patterns", CACM 27
    (1984). The result is a subset of the mask (h, w), which is True for ink.
    """
    thin = np.pad(mask, 1)
    while True:
        before = thin.sum()
        for peel in _PEELS:
            inside = thin[1:-1, 1:-1]
            inside &= ~peel[_neighbourhoods(thin)]
        if thin.sum() == before:
            return thin[1:-1, 1:-1]


def _neighbourhoods(padded: Mask) -> npt.NDArray[np.uint8]:
    """The eight neighbours of each pixel as the bits of a number."""
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    numbers = np.zeros((height, width), np.uint8)
    for bit, (down, right) in enumerate(_AROUND):
        near = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        numbers |= near.astype(np.uint8) << bit
    return numbers


def _peel(number: int, corners: tuple[tuple[int, int, int], ...]) -> bool:
    """Whether a pixel with these neighbours is on an edge, but neither an end nor a bridge."""
    ring = [bool(number >> bit & 1) for bit in range(8)]
    rises = sum(not a and b for a, b in zip(ring, ring[1:] + ring[:1], strict=True))
    free = all(not all(ring[bit] for bit in corner) for corner in corners)
    return 2 <= sum(ring) <= 6 and rises == 1 and free


_PEELS = [
    np.array([_peel(number, corners) for number in range(256)])
    for corners in (((0, 2, 4), (2, 4, 6)), ((0, 2, 6), (0, 4, 6)))
]
"""The paper's two half steps: which pixels to remove in the south-east and in the north-west."""
