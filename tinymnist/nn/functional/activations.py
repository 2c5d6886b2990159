"""Activation functions, each beside its derivative. All keep shape and dtype.

``f(x) -> y, cache`` and ``f_backward(dy, cache) -> dx``. The cache holds whatever makes the
derivative cheap: often the output. At a kink the derivative is that of the flatter side, so
relu'(0) = 0, as in Keras and PyTorch.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from tinymnist.nn.arrays import Array

Slope: TypeAlias = tuple[Array, Array | float]
"""An input, and the slope on the left of 0."""

# Straight pieces --------------------------------------------------------------------------------


def relu(x: Array) -> tuple[Array, Array]:
    """``max(x, 0)``; NaN stays NaN."""
    zeros = np.zeros((*x.shape[:1], *(1,) * (x.ndim - 2), *x.shape[-1:]), x.dtype)
    y = np.maximum(x, zeros)  # 3 times as fast as with the number 0
    return y, y


def relu_backward(dy: Array, y: Array) -> Array:
    """``dy`` where the output is above 0, else 0."""
    return dy * (y > 0)


def leaky_relu(x: Array, negative_slope: float = 0.3) -> tuple[Array, Slope]:
    """``x`` above 0, ``negative_slope * x`` below. The default slope is Keras's."""
    return np.where(x > 0, x, negative_slope * x), (x, negative_slope)


def leaky_relu_backward(dy: Array, cache: Slope) -> Array:
    """``dy`` above 0, ``negative_slope * dy`` at 0 and below."""
    x, slope = cache
    return np.where(x > 0, dy, slope * dy)


def prelu(x: Array, alpha: Array) -> tuple[Array, Slope]:
    """``x`` above 0, ``alpha * x`` below, with a learned ``alpha`` (He et al., 2015).

    Args:
        x: (n, ...).
        alpha: broadcasts against one example; (1, 1, c) is one slope per channel.
    """
    return np.where(x > 0, x, alpha * x), (x, alpha)


def prelu_backward(dy: Array, cache: Slope) -> tuple[Array, Array]:
    """As for :func:`leaky_relu`; dalpha is ``dy * x`` below 0, summed over what shares it.

    Returns:
        dx in the shape of x, dalpha in the shape of alpha.
    """
    x, alpha = cache[0], np.asarray(cache[1])
    by_example = np.where(x > 0, 0, dy * x).astype(dy.dtype, copy=False)
    shared = tuple(i for i, side in enumerate(alpha.shape, 1) if side == 1)
    dalpha = by_example.sum(axis=(0, *shared), keepdims=True)[0]
    return leaky_relu_backward(dy, cache), dalpha


def relu_pieces(
    x: Array, max_value: float = np.inf, negative_slope: float = 0.0, threshold: float = 0.0
) -> tuple[Array, Array]:
    """Keras's general ReLU.

    ``negative_slope * (x - threshold)`` up to ``threshold``, ``min(x, max_value)`` above it.

    Returns:
        y, and its slope at every number for the backward pass.
    """
    number = x.dtype.type
    below = negative_slope * (x - threshold)
    y = np.where(x > threshold, np.minimum(x, number(max_value)), below)
    kept = ((x > threshold) & (x < max_value)).astype(x.dtype)
    slope = kept + (x < threshold).astype(x.dtype) * number(negative_slope)
    return y.astype(x.dtype, copy=False), slope


def pieces_backward(dy: Array, slope: Array) -> Array:
    """``dy`` times the slope of the piece that each number lies on."""
    return dy * slope


def relu6(x: Array) -> tuple[Array, Array]:
    """``min(max(x, 0), 6)`` (Krizhevsky, 2010)."""
    return relu_pieces(x, max_value=6.0)


def hard_tanh(x: Array) -> tuple[Array, Array]:
    """``x``, clipped to -1..1."""
    return np.clip(x, -1, 1), (np.abs(x) < 1).astype(x.dtype)


def hard_sigmoid(x: Array) -> tuple[Array, Array]:
    """``x / 6 + 1/2``, clipped to 0..1: as in Keras 3, PyTorch and MobileNet."""
    return np.clip(x / 6 + 0.5, 0, 1), (np.abs(x) < 3) * x.dtype.type(1 / 6)


relu_pieces_backward = relu6_backward = hard_tanh_backward = hard_sigmoid_backward = pieces_backward

# Exponentials -----------------------------------------------------------------------------------


def exponential(x: Array) -> tuple[Array, Array]:
    """``e^x``."""
    y = np.exp(x)
    return y, y


def exponential_backward(dy: Array, y: Array) -> Array:
    """The derivative is the output."""
    return dy * y


def sigmoid(x: Array) -> tuple[Array, Array]:
    """``1 / (1 + e^-x)``, computed from e^-|x| so that nothing overflows."""
    small = np.exp(-np.abs(x))
    y = np.where(x >= 0, 1, small) / (1 + small)
    return y, y


def sigmoid_backward(dy: Array, y: Array) -> Array:
    """The derivative is ``y (1 - y)``."""
    return dy * y * (1 - y)


def tanh(x: Array) -> tuple[Array, Array]:
    """The hyperbolic tangent."""
    y = np.tanh(x)
    return y, y


def tanh_backward(dy: Array, y: Array) -> Array:
    """The derivative is ``1 - y^2``."""
    return dy * (1 - y * y)


def softplus(x: Array) -> tuple[Array, Array]:
    """``log(1 + e^x)``, without overflow."""
    return np.logaddexp(x, x.dtype.type(0)), x


def softplus_backward(dy: Array, x: Array) -> Array:
    """The derivative is the sigmoid."""
    return dy * sigmoid(x)[0]


def softsign(x: Array) -> tuple[Array, Array]:
    """``x / (1 + |x|)``."""
    return x / (1 + np.abs(x)), x


def softsign_backward(dy: Array, x: Array) -> Array:
    """The derivative is ``1 / (1 + |x|)^2``."""
    return dy / (1 + np.abs(x)) ** 2


def elu(x: Array, alpha: float = 1.0) -> tuple[Array, tuple[Array, float]]:
    """``x`` above 0, ``alpha (e^x - 1)`` below (Clevert et al., 2015)."""
    y = np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))
    return y, (y, alpha)


def elu_backward(dy: Array, cache: tuple[Array, float]) -> Array:
    """Below 0 the derivative is ``alpha e^x``, which is ``y + alpha``."""
    y, alpha = cache
    return np.where(y > 0, dy, dy * (y + alpha))


_SELU_SCALE = 1.0507009873554805
_SELU_ALPHA = 1.6732632423543772


def selu(x: Array) -> tuple[Array, tuple[Array, float]]:
    """``scale * elu(x, alpha)`` with the two constants of Klambauer et al., 2017."""
    y, cache = elu(x, _SELU_ALPHA)
    return y * x.dtype.type(_SELU_SCALE), cache


def selu_backward(dy: Array, cache: tuple[Array, float]) -> Array:
    """As for ELU, times the scale."""
    return elu_backward(dy * dy.dtype.type(_SELU_SCALE), cache)


# Gates: x times a number between 0 and 1, so the derivative is gate + x gate' ---------------------


def silu(x: Array) -> tuple[Array, Array]:
    """``x * sigmoid(x)``, or swish (Ramachandran et al., 2017)."""
    return x * sigmoid(x)[0], x


def silu_backward(dy: Array, x: Array) -> Array:
    """With ``gate = sigmoid(x)``, ``gate' = gate (1 - gate)``."""
    gate, _ = sigmoid(x)
    return dy * (gate + x * gate * (1 - gate))


def hard_silu(x: Array) -> tuple[Array, Array]:
    """``x * hard_sigmoid(x)``, or hard swish (Howard et al., 2019)."""
    return x * hard_sigmoid(x)[0], x


def hard_silu_backward(dy: Array, x: Array) -> Array:
    """The gate is :func:`hard_sigmoid`."""
    gate, slope = hard_sigmoid(x)
    return dy * (gate + x * slope)


def mish(x: Array) -> tuple[Array, Array]:
    """``x * tanh(softplus(x))`` (Misra, 2019)."""
    return x * np.tanh(softplus(x)[0]), x


def mish_backward(dy: Array, x: Array) -> Array:
    """With ``gate = tanh(softplus(x))``, ``gate' = (1 - gate^2) sigmoid(x)``."""
    gate = np.tanh(softplus(x)[0])
    return dy * (gate + x * (1 - gate * gate) * sigmoid(x)[0])


_TANH_SCALE = math.sqrt(2 / math.pi)
_TANH_CUBE = 0.044715


def gelu(x: Array, approximate: bool = False) -> tuple[Array, tuple[Array, bool]]:
    """``x * Phi(x)``, with Phi the normal distribution function (Hendrycks and Gimpel, 2016).

    Args:
        x: any shape.
        approximate: use the paper's tanh formula instead of the error function.
    """
    return x * _normal_cdf(x, approximate), (x, approximate)


def gelu_backward(dy: Array, cache: tuple[Array, bool]) -> Array:
    """``gate'`` is the normal density, or the derivative of the tanh formula."""
    x, approximate = cache
    cdf = _normal_cdf(x, approximate)
    if approximate:
        # d/dx of 0.5 (1 + tanh u) is 0.5 (1 - tanh^2 u) u', and tanh u is 2 cdf - 1.
        density = 2 * cdf * (1 - cdf) * _TANH_SCALE * (1 + 3 * _TANH_CUBE * x * x)
    else:
        density = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return dy * (cdf + x * density)


def _normal_cdf(x: Array, approximate: bool) -> Array:
    if approximate:
        return 0.5 * (1 + np.tanh(_TANH_SCALE * (x + _TANH_CUBE * x * x * x)))
    from scipy.special import erf  # imported here: only models with GELU pay for it

    return 0.5 * (1 + erf(x / math.sqrt(2)))


# Over the last axis -----------------------------------------------------------------------------


def softmax(x: Array) -> tuple[Array, Array]:
    """``e^x / sum e^x`` over the last axis; subtracting the maximum first prevents overflow."""
    e = np.exp(x - x.max(axis=-1, keepdims=True, initial=-np.inf))
    y = e / e.sum(axis=-1, keepdims=True)
    return y, y


def softmax_backward(dy: Array, y: Array) -> Array:
    """``dy_i/dx_j = y_i (1[i=j] - y_j)``, so ``dx = y (dy - sum over i of dy_i y_i)``."""
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def log_softmax(x: Array) -> tuple[Array, Array]:
    """``x - log sum e^x`` over the last axis, without overflow and without log of 0."""
    shifted = x - x.max(axis=-1, keepdims=True, initial=-np.inf)
    y = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return y, y


def log_softmax_backward(dy: Array, y: Array) -> Array:
    """``dy_i/dx_j = 1[i=j] - softmax(x)_j``, so ``dx = dy - softmax(x) * sum(dy)``."""
    return dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)
