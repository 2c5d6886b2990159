"""Operations that move numbers and change none."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.functional.convolution import pad2d
from tinymnist.nn.shapes import Pads


def flatten(x: Array) -> tuple[Array, Shape]:
    """(n, ...) -> (n, everything), row-major: for a picture height, then width, then channel."""
    return x.reshape(len(x), math.prod(x.shape[1:])), x.shape


def reshape(x: Array, target_shape: Shape) -> tuple[Array, Shape]:
    """(n, ...) -> (n, *target_shape), row-major.

    Raises:
        ValueError: when the numbers do not fit.
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
    """Reorder the axes of every example; ``dims`` counts them from 1, as Keras does."""
    axes = (0, *dims)
    return x.transpose(axes), axes


def permute_backward(dy: Array, axes: tuple[int, ...]) -> Array:
    """The same axes, put back where they were."""
    return dy.transpose(np.argsort(axes))


def zero_padding2d(x: Array, pads: Pads) -> tuple[Array, Pads]:
    """Put a frame of zeros around every picture; ``pads`` is ((top, bottom), (left, right))."""
    return pad2d(x, pads), pads


def zero_padding2d_backward(dy: Array, pads: Pads) -> Array:
    """Cut the frame off again."""
    (top, bottom), (left, right) = pads
    return dy[:, top : dy.shape[1] - bottom, left : dy.shape[2] - right]
