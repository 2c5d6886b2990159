"""Layer normalization (Ba, Kiros and Hinton, 2016, https://arxiv.org/abs/1607.06450).

Each example, or each pixel of it, is normalized by its own channels (the last axis), so that
training and inference are one and the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.functional.convolution import sum_rows


class LayerNormCache(NamedTuple):
    """What :func:`layer_normalization_backward` needs."""

    normalized: Array
    scale: Array
    gamma: Array


def layer_normalization(
    x: Array, gamma: Array, beta: Array, epsilon: float = 1e-3
) -> tuple[Array, LayerNormCache]:
    """``y = gamma * (x - mean) / sqrt(variance + epsilon) + beta``, over the last axis.

    Args:
        x: (..., c).
        gamma, beta: (c,).
        epsilon: added to the variance. Keras's default is 1e-3, PyTorch's is 1e-5.

    Returns:
        y in the shape of ``x``, and the cache for the backward pass.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    scale = 1 / np.sqrt(variance + epsilon)  # (..., 1)
    centred *= scale
    return centred * gamma + beta, LayerNormCache(centred, scale, gamma)


def layer_normalization_backward(dy: Array, cache: LayerNormCache) -> tuple[Array, Array, Array]:
    """Gradients of :func:`layer_normalization`.

    As in batch normalization, but the mean runs over the channels, and ``gamma`` differs along
    it. With ``z`` the normalized input and ``g = gamma dy``:
    ``dx = scale * (g - mean(g) - z * mean(g z))``.

    Returns:
        dx (..., c), dgamma (c,), dbeta (c,).
    """
    z, scale, gamma = cache
    g = dy * gamma
    dx = g - g.mean(axis=-1, keepdims=True) - z * (g * z).mean(axis=-1, keepdims=True)
    dx *= scale
    return dx, sum_rows(dy * z), sum_rows(dy)
