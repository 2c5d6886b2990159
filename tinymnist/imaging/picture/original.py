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
        return _shown(source) or _decoded(source)
    with open_binary(source) as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decoded = _decoded(stream)  # reports clearly what is wrong with a broken file
        stream.seek(0)
        with Image.open(stream) as picture:
            return _shown(picture) or decoded


def _decoded(source: Any) -> Image.Image:
    """Grey, in the picture's own size."""
    grey, (height, width) = decode_with_size(source)
    return _as_rgb(grey).resize((width, height))


def _shown(picture: Image.Image) -> Image.Image | None:
    """Upright and in RGB; None for modes that Pillow does not convert as they are displayed."""
    if picture.mode not in _PLAIN_MODES or "transparency" in picture.info:
        return None
    return ImageOps.exif_transpose(picture).convert("RGB")


def _as_rgb(grey: Array) -> Image.Image:
    return Image.fromarray(np.uint8(grey * 255 + 0.5)).convert("RGB")
