"""3x3 convolution with fewer multiplications: Winograd's F(m, 3) along the columns.

Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016), after Winograd (1980),
Toom (1963) and Cook (1966).

The product of two polynomials, g with 3 coefficients and y with m, has t = m + 2 coefficients s. It
is known by its values at t points, which are the products of the values of g and y. With the
Vandermonde matrix V_k (t, k), whose row for the point p is 1, p, p^2 .. p^(k-1),

    V_t s = (V_3 g) * (V_m y)        so        s = V_t^-1 [(V_3 g) * (V_m y)]

That is linear in y, and the matrix that takes y to s has the kernel g in each column, one row lower
than in the column before. Its transpose slides the kernel along t numbers d, which is the
convolution that a layer computes. So m outputs take t multiplications instead of 3m:

    y = V_m^T [(V_3 g) * (V_t^-T d)]

(For the point at infinity the row is 0 .. 0 1, the leading coefficient.) Here d are t rows of a
picture, g the rows of the kernel. V_3 g is computed once; the two other transforms combine whole
rows, a small matrix product each. Between them, the product of two rows is a convolution of a row
with a 1x3 kernel: by im2col, a matrix product (columns, 3c) @ (3c, o). So there are 9 c o
multiply-adds per output pixel in a plain convolution, 6 c o with m = 2, 4.5 with m = 4 and 4.2 with
m = 5. Rounding errors grow with m: in float32 from 3e-7 to 2e-6 of the largest output.

The paper nests the algorithm along the other axis, F(m x m, 3x3). In NumPy that is slower: its
products are many and small, and its second transform costs more than the copy for im2col.

If 2x2 max-pooling follows, only the largest of a window is kept, and bias and activation come last,
on a quarter of the numbers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinymnist.nn.arrays import Array
from tinymnist.nn.inference.fusing import Convolution
from tinymnist.nn.inference.program import Recorder
from tinymnist.nn.inference.steps import Step, finish

_POINTS = (0, 1, -1, 2, -2, 0.5)
"""Small ones, so that their powers lose little in float32."""
_SIZES = 2, 3, 4, 5
_MIN_CHANNELS = 8
"""With fewer, the products are too thin to repay the sums."""
_MIN_ROWS = 32
"""With fewer rows in a product, one larger product is quicker than several."""


class Winograd(Step):
    """A 3x3 convolution with stride 1, ``m`` rows of outputs at a time, pooled if folded in."""

    def __init__(self, conv: Convolution) -> None:
        """Transform the kernel: (3, 3, c, o) -> (m + 2, 3c, o)."""
        self.conv = conv
        self.m = _rows_at_once(conv)
        self.to_outputs, to_kernels, self.to_inputs = _transforms(self.m)
        _, _, c, o = conv.kernel.shape
        rows = np.asarray(conv.scaled_kernel, np.float64).reshape(3, 3 * c * o)
        self.kernels = (to_kernels @ rows).astype(np.float32).reshape(-1, 3 * c, o)

    def record(self, do: Recorder, *xs: Array) -> Array:
        """(h, w, n, c) -> (oh, ow, n, o)."""
        conv, m = self.conv, self.m
        x = do.pad(xs[0], conv.windows.pads)
        n, c = x.shape[2:]
        (oh, ow), o = conv.output, len(conv.bias)
        side = 2 if conv.is_pooled else 1
        columns = side * ow  # pooling drops an odd last row and column
        x = x[:, : columns + 2]
        at_once = math.lcm(m, side)  # rows of outputs in a strip: whole pooling windows
        y = np.empty((oh, ow, n, o), np.float32)
        bias = np.broadcast_to(conv.bias, (at_once // side, *y.shape[1:])).copy()
        inputs, windows, products, outputs = do.temporaries(
            (m + 2, columns + 2, n, c),
            (m + 2, columns, n, 3, c),
            (m + 2, columns, n, o),
            (at_once, columns, n, o),
        )
        down, right, example, channel = inputs.strides
        view = as_strided(inputs, windows.shape, (down, right, example, right, channel))
        for start in range(0, side * oh, at_once):
            top = min(start, side * oh - at_once)  # the last strip may overlap the one before
            part = y[top // side : (top + at_once) // side]
            results = outputs if conv.is_pooled else part
            for row in range(0, at_once, m):
                taken = x[top + row : top + row + m + 2].reshape(m + 2, -1)
                do(np.matmul, self.to_inputs, taken, out=inputs.reshape(m + 2, -1))
                do(np.copyto, windows, view)
                # (m + 2, columns*n, 3c) @ (m + 2, 3c, o)
                rows, found = windows.reshape(m + 2, -1, 3 * c), products.reshape(m + 2, -1, o)
                do(np.matmul, rows, self.kernels, out=found)
                wanted = results[row : row + m].reshape(m, -1)
                do(np.matmul, self.to_outputs, products.reshape(m + 2, -1), out=wanted)
            if conv.is_pooled:
                upper = results[0::2]
                do(np.maximum, upper, results[1::2], out=upper)
                do(np.maximum, upper[:, 0::2], upper[:, 1::2], out=part)
            do(np.add, part, bias, out=part)
            finish(do, part, conv.activation)
        return y


def _transforms(m: int) -> tuple[Array, Array, Array]:
    """V_m^T (m, t) and V_t^-T (t, t) in float32, and between them V_3 (t, 3) in float64."""
    points = np.array(_POINTS[: m + 1], np.float64)

    def vandermonde(k: int) -> Array:
        return np.vstack([np.vander(points, k, increasing=True), np.eye(k)[-1:]])

    to_outputs, to_inputs = vandermonde(m).T, np.linalg.inv(vandermonde(m + 2)).T
    return to_outputs.astype(np.float32), vandermonde(3), to_inputs.astype(np.float32)


def _rows_at_once(conv: Convolution) -> int:
    """The m with the fewest products; 0 if there are too few rows."""
    side = 2 if conv.is_pooled else 1
    rows = side * conv.output[0]
    fitting = [m for m in _SIZES if math.lcm(m, side) <= rows]

    def products(m: int) -> int:
        at_once = math.lcm(m, side)
        return -(-rows // at_once) * at_once // m * (m + 2)

    return min(fitting, key=products, default=0)


def suits(conv: Convolution, n: int) -> bool:
    """Whether this way applies to a convolution, and pays for blocks of ``n``."""
    return (
        conv.windows.kernel == (3, 3)
        and conv.windows.strides == conv.windows.dilation == (1, 1)
        and conv.kernel.shape[2] >= _MIN_CHANNELS
        and n > 1
        and _rows_at_once(conv) > 0
        and conv.windows.output[1] * n >= _MIN_ROWS
    )
