"""Batch normalization, in its two modes (Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167).

Channels are the last axis; every other axis is averaged over. The variance is the biased one
(divided by the count), as in Keras, both for normalizing and for the moving statistics.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.functional.convolution import sum_rows


class BatchNormCache(NamedTuple):
    """What both backward passes need, and the statistics of this batch."""

    normalized: Array
    scale: Array
    gamma: Array
    mean: Array
    variance: Array


def batch_normalization(
    x: Array, gamma: Array, beta: Array, epsilon: float = 1e-3
) -> tuple[Array, BatchNormCache]:
    """Normalize with the statistics of this very batch: the training mode.

    ``y = gamma * (x - mean) / sqrt(variance + epsilon) + beta``.

    Args:
        x: (..., c).
        gamma, beta: (c,).
        epsilon: added to the variance. Keras's default is 1e-3, PyTorch's is 1e-5.

    Returns:
        y in the shape of ``x``, and the cache, which also tells ``mean`` and ``variance`` (c,).
    """
    count = max(x.size // x.shape[-1], 1)
    mean = sum_rows(x) / count
    centred = x - mean
    variance = sum_rows(centred * centred) / count
    scale = 1 / np.sqrt(variance + epsilon)
    centred *= scale
    return centred * gamma + beta, BatchNormCache(centred, scale, gamma, mean, variance)


def batch_normalization_backward(dy: Array, cache: BatchNormCache) -> tuple[Array, Array, Array]:
    """Gradients of :func:`batch_normalization`.

    Write ``z`` for the normalized input, so ``y = gamma z + beta``, ``dgamma = sum dy z`` and
    ``dbeta = sum dy``. Through ``z``, every x also moves the mean and the variance of its batch:
    ``dx = gamma * scale * (dy - mean(dy) - z * mean(dy z))``.

    Returns:
        dx (..., c), dgamma (c,), dbeta (c,).
    """
    z, scale, gamma, _, _ = cache
    count = max(z.size // z.shape[-1], 1)
    dgamma, dbeta = sum_rows(dy * z), sum_rows(dy)
    dx = z * (-dgamma / count)
    dx += dy
    dx -= dbeta / count
    dx *= gamma * scale
    return dx, dgamma, dbeta


class FixedNormCache(NamedTuple):
    """What :func:`batch_normalization_inference_backward` needs."""

    x: Array
    mean: Array
    scale: Array
    gamma: Array


def batch_normalization_inference(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float = 1e-3
) -> tuple[Array, FixedNormCache]:
    """Normalize with statistics gathered before: one multiplication and one addition a number."""
    scale = 1 / np.sqrt(variance + epsilon)
    slope = gamma * scale
    y = x * slope
    y += beta - mean * slope
    return y, FixedNormCache(x, mean, scale, gamma)


def batch_normalization_inference_backward(
    dy: Array, cache: FixedNormCache
) -> tuple[Array, Array, Array]:
    """Gradients with the statistics held still: ``dx = gamma * scale * dy``."""
    x, mean, scale, gamma = cache
    dgamma = sum_rows(dy * ((x - mean) * scale))
    return dy * (gamma * scale), dgamma, sum_rows(dy)
