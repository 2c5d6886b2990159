"""Activation functions, each beside its derivative. Every one keeps shape and dtype.

``f(x) -> y, cache`` and ``f_backward(dy, cache) -> dx``. The cache is what the derivative is
cheapest from: often the output.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tinymnist.nn.arrays import Array


def relu(x: Array) -> tuple[Array, Array]:
    """``max(x, 0)``; NaN stays NaN."""
    rows = x.reshape(len(x), math.prod(x.shape[1:]))
    # Against a row of zeros, and not the number 0, because NumPy vectorises only the former.
    y = np.maximum(rows, np.zeros(rows.shape[1], x.dtype)).reshape(x.shape)
    return y, y


def relu_backward(dy: Array, y: Array) -> Array:
    """``dy`` where the output is above 0, else 0; at the kink the derivative is taken as 0."""
    return dy * (y > 0)


class LeakyReluCache(NamedTuple):
    """What :func:`leaky_relu_backward` needs."""

    x: Array
    negative_slope: float


def leaky_relu(x: Array, negative_slope: float = 0.3) -> tuple[Array, LeakyReluCache]:
    """``x`` above 0, ``negative_slope * x`` below. The default slope is Keras's."""
    return np.where(x > 0, x, negative_slope * x), LeakyReluCache(x, negative_slope)


def leaky_relu_backward(dy: Array, cache: LeakyReluCache) -> Array:
    """``dy`` above 0, ``negative_slope * dy`` at 0 and below."""
    return np.where(cache.x > 0, dy, cache.negative_slope * dy)


class EluCache(NamedTuple):
    """What :func:`elu_backward` needs."""

    y: Array
    alpha: float


def elu(x: Array, alpha: float = 1.0) -> tuple[Array, EluCache]:
    """``x`` above 0, ``alpha (e^x - 1)`` below (Clevert et al., 2015)."""
    y = np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))
    return y, EluCache(y, alpha)


def elu_backward(dy: Array, cache: EluCache) -> Array:
    """Below 0 the derivative is ``alpha e^x``, which is ``y + alpha``."""
    y, alpha = cache
    return np.where(y > 0, dy, dy * (y + alpha))


class GeluCache(NamedTuple):
    """What :func:`gelu_backward` needs."""

    x: Array
    approximate: bool


_TANH_SCALE = math.sqrt(2 / math.pi)
_TANH_CUBE = 0.044715


def gelu(x: Array, approximate: bool = False) -> tuple[Array, GeluCache]:
    """``x * Phi(x)``, with Phi the normal distribution function (Hendrycks and Gimpel, 2016).

    Args:
        x: any shape.
        approximate: use the paper's tanh formula in place of the error function.
    """
    return x * _normal_cdf(x, approximate), GeluCache(x, approximate)


def gelu_backward(dy: Array, cache: GeluCache) -> Array:
    """``Phi(x) + x Phi'(x)``; Phi' is the normal density, or the derivative of the tanh formula."""
    x, approximate = cache
    cdf = _normal_cdf(x, approximate)
    if approximate:
        # d/dx of 0.5 (1 + tanh u) is 0.5 (1 - tanh^2 u) u', and tanh u is 2 cdf - 1.
        density = 2 * cdf * (1 - cdf) * _TANH_SCALE * (1 + 3 * _TANH_CUBE * x * x)
    else:
        density = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    dx: Array = dy * (cdf + x * density)
    return dx


def _normal_cdf(x: Array, approximate: bool) -> Array:
    if approximate:
        bell: Array = np.tanh(_TANH_SCALE * (x + _TANH_CUBE * x * x * x))
    else:
        from scipy.special import erf  # imported here: only models with GELU pay for it

        bell = erf(x / math.sqrt(2))
    cdf: Array = 0.5 * (1 + bell)
    return cdf


def sigmoid(x: Array) -> tuple[Array, Array]:
    """``1 / (1 + e^-x)``, by way of e^-|x| so that nothing overflows."""
    small = np.exp(-np.abs(x))
    y = np.where(x >= 0, 1, small) / (1 + small)
    return y, y


def sigmoid_backward(dy: Array, y: Array) -> Array:
    """The derivative is ``y (1 - y)``."""
    dx: Array = dy * y * (1 - y)
    return dx


def tanh(x: Array) -> tuple[Array, Array]:
    """The hyperbolic tangent."""
    y = np.tanh(x)
    return y, y


def tanh_backward(dy: Array, y: Array) -> Array:
    """The derivative is ``1 - y^2``."""
    dx: Array = dy * (1 - y * y)
    return dx


def softmax(x: Array) -> tuple[Array, Array]:
    """``e^x / sum e^x`` over the last axis, with the maximum taken off so nothing overflows."""
    e = np.exp(x - x.max(axis=-1, keepdims=True, initial=-np.inf))
    y = e / e.sum(axis=-1, keepdims=True)
    return y, y


def softmax_backward(dy: Array, y: Array) -> Array:
    """``dy_i/dx_j = y_i (1[i=j] - y_j)``, so ``dx = y (dy - sum over i of dy_i y_i)``."""
    dx: Array = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
    return dx


def log_softmax(x: Array) -> tuple[Array, Array]:
    """``x - log sum e^x`` over the last axis, without overflow and without log of 0."""
    shifted = x - x.max(axis=-1, keepdims=True, initial=-np.inf)
    y = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return y, y


def log_softmax_backward(dy: Array, y: Array) -> Array:
    """``dx = dy - softmax(x) * sum dy``."""
    dx: Array = dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)
    return dx
