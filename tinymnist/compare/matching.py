"""Which output of one side belongs to which of the other: by order, shape, and what they do.

Names differ between frameworks, one fuses the activation that another has as a layer, a Dropout
is written down here and left out there. What is kept everywhere is the order. So this is an
alignment of two sequences, as of two texts by ``diff``: of all ways to pair outputs of the same
shape without crossing, the one in which most pairs look as if they belonged together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinymnist.compare.outputs import Output
from tinymnist.nn.arrays import Array

_PICTURES = 8
"""How many examples are looked at."""
_LEAST, _LEAST_INNER = 1.2, 1.7
"""The likeness below which two outputs are no pair: a step inside a layer may well have none."""


class Pair(NamedTuple):
    """Two outputs that belong together."""

    a: Output
    b: Output


def match(a: Sequence[Output], b: Sequence[Output]) -> list[Pair]:
    """Pair the outputs of two sides.

    The last outputs always belong together when they have one shape, whatever their layers do:
    they are what the models are for.

    Args:
        a, b: outputs in the order of execution.
    """
    if not a or not b:
        return []
    if a[-1].values.shape == b[-1].values.shape:
        return [*_aligned(a[:-1], b[:-1]), Pair(a[-1], b[-1])]
    return _aligned(a, b)


def _aligned(a: Sequence[Output], b: Sequence[Output]) -> list[Pair]:
    """The best alignment, by dynamic programming over both beginnings."""
    best = np.zeros((len(a) + 1, len(b) + 1))
    score = np.array([[_likeness(one, other) for other in b] for one in a])
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            together = best[i + 1, j + 1] + score[i, j] if score[i, j] > 0 else 0.0
            best[i, j] = max(together, best[i + 1, j], best[i, j + 1])
    pairs, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if score[i, j] > 0 and best[i, j] == best[i + 1, j + 1] + score[i, j]:
            pairs.append(Pair(a[i], b[j]))
            i, j = i + 1, j + 1
        elif best[i, j] == best[i + 1, j]:
            i += 1
        else:
            j += 1
    return pairs


def _likeness(a: Output, b: Output) -> float:
    """How much two outputs look as if they belonged together; 0 if they cannot."""
    if a.values.shape != b.values.shape or (a.kind == "input") != (b.kind == "input"):
        return 0.0
    score = 2.0 + _closeness(a.values[:_PICTURES], b.values[:_PICTURES])
    score += 1.5 * (a.name == b.name)
    if a.kind and b.kind:
        weight = 0.5 if a.guessed or b.guessed else 1.0
        score += weight if a.kind == b.kind else -weight
    score -= 0.75 * len(_signature(a.values) ^ _signature(b.values))
    inner = a.inner or b.inner
    return score - 0.1 * inner if score >= (_LEAST_INNER if inner else _LEAST) else 0.0


def _closeness(a: Array, b: Array) -> float:
    """5 for the same numbers, their correlation otherwise."""
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    if not (np.isfinite(a).all() and np.isfinite(b).all()) or not a.size:
        return 0.0
    if np.abs(a - b).max() <= 1e-3 * max(np.abs(a).max(), np.abs(b).max()):
        return 5.0
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return max(float(a @ b) / norm, 0.0) if norm else 0.0


def _signature(values: Array) -> frozenset[str]:
    """What an activation leaves behind: nothing below 0 (relu), beyond 1 (tanh), sums of 1."""
    marks = set()
    if values.ndim == 2 and (np.abs(values.sum(axis=1) - 1) <= 1e-3).all():
        marks.add("probabilities")
    if (values >= 0).all():
        marks.add("positive")
    if (np.abs(values) <= 1 + 1e-6).all():
        marks.add("bounded")
    return frozenset(marks)
