"""Where training starts: the initial numbers of kernels and biases, by Keras's names.

An initializer is a name, or a dict of a name and its settings, ready for JSON:
``{"name": "random_normal", "stddev": 0.01}``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from tinymnist.errors import did_you_mean
from tinymnist.nn.arrays import Array, Shape

Initializer: TypeAlias = "str | dict[str, Any]"


def variance_scaling(
    shape: Shape,
    rng: np.random.Generator,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "normal",
) -> Array:
    """Random numbers around 0 of variance ``scale`` / fan, in float64.

    The fans count the numbers that enter and leave one unit of a kernel (..., in, out).
    """
    fan_in, fan_out = math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    if distribution != "uniform":
        return rng.normal(0, math.sqrt(scale / fan), shape)
    limit = math.sqrt(3 * scale / fan)
    return rng.uniform(-limit, limit, shape)


def truncated_normal(
    shape: Shape, rng: np.random.Generator, mean: float = 0.0, stddev: float = 0.05
) -> Array:
    """Normal numbers, drawn again where they are more than two standard deviations off."""
    z = rng.normal(size=shape)
    while (far := np.abs(z) > 2).any():
        z[far] = rng.normal(size=int(far.sum()))
    return mean + stddev * z


def orthogonal(shape: Shape, rng: np.random.Generator, gain: float = 1.0) -> Array:
    """A matrix with orthogonal columns or rows (Saxe et al., 2013)."""
    flat = (math.prod(shape[:-1]), shape[-1])
    q, r = np.linalg.qr(rng.normal(size=(max(flat), min(flat))))
    q = q * np.sign(np.diag(r))
    return gain * np.reshape(q if flat[0] >= flat[1] else q.T, shape)


DRAWS: dict[str, Callable[..., Array]] = {
    "glorot_uniform": partial(variance_scaling, scale=1, mode="fan_avg", distribution="uniform"),
    "glorot_normal": partial(variance_scaling, scale=1, mode="fan_avg", distribution="normal"),
    "he_uniform": partial(variance_scaling, scale=2, mode="fan_in", distribution="uniform"),
    "he_normal": partial(variance_scaling, scale=2, mode="fan_in", distribution="normal"),
    "lecun_uniform": partial(variance_scaling, scale=1, mode="fan_in", distribution="uniform"),
    "lecun_normal": partial(variance_scaling, scale=1, mode="fan_in", distribution="normal"),
    "zeros": lambda shape, rng: np.zeros(shape),
    "ones": lambda shape, rng: np.ones(shape),
    "constant": lambda shape, rng, value=0.0: np.full(shape, float(value)),
    "random_normal": lambda shape, rng, mean=0.0, stddev=0.05: rng.normal(mean, stddev, shape),
    "random_uniform": lambda shape, rng, minval=-0.05, maxval=0.05: rng.uniform(
        minval, maxval, shape
    ),
    "truncated_normal": truncated_normal,
    "variance_scaling": variance_scaling,
    "orthogonal": orthogonal,
}
"""By name, ``f(shape, rng, **settings)``. "glorot" is for tanh and softmax (Glorot and Bengio,
2010), "he" for relu (He et al., 2015), "lecun" for selu (LeCun et al., 1998)."""
ALIASES = {"normal": "random_normal", "uniform": "random_uniform", "zero": "zeros", "one": "ones"}


def initialize(initializer: Initializer, shape: Shape, rng: np.random.Generator) -> Array:
    """The initial numbers of an array, float64; a ``seed`` among the settings replaces ``rng``.

    Raises:
        ValueError: for a name not in :data:`DRAWS`.
    """
    settings = {"name": initializer} if isinstance(initializer, str) else dict(initializer)
    name = settings.pop("name", None)
    if (seed := settings.pop("seed", None)) is not None:
        rng = np.random.default_rng(int(seed))
    if name not in DRAWS:
        rule = f"kernel_initializer must be one of {list(DRAWS)}"
        raise ValueError(f"{rule}. Received: {name!r}{did_you_mean(name, DRAWS)}")
    return DRAWS[name](shape, rng, **settings)
