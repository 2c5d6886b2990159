"""The linear operations: dense, and convolution by im2col.

Convolution lays every window out as one row, then multiplies matrices (Chellapilla, Puri and
Simard, "High Performance Convolutional Neural Networks for Document Processing", 2006). As in every
framework, "convolution" means cross-correlation: the kernel is not flipped.

Shapes: n pictures, h x w pixels, c channels; the kernel is (kh, kw, c / groups, out); the output
has oh x ow pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinymnist.nn.arrays import Array, Padding, Windows
from tinymnist.nn.functional.windows import (
    axis_slices,
    crop2d,
    pad2d,
    sliding_windows,
    windows_of,
)


def dense(
    x: Array, kernel: Array, bias: Array | None = None
) -> tuple[Array, tuple[Array, Array, bool]]:
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
    return y, (x, kernel, bias is not None)


def dense_backward(
    dy: Array, cache: tuple[Array, Array, bool], *, need_dx: bool = True, need_dkernel: bool = True
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


# Convolution ------------------------------------------------------------------------------------


class ConvCache(NamedTuple):
    """What :func:`conv2d_backward` needs."""

    x: Array
    kernel: Array
    windows: Windows
    groups: int
    has_bias: bool


def conv2d(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> tuple[Array, ConvCache]:
    """Slide a kernel over pictures.

    ``y[n, i, j, o] = bias[o] + sum over a, b, c of x[n, i*sh + a*dh, j*sw + b*dw, c] *
    kernel[a, b, c, o]``, with ``x`` padded by zeros.

    A 3x3 picture has four 2x2 windows. As rows of a matrix R, times the kernel as a column K:

    >>> x = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
    >>> kernel = np.array([[1.0, 10], [100, 1000]])
    >>> R = np.array([[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]])
    >>> R @ kernel.ravel()  # the first: 1*1 + 2*10 + 4*100 + 5*1000
    array([5421., 6532., 8754., 9865.])
    >>> y, cache = conv2d(x.reshape(1, 3, 3, 1), kernel.reshape(2, 2, 1, 1))
    >>> y.reshape(2, 2)
    array([[5421., 6532.],
           [8754., 9865.]])

    Args:
        x: (n, h, w, c).
        kernel: (kh, kw, c / groups, out).
        bias: (out,) or None.
        strides, dilation: one number, or (height, width).
        padding: see :func:`tinymnist.nn.arrays.fit_windows`.
        groups: cut channels and outputs into this many groups that do not see each other;
            ``groups=c`` is a depthwise convolution.

    Returns:
        y (n, oh, ow, out) in the dtype of ``x``, and the cache for the backward pass.

    Raises:
        ValueError: if channels, groups and kernel do not fit, or the window exceeds the picture.
    """
    if kernel.ndim != 4:
        raise ValueError(
            f"a kernel must be (kh, kw, in, out). Received: kernel.shape={kernel.shape}"
        )
    windows = windows_of(x, kernel.shape[:2], strides, padding, dilation)
    if x.shape[-1] != kernel.shape[2] * groups or kernel.shape[3] % groups:
        raise ValueError(
            "x must have groups * kernel.shape[2] channels, and groups must divide the outputs. "
            f"Received: x.shape={x.shape}, kernel.shape={kernel.shape}, groups={groups}"
        )
    rows = im2col(x, windows)  # R: (n*oh*ow, kh*kw*c)
    y = rows @ as_matrix(kernel) if groups == 1 else _grouped_y(rows, kernel, groups)
    y = y.reshape(len(x), *windows.output, kernel.shape[3])  # from (n*oh*ow, out)
    if bias is not None:
        y += bias
    return y, ConvCache(x, kernel, windows, groups, bias is not None)


def conv2d_backward(
    dy: Array, cache: ConvCache, *, need_dx: bool = True, need_dkernel: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """Gradients of :func:`conv2d`.

    With R, the windows as rows, and K, the kernel as a matrix, the forward pass is

        ``Y = R K + bias``, or ``Y_ro = sum over t of R_rt K_to + bias_o``.

    R_rt enters Y_ro with the factor K_to, and K_to enters it with the factor R_rt. Summing over
    everything that each of them enters:

    - ``dK_to = sum over r of R_rt dY_ro``, that is ``dK = R^T dY``;
    - ``dbias_o = sum over r of dY_ro``;
    - ``dR_rt = sum over o of dY_ro K_to``, that is ``dR = dY K^T``. A pixel was copied into every
      window that covers it, so dx is the sum of its copies' gradients: :func:`col2im`.

    The example of :func:`conv2d` again, where the first window has the gradient 1 and the last one
    2. The pixel in the middle is the last tap of the one and the first tap of the other:

    >>> x = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
    >>> kernel = np.array([[1.0, 10], [100, 1000]])
    >>> _, cache = conv2d(x.reshape(1, 3, 3, 1), kernel.reshape(2, 2, 1, 1), np.zeros(1))
    >>> dx, dkernel, dbias = conv2d_backward(np.array([1.0, 0, 0, 2]).reshape(1, 2, 2, 1), cache)
    >>> dkernel.reshape(2, 2)  # 1 * [1, 2, 4, 5] + 2 * [5, 6, 8, 9]
    array([[11., 14.],
           [20., 23.]])
    >>> dbias
    array([3.])
    >>> dx.reshape(3, 3).astype(int)  # in the middle 1 * 1000 + 2 * 1
    array([[   1,   10,    0],
           [ 100, 1002,   20],
           [   0,  200, 2000]])

    Args:
        dy: (n, oh, ow, out).
        cache: from :func:`conv2d`.
        need_dx: False skips dx, as for the lowest layer that learns.
        need_dkernel: False skips dkernel and dbias, as for a frozen layer.

    Returns:
        dx (n, h, w, c), dkernel (kh, kw, c / groups, out), dbias (out,); None for what was skipped
        and for a missing bias.
    """
    x, kernel, windows, groups, has_bias = cache
    dx = None
    if need_dx:  # dR has no name here, so that its memory is free for R below
        dx = col2im(_drows(dy, kernel, groups), windows)
    if not need_dkernel:
        return dx, None, None
    rows = im2col(x, windows)  # again, which costs less than keeping R in memory
    dkernel = rows.T @ as_matrix(dy) if groups == 1 else _grouped_dkernel(rows, dy, kernel, groups)
    return dx, dkernel.reshape(kernel.shape), sum_rows(dy) if has_bias else None


def _drows(dy: Array, kernel: Array, groups: int) -> Array:
    """``dR = dY K^T``: (n*oh*ow, kh*kw*c)."""
    if groups > 1:
        return _grouped_drows(dy, kernel, groups)
    return as_matrix(dy) @ as_matrix(kernel).T


# Groups: the same three products, on stacks of one matrix per group -----------------------------


def _grouped_y(rows: Array, kernel: Array, groups: int) -> Array:
    """``Y = R K`` for each group: (n*oh*ow, out)."""
    return _join(_split_rows(rows, kernel, groups) @ _split(kernel, groups))


def _grouped_dkernel(rows: Array, dy: Array, kernel: Array, groups: int) -> Array:
    """``dK = R^T dY`` for each group: (kh*kw*c/groups, out)."""
    return _join(_split_rows(rows, kernel, groups).transpose(0, 2, 1) @ _split(dy, groups))


def _grouped_drows(dy: Array, kernel: Array, groups: int) -> Array:
    """``dR = dY K^T`` for each group: (n*oh*ow, kh*kw*c)."""
    kh, kw, c_group, _ = kernel.shape
    stack = _split(dy, groups) @ _split(kernel, groups).transpose(0, 2, 1)
    by_tap = stack.reshape(groups, stack.shape[1], kh * kw, c_group).transpose(1, 2, 0, 3)
    return by_tap.reshape(stack.shape[1], kh * kw * groups * c_group)


def _split(x: Array, groups: int) -> Array:
    """(..., groups * o) -> (groups, rows, o)."""
    matrix = as_matrix(x)
    return matrix.reshape(len(matrix), groups, matrix.shape[1] // groups).transpose(1, 0, 2)


def _join(stack: Array) -> Array:
    """(groups, rows, o) -> (rows, groups * o)."""
    groups, rows, o = stack.shape
    return stack.transpose(1, 0, 2).reshape(rows, groups * o)


def _split_rows(rows: Array, kernel: Array, groups: int) -> Array:
    """(n*oh*ow, kh*kw*c) -> (groups, n*oh*ow, kh*kw*c/groups): each tap's channels are cut."""
    kh, kw, c_group, _ = kernel.shape
    by_tap = rows.reshape(len(rows), kh * kw, groups, c_group)
    return by_tap.transpose(2, 0, 1, 3).reshape(groups, len(rows), kh * kw * c_group)


# The two copies, which take most of the time beside the products ---------------------------------
# The gains are quotients of rows of ``python -m benchmarks.im2col``, which measures forward and
# backward passes over the shipped convolutions.

_LONG_STRETCH = 16  # numbers
_TAPS_FIRST = (3, 4, 5, 0, 1, 2)  # its own inverse


def im2col(x: Array, windows: Windows) -> Array:
    """Copy every window into one row: (n, h, w, c) -> (n*oh*ow, kh*kw*c).

    A strided view shows all windows, so one call copies them: 1.11 times as fast as a copy per tap.
    With the channels last, the kw*c numbers in a row of a window lie side by side in ``x``, so the
    copy runs in long stretches: 1.34 times as fast as with the channels first.
    """
    view = sliding_windows(pad2d(x, windows.pads), windows)
    n, oh, ow, kh, kw, c = view.shape
    if kw * c >= _LONG_STRETCH:
        copy = np.ascontiguousarray(view)
    else:  # along the rows of the picture: 1.09 times as fast; BLAS takes any order in memory
        copy = np.ascontiguousarray(view.transpose(_TAPS_FIRST)).transpose(_TAPS_FIRST)
    return copy.reshape(n * oh * ow, kh * kw * c)


def col2im(rows: Array, windows: Windows) -> Array:
    """Add windows into pictures: (n*oh*ow, kh*kw*c) -> (n, h, w, c), the adjoint of im2col.

    A pixel that lies in several windows receives the sum of their values. Adding the rows of the
    windows first and then their columns takes kh + kw additions of whole slices instead of kh*kw:
    1.06 times as fast.
    """
    (oh, ow), (kh, kw), (h, w) = windows.output, windows.kernel, windows.size
    (top, bottom), (left, right) = windows.pads
    n, c = len(rows) // (oh * ow), rows.shape[1] // (kh * kw)
    cols = rows.reshape(n, oh, ow, kh, kw, c)
    row_slices, column_slices = axis_slices(windows)
    strips = np.zeros((n, top + h + bottom, ow, kw, c), rows.dtype)
    for a, visited in enumerate(row_slices):
        strips[:, visited] += cols[:, :, :, a]  # (n, oh, ow, kw, c)
    x = np.zeros((n, top + h + bottom, left + w + right, c), rows.dtype)
    for b, visited in enumerate(column_slices):
        x[:, :, visited] += strips[:, :, :, b]  # (n, h, ow, c)
    return crop2d(x, windows.pads)
