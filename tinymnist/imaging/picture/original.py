"""The picture as its owner sees it: its size, and its colours to draw on."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from tinymnist.errors import InputError
from tinymnist.imaging.picture.decode import decode, describe
from tinymnist.imaging.picture.pixels import Array

_PLAIN_MODES = ("1", "L", "P", "RGB", "CMYK", "YCbCr")
"""What Pillow shows as it is meant; others go through :func:`decode`."""


def rewindable(source: Any) -> Any:
    """A source that can be read twice: the contents of a file object, under its name."""
    if isinstance(source, Image.Image) or not hasattr(source, "read"):
        return source
    content = source.read()
    if not isinstance(content, bytes):
        raise InputError(f"{describe(source)}: is open as text; open it with mode 'rb'")
    stream = _Named(content)
    stream.name = describe(source)
    return stream


def upright_size(source: Any, decoded: tuple[int, ...]) -> tuple[int, int]:
    """(height, width) of a picture in its own pixels, turned as the camera's note says.

    Args:
        source: as for :func:`tinymnist.imaging.picture.decode.decode`, and :func:`rewindable`.
        decoded: (h, w) of what was decoded of it, which may be smaller.
    """
    if isinstance(source, np.ndarray):
        return decoded[0], decoded[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(source, Image.Image):
            width, height = source.size
        else:
            with Image.open(_stream(source)) as picture:
                width, height = picture.size
    turned = (width > height) != (decoded[1] > decoded[0]) and width != height
    return (width, height) if turned and decoded[0] != decoded[1] else (height, width)


def upright_picture(source: Any) -> Image.Image:
    """The picture in colours (RGB) and in its own pixels, to draw on.

    Raises:
        InputError: as :func:`tinymnist.imaging.picture.decode.decode`.
    """
    grey = decode(source)  # says clearly what is wrong with a broken file
    if isinstance(source, np.ndarray):
        return _as_rgb(grey)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(source, Image.Image):
            shown = _shown(source)
        else:
            with Image.open(_stream(source)) as opened:
                shown = _shown(opened)
    height, width = upright_size(source, grey.shape)
    return shown or _as_rgb(grey).resize((width, height))


def _shown(picture: Image.Image) -> Image.Image | None:
    """Upright and in RGB; None for those kinds that Pillow does not show as they are meant."""
    if picture.mode not in _PLAIN_MODES or "transparency" in picture.info:
        return None
    return ImageOps.exif_transpose(picture).convert("RGB")


class _Named(io.BytesIO):
    name: str


def _stream(source: Any) -> Any:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source)
    if isinstance(source, _Named):
        return io.BytesIO(source.getvalue())
    return source


def _as_rgb(grey: Array) -> Image.Image:
    return Image.fromarray(np.uint8(grey * 255 + 0.5)).convert("RGB")
