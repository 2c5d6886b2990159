"""Arithmetic with fixed numbers (rescaling, normalization), and the merging of branches."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from tinymnist.nn.arrays import Array


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
