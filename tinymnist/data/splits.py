"""Stratified splits: which labelled pictures to train on and which to hold out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEVER = -1
"""The fold of a picture that is never held out, as the only one of its class."""


def stratified_split(
    labels: NDArray[np.int64], share: float, rng: np.random.Generator | int
) -> NDArray[np.bool_]:
    """Hold out a random share of every class, but never a whole class.

    Args:
        labels: (n,) class numbers.
        share: of each class, in 0..1; rounded to whole pictures.
        rng: a generator or a seed.

    Returns:
        (n,) bool: True for the pictures held out.

    Raises:
        ValueError: if the share is not in 0..1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in 0..1. Received: share={share!r}")
    generator = np.random.default_rng(rng)
    held_out = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        own = generator.permutation(np.flatnonzero(labels == label))
        held_out[own[: min(round(share * len(own)), len(own) - 1)]] = True
    return held_out


def stratified_folds(
    labels: NDArray[np.int64], folds: int, rng: np.random.Generator | int
) -> NDArray[np.int64]:
    """Distribute every class over the folds, so that each picture is held out once.

    The other folds always have at least one picture of every class.

    Args:
        labels: (n,) class numbers.
        folds: number of folds, at least 2.
        rng: a generator or a seed.

    Returns:
        (n,): the fold of each picture, or :data:`NEVER` for the only one of its class.

    Raises:
        ValueError: for fewer than two folds.
    """
    if folds < 2:
        raise ValueError(f"folds must be at least 2. Received: folds={folds!r}")
    generator = np.random.default_rng(rng)
    dealt = np.full(len(labels), NEVER)
    next_fold = 0
    for label in np.unique(labels):
        own = generator.permutation(np.flatnonzero(labels == label))
        if len(own) > 1:  # continue where the last class ended: folds of equal size
            dealt[own] = (next_fold + np.arange(len(own))) % folds
            next_fold += len(own)
    return dealt
