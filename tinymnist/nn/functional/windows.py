"""Windows that slide over pictures, as convolution and pooling use them.

Shapes: n pictures, h x w pixels, c channels; a window has kh x kw taps and fits oh x ow times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.shapes import Padding, Pads, Pair, as_pair, resolve_padding, window_output


class Windows(NamedTuple):
    """How a window slides over pictures. All sizes are pixels, as (height, width).

    Window (i, j) has its tap (a, b) on pixel ``(i * sh + a * dh, j * sw + b * dw)`` of the padded
    picture.
    """

    size: Pair
    """(h, w) of the picture, without padding."""
    kernel: Pair
    strides: Pair
    dilation: Pair
    pads: Pads

    @property
    def output(self) -> Pair:
        """(oh, ow): how many windows fit."""
        return window_output(self.size, self.kernel, self.strides, self.pads, self.dilation)


def windows_of(
    x: Array,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
) -> Windows:
    """Check the settings of a sliding window against pictures.

    Args:
        x: (n, h, w, c).
        kernel_size, strides, dilation: one number, or (height, width).
        padding: see :func:`tinymnist.nn.shapes.resolve_padding`.

    Raises:
        ValueError: if ``x`` has other than four axes, or a setting is not valid.
    """
    if x.ndim != 4:
        raise ValueError(f"pictures must come as (n, h, w, c). Received: x.shape={x.shape}")
    size = (x.shape[1], x.shape[2])
    kernel = as_pair(kernel_size, "kernel_size")
    strides, dilation = as_pair(strides, "strides"), as_pair(dilation, "dilation")
    pads = resolve_padding(padding, size, kernel, strides, dilation)
    return Windows(size, kernel, strides, dilation, pads)


def pad2d(x: Array, pads: Pads, value: float = 0.0) -> Array:
    """Put a border of ``value`` around every picture; without padding, return ``x`` itself."""
    (top, bottom), (left, right) = pads
    if not (top or bottom or left or right):
        return x
    n, h, w, c = x.shape
    y = np.full((n, top + h + bottom, left + w + right, c), value, x.dtype)
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
    return [(row, column) for row in rows for column in columns]


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
