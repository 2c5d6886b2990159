"""Picture files opened, converted and resized exactly as Keras does it, without any recipe."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from tinymnist.errors import InputError
from tinymnist.imaging.picture.decode import identify, open_binary

COLOR_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
"""Pillow's name, with a letter for each channel, by Keras's name."""
INTERPOLATIONS = tuple(how.name.lower() for how in Resampling)
_DEEP_GREY = ("I;16", "I")  # grey of more than 8 bits keeps its values


def load_img(
    path: str | PathLike[str],
    grayscale: bool = False,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
) -> Image.Image:
    """Open a picture as a Pillow image, as Keras's function of this name.

    Args:
        path: the file.
        grayscale: an older way to ask for ``color_mode="grayscale"``.
        color_mode: "grayscale", "rgb" or "rgba".
        target_size: (height, width) to resize to; None keeps the size.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming".

    Raises:
        InputError: if the file cannot be read as a picture.
        ValueError: for an unknown mode or interpolation.
    """
    color_mode = "grayscale" if grayscale is True else color_mode
    check_choices(color_mode, interpolation)
    mode = COLOR_MODES[color_mode]
    try:
        with open_binary(path) as stream, identify(stream, path) as picture:
            kept = picture.mode == mode or (mode == "L" and picture.mode in _DEEP_GREY)
            image = picture.copy() if kept else picture.convert(mode)
    except InputError:
        raise
    except Exception as error:  # Pillow's plug-ins raise all kinds of errors
        raise InputError(f"{path}: cannot be read as a picture: {error}") from None
    if target_size is not None:
        height, width = target_size[:2]
        if image.size != (width, height):
            image = image.resize((width, height), Resampling[interpolation.upper()])
    return image


def check_choices(color_mode: str, interpolation: str) -> None:
    """Refuse unknown names.

    Raises:
        ValueError: listing the known ones.
    """
    for name, value, known in (
        ("color_mode", color_mode, tuple(COLOR_MODES)),
        ("interpolation", interpolation, INTERPOLATIONS),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {list(known)}. Received: {name}={value!r}")


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Image.Image:
    """A Pillow image of an array (h, w, 1), (h, w, 3) or (h, w, 4).

    Args:
        x: the pixels.
        data_format: "channels_last" or None.
        scale: whether the smallest value becomes 0 and the largest 255; else values are in 0..255.
        dtype: accepted as in Keras.

    Raises:
        ValueError: for an array of another shape.
    """
    check_format(data_format)
    pixels = np.array(x, np.float32)
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise ValueError(f"x must be (h, w, 1), (h, w, 3) or (h, w, 4). Received: {pixels.shape=}")
    if scale:
        pixels -= pixels.min()
        pixels *= 255 / (pixels.max() or 1)
    whole = pixels.astype(np.uint8)
    return Image.fromarray(whole[..., 0] if whole.shape[2] == 1 else whole)


def check_format(data_format: str | None) -> None:
    """Refuse channels in front.

    Raises:
        ValueError: for a ``data_format`` other than "channels_last" or None.
    """
    if data_format not in (None, "channels_last"):
        raise ValueError(f"data_format must be channels_last. Received: {data_format=}")
