"""Which output of one side belongs to which output of the other: by order, shape, and kind.

Names differ between frameworks; one fuses the activation that another has as a layer; a Dropout is
listed on one side and left out on the other. Only the order is the same everywhere. So this is an
alignment of two sequences, like the alignment of two texts in ``diff``: of all ways to pair
outputs of the same shape without crossing, it takes the one with the highest total similarity.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tinymnist.comparison.outputs import Output, channels_last
from tinymnist.nn.arrays import Array, Shape

_LEARNED = ("conv", "dense")
_EXAMPLES_LOOKED_AT = 8
_MAX_NOISE = 0.3
"""Up to this share of the signal, what two outputs differ by may be noise."""
_MIN_SIMILARITY, _MIN_SIMILARITY_INNER = 1.2, 1.7
"""Less similar outputs are not paired; a step inside a layer often has no counterpart."""


class Pair(NamedTuple):
    """Two outputs that belong together."""

    a: Output
    b: Output


def match(a: Sequence[Output], b: Sequence[Output]) -> list[Pair]:
    """Pair the outputs of two sides.

    The last outputs always belong together if they have the same shape, whatever their layers do:
    they are the results of the models.

    Args:
        a, b: outputs in the order of execution.
    """
    if a and b and a[-1].values.shape == b[-1].values.shape:
        return [*_aligned(a[:-1], b[:-1]), Pair(a[-1], b[-1])]
    return _aligned(a, b)


def _aligned(a: Sequence[Output], b: Sequence[Output]) -> list[Pair]:
    """The best alignment: ``best[i, j]`` is the highest total of ``a[i:]`` and ``b[j:]``."""
    best = np.zeros((len(a) + 1, len(b) + 1))
    of_a, of_b = (list(zip(*both, strict=True)) for both in ((a, _kinds(a, b)), (b, _kinds(b, a))))
    score = np.array([[_similarity(*one, *other) for other in of_b] for one in of_a])
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


def _kinds(outputs: Sequence[Output], others: Sequence[Output]) -> list[str | None]:
    """What each layer does; None for what :func:`folded` names: it has no counterpart."""
    inside = folded(outputs, others)
    kinds: list[str | None] = [None if one.name in inside else one.kind for one in outputs]
    for index, one in enumerate(outputs[:-1]):
        if one.name in inside:
            kinds[index + 1] = one.kind
    return kinds


def folded(outputs: Sequence[Output], others: Sequence[Output]) -> dict[str, Output]:
    """Convolutions and Dense layers, by name, with the batch normalization right behind them.

    Exporters compute both as one layer, with other weights. So if the other side normalizes
    nothing, the first output of the two is one that it does not have. The kinds of captured outputs
    are guesses: there it takes one that is equal to the second.
    """
    if any(one.kind == "batchnorm" for one in others):
        return {}
    learned = [one for one in others if one.kind in _LEARNED]
    pairs = itertools.pairwise(outputs)
    found = {a.name: b for a, b in pairs if a.kind in _LEARNED and b.kind == "batchnorm"}
    known = any(not one.guessed for one in learned)
    same = any(_same(norm.values, one.values) for norm in found.values() for one in learned)
    return found if known or same else {}


def _similarity(a: Output, kind_a: str | None, b: Output, kind_b: str | None) -> float:
    """How similar two outputs are in values, name and kind; 0 if they cannot be a pair."""
    if a.values.shape != b.values.shape or a.is_input != b.is_input:
        return 0.0
    if kind_a is None or kind_b is None:
        return 0.0
    score = 2.0 + _closeness(a.values[:_EXAMPLES_LOOKED_AT], b.values[:_EXAMPLES_LOOKED_AT])
    score += 1.5 * (a.name == b.name)
    if kind_a and kind_b:
        weight = 0.5 if a.guessed or b.guessed else 1.0
        score += weight if kind_a == kind_b else -weight
    score -= 0.75 * len(_signature(a.values) ^ _signature(b.values))
    inner = a.inner or b.inner
    enough = score >= (_MIN_SIMILARITY_INNER if inner else _MIN_SIMILARITY)
    return score - 0.1 * inner if enough else 0.0


def _closeness(a: Array, b: Array) -> float:
    """5 for the same numbers, 2 to 4 for noisy ones, else their correlation, at least 0."""
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    if not (np.isfinite(a).all() and np.isfinite(b).all()) or not a.size:
        return 0.0
    if np.abs(a - b).max() <= 1e-3 * max(np.abs(a).max(), np.abs(b).max()):
        return 5.0
    noise = float(np.linalg.norm(a - b)) / max(float(np.linalg.norm(b)), 1e-30)
    if noise < _MAX_NOISE:  # as in quantized models
        return 4.0 - 2.0 * noise / _MAX_NOISE
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return max(float(a @ b) / norm, 0.0) if norm else 0.0


def _signature(values: Array) -> frozenset[str]:
    """Traces of an activation: no value below 0 (relu), none beyond 1 (tanh), sums of 1."""
    marks = set()
    if values.ndim == 2 and (np.abs(values.sum(axis=1) - 1) <= 1e-3).all():
        marks.add("probabilities")
    if (values >= 0).all():
        marks.add("positive")
    if (np.abs(values) <= 1 + 1e-6).all():
        marks.add("bounded")
    return frozenset(marks)


def in_layout_of(
    a: Sequence[Output], b: Sequence[Output]
) -> tuple[tuple[Output, ...], tuple[str, ...]]:
    """Bring the outputs of ``b`` to the layout of ``a``: pictures and flattened pictures.

    Nothing is changed unless more outputs match afterwards.

    Returns:
        The outputs of ``b``, and notes on what was done.
    """
    notes = []
    turned = [replace(one, values=channels_last(one.values)) for one in b]
    if len(match(a, turned)) > len(match(a, b)):
        b = turned
        notes.append("the second side has pictures channels first; read as channels last")
    pictures = {one.values.shape[1:] for one in (*a, *b) if one.values.ndim == 4}
    arranged = tuple(_arranged(one, a, pictures) for one in b)
    moved = [new.name for new, old in zip(arranged, b, strict=True) if new is not old]
    if moved:
        notes.append(
            f"the second side holds the same numbers in another order of height, width and "
            f"channels in {', '.join(moved)}, which is right if the rows of the next kernel are "
            "in that order, too"
        )
    return arranged, tuple(notes)


def arranged_alike(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs, with those on the second side that only hold another order put in order."""
    pictures = {pair.a.values.shape[1:] for pair in pairs if pair.a.values.ndim == 4}
    return [Pair(pair.a, _arranged(pair.b, [pair.a], pictures)) for pair in pairs]


def _arranged(output: Output, others: Sequence[Output], pictures: Iterable[Shape]) -> Output:
    """An output that equals one of ``others`` if its channels are moved, in that order."""
    values = output.values
    alike = [
        o.values for o in others if o.values.ndim == values.ndim and o.values.size == values.size
    ]
    if output.is_input or any(_same(other, values) for other in alike):
        return output
    for other in alike:
        if not _same(np.sort(other[:1], axis=None), np.sort(values[:1], axis=None)):
            continue
        for moved in _with_channels_moved(values, pictures):
            if _same(other, moved):
                return replace(output, values=np.ascontiguousarray(moved))
    return output


def _with_channels_moved(values: Array, pictures: Iterable[Shape]) -> Iterator[Array]:
    """Pictures, or flattened pictures, with channels moved from first to last, or back."""
    to_last, to_first = (0, 2, 3, 1), (0, 3, 1, 2)
    if values.ndim == 4:
        yield from (values.transpose(order) for order in (to_last, to_first))
    for h, w, c in pictures if values.ndim == 2 else ():
        if h * w * c == values.shape[1] and c > 1:  # a single channel has no order to change
            for shape, order in (((c, h, w), to_last), ((h, w, c), to_first)):
                whole = values.reshape(len(values), *shape)
                yield whole.transpose(order).reshape(values.shape)


def _same(a: Array, b: Array) -> bool:
    """Whether two outputs are equal except for rounding."""
    if a.shape != b.shape:
        return False
    return bool(np.abs(a - b).max(initial=0.0) <= 1e-4 * np.abs(a).max(initial=0.0))
