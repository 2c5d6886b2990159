"""Which labelled pictures to learn from and which to measure on, class by class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEVER = -1
"""The fold of a picture that is always learnt from: the only one of its class."""


def stratified_split(
    labels: NDArray[np.int64], share: float, rng: np.random.Generator | int
) -> NDArray[np.bool_]:
    """Set a share of every class aside, at random, but never the whole of a class.

    Args:
        labels: (n,) class numbers.
        share: of each class, rounded to whole pictures.
        rng: a generator or a seed.

    Returns:
        (n,): True for those that are set aside.

    Raises:
        ValueError: when the share is not in 0..1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in 0..1. Received: share={share!r}")
    generator = np.random.default_rng(rng)
    aside = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        own = generator.permutation(np.flatnonzero(labels == label))
        aside[own[: min(round(share * len(own)), len(own) - 1)]] = True
    return aside


def stratified_folds(
    labels: NDArray[np.int64], folds: int, rng: np.random.Generator | int
) -> NDArray[np.int64]:
    """Deal every class out to the folds, so that each picture is held out once.

    Whichever fold is held out, the others show at least one picture of every class.

    Args:
        labels: (n,) class numbers.
        folds: how many, at least 2.
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
        if len(own) > 1:  # the next class goes on where this one ends: folds of equal size
            dealt[own] = (next_fold + np.arange(len(own))) % folds
            next_fold += len(own)
    return dealt
