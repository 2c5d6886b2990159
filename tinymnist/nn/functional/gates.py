"""More activation functions: straight pieces, and inputs weighed by a gate of themselves.

Like those of ``activations``, each keeps shape and dtype and stands beside its derivative. Where
two straight pieces meet, the derivative is that of the flatter one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.functional.activations import EluCache, elu, elu_backward, sigmoid


class PiecesCache(NamedTuple):
    """What the backward passes of straight pieces need: the slope at each number."""

    slope: Array


def pieces_backward(dy: Array, cache: PiecesCache) -> Array:
    """``dy`` times the slope of the piece that the number lies on."""
    return dy * cache.slope


def relu_pieces(
    x: Array, max_value: float = np.inf, negative_slope: float = 0.0, threshold: float = 0.0
) -> tuple[Array, PiecesCache]:
    """Keras's general ReLU: a slope below ``threshold``, then ``x``, flat at the top."""
    y = np.where(x >= threshold, np.minimum(x, x.dtype.type(max_value)),
                 negative_slope * (x - threshold))  # fmt: skip
    kept = ((x > threshold) & (x < max_value)).astype(x.dtype)
    below = (x < threshold).astype(x.dtype)
    return y.astype(x.dtype, copy=False), PiecesCache(kept + below * x.dtype.type(negative_slope))


relu_pieces_backward = pieces_backward


def relu6(x: Array) -> tuple[Array, PiecesCache]:
    """``min(max(x, 0), 6)`` (Krizhevsky, 2010)."""
    return relu_pieces(x, max_value=6.0)


relu6_backward = pieces_backward


def hard_tanh(x: Array) -> tuple[Array, PiecesCache]:
    """``x``, kept within -1 and 1."""
    return np.clip(x, -1, 1), PiecesCache((np.abs(x) < 1).astype(x.dtype))


hard_tanh_backward = pieces_backward


def hard_sigmoid(x: Array) -> tuple[Array, PiecesCache]:
    """``x / 6 + 1/2``, kept within 0 and 1: Keras 3's, PyTorch's and MobileNet's."""
    return np.clip(x / 6 + 0.5, 0, 1), PiecesCache((np.abs(x) < 3) * x.dtype.type(1 / 6))


hard_sigmoid_backward = pieces_backward


def hard_silu(x: Array) -> tuple[Array, Array]:
    """``x * hard_sigmoid(x)``, or hard swish (Howard et al., 2019)."""
    return x * hard_sigmoid(x)[0], x


def hard_silu_backward(dy: Array, x: Array) -> Array:
    """``gate + x gate'``."""
    gate, cache = hard_sigmoid(x)
    dx: Array = dy * (gate + x * cache.slope)
    return dx


def silu(x: Array) -> tuple[Array, Array]:
    """``x * sigmoid(x)``, or swish (Ramachandran et al., 2017)."""
    return x * sigmoid(x)[0], x


def silu_backward(dy: Array, x: Array) -> Array:
    """With ``s = sigmoid(x)``: ``s + x s (1 - s)``."""
    gate, _ = sigmoid(x)
    dx: Array = dy * (gate + x * gate * (1 - gate))
    return dx


def softplus(x: Array) -> tuple[Array, Array]:
    """``log(1 + e^x)``, without overflow."""
    return np.logaddexp(x, x.dtype.type(0)), x


def softplus_backward(dy: Array, x: Array) -> Array:
    """The derivative is the sigmoid."""
    dx: Array = dy * sigmoid(x)[0]
    return dx


def softsign(x: Array) -> tuple[Array, Array]:
    """``x / (1 + |x|)``."""
    return x / (1 + np.abs(x)), x


def softsign_backward(dy: Array, x: Array) -> Array:
    """``1 / (1 + |x|)^2``."""
    dx: Array = dy / (1 + np.abs(x)) ** 2
    return dx


def mish(x: Array) -> tuple[Array, Array]:
    """``x * tanh(softplus(x))`` (Misra, 2019)."""
    return x * np.tanh(softplus(x)[0]), x


def mish_backward(dy: Array, x: Array) -> Array:
    """With ``t = tanh(softplus(x))``: ``t + x (1 - t^2) sigmoid(x)``."""
    gate = np.tanh(softplus(x)[0])
    dx: Array = dy * (gate + x * (1 - gate * gate) * sigmoid(x)[0])
    return dx


def exponential(x: Array) -> tuple[Array, Array]:
    """``e^x``."""
    y = np.exp(x)
    return y, y


def exponential_backward(dy: Array, y: Array) -> Array:
    """The derivative is the output."""
    return dy * y


_SELU_SCALE = 1.0507009873554805
_SELU_ALPHA = 1.6732632423543772


def selu(x: Array) -> tuple[Array, EluCache]:
    """``scale * elu(x, alpha)`` with the two constants of Klambauer et al., 2017."""
    y, cache = elu(x, _SELU_ALPHA)
    return y * x.dtype.type(_SELU_SCALE), cache


def selu_backward(dy: Array, cache: EluCache) -> Array:
    """As for ELU, times the scale."""
    return elu_backward(dy * dy.dtype.type(_SELU_SCALE), cache)


class PreluCache(NamedTuple):
    """What :func:`prelu_backward` needs."""

    x: Array
    alpha: Array


def prelu(x: Array, alpha: Array) -> tuple[Array, PreluCache]:
    """``x`` above 0, ``alpha * x`` below, with an ``alpha`` that is learnt (He et al., 2015).

    Args:
        x: (n, ...).
        alpha: broadcasts against one example; (1, 1, c) is one slope for each channel.
    """
    return np.where(x > 0, x, alpha * x), PreluCache(x, alpha)


def prelu_backward(dy: Array, cache: PreluCache) -> tuple[Array, Array]:
    """``dx = dy`` or ``alpha dy``; ``dalpha`` is ``dy x`` below 0, summed over what shares it."""
    x, alpha = cache
    by_example = np.where(x > 0, 0, dy * x).astype(dy.dtype, copy=False)
    shared = tuple(i for i, side in enumerate(alpha.shape, 1) if side == 1)
    dalpha = by_example.sum(axis=(0, *shared), keepdims=True)[0]
    return np.where(x > 0, dy, alpha * dy), dalpha
