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
from tinymnist.augmentation.pictures import array_to_img, check_format, load_img
from tinymnist.files import whole_file
from tinymnist.nn.arrays import Array

__all__ = ["ImageDataGenerator", "array_to_img", "img_to_array", "load_img", "save_img"]


def img_to_array(img: Image.Image, data_format: str | None = None, dtype: Any = None) -> Array:
    """The pixels of a Pillow image, (h, w, c) float32 in 0..255 unless ``dtype`` is given.

    Raises:
        ValueError: for a ``data_format`` other than "channels_last".
    """
    check_format(data_format)
    pixels = np.asarray(img, np.float32 if dtype is None else dtype)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def save_img(
    path: str | PathLike[str], x: Any, data_format: str | None = None, scale: bool = True
) -> None:
    """Write an array as a picture, in the format of the name's ending; see :func:`array_to_img`."""
    image = array_to_img(x, data_format, scale)
    kind = Image.registered_extensions().get("." + str(path).rpartition(".")[2].lower(), "PNG")
    with whole_file(path) as temporary:
        image.save(temporary, format=kind)
