"""Keras's ``preprocessing.image``: the generator, and files as arrays.

These read a picture as it is. For a photograph or a drawing of a digit use
:func:`tinymnist.prepare_image`, which brings it to MNIST's form.
"""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
from PIL import Image

from tinymnist.augmentation.generator import ImageDataGenerator
from tinymnist.augmentation.pictures import load_img
from tinymnist.files import whole_file
from tinymnist.nn.arrays import Array

__all__ = ["ImageDataGenerator", "array_to_img", "img_to_array", "load_img", "save_img"]


def img_to_array(img: Image.Image, data_format: str | None = None, dtype: Any = None) -> Array:
    """The pixels of a Pillow image, (h, w, c) float32 in 0..255 unless ``dtype`` is given.

    Raises:
        ValueError: for a ``data_format`` other than "channels_last".
    """
    _check_format(data_format)
    pixels = np.asarray(img, np.float32 if dtype is None else dtype)
    return pixels if pixels.ndim == 3 else pixels[..., None]


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
    _check_format(data_format)
    pixels = np.array(x, np.float32)
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise ValueError(f"x must be (h, w, 1), (h, w, 3) or (h, w, 4). Received: {pixels.shape=}")
    if scale:
        pixels -= pixels.min()
        pixels *= 255 / (pixels.max() or 1)
    whole = pixels.astype(np.uint8)
    return Image.fromarray(whole[..., 0] if whole.shape[2] == 1 else whole)


def save_img(
    path: str | PathLike[str], x: Any, data_format: str | None = None, scale: bool = True
) -> None:
    """Write an array as a picture, in the format of the name's ending; see :func:`array_to_img`."""
    image = array_to_img(x, data_format, scale)
    kind = Image.registered_extensions().get("." + str(path).rpartition(".")[2].lower(), "PNG")
    with whole_file(path) as temporary:
        image.save(temporary, format=kind)


def _check_format(data_format: str | None) -> None:
    if data_format not in (None, "channels_last"):
        raise ValueError(f"data_format must be channels_last. Received: {data_format=}")
