"""3x3 convolution with fewer multiplications: Winograd's F(2, 3) along the columns.

Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016), after Winograd (1980).

Two outputs of a kernel (g0, g1, g2) on four inputs (d0 .. d3) take six multiplications. With

    m0 = (d0 - d2) g0                    m1 = (d1 + d2) (g0 + g1 + g2) / 2
    m3 = (d1 - d3) g2                    m2 = (d2 - d1) (g0 - g1 + g2) / 2

they take four, since what depends on the kernel alone is computed once:

    d0 g0 + d1 g1 + d2 g2 = m0 + m1 + m2
    d1 g0 + d2 g1 + d3 g2 = m1 - m2 - m3

Here d0 .. d3 are four rows of a picture, g0 .. g2 the rows of the kernel. Their sums and
differences are taken over whole rows, and a product of two rows is a convolution of a row with a
1x3 kernel: by im2col, a matrix product (columns, 3c) @ (3c, o). So two rows of outputs cost four
products of K = 3c, 6 c o multiply-adds per output pixel instead of 9 c o.

The paper nests the algorithm, F(2x2, 3x3), and comes down to 4 c o. In NumPy that was 8 % slower
for 32 channels and as fast for 64: sixteen products of K = c run at a lower rate, and the sums
along the columns take more time than they save.

The two rows of outputs are those of one pooling window: if 2x2 max-pooling follows, only the
largest is kept, and bias and activation come last, on a quarter of the numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinymnist.nn.arrays import Array
from tinymnist.nn.inference.fusing import Convolution
from tinymnist.nn.inference.program import Recorder, strips
from tinymnist.nn.inference.steps import Step, finish

_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_MIN_CHANNELS = 8
"""With fewer, the products are too thin to repay the sums."""
_MIN_ROWS = 32
"""With fewer rows in a product, one larger product is quicker than four."""


class Winograd(Step):
    """A 3x3 convolution with stride 1, two rows of outputs at a time, pooled if folded in."""

    def __init__(self, conv: Convolution) -> None:
        """Transform the kernel: (3, 3, c, o) -> (4, 3c, o)."""
        self.conv = conv
        _, _, c, o = conv.kernel.shape
        rows = np.asarray(conv.scaled_kernel, np.float64).reshape(3, 3 * c * o)
        self.kernels = (_G @ rows).astype(np.float32).reshape(4, 3 * c, o)

    def record(self, do: Recorder, *xs: Array) -> Array:
        """(h, w, n, c) -> (oh, ow, n, o)."""
        conv, n = self.conv, do.n
        _, three_c, o = self.kernels.shape
        oh, ow = conv.output
        columns = 2 * ow if conv.is_pooled else ow  # pooling drops an odd last column
        pairs = _pairs(conv)
        (top, bottom), sides = conv.windows.pads
        h = top + conv.windows.size[0] + bottom
        x = do.pad(xs[0], ((top, bottom + max(2 * pairs + 2 - h, 0)), sides))
        x = x[:, : columns + 2]
        height = 1 if conv.is_pooled else 2  # of a pair
        y = np.empty((height * pairs, ow, n, o), np.float32)
        bias = np.broadcast_to(conv.bias, y.shape[1:]).copy()
        per_pair = 16 * n * (x.shape[1] * x.shape[3] + columns * (three_c + o))
        for cut in strips(pairs, per_pair):
            part = y[height * cut.start : height * cut.stop]
            self._record_strip(do, x[2 * cut.start : 2 * cut.stop + 2], part)
            do(np.add, part, bias, out=part)
            finish(do, part, conv.activation)
        return y[:oh]

    def _record_strip(self, do: Recorder, x: Array, y: Array) -> None:
        """A few pairs of rows: sums, windows, products, sums."""
        _, w, n, c = x.shape
        o, pairs, columns = y.shape[3], len(x) // 2 - 1, w - 2
        sums, windows, products = do.temporaries(
            (4, pairs, w, n, c), (4, pairs, columns, n, 3, c), (4, pairs, columns, n, o)
        )
        d0, d1, d2, d3 = (x[i : i + 2 * pairs - 1 : 2] for i in range(4))  # of every pair
        do(np.subtract, d0, d2, out=sums[0])
        do(np.add, d1, d2, out=sums[1])
        do(np.subtract, d2, d1, out=sums[2])
        do(np.subtract, d1, d3, out=sums[3])
        *outer, right, example, channel = sums.strides
        view = as_strided(sums, windows.shape, (*outer, right, example, right, channel))
        do(np.copyto, windows, view)
        # (4, pairs*columns*n, 3c) @ (4, 3c, o)
        do(np.matmul, windows.reshape(4, -1, 3 * c), self.kernels, out=products.reshape(4, -1, o))
        m0, m1, m2, m3 = products
        upper, lower = (m0, m1) if self.conv.is_pooled else (y[0::2], y[1::2])
        do(np.add, m0, m1, out=m0)
        do(np.add, m0, m2, out=upper)
        do(np.subtract, m1, m2, out=m1)
        do(np.subtract, m1, m3, out=lower)
        if self.conv.is_pooled:
            do(np.maximum, upper, lower, out=upper)
            do(np.maximum, upper[:, 0::2], upper[:, 1::2], out=y)


def suits(conv: Convolution, n: int) -> bool:
    """Whether this way applies to a convolution, and pays for blocks of ``n``."""
    return (
        conv.windows.kernel == (3, 3)
        and conv.windows.strides == conv.windows.dilation == (1, 1)
        and conv.kernel.shape[2] >= _MIN_CHANNELS
        and n > 1
        and _pairs(conv) * conv.windows.output[1] * n >= _MIN_ROWS
    )


def _pairs(conv: Convolution) -> int:
    """Pairs of rows of outputs; pooling drops an odd last row."""
    rows = conv.windows.output[0]
    return rows // 2 if conv.is_pooled else -(-rows // 2)
