"""Batch and layer normalization: subtract the mean, divide by the deviation, scale and shift.

Batch normalization (Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167) averages over all
axes but the channels, the last axis. Layer normalization (Ba, Kiros and Hinton, 2016,
https://arxiv.org/abs/1607.06450) averages over the channels, so that each example, or each pixel of
it, stands alone and training does the same as inference. Both use the biased variance (divided by
the count), as Keras does, for its moving statistics too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.functional.linear import sum_rows


class NormCache(NamedTuple):
    """What both backward passes need, and the statistics that were used."""

    z: Array
    """The normalized input, before scaling and shifting."""
    scale: Array
    """``1 / sqrt(variance + epsilon)``."""
    gamma: Array
    mean: Array
    variance: Array


def batch_normalization(
    x: Array, gamma: Array, beta: Array, epsilon: float = 1e-3
) -> tuple[Array, NormCache]:
    """Normalize with the statistics of this batch: the training mode.

    ``z = (x - mean) / sqrt(variance + epsilon)`` and ``y = gamma * z + beta``.

    Args:
        x: (..., c).
        gamma, beta: (c,).
        epsilon: added to the variance. Keras's default is 1e-3, PyTorch's is 1e-5.

    Returns:
        y in the shape of ``x``, and the cache, with ``mean`` and ``variance`` (c,) among the rest.
    """
    n = max(x.size // x.shape[-1], 1)
    mean = sum_rows(x) / n
    centred = x - mean
    return _normalize(centred, gamma, beta, epsilon, mean, sum_rows(centred * centred) / n)


def batch_normalization_backward(dy: Array, cache: NormCache) -> tuple[Array, Array, Array]:
    """Gradients of :func:`batch_normalization`.

    For one channel with n values, write ``s`` for ``1 / sqrt(variance + epsilon)``, so that
    ``z = s (x - mean)``. Step by step, from the output back:

    1. ``y = gamma z + beta`` gives ``dgamma = sum(dy z)``, ``dbeta = sum(dy)``, ``dz = gamma dy``.
    2. The variance acts through ``s``. With ``ds/dvariance = -s^3 / 2`` and ``x - mean = z / s``,
       ``dvariance = sum(dz (x - mean)) (-s^3 / 2) = -s^2 / 2 sum(dz z)``.
    3. The mean acts through ``x - mean``: ``dmean = -s sum(dz)``. (It also acts through the
       variance, by ``-2/n sum(x - mean)``, which is 0.)
    4. Each x acts directly, through the variance (``dvariance/dx = 2/n (x - mean)``), and through
       the mean (``dmean/dx = 1/n``):
       ``dx = s dz + 2/n (x - mean) dvariance + dmean / n = s (dz - z mean(dz z) - mean(dz))``.
    5. Collected, with ``dz = gamma dy`` and step 1:
       ``dx = gamma s (dy - z dgamma / n - dbeta / n)``.

    Args:
        dy: (..., c).
        cache: from :func:`batch_normalization`.

    Returns:
        dx (..., c), dgamma (c,), dbeta (c,).
    """
    z, s, gamma, _, _ = cache
    n = max(z.size // z.shape[-1], 1)
    dgamma, dbeta = sum_rows(dy * z), sum_rows(dy)
    # gamma * s * (dy - z * dgamma / n - dbeta / n), term by term in a single array: as one
    # expression it takes 1.6 times as long for large batches, whose temporaries leave the cache.
    dx = z * (-dgamma / n)
    dx += dy
    dx -= dbeta / n
    dx *= gamma * s
    return dx, dgamma, dbeta


def layer_normalization(
    x: Array, gamma: Array, beta: Array, epsilon: float = 1e-3
) -> tuple[Array, NormCache]:
    """The same, with the mean and the variance over the last axis.

    Args:
        x, gamma, beta, epsilon: as for :func:`batch_normalization`.

    Returns:
        y in the shape of ``x``, and the cache for the backward pass.
    """
    mean = x.mean(axis=-1, keepdims=True)  # (..., 1)
    centred = x - mean
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    return _normalize(centred, gamma, beta, epsilon, mean, variance)


def layer_normalization_backward(dy: Array, cache: NormCache) -> tuple[Array, Array, Array]:
    """Gradients of :func:`layer_normalization`.

    Steps 1 to 4 of :func:`batch_normalization_backward` hold, with means over the channels. There
    ``gamma`` differs within a mean, so it stays in ``dz = gamma dy``:
    ``dx = s (dz - mean(dz) - z mean(dz z))``.

    Returns:
        dx (..., c), dgamma (c,), dbeta (c,).
    """
    z, s, gamma, _, _ = cache
    dz = dy * gamma
    dx = dz - dz.mean(axis=-1, keepdims=True) - z * (dz * z).mean(axis=-1, keepdims=True)
    dx *= s
    return dx, sum_rows(dy * z), sum_rows(dy)


def _normalize(
    centred: Array, gamma: Array, beta: Array, epsilon: float, mean: Array, variance: Array
) -> tuple[Array, NormCache]:
    """The last steps of both, where ``centred`` becomes z in place."""
    scale = 1 / np.sqrt(variance + epsilon)
    centred *= scale
    y = centred * gamma
    y += beta
    return y, NormCache(centred, scale, gamma, mean, variance)


def batch_normalization_inference(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float = 1e-3
) -> tuple[Array, tuple[Array, Array, Array, Array]]:
    """Normalize with statistics gathered before, as one multiplication and one addition.

    Args:
        x: (..., c).
        gamma, beta, mean, variance: (c,).
        epsilon: added to the variance.

    Returns:
        y in the shape of ``x``, and the cache for the backward pass.
    """
    scale = 1 / np.sqrt(variance + epsilon)
    slope = gamma * scale
    y = x * slope
    y += beta - mean * slope
    return y, (x, mean, scale, gamma)


def batch_normalization_inference_backward(
    dy: Array, cache: tuple[Array, Array, Array, Array]
) -> tuple[Array, Array, Array]:
    """Gradients with the statistics held still: ``dx = gamma * scale * dy``.

    Returns:
        dx (..., c), dgamma (c,), dbeta (c,).
    """
    x, mean, scale, gamma = cache
    dgamma = sum_rows(dy * ((x - mean) * scale))
    return dy * (gamma * scale), dgamma, sum_rows(dy)
