"""The 15 corruptions of MNIST-C. Only for measuring: never train on them.

N. Mu and J. Gilmer, "MNIST-C: A Robustness Benchmark for Computer Vision" (2019, arXiv
1906.02337). Rewritten for many images at once, with the strengths that are the defaults of the
authors' program (google-research/mnist-c). Where that program differs from the paper, this one
follows the program, and the docstring says so.

Every corruption takes images (n, 28, 28) uint8, white ink on black, and ``rng``, and returns a new
array of the same shape and dtype. Each image draws its own random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.canny import canny
from benchmarks.plasma import plasma

Images: TypeAlias = NDArray[np.uint8]
Array: TypeAlias = NDArray[Any]
Rng: TypeAlias = np.random.Generator

SIDE = 28
MIDDLE = (SIDE - 1) / 2


def shot_noise(images: Images, rng: Rng) -> Images:
    """Too few photons: white is 3 of them, with a Poisson distribution."""
    return _bytes(rng.poisson(_units(images) * 3) / 3)


def impulse_noise(images: Images, rng: Rng) -> Images:
    """Salt and pepper: 27 % of the pixels are black or white, with equal probability."""
    chance = rng.random(images.shape, np.float32)
    noisy = np.where(chance < 0.27 / 2, np.uint8(255), images)
    return np.where((chance >= 0.27 / 2) & (chance < 0.27), np.uint8(0), noisy)


def glass_blur(images: Images, rng: Rng) -> Images:
    """Frosted glass: blur, swap neighbours twice, blur again.

    From the lower right to the upper left, every other pixel on average is swapped with a neighbour
    up to one step up and left. The blur has a sigma of 0.7 pixels, only vertically: the authors'
    program lets scikit-image take the columns for channels.
    """
    blurred = (_blur_columns(_units(images), 0.7) * 255).astype(np.uint8)
    pixels = np.moveaxis(blurred, 0, -1).copy()  # (28, 28, n), contiguous in n
    places = [(h, w) for h in range(SIDE - 1, 1, -1) for w in range(SIDE - 1, 1, -1)] * 2
    for h, w in places:
        chance = rng.integers(8, size=len(images), dtype=np.uint8)  # 3: itself; 4 to 7: not at all
        for case, (up, left) in enumerate([(1, 0), (0, 1), (1, 1)]):
            here = np.flatnonzero(chance == case)
            one, other = pixels[h, w], pixels[h - up, w - left]
            one[here], other[here] = other[here], one[here]
    return _bytes(_blur_columns(_units(np.moveaxis(pixels, -1, 0)), 0.7))


def motion_blur(images: Images, rng: Rng) -> Images:
    """A camera that moves: a one-sided Gaussian (sigma 3, 21 taps) along -45 to 45 degrees.

    As in ImageMagick: taps are at the nearest pixels, and edge values continue outside.
    """
    angle = np.deg2rad(rng.uniform(-45, 45, (len(images), 1)))
    weights = np.exp(-(np.arange(21) ** 2) / (2 * 3.0**2))
    picture, lines = np.arange(len(images))[:, None, None], np.arange(SIDE)
    blurred = np.zeros(images.shape, np.float32)
    for tap, weight in enumerate(weights / weights.sum()):
        right, down = (
            np.ceil(tap * part - 0.5).astype(int) for part in (np.cos(angle), np.sin(angle))
        )
        rows, columns = (np.clip(lines + offset, 0, SIDE - 1) for offset in (down, right))
        blurred += np.float32(weight) * images[picture, rows[:, :, None], columns[:, None, :]]
    return _bytes(blurred / 255)


def shear(images: Images, rng: Rng) -> Images:
    """Slant to the left or right about the centre: sin(0.4) = 0.39 pixels per row.

    Digits also become 1 / cos(0.4) = 1.09 times as tall: scikit-image rotated only one axis.
    """
    return _transformed(images, rng, lambda a: [[np.cos(a), 0], [-np.sin(a), 1]])


def scale(images: Images, rng: Rng) -> Images:
    """Reduce to 70 % about the centre, without smoothing."""
    return _bytes(_warped(_units(images), [[1 / 0.7, 0], [0, 1 / 0.7]]))


def rotate(images: Images, rng: Rng) -> Images:
    """Rotate by 0.4 radians (23 degrees) in either direction about the centre."""
    return _transformed(images, rng, lambda a: [[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])


def brightness(images: Images, rng: Rng) -> Images:
    """Add half of full white to every pixel, up to full white."""
    return _bytes(_units(images) + 0.5)


def translate(images: Images, rng: Rng) -> Images:
    """Shift by 3 pixels up or down and by 3 left or right, with black outside."""
    steps = rng.choice([0, 6], (2, len(images), 1)) + np.arange(SIDE)
    rows, columns = steps[0][:, :, None], steps[1][:, None, :]
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3)))
    moved: Images = padded[np.arange(len(images))[:, None, None], rows, columns]
    return moved


def stripe(images: Images, rng: Rng) -> Images:
    """Invert the left quarter and the right quarter."""
    striped = images.copy()
    striped[:, :, :7] = 255 - striped[:, :, :7]
    striped[:, :, 21:] = 255 - striped[:, :, 21:]
    return striped


def fog(images: Images, rng: Rng) -> Images:
    """Add clouds three times as bright as the ink, and darken the sum to fit the range.

    The clouds are a corner of a plasma fractal of 256x256, with a random range that is divided by
    1.4^2 at each step.
    """
    x = _units(images)
    brightest = x.max(axis=(1, 2), keepdims=True)
    clouds = plasma(len(images), SIDE, 1.4, rng)
    return _bytes((x + 3 * clouds) * brightest / (brightest + 3))


def spatter(images: Images, rng: Rng) -> Images:
    """Drops of dark mud, grey 63 of 255, on a seventh of the image.

    Noise (mean 0.65, deviation 0.3, smoothed with sigma 1) above 0.65 is a mask that, smoothed with
    sigma 1.5, covers the image where it is at least 0.8.
    """
    noise = rng.normal(0.65, 0.3, images.shape).astype(np.float32)
    drops = ndimage.gaussian_filter(noise, (0, 1, 1), mode="nearest") > 0.65
    mud = ndimage.gaussian_filter(drops.astype(np.float32), (0, 1.5, 1.5), mode="nearest")
    mud[mud < 0.8] = 0
    return _bytes(_units(images) * (1 - mud) + mud * np.float32(63 / 255))


def dotted_line(images: Images, rng: Rng) -> Images:
    """A line from edge to edge, from any row to any row; two columns on, two off.

    As in the authors' program, rows are 0 to 26, and the last column stays free.
    """
    ends = rng.integers(0, SIDE - 1, (2, len(images)))
    line = _lines(0, ends[0], SIDE - 1, ends[1])
    line[:, :, np.arange(SIDE) % 4 < 2] = 0
    return _bytes(_units(images) + line)


def zigzag(images: Images, rng: Rng) -> Images:
    """A saw of six teeth, 2 pixels up and down, from column 2 to column 25, slightly tilted.

    It begins in row 0 to 26 and ends 5 rows above to 4 rows below.
    """
    begin, rise = rng.integers(0, SIDE - 1, len(images)), rng.integers(-5, 5, len(images))
    tilt = np.arctan(rise / 23)
    length = 23 / np.cos(tilt)
    along = [0 * length, *(2.0 + 4 * tooth + 0 * length for tooth in range(6)), length]
    aside = [
        0 * length,
        *((-1.0) ** tooth * 2 + 0 * length for tooth in range(6)),
        -1 / (length - 20),
    ]
    columns = 2 + np.cos(tilt) * along - np.sin(tilt) * aside
    rows = begin + np.sin(tilt) * along + np.cos(tilt) * aside
    x = _units(images)
    for i in range(len(rows) - 1):
        x += _lines(columns[i], rows[i], columns[i + 1], rows[i + 1])
    return _bytes(x)


def canny_edges(images: Images, rng: Rng) -> Images:
    """The edges from Canny's detector (sigma 1, thresholds 0.1 and 0.2)."""
    return np.where(canny(images / 255), np.uint8(255), np.uint8(0))


CORRUPTIONS: dict[str, Callable[[Images, Rng], Images]] = {
    "shot noise": shot_noise,
    "impulse noise": impulse_noise,
    "glass blur": glass_blur,
    "motion blur": motion_blur,
    "shear": shear,
    "scale": scale,
    "rotate": rotate,
    "brightness": brightness,
    "translate": translate,
    "stripe": stripe,
    "fog": fog,
    "spatter": spatter,
    "dotted line": dotted_line,
    "zigzag": zigzag,
    "canny edges": canny_edges,
}
"""All 15 by the paper's names, in its order."""


def corrupted(name: str, images: Images, seed: int = 0) -> Images:
    """One corruption of ``images`` (n, 28, 28) uint8.

    The random numbers depend only on its name and the seed.
    """
    number = list(CORRUPTIONS).index(name)
    return CORRUPTIONS[name](images, np.random.default_rng([seed, number]))


def _units(images: Images) -> Array:
    """0..255 -> float32 in 0..1."""
    units: Array = images / np.float32(255)
    return units


def _bytes(x: Array) -> Images:
    """Clip to 0..1 -> 0..255, rounded."""
    return np.asarray(np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)


def _blur_columns(x: Array, sigma: float) -> Array:
    blurred: Array = ndimage.gaussian_filter1d(x, sigma, axis=1, mode="nearest")
    return np.clip(blurred, 0, 1)


def _transformed(images: Images, rng: Rng, matrix_of: Callable[[float], Any]) -> Images:
    """Warp each image with the matrix of 0.4 or of -0.4 radians."""
    x = _units(images)
    is_positive = rng.random(len(images)) < 0.5
    for angle, chosen in ((0.4, is_positive), (-0.4, ~is_positive)):
        x[chosen] = _warped(x[chosen], matrix_of(angle))
    return _bytes(x)


def _warped(x: Array, matrix: Any) -> Array:
    """Sample each pixel (down, right) at ``matrix`` times its place, relative to the centre."""
    stacked = np.eye(3)
    stacked[1:, 1:] = matrix
    middle = np.array([0, MIDDLE, MIDDLE])
    offset = middle - stacked @ middle
    warped: Array = ndimage.affine_transform(x, stacked, offset, order=1, mode="grid-constant")
    return warped


def _lines(column: Any, row: Any, last_column: Any, last_row: Any) -> Array:
    """A straight line between two points for each image: (n, 28, 28), 0..1.

    At d rows above or below the line, the brightness is 1 + log(1 - d / 2.3), at least 0.
    """
    slope = (last_row - row) / (last_column - column)
    columns, rows = np.arange(SIDE), np.arange(SIDE)[:, None]
    column, row, slope = (np.broadcast_to(v, len(slope))[:, None] for v in (column, row, slope))
    centre = row + slope * (columns - column)  # (n, 28)
    distance = np.minimum(np.abs(rows - centre[:, None, :]), 2.29)
    bright = np.maximum(1 + np.log(1 - distance / 2.3), 0)
    last = np.broadcast_to(last_column, len(slope))[:, None]
    within = (columns >= np.floor(column)) & (columns < np.ceil(last))
    line: Array = bright * within[:, None, :]
    return line
