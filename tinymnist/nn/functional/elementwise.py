"""Fixed arithmetic on numbers (rescaling, normalization) and merging of branches."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from tinymnist.nn.arrays import Array


def rescaling(x: Array, scale: Array | float, offset: Array | float = 0.0) -> tuple[Array, Array]:
    """``y = x * scale + offset``; ``scale`` and ``offset`` are numbers or (c,) arrays."""
    factor = np.asarray(scale, x.dtype)
    return x * factor + np.asarray(offset, x.dtype), factor


def rescaling_backward(dy: Array, factor: Array) -> Array:
    """The slope is ``scale`` everywhere."""
    return dy * factor


def normalization(x: Array, mean: Array | float, variance: Array | float) -> tuple[Array, Array]:
    """``y = (x - mean) / sqrt(variance)``, with fixed statistics (Keras's Normalization layer).

    The root is kept above 1e-7, Keras's own guard against a variance of 0.
    """
    scale = 1 / np.maximum(np.sqrt(np.asarray(variance, x.dtype)), np.asarray(1e-7, x.dtype))
    return (x - np.asarray(mean, x.dtype)) * scale, scale


normalization_backward = rescaling_backward


def add(*xs: Array) -> tuple[Array, int]:
    """The sum of two or more arrays of one shape: the residual connection."""
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
    """The product of two or more arrays of one shape: gates, and squares."""
    if len(xs) < 2 or any(x.shape != xs[0].shape for x in xs):
        raise ValueError(
            "multiply takes two or more arrays of one shape. "
            f"Received: shapes={[x.shape for x in xs]}"
        )
    return _product(xs), xs


def multiply_backward(dy: Array, xs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Each factor gets the gradient times all the other factors."""
    return tuple(_product((dy, *xs[:i], *xs[i + 1 :])) for i in range(len(xs)))


def _product(factors: Sequence[Array]) -> Array:
    return functools.reduce(np.multiply, factors)


def concatenate(*xs: Array) -> tuple[Array, Sequence[int]]:
    """Put the channels (the last axis) of arrays side by side."""
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
