"""What was read on a page against what is written there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.page_writing import Box
from benchmarks.page_writing import Page as Written
from tinymnist.nn.metrics import calibration_error
from tinymnist.prediction import Page as Read

_SAME_PLACE = 0.5
"""Two boxes lie on the same digit if they share so much of what they cover together."""


@dataclass(frozen=True)
class Score:
    """One page.

    Attributes:
        symbols: digits that are written.
        edits: the least number of digits and row ends to insert, remove or exchange until what was
            read is what is written.
        on_words: digits that were read on printed matter or blots.
        words: pieces of printed matter and blots.
        confidences: of every digit that was read.
        right: for each, whether it is that digit, and in its place.
        seconds: that reading took.
    """

    symbols: int
    edits: int
    on_words: int
    words: int
    confidences: tuple[float, ...]
    right: tuple[bool, ...]
    seconds: float


def score(written: Written, read: Read, seconds: float) -> Score:
    """Compare."""
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
    """V. Levenshtein's (1966): insertions, removals and exchanges from one text to another."""
    costs = list(range(len(other) + 1))  # from nothing of the one to each beginning of the other
    for i, symbol in enumerate(one, start=1):
        diagonal, costs[0] = costs[0], i
        for j, expected in enumerate(other, start=1):
            exchanged = diagonal + (symbol != expected)
            diagonal = costs[j]
            costs[j] = min(costs[j] + 1, costs[j - 1] + 1, exchanged)
    return costs[-1]


def overlap(one: Box, other: Box) -> float:
    """Area of what two boxes share against that of what they cover together."""
    wide, tall = (min(one[i + 2], other[i + 2]) - max(one[i], other[i]) for i in (0, 1))
    shared = max(wide, 0) * max(tall, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared)


def _lies_on(box: Box, word: Box) -> bool:
    """Whether a box's middle lies on a word."""
    right, down = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return word[0] <= right < word[2] and word[1] <= down < word[3]


def summary(scores: Sequence[Score]) -> dict[str, float]:
    """Of some pages: shares in 0..1, nan where there is nothing to divide by."""
    confidences = np.array([c for one in scores for c in one.confidences])
    right = np.array([r for one in scores for r in one.right], bool)
    return {
        "pages": len(scores),
        "symbols": sum(one.symbols for one in scores),
        "symbol_error_rate": _ratio(
            sum(one.edits for one in scores), sum(one.symbols for one in scores)
        ),
        "wholly_right": _ratio(sum(one.edits == 0 for one in scores), len(scores)),
        "false_digits_a_word": _ratio(
            sum(one.on_words for one in scores), sum(one.words for one in scores)
        ),
        "confidence": _ratio(float(confidences.sum()), len(confidences)),
        "precision": _ratio(int(right.sum()), len(right)),
        "calibration_error": calibration_error(confidences, right) if len(right) else np.nan,
        "seconds": float(np.median([one.seconds for one in scores])),
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
