"""The fully connected layer: one matrix product."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tinymnist.nn.arrays import Array


class DenseCache(NamedTuple):
    """What :func:`dense_backward` needs."""

    x: Array
    kernel: Array
    has_bias: bool


def dense(x: Array, kernel: Array, bias: Array | None = None) -> tuple[Array, DenseCache]:
    """``y = x @ kernel + bias``.

    Args:
        x: (n, features).
        kernel: (features, units).
        bias: (units,) or None.

    Returns:
        y (n, units) in the dtype of ``x``, and the cache for the backward pass.

    Raises:
        ValueError: if the features of ``x`` and ``kernel`` differ.
    """
    if x.ndim != 2 or x.shape[1] != kernel.shape[0]:
        raise ValueError(
            "dense takes (n, features) with as many features as the kernel has rows. "
            f"Received: x.shape={x.shape}, kernel.shape={kernel.shape}"
        )
    y = x @ kernel  # (n, features) @ (features, units) -> (n, units)
    if bias is not None:
        y += bias
    return y, DenseCache(x, kernel, bias is not None)


def dense_backward(
    dy: Array, cache: DenseCache, *, need_dx: bool = True, need_dkernel: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """Gradients of :func:`dense`.

    For one example, ``y_j = sum over i of x_i K_ij + b_j``, so ``dK_ij = x_i dy_j``,
    ``db_j = dy_j`` and ``dx_i = sum over j of dy_j K_ij``. A batch adds up the first two.

    Args:
        dy: (n, units).
        cache: from :func:`dense`.
        need_dx: False skips dx, as for the lowest layer that learns.
        need_dkernel: False skips dkernel and dbias, as for a frozen layer.

    Returns:
        dx (n, features), dkernel (features, units), dbias (units,); None for what was skipped and
        for a missing bias.
    """
    x, kernel, has_bias = cache
    dx = dy @ kernel.T if need_dx else None  # (n, units) @ (units, features)
    if not need_dkernel:
        return dx, None, None
    dkernel = x.T @ dy  # (features, n) @ (n, units)
    return dx, dkernel, sum_rows(dy) if has_bias else None


def as_matrix(x: Array) -> Array:
    """Merge every axis but the last: (..., c) -> (rows, c)."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def sum_rows(x: Array) -> Array:
    """Sum over every axis but the last, as a matrix product: (..., c) -> (c,).

    BLAS sums in blocks, which is both faster and more accurate than NumPy's running total along
    the first axis.
    """
    rows = as_matrix(x)
    return np.ones(len(rows), x.dtype) @ rows
