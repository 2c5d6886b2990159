"""Letters, digits and words in print, and by a pen that follows print."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.Image import Resampling

from tinymnist.imaging.digit.components import bounds
from tinymnist.imaging.digit.filters import dilate
from tinymnist.imaging.digit.frame import centre, fit_box
from tinymnist.imaging.picture.pixels import Array
from tinymnist.imaging.synthetic.scenes import skeleton

_HEIGHT = 64  # of the font, in pixels
_SHARE_BY_HAND = 0.5
_STRETCH = 0.2  # text becomes up to exp(0.2) times wider or narrower
_LEAN = (-0.12, 0.25)  # how far the top is moved to the right, as a share of the height


def lettering(text: str, rng: np.random.Generator) -> Array:
    """Write text in Pillow's own font, or draw its centre line with another pen.

    Returns:
        (h, w) float32, ink in 0..1 on paper of 0, leaning and stretched at random.
    """
    font = ImageFont.load_default(float(_HEIGHT))
    left, top, right, bottom = (round(side) for side in font.getbbox(text))
    image = Image.new("L", (right - left + 24, bottom - top + 24), 0)
    ImageDraw.Draw(image).text((12 - left, 12 - top), text, 255, font)
    if rng.random() < _SHARE_BY_HAND:
        centre_line = skeleton(np.asarray(image) > 127).astype(np.float32)
        ink = dilate(centre_line, float(rng.uniform(1.0, 5.0)))
        image = Image.fromarray(np.uint8(np.clip(ink, 0, 1) * 255))
    return turned(image, rng, lean=rng.uniform(*_LEAN), degrees=4)


def printed_digit(digit: int, rng: np.random.Generator) -> Array:
    """A printed digit, or one drawn along print: (28, 28) in MNIST's form."""
    return centre(fit_box(lettering(str(digit), rng)))


def turned(
    image: Image.Image, rng: np.random.Generator, *, lean: float = 0.0, degrees: float = 20
) -> Array:
    """Stretch a drawing in white on black, and turn it by up to ``degrees`` either way."""
    width, height = image.size
    wide = max(8, round(width * np.exp(rng.uniform(-_STRETCH, _STRETCH))))
    room = round(abs(lean) * height) + 4
    matrix = (1, lean, -lean * height / 2 - room, 0, 1, 0)
    sheared = image.resize((wide, height), Resampling.BILINEAR).transform(
        (wide + 2 * room, height), Image.Transform.AFFINE, matrix, Resampling.BILINEAR
    )
    angle = rng.uniform(-degrees, degrees)
    rotated = sheared.rotate(angle, resample=Resampling.BILINEAR, expand=True)
    ink = np.asarray(rotated, np.float32) / np.float32(255)
    return ink[bounds(ink > 0.05)]
