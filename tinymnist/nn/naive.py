"""The operations again as slow loops: one line of the definition, one line of code.

Read this file to see what an operation means, and ``functional`` to see how it is made fast. Tests
compare the two, so they must not share a mistake: this file imports numpy and nothing else, not
even the arithmetic of output sizes, and only the lessons in tinymnist import it.

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
    """Where a window can start so that its last tap still lies inside."""
    return [s for s in range(0, size, stride) if s + (kernel - 1) * dilation < size]


def same_pads(size: int, kernel: int, stride: int, dilation: int = 1) -> Pair:
    """The least padding that lets ceil(size / stride) windows fit; an odd pixel goes last."""
    pads = 0
    while len(window_starts(size + pads, kernel, stride, dilation)) < math.ceil(size / stride):
        pads += 1
    return pads // 2, pads - pads // 2


def pad(
    x: Array, pads: Pads, kernel: Pair, strides: Pair, dilation: Pair = (1, 1), value: float = 0.0
) -> tuple[Array, int, int]:
    """Put a border of ``value`` around each picture, as wide as ``pads`` says.

    Returns:
        The pictures with their border, and the row and column where they begin in it.
    """
    vertical, horizontal = ((0, 0), (0, 0)) if isinstance(pads, str) else pads
    if pads == "same":
        vertical = same_pads(x.shape[1], kernel[0], strides[0], dilation[0])
        horizontal = same_pads(x.shape[2], kernel[1], strides[1], dilation[1])
    (top, bottom), (left, right) = vertical, horizontal
    border = ((0, 0), (top, bottom), (left, right), (0, 0))
    return np.pad(x.astype(float), border, constant_values=value), top, left


def conv2d(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    strides: Pair = (1, 1),
    pads: Pads = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """Every output pixel is a sum of products over its window and the channels of its group."""
    kh, kw, channels, outputs = kernel.shape
    x, _, _ = pad(x, pads, (kh, kw), strides, dilation)
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


def conv2d_backward(
    dy: Array,
    x: Array,
    kernel: Array,
    strides: Pair = (1, 1),
    pads: Pads = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Each product in that sum sends ``dy`` times the one factor to the gradient of the other.

    Returns:
        dx, dkernel and dbias.
    """
    kh, kw, channels, outputs = kernel.shape
    padded, top, left = pad(x, pads, (kh, kw), strides, dilation)
    dpadded, dkernel, dbias = np.zeros(padded.shape), np.zeros(kernel.shape), np.zeros(outputs)
    for n, i, j, o in np.ndindex(dy.shape):
        first_channel = o // (outputs // groups) * channels
        for a, b, c in np.ndindex(kh, kw, channels):
            row, column = i * strides[0] + a * dilation[0], j * strides[1] + b * dilation[1]
            pixel = n, row, column, first_channel + c
            dpadded[pixel] += dy[n, i, j, o] * kernel[a, b, c, o]
            dkernel[a, b, c, o] += dy[n, i, j, o] * padded[pixel]
        dbias[o] += dy[n, i, j, o]
    return dpadded[:, top : top + x.shape[1], left : left + x.shape[2]], dkernel, dbias


def pool2d(
    x: Array,
    window: Pair,
    strides: Pair,
    pads: Pads,
    outside: float,
    reduce: Callable[[Array], float],
) -> Array:
    """Every output pixel is ``reduce`` of one window (kh, kw) of one channel."""
    x, _, _ = pad(x, pads, window, strides, value=outside)
    rows = window_starts(x.shape[1], window[0], strides[0])
    columns = window_starts(x.shape[2], window[1], strides[1])
    y = np.zeros((len(x), len(rows), len(columns), x.shape[3]))
    for n, i, j, c in np.ndindex(y.shape):
        top, left = rows[i], columns[j]
        y[n, i, j, c] = reduce(x[n, top : top + window[0], left : left + window[1], c])
    return y


def max_pool2d(x: Array, window: Pair, strides: Pair, pads: Pads = "valid") -> Array:
    """The largest pixel of each window; padding never wins."""
    return pool2d(x, window, strides, pads, -math.inf, lambda pixels: float(pixels.max()))


def average_pool2d(
    x: Array, window: Pair, strides: Pair, pads: Pads = "valid", count_include_pad: bool = False
) -> Array:
    """The mean of each window; padding counts as zeros, or not at all."""
    outside = 0.0 if count_include_pad else math.nan
    return pool2d(x, window, strides, pads, outside, lambda pixels: float(np.nanmean(pixels)))


def max_pool2d_backward(dy: Array, x: Array, window: Pair, strides: Pair) -> Array:
    """Each gradient goes to the largest pixel of its window, of equals to the first.

    For "valid" padding only.
    """
    dx = np.zeros(x.shape)
    for n, i, j, c in np.ndindex(dy.shape):
        top, left = i * strides[0], j * strides[1]
        taps = [(top + a, left + b) for a, b in np.ndindex(window)]
        winner = max(taps, key=lambda tap: float(x[n, tap[0], tap[1], c]))  # the first of equals
        dx[n, winner[0], winner[1], c] += dy[n, i, j, c]
    return dx


def dense(x: Array, kernel: Array, bias: Array | None = None) -> Array:
    """Every unit is a sum of products over the features."""
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


def standardize(values: Array, epsilon: float) -> list[float]:
    """Subtract the mean and divide by the deviation."""
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / len(values)
    return [(v - mean) / math.sqrt(variance + epsilon) for v in values]


def batch_normalization(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    """Standardize the values of each channel (the last axis), then scale and shift them."""
    y = np.zeros(x.shape)
    for c in range(x.shape[-1]):
        zs = standardize(x[..., c].ravel(), epsilon)
        y[..., c] = np.reshape([gamma[c] * z + beta[c] for z in zs], x.shape[:-1])
    return y


def batch_normalization_backward(
    dy: Array, x: Array, gamma: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    """The chain rule, from each formula of the forward pass to the one before.

    Returns:
        dx, dgamma and dbeta.
    """
    dx, dgamma, dbeta = np.zeros(x.shape), np.zeros(len(gamma)), np.zeros(len(gamma))
    for c in range(len(gamma)):
        xs, dys = x[..., c].ravel(), dy[..., c].ravel()
        n, mean = len(xs), sum(xs) / len(xs)
        centred = [v - mean for v in xs]
        deviation = math.sqrt(sum(v * v for v in centred) / n + epsilon)
        # y = gamma * z + beta
        dgamma[c] = sum(d * v / deviation for d, v in zip(dys, centred, strict=True))
        dbeta[c] = sum(dys)
        dzs = [d * gamma[c] for d in dys]
        # z = centred / deviation
        ddeviation = sum(-d * v / deviation**2 for d, v in zip(dzs, centred, strict=True))
        # deviation = sqrt(variance + epsilon)
        dvariance = ddeviation / (2 * deviation)
        # variance = sum of centred^2 / n, and z once more
        dcentred = [
            d / deviation + dvariance * 2 * v / n for d, v in zip(dzs, centred, strict=True)
        ]
        # centred = x - mean
        dmean = -sum(dcentred)
        # mean = sum of x / n
        dx[..., c] = np.reshape([d + dmean / n for d in dcentred], x.shape[:-1])
    return dx, dgamma, dbeta


def layer_normalization(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    """Standardize the channels (the last axis) of each place, then scale and shift them."""
    y = np.zeros(x.shape)
    for place in np.ndindex(x.shape[:-1]):
        for c, z in enumerate(standardize(x[place], epsilon)):
            y[(*place, c)] = gamma[c] * z + beta[c]
    return y


def relu(x: float) -> float:
    """``x`` above 0, else 0."""
    return 0.0 if x <= 0 else x


def leaky_relu(x: float, negative_slope: float) -> float:
    """``x`` above 0, ``negative_slope`` times it below."""
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
    if x <= threshold:
        return negative_slope * (x - threshold)
    return max_value if x > max_value else x


def clip(x: float, low: float, high: float) -> float:
    """``x``, or the bound that it exceeds."""
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
