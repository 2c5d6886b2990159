"""The seed of models that are made without one."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np

_numbers: Iterator[int] = itertools.count()
_seed = 0


def set_random_seed(seed: int) -> None:
    """Let Python, NumPy and all models made from now on draw from this seed, as in Keras.

    Raises:
        ValueError: unless it is a whole number in 0..2**32-1.
    """
    global _numbers, _seed
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be a whole number in 0..2**32-1. Received: seed={seed!r}")
    random.seed(int(seed))
    np.random.seed(seed)
    _seed, _numbers = int(seed), itertools.count()


def next_generator() -> np.random.Generator:
    """A generator for one more model: models made in a row differ, runs of a program do not."""
    number = next(_numbers)
    return np.random.default_rng([_seed, number] if number else _seed)
