"""Convolution by im2col: lay every window out as one row, then multiply matrices.

Shapes: n pictures, h x w pixels, c channels; a kernel is (kh, kw, c / groups, out); the output has
oh x ow pixels. As in every framework, "convolution" means cross-correlation: the kernel is not
flipped. The idea is that of Chellapilla, Puri and Simard, "High Performance Convolutional Neural
Networks for Document Processing" (2006).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.shapes import Padding, Pads, Pair, as_pair, resolve_padding, window_output

_LONG_STRETCH = 16  # numbers
_TAPS_FIRST = (3, 4, 5, 0, 1, 2)  # its own inverse


class Windows(NamedTuple):
    """How a window slides over pictures, every size in pixels as (height, width)."""

    size: Pair
    kernel: Pair
    strides: Pair
    dilation: Pair
    pads: Pads

    @property
    def output(self) -> Pair:
        """(oh, ow): how many windows fit."""
        return window_output(self.size, self.kernel, self.strides, self.pads, self.dilation)


class ConvCache(NamedTuple):
    """What :func:`conv2d_backward` needs."""

    x: Array
    kernel: Array
    windows: Windows
    groups: int
    has_bias: bool


def windows_of(
    x: Array,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
) -> Windows:
    """Check the settings of a sliding window against ``x`` (n, h, w, c)."""
    if x.ndim != 4:
        raise ValueError(f"pictures must come as (n, h, w, c). Received: x.shape={x.shape}")
    size = (x.shape[1], x.shape[2])
    kernel = as_pair(kernel_size, "kernel_size")
    strides, dilation = as_pair(strides, "strides"), as_pair(dilation, "dilation")
    pads = resolve_padding(padding, size, kernel, strides, dilation)
    return Windows(size, kernel, strides, dilation, pads)


def pad2d(x: Array, pads: Pads, value: float = 0.0) -> Array:
    """Put ``pads`` pixels of ``value`` around every picture; without any, return ``x`` itself."""
    (top, bottom), (left, right) = pads
    if not (top or bottom or left or right):
        return x
    n, h, w, c = x.shape
    y = np.full((n, top + h + bottom, left + w + right, c), value, x.dtype)
    y[:, top : top + h, left : left + w] = x
    return y


def axis_slices(windows: Windows) -> tuple[list[slice], list[slice]]:
    """For each of the kh rows and kw columns of the window, what it meets while it slides."""
    (oh, ow), (kh, kw) = windows.output, windows.kernel
    (sh, sw), (dh, dw) = windows.strides, windows.dilation
    return (
        [slice(a * dh, a * dh + oh * sh, sh) for a in range(kh)],
        [slice(b * dw, b * dw + ow * sw, sw) for b in range(kw)],
    )


def tap_slices(windows: Windows) -> list[tuple[slice, slice]]:
    """For each of the kh*kw taps, the pixels that it meets while the window slides."""
    rows, columns = axis_slices(windows)
    return [(row, column) for row in rows for column in columns]


def sliding_windows(x: Array, windows: Windows) -> Array:
    """See padded pictures as windows (n, oh, ow, kh, kw, c), read-only, without copying a pixel."""
    (oh, ow), (kh, kw) = windows.output, windows.kernel
    (sh, sw), (dh, dw) = windows.strides, windows.dilation
    n, _, _, c = x.shape
    along_n, along_h, along_w, along_c = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        shape=(n, oh, ow, kh, kw, c),
        strides=(along_n, along_h * sh, along_w * sw, along_h * dh, along_w * dw, along_c),
        writeable=False,
    )


def im2col(x: Array, windows: Windows) -> Array:
    """Copy the windows of ``x`` (n, h, w, c) into an array (n, oh, ow, kh, kw, c).

    With the channels last, the kw*c numbers of one window row lie side by side in ``x`` already,
    so the copy runs in long contiguous stretches. This is why the house keeps channels last.
    """
    seen = sliding_windows(pad2d(x, windows.pads), windows)
    if windows.kernel[1] * x.shape[-1] >= _LONG_STRETCH:
        return np.ascontiguousarray(seen)
    # Where the stretches are short, it is quicker to copy tap by tap, along a row of the picture.
    # Only the order in memory differs; BLAS multiplies either as quickly.
    return np.ascontiguousarray(seen.transpose(_TAPS_FIRST)).transpose(_TAPS_FIRST)


def col2im(cols: Array, windows: Windows) -> Array:
    """Add windows (n, oh, ow, kh, kw, c) back into pictures (n, h, w, c): the adjoint of im2col.

    A pixel that lies in several windows receives the sum of what they hold. There are only kh + kw
    additions of whole slices: first the rows of the windows are added up, then their columns.
    """
    n, _, ow, _, kw, c = cols.shape
    (top, bottom), (left, right) = windows.pads
    h, w = windows.size
    rows, columns = axis_slices(windows)
    strips = np.zeros((n, top + h + bottom, ow, kw, c), cols.dtype)
    for a, seen in enumerate(rows):
        strips[:, seen] += cols[:, :, :, a]  # (n, oh, ow, kw, c)
    x = np.zeros((n, top + h + bottom, left + w + right, c), cols.dtype)
    for b, seen in enumerate(columns):
        x[:, :, seen] += strips[:, :, :, b]  # (n, h, ow, c)
    return x[:, top : top + h, left : left + w]


def _rows_by_group(cols: Array, groups: int) -> Array:
    """Windows as matrix rows: (n, oh, ow, kh, kw, c) -> (groups, n*oh*ow, kh*kw*c/groups)."""
    n, oh, ow, kh, kw, c = cols.shape
    rows = cols.reshape(n * oh * ow, kh * kw, groups, c // groups)
    return rows.transpose(2, 0, 1, 3).reshape(groups, n * oh * ow, kh * kw * (c // groups))


def _kernel_by_group(kernel: Array, groups: int) -> Array:
    """(kh, kw, c/groups, out) -> (groups, kh*kw*c/groups, out/groups)."""
    kh, kw, c, out = kernel.shape
    return kernel.reshape(kh * kw * c, groups, out // groups).transpose(1, 0, 2)


def _outputs_by_group(y: Array, groups: int) -> Array:
    """(n, oh, ow, out) -> (groups, n*oh*ow, out/groups)."""
    n, oh, ow, out = y.shape
    return y.reshape(n * oh * ow, groups, out // groups).transpose(1, 0, 2)


def _check_channels(x: Array, kernel: Array, groups: int) -> None:
    if kernel.ndim != 4:
        raise ValueError(
            f"a kernel must be (kh, kw, in, out). Received: kernel.shape={kernel.shape}"
        )
    if x.shape[-1] != kernel.shape[2] * groups or kernel.shape[3] % groups:
        raise ValueError(
            "x must have groups * kernel.shape[2] channels, and groups must divide the outputs. "
            f"Received: x.shape={x.shape}, kernel.shape={kernel.shape}, groups={groups}"
        )


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

    Args:
        x: (n, h, w, c).
        kernel: (kh, kw, c / groups, out).
        bias: (out,) or None.
        strides, dilation: one number, or (height, width).
        padding: see :func:`tinymnist.nn.shapes.resolve_padding`.
        groups: channels and outputs are cut into this many groups that do not see each other;
            ``groups=c`` is a depthwise convolution.

    Returns:
        y (n, oh, ow, out) in the dtype of ``x``, and the cache for the backward pass.

    Raises:
        ValueError: when channels, groups and kernel do not fit, or the window not the picture.
    """
    windows = windows_of(x, kernel.shape[:2], strides, padding, dilation)
    _check_channels(x, kernel, groups)
    rows = _rows_by_group(im2col(x, windows), groups)
    y = rows @ _kernel_by_group(kernel, groups)  # (groups, n*oh*ow, out/groups)
    y = y.transpose(1, 0, 2).reshape(len(x), *windows.output, kernel.shape[3])
    if bias is not None:
        y += bias
    return y, ConvCache(x, kernel, windows, groups, bias is not None)


def conv2d_backward(
    dy: Array, cache: ConvCache, *, need_dx: bool = True, need_dkernel: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """Gradients of :func:`conv2d`.

    For one group, with R the rows that im2col made and K the kernel as a matrix, the forward pass
    is ``Y = R K + bias``. So ``dK = R^T dY``, ``dbias`` is the sum of the rows of dY, and
    ``dR = dY K^T``, which col2im, the adjoint of im2col, adds back into pictures.

    Args:
        dy: (n, oh, ow, out).
        cache: from :func:`conv2d`.
        need_dx: False skips dx, as for the lowest layer that learns.
        need_dkernel: False skips dkernel and dbias, as for a frozen layer.

    Returns:
        dx (n, h, w, c), dkernel (kh, kw, c / groups, out), dbias (out,); None for what was skipped
        and for the bias that is not there.
    """
    dx = _conv2d_dx(dy, cache) if need_dx else None
    if not need_dkernel:
        return dx, None, None
    return dx, _conv2d_dkernel(dy, cache), sum_rows(dy) if cache.has_bias else None


def _conv2d_dkernel(dy: Array, cache: ConvCache) -> Array:
    """``dK = R^T dY``. The rows are copied anew: that costs less than to keep them in memory."""
    x, kernel, windows, groups, _ = cache
    rows = _rows_by_group(im2col(x, windows), groups)
    dkernel = rows.transpose(0, 2, 1) @ _outputs_by_group(dy, groups)
    # (groups, kh*kw*c_group, out/groups) -> (kh, kw, c_group, out)
    return dkernel.transpose(1, 0, 2).reshape(kernel.shape)


def _conv2d_dx(dy: Array, cache: ConvCache) -> Array:
    """``dR = dY K^T``, then col2im."""
    x, kernel, windows, groups, _ = cache
    kh, kw, c_group, _ = kernel.shape
    drows = _outputs_by_group(dy, groups) @ _kernel_by_group(kernel, groups).transpose(0, 2, 1)
    # (groups, n*oh*ow, kh*kw*c_group) -> (n, oh, ow, kh, kw, groups*c_group)
    by_pixel = drows.reshape(groups, drows.shape[1], kh * kw, c_group).transpose(1, 2, 0, 3)
    return col2im(by_pixel.reshape(len(x), *windows.output, kh, kw, groups * c_group), windows)


def sum_rows(y: Array) -> Array:
    """Sum over every axis but the last, as a matrix product: (..., c) -> (c,).

    BLAS sums in blocks, which is both faster and closer to the true sum than NumPy's running
    total along the first axis.
    """
    rows = y.reshape(math.prod(y.shape[:-1]), y.shape[-1])
    return np.ones(len(rows), y.dtype) @ rows
