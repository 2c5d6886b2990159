"""Convolution as a matrix product: every window becomes a row (im2col).

Chellapilla, Puri and Simard, "High performance convolutional neural networks for document
processing" (2006). A window of kh * kw pixels with c channels is a row of K = kh * kw * c numbers,
the kernel a matrix (K, o), so one product gives all outputs: oh * ow * K * o multiply-adds per
example, as many as the loops have, but at the speed of a matrix product.

Three things are added:

* With few channels, the bias is one more row of the kernel matrix, and a column of ones lies beside
  the windows, so that adding it costs no pass over the outputs. With many, the kernel is read as it
  is: then a change of it need not be noticed, which takes a fifth of the time of a single picture.
* If 2x2 max-pooling follows, the rows are sorted: first the upper left windows of all pooling
  windows, then the upper right, the lower left and the lower right ones. So the outputs are four
  planes, and their maximum runs over contiguous memory: 6 times as fast as over every other row
  and column.
* As Dukhan says in "The indirect convolution algorithm" (2019), copying the windows costs most if
  channels are few. Then the matrix is written transposed, a row per tap, and the copy runs along
  the pictures of a block instead of three pixels at a time; BLAS takes either order.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinymnist.nn.arrays import Array
from tinymnist.nn.inference.fusing import Convolution
from tinymnist.nn.inference.program import Recorder, strips
from tinymnist.nn.inference.steps import Step, finish

_FEW_CHANNELS = 8


class Im2col(Step):
    """A convolution of any size, stride and dilation, pooled if that was folded in."""

    def __init__(self, conv: Convolution) -> None:
        """Lay the kernel out as a matrix: (K, o), or with the bias below (K + 1, o)."""
        self.conv = conv
        self.is_direct = reads_kernel(conv)
        rows = (conv.kernel if self.is_direct else conv.scaled_kernel).reshape(-1, len(conv.bias))
        self.kernel = rows if self.is_direct else np.concatenate([rows, conv.bias[None]])

    def record(self, do: Recorder, *xs: Array) -> Array:
        """(h, w, n, c) -> (oh, ow, n, o)."""
        x = do.pad(xs[0], self.conv.windows.pads)
        oh, ow = self.conv.output
        taps, o = self.kernel.shape
        phases = 4 if self.conv.is_pooled else 1
        per_row = phases * ow * do.n
        cuts = list(strips(oh, 4 * per_row * (taps + o)))
        matrix = self._matrix(cuts[0].stop * per_row)
        y = np.empty((oh, ow, do.n, o), np.float32)
        for cut in cuts:
            windows = self._windows(x, cut)
            rows = matrix[: (cut.stop - cut.start) * per_row]
            do(np.copyto, _like_windows(rows, windows.shape), windows)
            part = y[cut].reshape(-1, o)  # (rows*ow*n, o), a view
            if self.conv.is_pooled:
                (products,) = do.temporaries((4, *part.shape))
                self._multiply(do, rows, products.reshape(-1, o))
                do(np.maximum, products[:2], products[2:], out=products[:2])
                do(np.maximum, products[0], products[1], out=part)
            else:
                self._multiply(do, rows, part)
            if self.is_direct:
                do(np.add, part, np.broadcast_to(self.conv.bias, part.shape).copy(), out=part)
            finish(do, part, self.conv.activation)
        return y

    def _multiply(self, do: Recorder, rows: Array, products: Array) -> None:
        """(m, K) @ (K, o), and the scale if it is not in the kernel."""
        do(np.matmul, rows, self.kernel, out=products)
        if self.is_direct and self.conv.scale is not None:
            scale = np.broadcast_to(self.conv.scale, products.shape).copy()
            do(np.multiply, products, scale, out=products)

    def _matrix(self, rows: int) -> Array:
        """(rows, K), or (rows, K + 1) of ones; transposed in memory if channels are few."""
        taps = len(self.kernel)
        if self.conv.kernel.shape[2] < _FEW_CHANNELS:
            return np.ones((taps, rows), np.float32).T
        return np.ones((rows, taps), np.float32)

    def _windows(self, x: Array, cut: slice) -> Array:
        """The windows of some rows of outputs, a view (kh, kw, c, 2, 2, rows, ow, n).

        The second pair of axes is the place in a pooling window, (1, 1) if there is none.
        """
        windows, ow = self.conv.windows, self.conv.output[1]
        n, c = x.shape[2:]
        down, right, example, channel = x.strides
        (dh, dw), (sh, sw) = windows.dilation, windows.strides
        side = 2 if self.conv.is_pooled else 1
        return as_strided(
            x[cut.start * side * sh :],
            (*windows.kernel, c, side, side, cut.stop - cut.start, ow, n),
            (
                *(down * dh, right * dw, channel),
                *(down * sh, right * sw),
                *(down * sh * side, right * sw * side, example),
            ),
        )


def reads_kernel(conv: Convolution) -> bool:
    """Whether the layer's own kernel is multiplied, not a copy."""
    return conv.kernel.shape[2] >= _FEW_CHANNELS and conv.kernel.flags.c_contiguous


def _like_windows(rows: Array, shape: tuple[int, ...]) -> Array:
    """A matrix without its column of ones, seen in the axes of the windows."""
    per_row, per_tap = rows.strides
    _, kw, c, _, side, oh, ow, n = shape
    return as_strided(
        rows,
        shape,
        (
            *(kw * c * per_tap, c * per_tap, per_tap),
            *(side * oh * ow * n * per_row, oh * ow * n * per_row),
            *(ow * n * per_row, n * per_row, per_row),
        ),
    )
