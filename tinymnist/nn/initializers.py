"""Where training starts: random kernels of a suitable size, by Keras's names.

A kernel is (..., in, out), where the dots are the window. Each function returns float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinymnist.nn.arrays import Array, Shape


def _fans(shape: Shape) -> tuple[int, int]:
    """How many numbers enter and leave one unit: (fan_in, fan_out)."""
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def glorot_uniform(shape: Shape, rng: np.random.Generator) -> Array:
    """Uniform within +-sqrt(6 / (fan_in + fan_out)): Keras's default (Glorot and Bengio, 2010)."""
    limit = math.sqrt(6 / sum(_fans(shape)))
    return rng.uniform(-limit, limit, shape)


def glorot_normal(shape: Shape, rng: np.random.Generator) -> Array:
    """Normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""
    return rng.normal(0, math.sqrt(2 / sum(_fans(shape))), shape)


def he_uniform(shape: Shape, rng: np.random.Generator) -> Array:
    """Uniform with variance 2 / fan_in, for relu (He et al., 2015)."""
    limit = math.sqrt(6 / _fans(shape)[0])
    return rng.uniform(-limit, limit, shape)


def he_normal(shape: Shape, rng: np.random.Generator) -> Array:
    """Normal with variance 2 / fan_in, for relu (He et al., 2015)."""
    return rng.normal(0, math.sqrt(2 / _fans(shape)[0]), shape)


def zeros(shape: Shape, rng: np.random.Generator) -> Array:
    """All zero, for a layer that should have no effect at first."""
    return np.zeros(shape)


INITIALIZERS: dict[str, Callable[[Shape, np.random.Generator], Array]] = {
    f.__name__: f for f in (glorot_uniform, glorot_normal, he_uniform, he_normal, zeros)
}


def initialize(name: str, shape: Shape, rng: np.random.Generator) -> Array:
    """Draw an array (float64) with the initializer of that name.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in INITIALIZERS:
        raise ValueError(
            f"kernel_initializer must be one of {list(INITIALIZERS)}. Received: {name!r}"
        )
    return INITIALIZERS[name](shape, rng)
