"""Operations that move numbers without changing them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.functional.windows import crop2d, pad2d
from tinymnist.nn.shapes import Pads


def flatten(x: Array) -> tuple[Array, Shape]:
    """(n, ...) -> (n, everything), row-major: for a picture height, then width, then channel."""
    return x.reshape(len(x), math.prod(x.shape[1:])), x.shape


def reshape(x: Array, target_shape: Shape) -> tuple[Array, Shape]:
    """(n, ...) -> (n, *target_shape), row-major.

    Raises:
        ValueError: if ``target_shape`` holds another count of numbers.
    """
    if math.prod(target_shape) != math.prod(x.shape[1:]):
        raise ValueError(
            "target_shape must hold as many numbers as one example. "
            f"Received: target_shape={target_shape}, x.shape={x.shape}"
        )
    return x.reshape(len(x), *target_shape), x.shape


def reshape_backward(dy: Array, shape: Shape) -> Array:
    """Back to the shape of the input."""
    return dy.reshape(shape)


flatten_backward = reshape_backward


def permute(x: Array, dims: Sequence[int]) -> tuple[Array, tuple[int, ...]]:
    """Reorder the axes of every example; ``dims`` counts them from 1, as in Keras."""
    axes = (0, *dims)
    return x.transpose(axes), axes


def permute_backward(dy: Array, axes: tuple[int, ...]) -> Array:
    """Put the axes back in their old order."""
    return dy.transpose(np.argsort(axes))


def zero_padding2d(x: Array, pads: Pads) -> tuple[Array, Pads]:
    """Put a border of zeros around every picture; ``pads`` is ((top, bottom), (left, right))."""
    return pad2d(x, pads), pads


zero_padding2d_backward = crop2d
