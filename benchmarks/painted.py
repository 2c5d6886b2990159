"""Painted digits of any size for ``benchmarks.recipe``, as files in memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.samples import photograph, tint, to_image
from tinymnist.imaging.synthetic.paint import ink, slope

Size: TypeAlias = tuple[int, int]
"""(h, w) in pixels."""
Rng: TypeAlias = np.random.Generator

_PAINTED_SIDE = 600
"""Larger pictures are painted at this size and enlarged; only their noise has full resolution."""


def drawing(digit: int, size: Size, rng: Rng) -> Image.Image:
    """Black on white, as from a drawing program."""
    return to_image(1 - ink(digit, size, height=0.72, pen=0.1, slant=0.1))


def chalk(digit: int, size: Size, rng: Rng) -> Image.Image:
    """Light on dark, off centre."""
    return to_image(0.1 + 0.8 * ink(digit, size, height=0.62, pen=0.08, centre=(0.46, 0.55)))


def photo(digit: int, size: Size, rng: Rng) -> Image.Image:
    """Blue on warm paper, a lamp on one side, noise."""
    reduction = max(1, -(-max(size) // _PAINTED_SIDE))
    small = (size[0] // reduction, size[1] // reduction)
    page = tint(0.85 * ink(digit, small, height=0.5, pen=0.1, turn=8), "#1c2f66", "#efe6d2")
    light = 1.0 - 0.4 * slope(small, 25)
    seen = to_image(photograph(page, light=light, blur=small[0] / 400, noise=0.0, rng=rng))
    return _noisy(seen.resize(size[::-1], Image.Resampling.BICUBIC), 4.0, rng)


KINDS: tuple[Callable[[int, Size, Rng], Image.Image], ...] = (drawing, chalk, photo)


def paint(count: int, size: Size, seed: int = 0) -> list[tuple[int, Image.Image]]:
    """``count`` digits and pictures of alternating kinds; above a megapixel only photos."""
    rng = np.random.default_rng(seed)
    kinds = KINDS if size[0] * size[1] < 1_000_000 else (photo,)
    return [(i % 10, kinds[i % len(kinds)](i % 10, size, rng)) for i in range(count)]


def encoded(picture: Image.Image, form: str) -> bytes:
    """A file in memory: a JPEG of camera quality, or a quickly compressed PNG."""
    file = io.BytesIO()
    picture.save(file, form, quality=90, compress_level=1)
    return file.getvalue()


def _noisy(picture: Image.Image, deviation: float, rng: Rng) -> Image.Image:
    """Add noise in grey levels; it repeats every 61 lines."""
    width, strip = picture.width, 61
    noise = np.round(deviation * rng.standard_normal((strip, width, 3))).astype(np.int16)
    pixels = np.array(picture)
    for top in range(0, len(pixels), strip):
        part: NDArray[Any] = pixels[top : top + strip]
        part[:] = np.clip(part + noise[: len(part)], 0, 255)
    return Image.fromarray(pixels)
