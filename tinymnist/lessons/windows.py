"""Lessons 7 to 9: convolution as loops, as a matrix product, and pooling; see ``gradients``."""

from __future__ import annotations

import numpy as np

from tinymnist.lessons.lesson import Lesson, normal
from tinymnist.nn import functional as F
from tinymnist.nn import naive
from tinymnist.nn.arrays import Array


def convolve(x: Array, kernel: Array, bias: Array, stride: int) -> Array:
    """Slide a kernel over pictures, with "same" padding, in plain loops.

    ``y[n, i, j, o] = bias[o] + sum over a, b, c of x[n, i * stride + a, j * stride + b, c] *
    kernel[a, b, c, o]``, in which x has a border of zeros. There are ``ceil(h / stride)`` rows of
    output, so the border needs ``max((rows - 1) * stride + kh - h, 0)`` rows in all: half of them
    above, rounded down, and the others below. Columns are the same with w and kw.

    Args:
        x: (n, h, w, c).
        kernel: (kh, kw, c, out). It is not flipped.
        bias: (out,).
        stride: how far the kernel moves, in both directions.

    Returns:
        y: (n, ceil(h / stride), ceil(w / stride), out).
    """
    return naive.conv2d(x, kernel, bias, (stride, stride), "same")


def _convolve(wrong: str, x: Array, kernel: Array, bias: Array, stride: int) -> Array:
    pads = []
    for size, taps in zip(x.shape[1:3], kernel.shape[:2], strict=True):
        total = max((-(-size // stride) - 1) * stride + taps - size, 0)
        before, after = total // 2, total - total // 2
        pads.append((after, before) if wrong == "padding side" else (before, after))
        if wrong == "half a kernel on all sides":
            pads[-1] = taps // 2, taps // 2
        elif wrong == "no padding":
            pads[-1] = 0, 0
    stride = 1 if wrong == "ignored stride" else stride
    kernel = kernel[::-1, ::-1] if wrong == "flipped kernel" else kernel
    y, _ = F.conv2d(x, kernel, bias, strides=stride, padding=pads)
    return y - (bias if wrong == "forgotten bias" else 0)


CONVOLUTION = Lesson(
    "convolution as loops", convolve, ("y",),
    (naive.window_starts, naive.same_pads, naive.pad, naive.conv2d), _convolve,
    lambda rng: {
        f"{h}x{w} pixels, kernel {kh}x{kw}, stride {stride}":
            (*normal(rng, (2, h, w, 2), (kh, kw, 2, 3), (3,)), stride)
        for h, w, kh, kw, stride in ((5, 5, 3, 3, 1), (6, 4, 3, 3, 2), (5, 4, 2, 3, 1))
    },
    {
        "padding side": "an odd pixel of padding goes below and to the right, as in Keras",
        "half a kernel on all sides": "above and below may differ: use the formula",
        "no padding": 'put zeros around x first ("same")',
        "flipped kernel": "in networks, tap (a, b) belongs to pixel (i + a, j + b): do not flip",
        "ignored stride": "window (i, j) starts at (i * stride, j * stride)",
        "forgotten bias": "add bias[o] to each output",
    },
)  # fmt: skip


def im2col(x: Array, kh: int, kw: int) -> Array:
    """Copy every window into one row, so that a convolution becomes a matrix product.

    A window has kh x kw pixels with c channels each; it moves by one pixel, without padding, so
    it fits ``oh x ow = (h - kh + 1) x (w - kw + 1)`` times. First come the rows of every picture's
    first window, then of its second, and so on. In a row, pixels are in reading order, each with
    its channels: the order of a kernel (kh, kw, c, out) as a matrix.

    Args:
        x: (n, h, w, c).
        kh, kw: rows and columns of a window.

    Returns:
        rows: (oh * ow * n, kh * kw * c).
    """
    return F.im2col(x, F.windows_of(x, (kh, kw)))


def _im2col(wrong: str, x: Array, kh: int, kw: int) -> Array:
    if wrong == "forgotten last window":
        x = x[:, :-1, :-1]
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(1, 2))
    if wrong == "windows without overlap":
        windows = windows[:, ::kh, ::kw]
    n, oh, ow, c = windows.shape[:4]  # and kh, kw
    orders = {
        "pictures outermost": (0, 1, 2, 4, 5, 3),
        "channels before pixels": (1, 2, 0, 3, 4, 5),
        "windows column by column": (2, 1, 0, 4, 5, 3),
        "pixels column by column": (1, 2, 0, 5, 4, 3),
    }
    order = orders.get(wrong, (1, 2, 0, 4, 5, 3))
    return windows.transpose(order).reshape(oh * ow * n, kh * kw * c)


IM2COL = Lesson(
    "convolution as a matrix product: im2col", im2col, ("rows",), (F.im2col, F.windows_of), _im2col,
    lambda rng: {
        f"{n} pictures of {h}x{w}, {c} channels, windows of {kh}x{kw}":
            (np.arange(n * h * w * c, dtype=np.float64).reshape(n, h, w, c), kh, kw)
        for n, h, w, c, kh, kw in ((2, 3, 3, 2, 2, 2), (3, 5, 4, 2, 2, 3), (1, 4, 6, 3, 3, 2))
    },
    {
        "pictures outermost": "first every picture's first window: (oh, ow, n), not (n, oh, ow)",
        "channels before pixels": "the order is (kh, kw, c); (c, kh, kw) is PyTorch's",
        "windows column by column": "windows come in reading order, row by row",
        "pixels column by column": "a window's pixels come in reading order, row by row",
        "windows without overlap": "the window moves by one pixel, not by its own size",
        "forgotten last window": "it fits h - kh + 1 times: range(h - kh + 1)",
    },
)  # fmt: skip


def max_pool(x: Array, dy: Array) -> tuple[Array, Array]:
    """Keep the largest of each 2x2 pixels, and send its gradient back to where it was.

    Windows do not overlap. A last odd row or column is left out. If several pixels of a window are
    the largest, the first of them in reading order takes all of the gradient.

    Args:
        x: (n, h, w, c).
        dy: (n, h // 2, w // 2, c), the gradient of y.

    Returns:
        y: (n, h // 2, w // 2, c).
        dx: (n, h, w, c).
    """
    y, cache = F.max_pool2d(x, 2)
    return y, F.max_pool2d_backward(dy, cache)


def _max_pool(wrong: str, x: Array, dy: Array) -> tuple[Array, Array]:
    edge = 0 if wrong == "kept odd edge" else 1
    rows, columns = range(0, x.shape[1] - edge, 2), range(0, x.shape[2] - edge, 2)
    y, dx = np.zeros((len(x), len(rows), len(columns), x.shape[3])), np.zeros(x.shape)
    for n, i, j, c in np.ndindex(y.shape):
        window = n, slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2), c
        pixels = x[window]
        y[n, i, j, c] = pixels.mean() if wrong == "mean instead of the maximum" else pixels.max()
        if wrong == "maximum that starts at 0":
            y[n, i, j, c] = max(float(y[n, i, j, c]), 0.0)
        winners = (pixels == pixels.max()).ravel()
        place = winners.nonzero()[0][-1 if wrong == "gradient to the last maximum" else 0]
        share = np.eye(pixels.size)[place]
        if wrong == "gradient to every maximum":
            share = winners * 1.0
        elif wrong == "gradient spread over the window":
            share = np.full(pixels.size, 1 / pixels.size)
        if i < dy.shape[1] and j < dy.shape[2]:
            dx[window] = dy[n, i, j, c] * share.reshape(pixels.shape)
    return y, dx


POOLING = Lesson(
    "max pooling", max_pool, ("y", "dx"), (F.max_pool2d, F.max_pool2d_backward), _max_pool,
    lambda rng: {
        "4x6 pixels": normal(rng, (2, 4, 6, 2), (2, 2, 3, 2)),
        "5x3 pixels, all below 0": (-1 - rng.random((1, 5, 3, 2)), *normal(rng, (1, 2, 1, 2))),
        "equal pixels": (rng.integers(0, 2, (2, 4, 4, 2)) * 1.0, *normal(rng, (2, 2, 2, 2))),
    },
    {
        "gradient to every maximum": "of equal pixels, only the first takes the gradient",
        "gradient to the last maximum": "of equal pixels, the first wins: compare with >, not >=",
        "gradient spread over the window": "only the largest pixel had an influence",
        "maximum that starts at 0": "all pixels may be below 0: start at -infinity",
        "mean instead of the maximum": "keep the largest pixel; this is average pooling",
        "kept odd edge": "a last odd row or column does not fill a window: leave it out",
    },
)  # fmt: skip
