"""The operations once more, as slow loops: one line of the definition, one line of code.

Read this file to see what an operation means, and ``functional`` to see how it is made fast. The
tests hold the two against each other, so they must not share a mistake: this file imports numpy
and nothing else, not even the arithmetic of output sizes, and nothing in tinymnist imports it.

Everything is computed and returned in float64. Layouts are those of ``functional``: pictures
(n, h, w, c), kernels (kh, kw, c / groups, out); pairs are (height, width).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Pair = tuple[int, int]
Pads = str | tuple[Pair, Pair]
"""\"valid\", \"same\", or ((top, bottom), (left, right))."""


def window_starts(size: int, kernel: int, stride: int, dilation: int = 1) -> list[int]:
    """Where a window can start, so that its last tap still lies inside."""
    return [s for s in range(0, size, stride) if s + (kernel - 1) * dilation < size]


def same_pads(size: int, kernel: int, stride: int, dilation: int = 1) -> Pair:
    """The least padding with which ceil(size / stride) windows fit; an odd pixel goes last."""
    pads = 0
    while len(window_starts(size + pads, kernel, stride, dilation)) < math.ceil(size / stride):
        pads += 1
    return pads // 2, pads - pads // 2


def pad(
    x: Array, pads: Pads, kernel: Pair, strides: Pair, dilation: Pair = (1, 1), value: float = 0.0
) -> Array:
    """A frame of ``value`` around each picture, as wide as ``pads`` says."""
    if pads == "valid":
        pads = (0, 0), (0, 0)
    if pads == "same":
        pads = (
            same_pads(x.shape[1], kernel[0], strides[0], dilation[0]),
            same_pads(x.shape[2], kernel[1], strides[1], dilation[1]),
        )
    frame = ((0, 0), *pads, (0, 0))
    return np.pad(x.astype(float), frame, constant_values=value)


def conv2d(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: Pair = (1, 1),
    pads: Pads = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """Every output pixel is the sum, over the window and the channels of its group, of products."""
    kh, kw, channels, outputs = kernel.shape
    x = pad(x, pads, (kh, kw), strides, dilation)
    rows = window_starts(x.shape[1], kh, strides[0], dilation[0])
    columns = window_starts(x.shape[2], kw, strides[1], dilation[1])
    y = np.zeros((len(x), len(rows), len(columns), outputs))
    for n, i, j, o in np.ndindex(y.shape):
        first_channel = o // (outputs // groups) * channels
        total = 0.0 if bias is None else float(bias[o])
        for a, b, c in np.ndindex(kh, kw, channels):
            pixel = x[n, rows[i] + a * dilation[0], columns[j] + b * dilation[1], first_channel + c]
            total += float(pixel) * float(kernel[a, b, c, o])
        y[n, i, j, o] = total
    return y


def pool2d(
    x: Array,
    window: Pair,
    strides: Pair,
    pads: Pads,
    outside: float,
    reduce: Callable[[Array], float],
) -> Array:
    """Every output pixel is ``reduce`` of one window (kh, kw) of one channel."""
    x = pad(x, pads, window, strides, value=outside)
    rows = window_starts(x.shape[1], window[0], strides[0])
    columns = window_starts(x.shape[2], window[1], strides[1])
    y = np.zeros((len(x), len(rows), len(columns), x.shape[3]))
    for n, i, j, c in np.ndindex(y.shape):
        top, left = rows[i], columns[j]
        y[n, i, j, c] = reduce(x[n, top : top + window[0], left : left + window[1], c])
    return y


def max_pool2d(x: Array, window: Pair, strides: Pair, pads: Pads = "valid") -> Array:
    """The largest pixel of each window; what lies outside the picture never wins."""
    return pool2d(x, window, strides, pads, -math.inf, lambda pixels: float(pixels.max()))


def average_pool2d(
    x: Array, window: Pair, strides: Pair, pads: Pads = "valid", count_include_pad: bool = False
) -> Array:
    """The mean of each window; what lies outside counts as zeros, or not at all."""
    outside = 0.0 if count_include_pad else math.nan
    return pool2d(x, window, strides, pads, outside, lambda pixels: float(np.nanmean(pixels)))


def max_pool2d_backward(dy: Array, x: Array, window: Pair, strides: Pair) -> Array:
    """Each gradient goes to the first of the largest pixels of its window, in reading order.

    For "valid" padding.
    """
    dx = np.zeros(x.shape)
    for n, i, j, c in np.ndindex(dy.shape):
        top, left = i * strides[0], j * strides[1]
        taps = [(top + a, left + b) for a, b in np.ndindex(window)]
        winner = max(taps, key=lambda tap: float(x[n, tap[0], tap[1], c]))  # the first of equals
        dx[n, winner[0], winner[1], c] += dy[n, i, j, c]
    return dx


def dense(x: Array, kernel: Array, bias: Array | None = None) -> Array:
    """Every unit is the sum, over the features, of products."""
    y = np.zeros((len(x), kernel.shape[1]))
    for n, unit in np.ndindex(y.shape):
        total = 0.0 if bias is None else float(bias[unit])
        for feature in range(len(kernel)):
            total += float(x[n, feature]) * float(kernel[feature, unit])
        y[n, unit] = total
    return y


def softmax(logits: Sequence[float]) -> list[float]:
    """``e^z / sum of e^z``, for one example; too simple for logits beyond 700."""
    powers = [math.exp(z) for z in logits]
    return [power / sum(powers) for power in powers]


def cross_entropy(logits: Sequence[float], target: Sequence[float]) -> float:
    """``-sum of target_k log p_k``, for one example."""
    return -sum(t * math.log(p) for t, p in zip(target, softmax(logits), strict=True) if t > 0)


def batch_normalization(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    """Each channel (the last axis) less its mean, over its deviation, scaled and shifted."""
    y = np.zeros(x.shape)
    for c in range(x.shape[-1]):
        values = [float(v) for v in x[..., c].ravel()]
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        y[..., c] = gamma[c] * (x[..., c] - mean) / math.sqrt(variance + epsilon) + beta[c]
    return y


def layer_normalization(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    """Each row of channels (the last axis) less its mean, over its deviation, then scaled."""
    y = np.zeros(x.shape)
    for place in np.ndindex(x.shape[:-1]):
        values = [float(v) for v in x[place]]
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        for c, v in enumerate(values):
            y[(*place, c)] = gamma[c] * (v - mean) / math.sqrt(variance + epsilon) + beta[c]
    return y


def relu(x: float) -> float:
    """0 where ``x`` is not above it."""
    return 0.0 if x <= 0 else x


def leaky_relu(x: float, negative_slope: float) -> float:
    """``x`` above 0, a share of it below."""
    return x if x > 0 else negative_slope * x


def elu(x: float, alpha: float) -> float:
    """``x`` above 0, ``alpha (e^x - 1)`` below."""
    return x if x > 0 else alpha * (math.exp(x) - 1)


def gelu(x: float) -> float:
    """``x`` times the probability that a normal number is below ``x``."""
    return x * 0.5 * math.erfc(-x / math.sqrt(2))


def gelu_by_tanh(x: float) -> float:
    """The paper's approximation of :func:`gelu`."""
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def sigmoid(x: float) -> float:
    """``1 / (1 + e^-x)``; too simple for x below -700."""
    return 1 / (1 + math.exp(-x))


def relu_pieces(x: float, max_value: float, negative_slope: float, threshold: float) -> float:
    """Keras's general ReLU."""
    if x < threshold:
        return negative_slope * (x - threshold)
    return max_value if x > max_value else x


def clip(x: float, low: float, high: float) -> float:
    """``x``, or the bound that it is beyond."""
    return low if x < low else high if x > high else x


def hard_sigmoid(x: float) -> float:
    """A straight line through (0, 1/2) that rises by 1/6."""
    return clip(x / 6 + 0.5, 0, 1)


def softplus(x: float) -> float:
    """``log(1 + e^x)``; too simple for x beyond 700."""
    return math.log(1 + math.exp(x))


def softsign(x: float) -> float:
    """``x / (1 + |x|)``."""
    return x / (1 + abs(x))


def selu(x: float) -> float:
    """ELU with the two constants that keep mean 0 and variance 1."""
    return 1.0507009873554805 * elu(x, 1.6732632423543772)
