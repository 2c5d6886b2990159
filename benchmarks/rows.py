"""im2col and col2im in several ways, stride 1, no padding.

im2col copies every window of images x (n, h, w, c) into one row of a matrix (n*oh*ow, kh*kw*c);
col2im, its adjoint, adds such rows back into images. The ways differ in speed and in memory layout.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]


def windows(x: Array, kh: int, kw: int) -> Array:
    """A view of x as windows (n, oh, ow, kh, kw, c)."""
    n, h, w, c = x.shape
    along_n, along_h, along_w, along_c = x.strides
    shape = (n, h - kh + 1, w - kw + 1, kh, kw, c)
    steps = (along_n, along_h, along_w, along_h, along_w, along_c)
    return as_strided(x, shape, steps, writeable=False)


def im2col_gather(x: Array, kh: int, kw: int) -> Array:
    """Index every pixel of every window."""
    i, j = _window_indices(x, kh, kw)
    return x[:, i, j].reshape(-1, kh * kw * x.shape[3])


def im2col_window_view(x: Array, kh: int, kw: int) -> Array:
    """NumPy's own view (n, oh, ow, c, kh, kw), reordered and copied."""
    view = sliding_window_view(x, (kh, kw), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    return np.ascontiguousarray(view).reshape(-1, kh * kw * x.shape[3])


def im2col_slices(x: Array, kh: int, kw: int) -> Array:
    """One copy of a whole slice for each of the kh*kw taps."""
    n, h, w, c = x.shape
    oh, ow = h - kh + 1, w - kw + 1
    cols = np.empty((n, oh, ow, kh, kw, c), x.dtype)
    for i, j in np.ndindex(kh, kw):
        cols[:, :, :, i, j] = x[:, i : i + oh, j : j + ow]
    return cols.reshape(n * oh * ow, -1)


def im2col_strided(x: Array, kh: int, kw: int) -> Array:
    """The view copied in its own order: stretches of kw*c numbers."""
    return np.ascontiguousarray(windows(x, kh, kw)).reshape(-1, kh * kw * x.shape[3])


def im2col_taps_first(x: Array, kh: int, kw: int) -> Array:
    """The view copied tap by tap into (kh*kw*c, n*oh*ow), then transposed."""
    taps = np.ascontiguousarray(windows(x, kh, kw).transpose(3, 4, 5, 0, 1, 2))
    return taps.reshape(kh * kw * x.shape[3], -1).T


def col2im_slices(drows: Array, x: Array, kh: int, kw: int) -> Array:
    """One addition of a whole slice for each tap."""
    n, h, w, c = x.shape
    oh, ow = h - kh + 1, w - kw + 1
    taps = drows.reshape(n, oh, ow, kh, kw, c)
    dx = np.zeros_like(x)
    for i, j in np.ndindex(kh, kw):
        dx[:, i : i + oh, j : j + ow] += taps[:, :, :, i, j]
    return dx


def col2im_two_steps(drows: Array, x: Array, kh: int, kw: int) -> Array:
    """First down the columns, in stretches of kw*c numbers, then along the rows."""
    n, h, w, c = x.shape
    oh, ow = h - kh + 1, w - kw + 1
    by_row = drows.reshape(n, oh, ow, kh, kw * c)
    wide = np.zeros((n, h, ow, kw * c), x.dtype)
    for i in range(kh):
        wide[:, i : i + oh] += by_row[:, :, :, i]
    dx = np.zeros_like(x)
    for j in range(kw):
        dx[:, :, j : j + ow] += wide[:, :, :, j * c : (j + 1) * c]
    return dx


def col2im_gather(drows: Array, x: Array, kh: int, kw: int) -> Array:
    """``np.add.at`` with the indices of :func:`im2col_gather`, as in many courses."""
    where: Any = (slice(None), *_window_indices(x, kh, kw))
    dx = np.zeros_like(x)
    n, h, w, c = x.shape
    np.add.at(dx, where, drows.reshape(n, h - kh + 1, w - kw + 1, kh, kw, c))
    return dx


def _window_indices(x: Array, kh: int, kw: int) -> tuple[Array, Array]:
    """Rows (oh, 1, kh, 1) and columns (1, ow, 1, kw) of the pixels of every window."""
    i = np.arange(x.shape[1] - kh + 1)[:, None] + np.arange(kh)
    j = np.arange(x.shape[2] - kw + 1)[:, None] + np.arange(kw)
    return i[:, None, :, None], j[None, :, None, :]
