"""What is written in a row: the cheapest path through its candidates.

A row is a chain of pieces of ink, and a candidate is a run of pieces that may be a digit. A reader
reports how sure it is of each candidate, and the cheapest path from one end to the other, over
candidates and past discarded pieces, is what is written: "heuristic over-segmentation", Y. LeCun,
L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition",
Proceedings of the IEEE, 1998, section V.

At each place a path is in one of two states: among digits, where discarding a mark is an accident
and expensive, or among other matter, words for instance, where marks are passed cheaply, even if
one looks like a digit, as an o does. Going from one state to the other costs something as well.

Costs are in nats: minus the logarithm of a probability. Their weights are near those that make the
text of 136 painted pages of MNIST's training digits most probable (a conditional random field: J.
Lafferty, A. McCallum and F. Pereira, "Conditional Random Fields", ICML 2001). Heights and cuts cost
less than there, since people's digits differ more than painted ones; other matter costs more, since
most pages hold little of it. ``python -m benchmarks.pages`` measures how well other pages are read.
All lengths are in heights of a digit of their row, unless specified in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from tinymnist.imaging.digit.components import Index
from tinymnist.imaging.picture.pixels import Array

Box = tuple[int, int, int, int]

UNSURE = 6.3
"""Factor on the reader's uncertainty, which should weigh more than the reader reports."""
GAP = 12.7
"""To join pieces, per height of the gap between them."""
_MIN_SURENESS = 1e-9  # lower probabilities count as this
_CUT, _CUT_NARROW = 1.5, 12.0
"""To cut a mark in two, and per height that it is narrower than high: few such are two digits."""
_WIDE, _WIDE_FROM = 2.4, 0.6  # per width beyond the second
_HEIGHT, _HEIGHT_CLEAR, _HEIGHT_FREE = 7.0, 3.0, 0.35
"""Digits of a row differ in height by a factor of exp(0.35) at no cost; what else they differ costs
less if the reader is sure of the mark."""
CLEAR = 0.9
"""How sure the reader is of a mark that is clearly a digit."""
_SMALL = 0.4  # from this size on, in heights of a digit, such a mark counts as if it were large
_SLASH, _SLASH_FROM, _SLASH_WIDTHS = 30.0, 0.15, (0.25, 0.6)
"""A bar taller than a digit by a factor of exp(0.15) is a slash if its width is between these
shares of its height."""
_THICK, _THICK_FROM = 4.8, 0.4
"""Strokes that are wider than others on the page by a factor of exp(0.4) are probably blots."""
_SKIP, _SKIP_WIDE, _SKIP_LIKE = 5.0, 7.6, 5.9
"""To discard a mark of a digit's size among digits; more, the wider it is and the more it looks
like a digit. A bar looks like a 1 and may be anything, so its look does not count."""
_PASS_WIDE, _PASS_LIKE, _PASS_BAR = 0.56, 0.6, 0.22
"""The same among other matter, where only marks that look like one digit or several cost much."""
SIGN, SKIP_SIGN = 8.0, 0.3
"""To take a sign for a digit, and to discard it, among digits or other matter."""
_SMALL_PASSED = 0.4  # smaller marks are called small if they are passed,
_LIKE_A_DIGIT = 0.9  # and others read with this confidence were passed for what is beside them
_MAX_LIKENESS = 0.98  # upper limit of how much a mark looks like a digit
_SWITCH, _SWITCH_NEAR, _SPACE, _BEGIN = 3.9, 5.2, 0.4, 4.2
"""To go from digits to other matter, or back; added to it if a mark follows directly, less with a
gap and nothing from the third on. The last is for a row that begins with other matter."""


def uncertainty_cost(sure: float) -> float:
    """The cost of a digit of which the reader is ``sure`` (0..1)."""
    return -UNSURE * math.log(max(sure, _MIN_SURENESS))


def shape_cost(box: Index, typical: float, clear: bool = False) -> float:
    """The cost of a digit with this width and height; box and typical height in pixels.

    ``clear`` means that the reader is sure of it as a whole, and it is not a straight stroke.
    """
    tall, wide = float(box[2] - box[0]) / typical, float(box[3] - box[1]) / typical
    cost = _WIDE * max(0.0, wide / max(1.0, tall) - _WIDE_FROM)
    height = _HEIGHT_CLEAR if clear else _HEIGHT
    return cost + height * max(0.0, abs(math.log(tall)) - _HEIGHT_FREE)


def slash_cost(box: Index, typical: float) -> float:
    """The cost of a digit that is a bar and may be a slash; box and typical height in pixels."""
    tall, wide = float(box[2] - box[0]) / typical, float(box[3] - box[1]) / typical
    if not _SLASH_WIDTHS[0] < wide / tall < _SLASH_WIDTHS[1]:
        return 0.0
    return _SLASH * max(0.0, math.log(tall) - _SLASH_FROM)


def thick_costs(widths: Array, usual: float) -> Array:
    """The costs (n,) of digits with strokes of these widths (n,), if ``usual`` is the page's."""
    return np.asarray(_THICK * np.maximum(0, np.log(widths / usual) - _THICK_FROM), np.float32)


def cut_cost(shape: tuple[int, ...], typical: float) -> float:
    """The cost of cutting a mark of (h, w) pixels once."""
    tall, wide = shape[0] / typical, shape[1] / typical
    return _CUT + _CUT_NARROW * max(0.0, 1 - wide / max(1.0, tall))


def discard_costs(
    shape: tuple[int, ...], typical: float, sure: float, bar: bool
) -> tuple[float, float]:
    """The costs of discarding a mark, among digits and among other matter; small for a small one.

    The mark has (h, w) pixels, a digit's height is ``typical``, the reader is ``sure`` of the mark
    (0..1), and ``bar`` means that it is a straight stroke.
    """
    tall, wide = shape[0] / typical, shape[1] / typical
    size, digits = min(1.0, max(tall, wide)) ** 2, max(1.0, wide)
    like = -math.log(1 - _MAX_LIKENESS * sure)
    look = min(1.0, max(tall, wide) / _SMALL) ** 2 if sure >= CLEAR and not bar else size
    skip = size * digits * (_SKIP + _SKIP_WIDE * (digits - 1))
    passing = size * _PASS_WIDE * (digits**4 - 1)
    if bar:
        return skip, passing + look * _PASS_BAR * like
    return skip + look * _SKIP_LIKE * like, passing + look * _PASS_LIKE * like


def switch_costs(gaps: Array) -> Array:
    """The costs (n,) of going over to other matter, or back, before each mark of a row.

    ``gaps`` (n - 1,) are to the left of each mark except the first.
    """
    near = _SWITCH_NEAR * np.clip(1 - gaps / _SPACE, 0, 1)
    return np.append(_BEGIN, _SWITCH + near).astype(np.float32)


@dataclass(frozen=True)
class Candidate:
    """A run of pieces that may be a digit."""

    first: int  # the range of its pieces in their row
    last: int  # exclusive
    box: Box  # top, left, bottom, right in pixels of the page, bottom and right exclusive
    image: Array  # (28, 28), in MNIST's form
    cost: float  # of its geometry
    printed: Array | None = None  # (10,), how much it resembles printed digits, if it is blurred


def joined(rows: Sequence[Row]) -> Row:
    """Rows that follow each other, such as the cells of a comb, as one."""
    before = np.cumsum([0, *(len(row.skips) for row in rows)]).tolist()
    candidates = [
        replace(one, first=one.first + start, last=one.last + start)
        for row, start in zip(rows, before, strict=False)
        for one in row.candidates
    ]
    names = ("skips", "cuts", "passes", "switches")
    skips, cuts, passes, switches = (
        np.concatenate([getattr(row, name) for row in rows]) for name in names
    )
    marks = tuple(mark for row in rows for mark in row.marks)
    marks = marks if len(marks) == len(skips) else ()
    return Row(candidates, skips, cuts, passes, switches, marks, rows[0].typical)


class _Move(NamedTuple):
    """A step of a path: over a candidate (its number), or past a piece (-1)."""

    state: int
    first: int
    last: int
    cost: float
    number: int


_DIGITS, _OTHER = 0, 1  # the states of a path


class Mark(NamedTuple):
    """A piece of a row: a mark, or a part of one that is cut from the part before it."""

    box: Box  # top, left, bottom, right as in :class:`Candidate`
    sign: str = ""  # the sign that it is by its shape, if any


SMALL = "small"
"""Why a mark is passed over that is much smaller than a digit."""


class Passed(NamedTuple):
    """A mark, or several parts of one, that is not among the digits of its row."""

    box: Box
    why: str


@dataclass(frozen=True)
class Row:
    """What may be written in a row.

    Attributes:
        candidates: the candidates, in no order of preference.
        skips, passes: (n,), the cost of discarding each piece, among digits and among other matter.
        cuts: (n,), the cost of cutting each piece from the one before, of which the candidate that
            ends there pays half and the one that begins there half.
        switches: (n,), the cost of changing the state just before each piece; the first is the cost
            of beginning among other matter.
        marks: the n pieces themselves; empty if they are not known.
        typical: the height of a digit in pixels.
    """

    candidates: list[Candidate]
    skips: Array
    cuts: Array
    passes: Array
    switches: Array
    marks: tuple[Mark, ...] = ()
    typical: float = 0.0

    def passed(self, chosen: Sequence[int], confidences: Sequence[float]) -> list[Passed]:
        """What is not among the chosen candidates, from the left, and why.

        ``confidences`` are those of :meth:`cheapest`. Parts of one mark that follow each other
        count as one.
        """
        free = np.ones(len(self.marks), bool)
        for number in chosen:
            free[self.candidates[number].first : self.candidates[number].last] = False
        sure = {
            (one.first, one.last): confidences[number] for number, one in enumerate(self.candidates)
        }
        found = []
        place = 0
        while place < len(free):
            first, place = place, place + 1
            if not free[first]:
                continue
            while place < len(free) and free[place] and self.cuts[place] > 0:
                place += 1
            boxes = np.array([mark.box for mark in self.marks[first:place]])
            top, left = boxes[:, :2].min(0).tolist()
            bottom, right = boxes[:, 2:].max(0).tolist()
            small = max(bottom - top, right - left) < _SMALL_PASSED * self.typical
            likely = sure.get((first, place), 0.0) >= _LIKE_A_DIGIT
            why = "beside other matter" if likely else "not surely a digit"
            if self.marks[first].sign:
                why = "sign"
            elif small:
                why = SMALL
            found.append(Passed((top, left, bottom, right), why))
        return found

    def cheapest(self, confidences: Sequence[float], length: int | None = None) -> list[int]:
        """Find the numbers of the candidates that are written here, from the left.

        Args:
            confidences: how sure the reader is of each candidate, 0..1.
            length: how many there are; None for any number.

        Returns:
            The candidates; none if no path has this length.
        """
        counts = 1 if length is None else length + 1
        best = np.full((len(self.skips) + 1, 2, counts), np.inf)  # by place, state and digits
        best[0, _DIGITS, 0] = 0.0
        steps: dict[tuple[int, int, int], tuple[_Move, int]] = {}
        for move in self._moves(confidences):
            more = int(move.number >= 0 and length is not None)
            for count in range(counts - more):
                costs = best[move.first, :, count].copy()  # of coming to it from either state
                costs[1 - move.state] += float(self.switches[move.first])
                cost = float(costs.min()) + move.cost
                if cost < best[move.last, move.state, count + more]:
                    best[move.last, move.state, count + more] = cost
                    steps[move.last, move.state, count + more] = move, int(costs.argmin())
        chosen: list[int] = []
        place, count = len(self.skips), counts - 1
        state = int(best[-1, :, count].argmin())
        if not np.isfinite(best[-1, state, count]):
            return []
        while place > 0:
            move, before = steps[place, state, count]
            place, state = move.first, before
            if move.number >= 0:
                chosen.append(move.number)
                count -= int(length is not None)
        return chosen[::-1]

    def _moves(self, confidences: Sequence[float]) -> list[_Move]:
        """Every step; all that lead to a place come before those that leave it."""
        moves = [
            _Move(state, place, place + 1, float(cost), -1)
            for state, costs in ((_DIGITS, self.skips), (_OTHER, self.passes))
            for place, cost in enumerate(costs)
        ]
        cuts = np.append(self.cuts, 0.0)
        for number, one in enumerate(self.candidates):
            cost = one.cost + float(cuts[one.first] + cuts[one.last]) / 2
            cost += uncertainty_cost(float(confidences[number]))
            moves.append(_Move(_DIGITS, one.first, one.last, cost, number))
        return sorted(moves, key=lambda move: move.first)
