"""Every operation of the network in a few lines of NumPy: the forward passes, and nothing else.

A standalone file receives a copy of the functions that its model needs. So each function may use
NumPy, ``math`` and others in this file, and knows nothing of tinymnist. They are written to be
read; :mod:`tinymnist.nn.functional` has the fast ones.

In all shapes, n is the number of pictures, h x w their pixels and c their channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

Array = np.ndarray
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

NO_PADS: Pads = ((0, 0), (0, 0))


def pad(x: Array, pads: Pads, value: float = 0.0) -> Array:
    """Frame every picture: (n, h, w, c) -> (n, top + h + bottom, left + w + right, c)."""
    return np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=value)


def taps(
    x: Array, window: Sequence[int], strides: Pair, dilation: Pair = (1, 1)
) -> Iterator[tuple[int, int, Array]]:
    """Slide a window over pictures; for each place (a, b) in it, give the pixels that it meets.

    There are as many of them, oh x ow, as the window has positions: each is (n, oh, ow, c).
    """
    (kh, kw), (sh, sw), (dh, dw) = window, strides, dilation
    oh = (x.shape[1] - (kh - 1) * dh - 1) // sh + 1
    ow = (x.shape[2] - (kw - 1) * dw - 1) // sw + 1
    for a in range(kh):
        for b in range(kw):
            top, left = a * dh, b * dw
            yield a, b, x[:, top : top + oh * sh : sh, left : left + ow * sw : sw]


def conv2d(
    x: Array,
    kernel: Array,
    bias: Array | float = 0.0,
    strides: Pair = (1, 1),
    pads: Pads = NO_PADS,
    dilation: Pair = (1, 1),
) -> Array:
    """Slide a kernel (kh, kw, c, out) over pictures: every place in it is one matrix product."""
    y = np.zeros(1, x.dtype)
    for a, b, seen in taps(pad(x, pads), kernel.shape[:2], strides, dilation):
        y = y + seen @ kernel[a, b]  # (n, oh, ow, c) @ (c, out) -> (n, oh, ow, out)
    return y + bias


def grouped_conv2d(
    x: Array,
    kernel: Array,
    bias: Array | float = 0.0,
    strides: Pair = (1, 1),
    pads: Pads = NO_PADS,
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """A convolution for each group of channels, side by side; kernel (kh, kw, c / groups, out)."""
    channels = np.split(x, groups, axis=3)  # each (n, h, w, c / groups)
    kernels = np.split(kernel, groups, axis=3)  # each (kh, kw, c / groups, out / groups)
    parts = [
        conv2d(one, own, strides=strides, pads=pads, dilation=dilation)
        for one, own in zip(channels, kernels, strict=True)
    ]
    return np.concatenate(parts, axis=3) + bias


def max_pool(x: Array, window: Pair, strides: Pair, pads: Pads = NO_PADS) -> Array:
    """The largest number in each window; a padded pixel never wins."""
    places = [seen for _, _, seen in taps(pad(x, pads, -np.inf), window, strides)]
    return np.maximum.reduce(places)  # (n, oh, ow, c)


def average_pool(
    x: Array, window: Pair, strides: Pair, pads: Pads = NO_PADS, count_pads: bool = False
) -> Array:
    """The mean of each window; padded pixels count in it only if ``count_pads``."""
    total = np.add.reduce([seen for _, _, seen in taps(pad(x, pads), window, strides)])
    pixels = pad(np.ones_like(x[:1, :, :, :1]), pads, 1.0 if count_pads else 0.0)
    count = np.add.reduce([seen for _, _, seen in taps(pixels, window, strides)])
    return total / count


def global_max_pool(x: Array) -> Array:
    """The largest number of each channel: (n, h, w, c) -> (n, c)."""
    return x.max(axis=(1, 2))


def global_average_pool(x: Array) -> Array:
    """The mean of each channel: (n, h, w, c) -> (n, c)."""
    return x.mean(axis=(1, 2))


def batch_normalization(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float
) -> Array:
    """Bring each channel to mean 0 and variance 1, those of the training; then scale and shift."""
    slope = gamma / np.sqrt(variance + epsilon)  # (c,)
    return x * slope + (beta - mean * slope)


def layer_normalization(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    """Bring each example, of pictures each pixel, to mean 0 and variance 1; scale and shift."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)  # (..., 1)
    return centred / np.sqrt(variance + epsilon) * gamma + beta


def rescaling(x: Array, scale: float | Sequence[float], offset: float | Sequence[float]) -> Array:
    """``x * scale + offset``; both are one number, or one for each channel."""
    return x * np.asarray(scale, x.dtype) + np.asarray(offset, x.dtype)


def normalization(
    x: Array, mean: float | Sequence[float], variance: float | Sequence[float]
) -> Array:
    """``(x - mean) / sqrt(variance)``; both are one number, or one for each channel."""
    root = np.maximum(np.sqrt(np.asarray(variance, x.dtype)), np.asarray(1e-7, x.dtype))
    return (x - np.asarray(mean, x.dtype)) / root


def flatten(x: Array) -> Array:
    """(n, h, w, c) -> (n, h * w * c): row by row, pixel by pixel, channel by channel."""
    return x.reshape(len(x), math.prod(x.shape[1:]))


def reshape(x: Array, shape: tuple[int, ...]) -> Array:
    """(n, ...) -> (n, *shape), the numbers in their order."""
    return x.reshape(len(x), *shape)


def permute(x: Array, axes: tuple[int, ...]) -> Array:
    """The axes of each example in another order; they are counted from 1."""
    return x.transpose(0, *axes)


def dense(x: Array, kernel: Array, bias: Array | float = 0.0) -> Array:
    """Every unit weighs all features: (n, features) @ (features, units) -> (n, units)."""
    return x @ kernel + bias


def add(*xs: Array) -> Array:
    """The sum of branches of one shape."""
    return sum(xs[1:], xs[0])


def multiply(*xs: Array) -> Array:
    """The product of branches of one shape, number by number."""
    return np.multiply.reduce(xs)


def concatenate(*xs: Array) -> Array:
    """The channels of all branches side by side."""
    return np.concatenate(xs, axis=-1)


def relu(x: Array) -> Array:
    """``x`` above 0, else 0."""
    return np.maximum(x, 0)


def relu_pieces(
    x: Array, max_value: float = math.inf, negative_slope: float = 0.0, threshold: float = 0.0
) -> Array:
    """``x``, but at most ``max_value``, and up to ``threshold`` along ``negative_slope``."""
    return np.where(x > threshold, np.minimum(x, max_value), negative_slope * (x - threshold))


def prelu(x: Array, alpha: Array) -> Array:
    """``x`` above 0, ``alpha * x`` below, with slopes that were learnt."""
    return np.where(x > 0, x, alpha * x)


def leaky_relu(x: Array, negative_slope: float) -> Array:
    """``x`` above 0, ``negative_slope * x`` below."""
    return np.where(x > 0, x, negative_slope * x)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """``x`` above 0, ``alpha * (e^x - 1)`` below."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def selu(x: Array) -> Array:
    """An ELU with the two numbers that keep mean 0 and variance 1."""
    return elu(x, 1.6732632423543772) * 1.0507009873554805


def gelu(x: Array) -> Array:
    """``x * Phi(x)``, where Phi is the normal distribution function."""
    erf = np.vectorize(math.erf, otypes=[x.dtype])
    return x * 0.5 * (1 + erf(x / math.sqrt(2)))


def gelu_tanh(x: Array) -> Array:
    """``x * Phi(x)``, with Phi by the usual formula in tanh."""
    return x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def sigmoid(x: Array) -> Array:
    """``1 / (1 + e^-x)``, by way of e^-|x|, so that nothing overflows."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def silu(x: Array) -> Array:
    """``x * sigmoid(x)``, or swish."""
    return x * sigmoid(x)


def softplus(x: Array) -> Array:
    """``log(1 + e^x)``, without overflow."""
    return np.logaddexp(x, np.zeros_like(x))


def mish(x: Array) -> Array:
    """``x * tanh(softplus(x))``."""
    return x * np.tanh(softplus(x))


def softsign(x: Array) -> Array:
    """``x / (1 + |x|)``."""
    return x / (1 + np.abs(x))


def exponential(x: Array) -> Array:
    """``e^x``."""
    return np.exp(x)


def hard_sigmoid(x: Array) -> Array:
    """``x / 6 + 1 / 2``, kept within 0 and 1."""
    return np.clip(x / 6 + 0.5, 0, 1)


def hard_silu(x: Array) -> Array:
    """``x * hard_sigmoid(x)``, or hard swish."""
    return x * hard_sigmoid(x)


def hard_tanh(x: Array) -> Array:
    """``x``, kept within -1 and 1."""
    return np.clip(x, -1, 1)


def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return np.tanh(x)


def softmax(x: Array) -> Array:
    """``e^x / sum e^x`` over the last axis; the maximum is taken off first, against overflow."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x: Array) -> Array:
    """The logarithm of the softmax, without taking the logarithm of 0."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
