"""Pictures that grow: repeated pixels, and the transposed convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymnist.nn.arrays import Array, Pair
from tinymnist.nn.functional.linear import conv2d, conv2d_backward


def up_sampling2d(x: Array, size: Pair) -> tuple[Array, Pair]:
    """Repeat every pixel: (n, h, w, c) -> (n, h * size[0], w * size[1], c)."""
    return x.repeat(size[0], axis=1).repeat(size[1], axis=2), size


def up_sampling2d_backward(dy: Array, size: Pair) -> Array:
    """A pixel's gradient is the sum of those of its copies."""
    n, h, w, c = dy.shape
    blocks = dy.reshape(n, h // size[0], size[0], w // size[1], size[1], c)
    return np.asarray(blocks.sum(axis=(2, 4)))


def transposed_size(n: int, k: int, stride: int, padding: str) -> tuple[int, Pair]:
    """The size of a transposed convolution's output, and the zeros around the spread input.

    Keras: ``n * stride`` for "same", else ``n * stride + max(k - stride, 0)``.
    """
    overlap = max(k - stride, 0)
    size = n * stride + (0 if padding == "same" else overlap)
    before = k - 1 - (overlap // 2 if padding == "same" else 0)
    return size, (before, size - (n - 1) * stride - 1 - before + k - 1)


def conv2d_transpose(
    x: Array, kernel: Array, bias: Array | None, strides: Pair, padding: str
) -> tuple[Array, Any]:
    """The transpose of a convolution: every pixel of x adds its multiple of the kernel to y.

    With zeros between its pixels and around them, x gives the same by an ordinary convolution with
    the kernel turned by 180 degrees (Dumoulin and Visin, "A guide to convolution arithmetic",
    2016).

    Args:
        x: (n, h, w, in).
        kernel: (kh, kw, out, in), Keras's order.
        bias: (out,), or None.
        strides: how far the kernel moves per pixel of x.
        padding: "valid" or "same".

    Returns:
        y (n, oh, ow, out), with the sizes of :func:`transposed_size`.
    """
    n, h, w, c = x.shape
    _, rows = transposed_size(h, kernel.shape[0], strides[0], padding)
    _, columns = transposed_size(w, kernel.shape[1], strides[1], padding)
    spread = np.zeros((n, (h - 1) * strides[0] + 1, (w - 1) * strides[1] + 1, c), x.dtype)
    spread[:, :: strides[0], :: strides[1]] = x
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)  # (kh, kw, out, in) -> (kh, kw, in, out)
    y, cache = conv2d(spread, np.ascontiguousarray(turned), bias, padding=(rows, columns))
    return y, (cache, strides)


def conv2d_transpose_backward(dy: Array, cache: Any) -> tuple[Array, Array, Array | None]:
    """Dx from the pixels that were not zeros between others; dkernel turned back; dbias."""
    inner, strides = cache
    dspread, dturned, dbias = conv2d_backward(dy, inner)
    dkernel = np.asarray(dturned).transpose(0, 1, 3, 2)[::-1, ::-1]
    dx = np.asarray(dspread)[:, :: strides[0], :: strides[1]]
    return dx, np.ascontiguousarray(dkernel), dbias
