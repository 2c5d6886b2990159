"""Older Keras's ``utils.np_utils``: labels as one-hot rows, and rows of length 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.losses import to_categorical

__all__ = ["normalize", "to_categorical"]


def normalize(x: Any, axis: int = -1, order: int = 2) -> Array:
    """Divide an array by its norms along an axis; all zeros stay zeros.

    With ``axis=1`` on pictures (n, h, w), as a popular course does it, every column of a picture
    gets the length 1: a model trained so reads x/255 badly.

    Args:
        x: numbers of any shape; integers become float64.
        axis: over which the norm is taken.
        order: of the norm: 2 is the Euclidean length.
    """
    numbers = np.asarray(x)
    norms = np.linalg.norm(np.atleast_1d(numbers), order, axis)
    norms[norms == 0] = 1
    normalized: Array = numbers / np.expand_dims(norms, axis)
    return normalized
