"""Parts of a labelled set that are held out, with a share of every class in each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

NEVER = -1
"""The fold of a picture that is never held out, as the only one of its class."""


def stratified_split(
    labels: NDArray[np.int64], share: float, rng: np.random.Generator | int
) -> NDArray[np.bool_]:
    """Hold out a random share (0..1) of every class of labels (n,), but never a whole class.

    Returns:
        (n,) bool: True for the pictures held out.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in 0..1. Received: share={share!r}")
    held_out = np.zeros(len(labels), bool)
    for own in _shuffled_classes(labels, rng):
        held_out[own[: min(round(share * len(own)), len(own) - 1)]] = True
    return held_out


def stratified_folds(
    labels: NDArray[np.int64],
    folds: int,
    rng: np.random.Generator | int,
    *,
    singles: bool = False,
) -> NDArray[np.int64]:
    """Distribute every class over at least two folds, so that each picture is held out once.

    Returns:
        (n,): the fold of each picture. Without ``singles`` it is :data:`NEVER` for the only one
        of its class; so the other folds always have at least one picture of every class.
    """
    if folds < 2:
        raise ValueError(f"folds must be at least 2. Received: folds={folds!r}")
    dealt = np.full(len(labels), NEVER)
    next_fold = 0
    for own in _shuffled_classes(labels, rng):
        if len(own) > 1 or singles:  # continue where the last class ended: folds of equal size
            dealt[own] = (next_fold + np.arange(len(own))) % folds
            next_fold += len(own)
    return dealt


def _shuffled_classes(
    labels: NDArray[np.int64], rng: np.random.Generator | int
) -> Iterator[NDArray[np.int64]]:
    """The positions of each class's labels, in random order."""
    generator = np.random.default_rng(rng)
    for label in np.unique(labels):
        yield generator.permutation(np.flatnonzero(labels == label))
