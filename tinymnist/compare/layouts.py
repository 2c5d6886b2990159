"""Outputs that came channels first: brought to channels last, if that is how they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tinymnist.compare.matching import match
from tinymnist.compare.outputs import Output
from tinymnist.nn.arrays import Array


def in_the_layout_of(
    a: Sequence[Output], b: Sequence[Output]
) -> tuple[tuple[Output, ...], tuple[str, ...]]:
    """The outputs of ``b``, with pictures and flattened pictures in the order of ``a``'s.

    Nothing is changed unless more fits afterwards.

    Returns:
        The outputs, and what was done in words.
    """
    notes = []
    chosen = tuple(b)
    turned = tuple(replace(one, values=channels_last(one.values)) for one in b)
    if len(match(a, turned)) > len(match(a, b)):
        chosen = turned
        notes.append("pictures of the second side came channels first; read as channels last")
    reordered = _flattened_alike(a, chosen)
    if any(new is not old for new, old in zip(reordered, chosen, strict=True)):
        notes.append(
            "the second side flattens channels first: the same numbers in another order, which "
            "is right if the next kernel has its rows in that order, too"
        )
    return reordered, tuple(notes)


def channels_last(values: Array) -> Array:
    """(n, c, h, w) -> (n, h, w, c); anything else as it is."""
    return values.transpose(0, 2, 3, 1) if values.ndim == 4 else values


def channels_last_vector(values: Array, picture: tuple[int, int, int]) -> Array:
    """(n, c*h*w) -> (n, h*w*c), for a picture (h, w, c)."""
    h, w, c = picture
    by_channel = values.reshape(len(values), c, h, w)
    return np.ascontiguousarray(by_channel.transpose(0, 2, 3, 1)).reshape(values.shape)


def _flattened_alike(a: Sequence[Output], b: Sequence[Output]) -> tuple[Output, ...]:
    """Vectors of ``b`` that are those of ``a`` in the order (c, h, w), put in order."""
    pictures: list[tuple[int, int, int]] = [
        one.values.shape[1:] for one in a if one.values.ndim == 4
    ]
    vectors = [one.values for one in a if one.values.ndim == 2]
    found = []
    for one in b:
        new = one
        for picture in reversed(pictures):
            if one.values.ndim != 2 or np.prod(picture) != one.values.shape[1]:
                continue
            ordered = channels_last_vector(one.values, picture)
            if any(_same(v, ordered) and not _same(v, one.values) for v in vectors):
                new = replace(one, values=ordered)
                break
        found.append(new)
    return tuple(found)


def _same(a: Array, b: Array) -> bool:
    """Whether two outputs are equal but for rounding."""
    if a.shape != b.shape:
        return False
    return bool(np.abs(a - b).max(initial=0.0) <= 1e-4 * np.abs(a).max(initial=0.0))
