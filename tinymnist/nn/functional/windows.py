"""Windows that slide over pictures, and pooling, which makes one number of each.

Shapes: n pictures, h x w pixels, c channels; a window has kh x kw taps and fits oh x ow times.
Pooling copies no window. The pixels that one tap visits as the window slides are a strided slice of
the picture, so pooling is kh*kw operations on whole slices.

All arrays of pictures have the shape (n, h, w, c), but those made here lie in memory in the order
(h, w, n, c). A slice of pixels then consists of stretches of n*c numbers instead of c, and NumPy is
fastest on long stretches: a max pooling takes half the time. Nothing else depends on the order.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from tinymnist.nn.arrays import Array, Padding, Pads, Shape, Windows, fit_windows


def windows_of(
    x: Array,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
) -> Windows:
    """:func:`tinymnist.nn.arrays.fit_windows` for pictures (n, h, w, c).

    Raises:
        ValueError: if ``x`` has other than four axes, or a setting is not valid.
    """
    if x.ndim != 4:
        raise ValueError(f"pictures must come as (n, h, w, c). Received: x.shape={x.shape}")
    return fit_windows(x.shape[1:3], kernel_size, strides, padding, dilation)


BY_PIXEL = (1, 2, 0, 3)
"""``x.transpose(BY_PIXEL)`` views (n, h, w, c) as (h, w, n, c)."""
BY_PICTURE = (2, 0, 1, 3)
"""The way back."""


def pad2d(x: Array, pads: Pads, value: float = 0.0) -> Array:
    """Put a border of ``value`` around every picture; without padding, return ``x`` itself."""
    (top, bottom), (left, right) = pads
    if not (top or bottom or left or right):
        return x
    n, h, w, c = x.shape
    pixels = np.full((top + h + bottom, left + w + right, n, c), value, x.dtype)
    y = pixels.transpose(BY_PICTURE)
    y[:, top : top + h, left : left + w] = x
    return y


def crop2d(x: Array, pads: Pads) -> Array:
    """Cut a border off again: the gradient of :func:`pad2d`."""
    (top, bottom), (left, right) = pads
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def axis_slices(windows: Windows) -> tuple[list[slice], list[slice]]:
    """For each of the kh rows and kw columns of the window, the pixels it visits as it slides."""
    (oh, ow), (kh, kw) = windows.output, windows.kernel
    (sh, sw), (dh, dw) = windows.strides, windows.dilation
    return (
        [slice(a * dh, a * dh + oh * sh, sh) for a in range(kh)],
        [slice(b * dw, b * dw + ow * sw, sw) for b in range(kw)],
    )


def tap_slices(windows: Windows) -> list[tuple[slice, slice]]:
    """For each of the kh*kw taps in reading order, the pixels it visits as the window slides."""
    rows, columns = axis_slices(windows)
    return list(itertools.product(rows, columns))


def sliding_windows(x: Array, windows: Windows) -> Array:
    """View padded pictures as windows (n, oh, ow, kh, kw, c), read-only and without a copy."""
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


# Pooling ----------------------------------------------------------------------------------------


def _pool_windows(
    x: Array, pool_size: int | Sequence[int], strides: int | Sequence[int] | None, padding: Padding
) -> Windows:
    """Check the settings of a pooling; every window must cover at least one pixel."""
    windows = windows_of(x, pool_size, pool_size if strides is None else strides, padding)
    (vertical, horizontal), (kh, kw) = windows.pads, windows.kernel
    if max(vertical) >= kh or max(horizontal) >= kw:
        raise ValueError(
            "padding must be smaller than the pooling window. "
            f"Received: padding={padding!r}, pool_size={pool_size!r}"
        )
    return windows


def max_pool2d(
    x: Array,
    pool_size: int | Sequence[int] = 2,
    *,
    strides: int | Sequence[int] | None = None,
    padding: Padding = "valid",
) -> tuple[Array, tuple[Array, Array, Windows]]:
    """The largest value in each window.

    Args:
        x: (n, h, w, c).
        pool_size: the window, one number or (height, width).
        strides: how far it moves; None means by its own size.
        padding: as for convolution, but smaller than the window; a padded pixel never wins.

    Returns:
        y (n, oh, ow, c) in the dtype of ``x``, and the cache for the backward pass.

    Raises:
        ValueError: if the window exceeds the picture, or the padding is as wide as the window.
    """
    windows = _pool_windows(x, pool_size, strides, padding)
    rows, columns = axis_slices(windows)
    padded = pad2d(x, windows.pads, -np.inf)
    strips = padded[:, rows[0]]  # (n, oh, w, c)
    for visited in rows[1:]:
        strips = np.maximum(strips, padded[:, visited])
    y = strips[:, :, columns[0]]  # (n, oh, ow, c)
    for visited in columns[1:]:
        y = np.maximum(y, strips[:, :, visited])
    return y, (x, y, windows)


def max_pool2d_backward(dy: Array, cache: tuple[Array, Array, Windows]) -> Array:
    """Send each gradient to the pixel that won its window.

    When several pixels share the maximum, the first in reading order takes all of it, as in
    Keras, PyTorch and JAX.
    """
    x, y, windows = cache
    padded = pad2d(x, windows.pads, -np.inf)
    dx = np.zeros_like(padded)
    overlap = any(size > step for size, step in zip(windows.kernel, windows.strides, strict=True))
    rest = np.empty_like(y)  # the gradients whose pixel has not been found yet
    rest[...] = dy
    *others, last = tap_slices(windows)
    for rows, columns in others:
        won, pixels = padded[:, rows, columns] == y, dx[:, rows, columns]
        taken = np.multiply(rest, won, out=None if overlap else pixels)
        rest -= taken
        if overlap:  # a pixel may win twice
            pixels += taken
    dx[:, last[0], last[1]] += rest
    return crop2d(dx, windows.pads)


def average_pool2d(
    x: Array,
    pool_size: int | Sequence[int] = 2,
    *,
    strides: int | Sequence[int] | None = None,
    padding: Padding = "valid",
    count_include_pad: bool = False,
) -> tuple[Array, tuple[Shape, Array, Windows]]:
    """The mean of each window.

    Args:
        x: (n, h, w, c).
        pool_size, strides, padding: as for :func:`max_pool2d`.
        count_include_pad: whether padded zeros count in the mean. They do not in Keras (the
            default here), and do in PyTorch by default.

    Returns:
        y (n, oh, ow, c) in the dtype of ``x``, and the cache for the backward pass.
    """
    windows = _pool_windows(x, pool_size, strides, padding)
    share = _share_of_each_pixel(windows, count_include_pad, x.dtype)  # (1, oh, ow, 1)
    padded = pad2d(x, windows.pads)
    rows, columns = axis_slices(windows)
    strips = padded[:, rows[0]]  # (n, oh, w, c)
    for visited in rows[1:]:
        strips = strips + padded[:, visited]
    total = strips[:, :, columns[0]]  # (n, oh, ow, c)
    for visited in columns[1:]:
        total = total + strips[:, :, visited]
    return total * share, (x.shape, share, windows)


def average_pool2d_backward(dy: Array, cache: tuple[Shape, Array, Windows]) -> Array:
    """Every pixel of a window has the same share of its mean, and so of its gradient."""
    shape, share, windows = cache
    (top, bottom), (left, right) = windows.pads
    n, h, w, c = shape
    pixels = np.zeros((top + h + bottom, left + w + right, n, c), dy.dtype)
    dx = pixels.transpose(BY_PICTURE)
    spread = dy * share
    for rows, columns in tap_slices(windows):
        dx[:, rows, columns] += spread
    return crop2d(dx, windows.pads)


def _share_of_each_pixel(
    windows: Windows, include_pad: bool, dtype: np.dtype[np.floating]
) -> Array:
    """1 / (pixels that count), for every window: (1, oh, ow, 1)."""
    real = np.ones((1, *windows.size, 1), dtype)
    counted = pad2d(real, windows.pads, 1.0 if include_pad else 0.0)
    total = sum((counted[:, r, c] for r, c in tap_slices(windows)), np.zeros(1, dtype))
    return 1 / total


def global_max_pool2d(x: Array) -> tuple[Array, tuple[Array, Array]]:
    """The maximum of each channel over the whole picture: (n, h, w, c) -> (n, c)."""
    y = x.max(axis=(1, 2))
    return y, (x, y)


def global_max_pool2d_backward(dy: Array, cache: tuple[Array, Array]) -> Array:
    """The first maximum in reading order takes the gradient."""
    x, _ = cache
    n, h, w, c = x.shape
    winners = x.reshape(n, h * w, c).argmax(axis=1)  # (n, c)
    dx = np.zeros((n, h * w, c), dy.dtype)
    np.put_along_axis(dx, winners[:, None], dy[:, None], axis=1)
    return dx.reshape(x.shape)


def global_average_pool2d(x: Array) -> tuple[Array, tuple[int, ...]]:
    """The mean of each channel over the whole picture: (n, h, w, c) -> (n, c)."""
    return x.mean(axis=(1, 2)), x.shape


def global_average_pool2d_backward(dy: Array, shape: tuple[int, ...]) -> Array:
    """Every pixel takes ``1 / (h w)`` of the gradient."""
    _, h, w, _ = shape
    return np.broadcast_to((dy / (h * w))[:, None, None], shape).copy()
