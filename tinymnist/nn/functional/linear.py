"""The linear operations: dense, and convolution by im2col.

Convolution lays every window out as one row, then multiplies matrices (Chellapilla, Puri and
Simard, "High Performance Convolutional Neural Networks for Document Processing", 2006). As in every
framework, "convolution" means cross-correlation: the kernel is not flipped.

Shapes: n pictures, h x w pixels, c channels; the kernel is (kh, kw, c / groups, out); the output
has oh x ow pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinymnist.nn.arrays import Array, Padding, Shape, Windows
from tinymnist.nn.functional.windows import (
    BY_PICTURE,
    BY_PIXEL,
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
    rows = as_matrix(
        x.transpose(BY_PIXEL) if x.ndim == 4 else x
    )  # in their order in memory: no copy
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
    y = np.empty((*windows.output, len(x), kernel.shape[3]), x.dtype)  # (oh, ow, n, out)
    shift = np.zeros(y.shape[2:], x.dtype) if bias is None else np.tile(bias, (len(x), 1))
    view, matrix = _windows_by_pixel(x, windows), kernel.reshape(-1, kernel.shape[3])
    for band in _bands(view, kernel.shape[3]):
        rows = _copy_rows(view[band])  # R: (rows*ow*n, kh*kw*c)
        product = rows @ matrix if groups == 1 else _grouped_y(rows, kernel, groups)
        np.add(product.reshape(y[band].shape), shift, out=y[band])
    return y.transpose(BY_PICTURE), ConvCache(x, kernel, windows, groups, bias is not None)


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
    dy = np.ascontiguousarray(dy.transpose(BY_PIXEL))  # (oh, ow, n, out), already so in memory
    dx, view = None, _windows_by_pixel(x, windows)
    bands = _bands(view, kernel.shape[3])
    if need_dx:
        parts = ((band, _drows(as_matrix(dy[band]), kernel, groups)) for band in bands)
        dx = _add_windows(parts, windows, x.shape, dy.dtype)
    if not need_dkernel:
        return dx, None, None
    dkernel = np.zeros((kernel[..., 0].size, kernel.shape[3]), dy.dtype)
    for band in bands:
        rows = _copy_rows(view[band])  # again, as R would fill the memory if it were kept
        if groups == 1:  # R^T dY, from a product that BLAS does in 0.85 of the time
            dkernel += (as_matrix(dy[band]).T @ rows).T
        else:
            dkernel += _grouped_dkernel(rows, as_matrix(dy[band]), kernel, groups)
    return (
        dx,
        dkernel.reshape(kernel.shape),
        sum_rows(dy.transpose(BY_PICTURE)) if has_bias else None,
    )


def _drows(dy: Array, kernel: Array, groups: int) -> Iterable[Array]:
    """``dR = dY K^T`` for (rows, out), one row of the window at a time: kh of (rows, kw*c)."""
    if groups > 1:
        return np.split(_grouped_drows(dy, kernel, groups), len(kernel), axis=1)
    return (dy @ as_matrix(window_row).T for window_row in kernel)  # a row: (kw, c, out)


# Groups: the same three products, on stacks of one matrix per group -----------------------------


def _grouped_y(rows: Array, kernel: Array, groups: int) -> Array:
    """``Y = R K`` for each group: (oh*ow*n, out)."""
    return _join(_split_rows(rows, kernel, groups) @ _split(kernel, groups))


def _grouped_dkernel(rows: Array, dy: Array, kernel: Array, groups: int) -> Array:
    """``dK = R^T dY`` for each group: (kh*kw*c/groups, out)."""
    return _join(_split_rows(rows, kernel, groups).transpose(0, 2, 1) @ _split(dy, groups))


def _grouped_drows(dy: Array, kernel: Array, groups: int) -> Array:
    """``dR = dY K^T`` for each group: (oh*ow*n, kh*kw*c)."""
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
    """(oh*ow*n, kh*kw*c) -> (groups, oh*ow*n, kh*kw*c/groups): each tap's channels are cut."""
    kh, kw, c_group, _ = kernel.shape
    by_tap = rows.reshape(len(rows), kh * kw, groups, c_group)
    return by_tap.transpose(2, 0, 1, 3).reshape(groups, len(rows), kh * kw * c_group)


# The two copies ----------------------------------------------------------------------------------
# R is kh*kw times as large as the pictures. As a whole it would leave the processor's cache, so it
# is made, used and forgotten in bands: a few rows of windows, of all pictures.

_BAND_BYTES = 3 << 18  # of R and Y: about what a core's own cache holds
_LONG_STRETCH = 8  # numbers


def im2col(x: Array, windows: Windows) -> Array:
    """Copy every window into one row: (n, h, w, c) -> (oh*ow*n, kh*kw*c).

    First come the rows of every picture's first window, then of its second, and so on.
    """
    return _copy_rows(_windows_by_pixel(x, windows))


def col2im(rows: Array, windows: Windows) -> Array:
    """Add windows into pictures: (oh*ow*n, kh*kw*c) -> (n, h, w, c), the adjoint of im2col.

    A pixel that lies in several windows receives the sum of their values.
    """
    (oh, ow), (kh, kw) = windows.output, windows.kernel
    shape = (len(rows) // (oh * ow), *windows.size, rows.shape[1] // (kh * kw))
    everything = (slice(oh), np.split(rows, kh, axis=1))
    return _add_windows([everything], windows, shape, rows.dtype)


def _bands(view: Array, out: int) -> list[slice]:
    """As many rows of windows (oh, ow, n, kh, kw, c) at a time as fit into ``_BAND_BYTES``."""
    oh, ow, n, kh, kw, c = view.shape
    row_bytes = ow * n * (kh * kw * c + out) * view.itemsize
    count = max(_BAND_BYTES // max(row_bytes, 1), 1)
    return list(map(slice, range(0, oh, count), range(count, oh + count, count)))


def _windows_by_pixel(x: Array, windows: Windows) -> Array:
    """A view of all windows: (n, h, w, c) -> (oh, ow, n, kh, kw, c)."""
    pixels = np.ascontiguousarray(
        pad2d(x, windows.pads).transpose(BY_PIXEL)
    )  # copies a model's input only
    return sliding_windows(pixels.transpose(BY_PICTURE), windows).transpose(1, 2, 0, 3, 4, 5)


def _copy_rows(view: Array) -> Array:
    """(rows, ow, n, kh, kw, c) -> (rows*ow*n, kh*kw*c)."""
    rows, ow, n, kh, kw, c = view.shape
    if c < _LONG_STRETCH:  # copy along the rows of all pictures; BLAS takes any order in memory
        taps_first = np.ascontiguousarray(view.transpose(3, 4, 5, 0, 1, 2))
        return taps_first.reshape(kh * kw * c, rows * ow * n).T
    return view.reshape(rows * ow * n, kh * kw * c)


def _add_windows(
    bands: Iterable[tuple[slice, Iterable[Array]]],
    windows: Windows,
    shape: Shape,
    dtype: np.dtype[Any],
) -> Array:
    """:func:`col2im` of bands, each with kh parts (rows*ow*n, kw*c) for the rows of the window.

    Adding the rows of the windows first and then their columns takes kh + kw additions of whole
    slices instead of kh*kw.
    """
    (_, ow), kw, (n, h, w, c) = windows.output, windows.kernel[1], shape
    (top, bottom), (left, right) = windows.pads
    row_slices, column_slices = axis_slices(windows)
    strips = np.zeros((top + h + bottom, ow, n, kw, c), dtype)
    for band, parts in bands:
        for visited, part in zip(row_slices, parts, strict=True):
            covered = strips[visited][band]
            covered += part.reshape(covered.shape)
    pixels = np.zeros((top + h + bottom, left + w + right, n, c), dtype)
    for b, visited in enumerate(column_slices):
        pixels[:, visited] += strips[..., b, :]  # (h, ow, n, c)
    return crop2d(pixels.transpose(BY_PICTURE), windows.pads)
