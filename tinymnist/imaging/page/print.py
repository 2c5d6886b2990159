"""Printed digits out of focus, recognized by how a font's own digits look when they are blurred.

A network trained on handwriting reads sharp print. Of print that is blurred until the holes of an 8
are mere dents, sharpening brings back some; but print comes in few shapes, so it can be compared
with digits drawn in a font, in several weights and blurs, by normalized correlation.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tinymnist.imaging.digit.components import Mask, bounds
from tinymnist.imaging.digit.filters import maximum, resize
from tinymnist.imaging.picture.pixels import Array

_SHAPE = (26, 20)  # pixels in which digits are compared, with their surroundings
_AROUND = 2  # pixels around a digit that belong to it
_HALO = 3  # pixels by which blurred ink reaches beyond its mask
_EDGE = 0.35  # between paper (0) and ink (1), where a blurred digit ends
_FONT_SIZE, _HEIGHT = 200, 24  # pixels of drawn digits, before and after they are reduced
_BOLD = (0.0, 0.04, 0.08, 0.12)  # by how many heights of a digit its strokes are thickened
_BLURS = (1.8, 2.3, 2.8, 3.3)  # pixels of the reduced digit
_ASPECT = 0.1  # what a digit e times wider than its model loses of its correlation
_MIN_CORRELATION = 0.9  # less is not print, or another font
_SOFTNESS = 0.01  # of correlations, which makes the odds of two digits e to one
_NETWORK_FLOOR = 0.01  # the network's probabilities count as this much more


class _Models(NamedTuple):
    """Drawn digits: m of each of the ten."""

    pixels: Array  # (10 * m, 26 * 20), of mean 0 and length 1
    aspects: Array  # (10 * m,), logarithms of width over height


def compare_with_print(ink: Array, mask: Mask) -> Array | None:
    """How much a blurred digit resembles each printed one: correlations (10,), -1 to 1.

    Args:
        ink: (h, w) in 0..1, the paper is 0.
        mask: (h, w), where the digit is.

    Returns:
        None if it resembles none of them, or if Pillow was built without fonts.
    """
    models = _models()
    if models is None:
        return None
    own = ink * (maximum(mask.astype(np.float32), _HALO) > 0)
    pixels, aspect = _normalized(own)
    found = models.pixels @ pixels - np.float32(_ASPECT) * np.abs(models.aspects - aspect)
    best: Array = found.reshape(10, -1).max(1)
    return best if best.max() >= _MIN_CORRELATION else None


def weigh_with_print(probabilities: Array, correlations: Array) -> Array:
    """The probabilities (10,) of a network and of the comparison with print together."""
    likelihood = np.log(probabilities + _NETWORK_FLOOR) + correlations / _SOFTNESS
    odds = np.exp(likelihood - likelihood.max())
    return np.asarray(odds / odds.sum(), np.float32)


def _normalized(ink: Array) -> tuple[Array, float]:
    """A digit cut out and scaled, its pixels of mean 0 and length 1; and log(width / height)."""
    full = float(np.quantile(ink[ink > _EDGE * ink.max()], 0.95))
    margin = _AROUND + 1
    wide = np.pad(ink, margin)
    rows, columns = bounds(wide > _EDGE * full)
    aspect = float(np.log((columns.stop - columns.start) / (rows.stop - rows.start)))
    down = slice(rows.start - _AROUND, rows.stop + _AROUND)
    right = slice(columns.start - _AROUND, columns.stop + _AROUND)
    pixels = resize(wide[down, right], _SHAPE).ravel()
    pixels = pixels - pixels.mean()  # what Pillow gives may be read-only
    return pixels / np.float32(max(float(np.linalg.norm(pixels)), 1e-6)), aspect


@cache
def _models() -> _Models | None:
    """The ten digits in Pillow's own font, in every weight and blur."""
    font = ImageFont.load_default(_FONT_SIZE)
    if not isinstance(font, ImageFont.FreeTypeFont):
        return None
    made = [_normalized(drawn) for digit in range(10) for drawn in _drawn(str(digit), font)]
    aspects = np.array([aspect for _, aspect in made], np.float32)
    return _Models(np.stack([pixels for pixels, _ in made]), aspects)


def _drawn(digit: str, font: ImageFont.FreeTypeFont) -> list[Array]:
    picture = Image.new("L", (2 * _FONT_SIZE, 2 * _FONT_SIZE))
    ImageDraw.Draw(picture).text((_FONT_SIZE // 2, _FONT_SIZE // 2), digit, 255, font)
    _, top, _, bottom = picture.getbbox() or (0, 0, 1, 1)
    scale = _HEIGHT / (bottom - top)
    side = round(2 * _FONT_SIZE * scale)
    drawn = []
    for bold in _BOLD:
        thick = maximum(np.asarray(picture), round(bold * (bottom - top) / 2))
        small = Image.fromarray(thick).resize((side, side), Image.Resampling.BOX)
        blurred = [small.filter(ImageFilter.GaussianBlur(blur)) for blur in _BLURS]
        drawn += [np.asarray(one, np.float32) / np.float32(255) for one in blurred]
    return drawn
