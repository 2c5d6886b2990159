"""Many ways to write one convolution in NumPy, forward and backward, and tinymnist's own.

All take images x (n, h, w, c) and a kernel (kh, kw, c, out), stride 1, no padding, and return
y (n, oh, ow, out). Backward has two parts, dkernel and dx, as the first layer of a network needs
only one. One way keeps the channels first, as PyTorch does: x (n, c, h, w) and y (n, out, oh, ow),
with the same kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks import rows
from benchmarks.rows import Array
from tinymnist.nn import functional as F
from tinymnist.nn.functional.linear import ConvCache


class Convolution(NamedTuple):
    """One way to compute a convolution and its gradients."""

    forward: Callable[[Array, Array], Array]
    """``(x, kernel) -> y``"""
    dkernel: Callable[[Array, Array, Array], Array]
    """``(dy, x, kernel) -> dkernel``"""
    dx: Callable[[Array, Array, Array], Array]
    """``(dy, x, kernel) -> dx``"""
    channels_first: bool = False


def by_rows(
    im2col: Callable[[Array, int, int], Array],
    col2im: Callable[[Array, Array, int, int], Array] = rows.col2im_slices,
) -> Convolution:
    """A convolution as a matrix product of im2col's rows: ``Y = R K``."""

    def forward(x: Array, kernel: Array) -> Array:
        kh, kw, _, out = kernel.shape
        y = im2col(x, kh, kw) @ kernel.reshape(-1, out)
        return y.reshape(len(x), x.shape[1] - kh + 1, x.shape[2] - kw + 1, out)

    def dkernel(dy: Array, x: Array, kernel: Array) -> Array:
        kh, kw, _, out = kernel.shape
        return (im2col(x, kh, kw).T @ dy.reshape(-1, out)).reshape(kernel.shape)

    def dx(dy: Array, x: Array, kernel: Array) -> Array:
        kh, kw, _, out = kernel.shape
        return col2im(dy.reshape(-1, out) @ kernel.reshape(-1, out).T, x, kh, kw)

    return Convolution(forward, dkernel, dx)


def loops(x: Array, kernel: Array) -> Array:
    """Loop over output pixels; NumPy sums over each window."""
    kh, kw, _, out = kernel.shape
    y = np.empty((len(x), x.shape[1] - kh + 1, x.shape[2] - kw + 1, out), x.dtype)
    for p, i, j in np.ndindex(*y.shape[:3]):
        y[p, i, j] = np.tensordot(x[p, i : i + kh, j : j + kw], kernel, 3)
    return y


def loops_dkernel(dy: Array, x: Array, kernel: Array) -> Array:
    """Each output pixel adds its gradient times its inputs to the weights."""
    kh, kw = kernel.shape[:2]
    dkernel = np.zeros_like(kernel)
    for p, i, j in np.ndindex(*dy.shape[:3]):
        dkernel += x[p, i : i + kh, j : j + kw, :, None] * dy[p, i, j]
    return dkernel


def loops_dx(dy: Array, x: Array, kernel: Array) -> Array:
    """Each output pixel adds its gradient times the kernel to its inputs."""
    kh, kw = kernel.shape[:2]
    dx = np.zeros_like(x)
    for p, i, j in np.ndindex(*dy.shape[:3]):
        dx[p, i : i + kh, j : j + kw] += kernel @ dy[p, i, j]
    return dx


def taps(x: Array, kernel: Array) -> Array:
    """No im2col: kh*kw products of a slice of the pictures with a (c, out) matrix, summed."""
    kh, kw, _, out = kernel.shape
    oh, ow = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    y = np.zeros((len(x) * oh * ow, out), x.dtype)
    for i, j in np.ndindex(kh, kw):
        y += _tap(x, i, j, oh, ow) @ kernel[i, j]
    return y.reshape(len(x), oh, ow, out)


def taps_dkernel(dy: Array, x: Array, kernel: Array) -> Array:
    """One product for each tap."""
    oh, ow, out = dy.shape[1:]
    dkernel = np.empty_like(kernel)
    for i, j in np.ndindex(*kernel.shape[:2]):
        dkernel[i, j] = _tap(x, i, j, oh, ow).T @ dy.reshape(-1, out)
    return dkernel


def taps_dx(dy: Array, x: Array, kernel: Array) -> Array:
    """One product and one addition of a slice for each tap."""
    oh, ow, out = dy.shape[1:]
    dx = np.zeros_like(x)
    for i, j in np.ndindex(*kernel.shape[:2]):
        share = dy.reshape(-1, out) @ kernel[i, j].T
        dx[:, i : i + oh, j : j + ow] += share.reshape(len(x), oh, ow, -1)
    return dx


def _tap(x: Array, i: int, j: int, oh: int, ow: int) -> Array:
    """The input of one tap, copied as (n*oh*ow, c): matmul does not use BLAS for such a view."""
    return x[:, i : i + oh, j : j + ow].reshape(-1, x.shape[3])


def einsum(x: Array, kernel: Array) -> Array:
    """The formula itself; ``optimize`` finds the matrix product in it."""
    view = rows.windows(x, *kernel.shape[:2])
    y: Array = np.einsum("nhwijc,ijco->nhwo", view, kernel, optimize=True)
    return y


def einsum_dkernel(dy: Array, x: Array, kernel: Array) -> Array:
    """The same for the kernel's gradient."""
    view = rows.windows(x, *kernel.shape[:2])
    dkernel: Array = np.einsum("nhwijc,nhwo->ijco", view, dy, optimize=True)
    return dkernel


def einsum_dx(dy: Array, x: Array, kernel: Array) -> Array:
    """A convolution of zero-padded dy with the rotated kernel."""
    return einsum(*_rotated(dy, kernel))


def tensordot(x: Array, kernel: Array) -> Array:
    """Let tensordot copy the windows and multiply."""
    return np.tensordot(rows.windows(x, *kernel.shape[:2]), kernel, 3)


def tensordot_dkernel(dy: Array, x: Array, kernel: Array) -> Array:
    """The same for the kernel's gradient."""
    return np.tensordot(rows.windows(x, *kernel.shape[:2]), dy, ((0, 1, 2), (0, 1, 2)))


def tensordot_dx(dy: Array, x: Array, kernel: Array) -> Array:
    """As in :func:`einsum_dx`."""
    return tensordot(*_rotated(dy, kernel))


def _rotated(dy: Array, kernel: Array) -> tuple[Array, Array]:
    """Pad dy with zeros and rotate the kernel by 180 degrees, to (kh, kw, out, c)."""
    margins = [(k - 1, k - 1) for k in kernel.shape[:2]]
    return np.pad(dy, [(0, 0), *margins, (0, 0)]), kernel[::-1, ::-1].transpose(0, 1, 3, 2)


def channels_first(x: Array, kernel: Array) -> Array:
    """One matrix product per image: (out, kh*kw*c) @ (kh*kw*c, oh*ow)."""
    kh, kw, _, out = kernel.shape
    y = kernel.reshape(-1, out).T @ _columns(x, kernel)
    return y.reshape(len(x), out, x.shape[2] - kh + 1, x.shape[3] - kw + 1)


def channels_first_dkernel(dy: Array, x: Array, kernel: Array) -> Array:
    """One product per image, then their sum."""
    dy_columns = dy.reshape(*dy.shape[:2], -1)  # (n, out, oh*ow)
    dkernels = _columns(x, kernel) @ dy_columns.transpose(0, 2, 1)  # (n, kh*kw*c, out)
    dkernel: Array = dkernels.sum(axis=0)
    return dkernel.reshape(kernel.shape)


def channels_first_dx(dy: Array, x: Array, kernel: Array) -> Array:
    """One product per image, then col2im in slices for each channel."""
    n, out, oh, ow = dy.shape
    kh, kw, c, _ = kernel.shape
    shares = (kernel.reshape(-1, out) @ dy.reshape(n, out, -1)).reshape(n, kh, kw, c, oh, ow)
    dx = np.zeros_like(x)
    for i, j in np.ndindex(kh, kw):
        dx[:, :, i : i + oh, j : j + ow] += shares[:, i, j]
    return dx


def _columns(x: Array, kernel: Array) -> Array:
    """Windows of x (n, c, h, w) as columns (n, kh*kw*c, oh*ow)."""
    kh, kw, c, _ = kernel.shape
    view = sliding_window_view(x, (kh, kw), axis=(2, 3))  # (n, c, oh, ow, kh, kw)
    return np.ascontiguousarray(view.transpose(0, 4, 5, 1, 2, 3)).reshape(len(x), kh * kw * c, -1)


def ours(x: Array, kernel: Array) -> Array:
    """The implementation of the package."""
    return F.conv2d(x, kernel)[0]


def ours_dkernel(dy: Array, x: Array, kernel: Array) -> Array:
    """Its backward pass as in the first layer of a network."""
    return cast(Array, F.conv2d_backward(dy, _cache(x, kernel), need_dx=False)[1])


def ours_dx(dy: Array, x: Array, kernel: Array) -> Array:
    """Its backward pass as in a frozen layer."""
    return cast(Array, F.conv2d_backward(dy, _cache(x, kernel), need_dkernel=False)[0])


def _cache(x: Array, kernel: Array) -> ConvCache:
    """The cache of the forward pass, without its cost."""
    return ConvCache(x, kernel, F.windows_of(x, kernel.shape[:2]), groups=1, has_bias=False)


OURS = "tinymnist"
NAIVE = "loops"

CONVOLUTIONS: dict[str, Convolution] = {
    NAIVE: Convolution(loops, loops_dkernel, loops_dx),
    "gather": by_rows(rows.im2col_gather, rows.col2im_gather),
    "sliding_window_view": by_rows(rows.im2col_window_view),
    "k*k slices": by_rows(rows.im2col_slices),
    "strided NHWC": by_rows(rows.im2col_strided),
    "strided NHWC, two-step col2im": by_rows(rows.im2col_strided, rows.col2im_two_steps),
    "strided NHWC, taps first": by_rows(rows.im2col_taps_first),
    "strided NCHW": Convolution(
        channels_first, channels_first_dkernel, channels_first_dx, channels_first=True
    ),
    "einsum": Convolution(einsum, einsum_dkernel, einsum_dx),
    "tensordot": Convolution(tensordot, tensordot_dkernel, tensordot_dx),
    "k*k products": Convolution(taps, taps_dkernel, taps_dx),
    OURS: Convolution(ours, ours_dkernel, ours_dx),
}
"""All ways by name; they are checked against the loops."""
