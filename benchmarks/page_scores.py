"""Compares the digits read on a page with those written there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.page_writing import Box
from benchmarks.page_writing import Page as Written
from tinymnist.nn.metrics import calibration_error
from tinymnist.pages import Page as Read

_SAME_PLACE = 0.5
"""Two boxes are on the same digit if their intersection over union is at least this."""


@dataclass(frozen=True)
class Score:
    """The score of one page.

    Attributes:
        symbols: number of digits written.
        edits: edit distance between the text read and the text written.
        on_words: number of digits read on print or blots.
        words: number of pieces of print and blots.
        confidences: of every digit read.
        right: for each of these, whether its class and place are right.
        seconds: the time for reading.
    """

    symbols: int
    edits: int
    on_words: int
    words: int
    confidences: tuple[float, ...]
    right: tuple[bool, ...]
    seconds: float


def score(written: Written, read: Read, seconds: float) -> Score:
    """Compare a page with what was read on it."""
    truth = [entry for row in written.rows for entry in row]
    return Score(
        symbols=len(truth),
        edits=edit_distance(read.text, written.text),
        on_words=sum(any(_lies_on(d.box, word) for word in written.words) for d in read.digits),
        words=len(written.words),
        confidences=tuple(d.confidence for d in read.digits),
        right=tuple(
            any(d.digit == digit and overlap(d.box, box) >= _SAME_PLACE for digit, box in truth)
            for d in read.digits
        ),
        seconds=seconds,
    )


def edit_distance(one: str, other: str) -> int:
    """V. Levenshtein's distance (1966): insertions, deletions and substitutions."""
    costs = list(range(len(other) + 1))  # from the empty text to each prefix of the other
    for i, symbol in enumerate(one, start=1):
        diagonal, costs[0] = costs[0], i
        for j, expected in enumerate(other, start=1):
            exchanged = diagonal + (symbol != expected)
            diagonal = costs[j]
            costs[j] = min(costs[j] + 1, costs[j - 1] + 1, exchanged)
    return costs[-1]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    wide, tall = (min(one[i + 2], other[i + 2]) - max(one[i], other[i]) for i in (0, 1))
    shared = max(wide, 0) * max(tall, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared)


def _lies_on(box: Box, word: Box) -> bool:
    """Whether the centre of a box lies on a word."""
    right, down = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return word[0] <= right < word[2] and word[1] <= down < word[3]


def summary(scores: Sequence[Score]) -> dict[str, float]:
    """Figures of some pages: ratios in 0..1, NaN if the denominator is 0."""
    confidences = np.array([c for one in scores for c in one.confidences])
    right = np.array([r for one in scores for r in one.right], bool)
    return {
        "pages": len(scores),
        "symbols": sum(one.symbols for one in scores),
        "symbol_error_rate": _ratio(
            sum(one.edits for one in scores), sum(one.symbols for one in scores)
        ),
        "wholly_right": _ratio(sum(one.edits == 0 for one in scores), len(scores)),
        "false_digits_per_word": _ratio(
            sum(one.on_words for one in scores), sum(one.words for one in scores)
        ),
        "confidence": _ratio(float(confidences.sum()), len(confidences)),
        "precision": _ratio(int(right.sum()), len(right)),
        "calibration_error": calibration_error(confidences, right) if len(right) else np.nan,
        "seconds": float(np.median([one.seconds for one in scores])),
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
