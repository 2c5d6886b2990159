"""A picture in its own colours and pixels, to draw on."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from tinymnist.imaging.picture.decode import decode_with_size, open_binary
from tinymnist.imaging.picture.pixels import Array

_PLAIN_MODES = ("1", "L", "P", "RGB", "CMYK", "YCbCr")
"""Pillow's modes that it converts to the colours as displayed; others are shown as decoded."""


def upright_picture(source: Any) -> Image.Image:
    """Open a picture as RGB in its own pixels, turned upright.

    Args:
        source: as for :func:`tinymnist.imaging.picture.decode.decode`.

    Raises:
        InputError: as :func:`tinymnist.imaging.picture.decode.decode`.
    """
    if isinstance(source, np.ndarray):
        return _as_rgb(decode_with_size(source)[0])
    if isinstance(source, Image.Image):
        return _shown(source, *decode_with_size(source))
    with open_binary(source) as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        grey, size = decode_with_size(stream)  # reports clearly what is wrong with a broken file
        stream.seek(0)
        with Image.open(stream) as picture:
            return _shown(picture, grey, size)


def _shown(picture: Image.Image, grey: Array, size: tuple[int, int]) -> Image.Image:
    """Upright and in RGB; the decoded grey in modes that Pillow does not convert as displayed."""
    if picture.mode in _PLAIN_MODES and "transparency" not in picture.info:
        return ImageOps.exif_transpose(picture).convert("RGB")
    return _as_rgb(grey).resize((size[1], size[0]))


def _as_rgb(grey: Array) -> Image.Image:
    return Image.fromarray(np.uint8(grey * 255 + 0.5)).convert("RGB")
