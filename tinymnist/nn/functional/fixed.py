"""Operations with nothing to learn: fixed numbers, merging branches, reshaping, dropout."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from tinymnist.nn.arrays import Array, Pads, Shape
from tinymnist.nn.functional.windows import crop2d, pad2d


def rescaling(x: Array, scale: Array | float, offset: Array | float = 0.0) -> tuple[Array, Array]:
    """``y = x * scale + offset``, where ``scale`` and ``offset`` are numbers or (c,) arrays."""
    factor = np.asarray(scale, x.dtype)
    return x * factor + np.asarray(offset, x.dtype), factor


def rescaling_backward(dy: Array, factor: Array) -> Array:
    """``dx = scale * dy``."""
    return dy * factor


def normalization(x: Array, mean: Array | float, variance: Array | float) -> tuple[Array, Array]:
    """``y = (x - mean) / sqrt(variance)``, with fixed numbers or (c,) arrays.

    As in Keras's Normalization layer, the root is at least 1e-7.
    """
    scale = 1 / np.maximum(np.sqrt(np.asarray(variance, x.dtype)), np.asarray(1e-7, x.dtype))
    return (x - np.asarray(mean, x.dtype)) * scale, scale


normalization_backward = rescaling_backward


def add(*xs: Array) -> tuple[Array, int]:
    """The sum of two or more arrays of one shape: the residual connection.

    Raises:
        ValueError: for fewer arrays, or different shapes.
    """
    if len(xs) < 2 or any(x.shape != xs[0].shape for x in xs):
        raise ValueError(
            f"add takes two or more arrays of one shape. Received: shapes={[x.shape for x in xs]}"
        )
    y = xs[0] + xs[1]
    for x in xs[2:]:
        y += x
    return y, len(xs)


def add_backward(dy: Array, count: int) -> tuple[Array, ...]:
    """Each summand gets the whole gradient."""
    return (dy,) * count


def multiply(*xs: Array) -> tuple[Array, tuple[Array, ...]]:
    """The product of two or more arrays, as for gates.

    Sides of length 1 are repeated: (n, 1, 1, c) weights the channels of (n, h, w, c).

    Raises:
        ValueError: for fewer arrays, or shapes that do not fit.
    """
    largest = tuple(max(sides) for sides in zip(*(x.shape for x in xs), strict=False))
    if len(xs) < 2 or any(
        x.ndim != len(largest)
        or any(a not in (1, b) for a, b in zip(x.shape, largest, strict=True))
        for x in xs
    ):
        raise ValueError(
            "multiply takes two or more arrays of one shape, or with sides of 1. "
            f"Received: shapes={[x.shape for x in xs]}"
        )
    return _product(xs), xs


def multiply_backward(dy: Array, xs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Each factor gets the gradient times all other factors, summed where it was repeated."""
    return tuple(
        _sum_repeated(_product((dy, *xs[:i], *xs[i + 1 :])), x.shape) for i, x in enumerate(xs)
    )


def _sum_repeated(gradient: Array, shape: tuple[int, ...]) -> Array:
    repeated = tuple(
        axis
        for axis, (side, own) in enumerate(zip(gradient.shape, shape, strict=True))
        if side != own
    )
    return gradient.sum(axis=repeated, keepdims=True) if repeated else gradient


def _product(factors: Sequence[Array]) -> Array:
    return functools.reduce(np.multiply, factors)


def concatenate(*xs: Array) -> tuple[Array, Sequence[int]]:
    """Put the channels (the last axis) of arrays side by side.

    Raises:
        ValueError: for arrays that differ in another axis.
    """
    if not xs or any(x.shape[:-1] != xs[0].shape[:-1] for x in xs):
        raise ValueError(
            "concatenate takes arrays that differ in the last axis only. "
            f"Received: shapes={[x.shape for x in xs]}"
        )
    ends = np.cumsum([x.shape[-1] for x in xs])
    return np.concatenate(xs, axis=-1), ends.tolist()


def concatenate_backward(dy: Array, ends: Sequence[int]) -> tuple[Array, ...]:
    """Each array gets the gradient of its own channels."""
    return tuple(np.split(dy, ends[:-1], axis=-1))


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


def dropout(x: Array, drop_rate: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Zero each number with probability ``drop_rate``; scale the others by ``1 / (1 - drop_rate)``.

    The scaling keeps the expected value, so inference needs no correction ("inverted" dropout, as
    in Keras and PyTorch).

    Args:
        x: any shape.
        drop_rate: 0 <= drop_rate < 1.
        rng: draws one number per value of ``x``.

    Returns:
        y in the shape and dtype of ``x``, and the mask (0 or the scale) for the backward pass.

    Raises:
        ValueError: for a rate outside [0, 1).
    """
    if not 0 <= drop_rate < 1:
        raise ValueError(f"drop_rate must be in [0, 1). Received: drop_rate={drop_rate!r}")
    kept = rng.random(x.shape, np.float32) >= drop_rate
    mask = kept * np.asarray(1 / (1 - drop_rate), x.dtype)
    return x * mask, mask


def dropout_backward(dy: Array, mask: Array) -> Array:
    """Zero and scale the gradient exactly as the values were."""
    return dy * mask
