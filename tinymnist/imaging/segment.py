"""A page to rows of candidates: everything on it that may be a digit.

Ink is cut into pieces that are smaller rather than larger than a digit: each mark is one, and a
wide one is cut where it is thin. Each piece, and each run of neighbouring pieces that together are
no larger than a digit, is a candidate; :mod:`tinymnist.imaging.lattice` chooses among them. Costs
are in nats: minus the logarithm of a probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinymnist.imaging.components import Components, Index, Mask
from tinymnist.imaging.cuts import find_cuts
from tinymnist.imaging.frame import centre, fit_box
from tinymnist.imaging.isolate import NoDigitFound, threshold
from tinymnist.imaging.lattice import Candidate, Row
from tinymnist.imaging.marks import find_marks, heights, typical_height, widths
from tinymnist.imaging.page import PageInk, page_ink
from tinymnist.imaging.pixels import Array
from tinymnist.imaging.rows import find_rows

_CUT_FROM = 0.6
"""Components wider than this, in heights of a digit, may be several digits."""
_CUTS_APART, _CUT_MARGIN = 0.18, 0.12
_MOST_CUTS = 40
_FEW, _PER = 2, 3.0
_MOST_PIECES = 8
_WIDEST, _TALLEST = 1.5, 1.7
"""Of several pieces together, in heights of a digit."""

_SMALLEST = 5
"""Pixels that a digit is high, at least."""
_CROWD, _GRAIN = 200, 10
"""So many marks that are not so many pixels high are the grain of a noisy picture."""
_MOST_CANDIDATES = 4000
"""A thousand digits have about so many."""
_TRUST = 2
"""So many marks of a row tell as much about its digits' height as the whole page does."""

_SKIP = 2.0
"""The cost of taking a mark of a digit's size for no digit."""
_CUT, _CUT_INK, _CUT_NARROW = 0.13, 1.7, 1.0
"""The cost of a cut; what is added for each height of a digit that it goes through ink, and for
each height that the component is narrower than one: two digits seldom are."""
_GAP = 2.0
"""The cost of joining pieces that are a digit's height apart."""
_WIDE, _WIDE_FROM = 0.85, 0.6
_HEIGHT, _HEIGHT_FREE = 3.0, 0.35
"""Digits of a row differ in height by a factor of exp(0.35) at no cost."""


def segment(grey: Array) -> list[Row]:
    """Find what may be digits on a page.

    Args:
        grey: (h, w) float32 in 0..1 as displayed, of either polarity.

    Returns:
        The rows from the top; rows without a candidate are left out.

    Raises:
        NoDigitFound: when the page is blank.
    """
    page = page_ink(grey)
    parts = find_marks(page.mask)
    usual = typical_height(parts.boxes, page.mask.shape)
    if usual < _SMALLEST or (len(parts.boxes) > _CROWD and usual < _GRAIN):
        raise NoDigitFound("no digit found: nothing but specks")
    rows = []
    for marks in find_rows(parts.boxes, page.mask.shape):
        rows.append(_row(page, parts, marks, usual))
        if sum(len(row.candidates) for row in rows) > _MOST_CANDIDATES:
            raise NoDigitFound("no digit found: too many marks that touch each other")
    return [row for row in rows if row.candidates]


@dataclass
class _Pieces:
    """The pieces of a row, from the left, and the ink that they are of."""

    page: PageInk
    labels: Index  # (h, w) of the page
    numbers: Index  # (n,) their labels
    boxes: Index  # (n, 4)
    cuts: Array  # (n,)
    typical: float


def _row(page: PageInk, parts: Components, marks: Index, usual: float) -> Row:
    typical = _row_height(heights(parts.boxes[marks]), usual)
    pieces = _pieces(page, parts, marks, typical)
    size = np.maximum(heights(pieces.boxes), widths(pieces.boxes)) / typical
    skips = _SKIP * np.minimum(1, size).astype(np.float32) ** 2
    candidates = [
        candidate
        for first in range(len(pieces.numbers))
        for last in range(first + 1, min(first + _MOST_PIECES, len(pieces.numbers)) + 1)
        if (candidate := _candidate(pieces, first, last)) is not None
    ]
    return Row(candidates, skips, pieces.cuts)


def _row_height(tall: Index, usual: float) -> float:
    """The height of a digit in this row: its own median, but few marks say less than the page."""
    own = tall[tall >= 0.5 * tall.max()]
    share = len(own) / (len(own) + _TRUST)
    return float(np.median(own) ** share * usual ** (1 - share))


def _pieces(page: PageInk, parts: Components, marks: Index, typical: float) -> _Pieces:
    """Cut wide components; everything in the order of the middles."""
    found: list[tuple[float, Index, Mask, int, float]] = []  # middle, box, mask, mark, cut's cost
    for mark in marks:
        top, left, bottom, right = parts.boxes[mark]
        mask = parts.labels[top:bottom, left:right] == mark
        for own, cost in _cut(mask, typical):
            rows, columns = (np.flatnonzero(own.any(axis)) for axis in (1, 0))
            if rows.size == 0:
                continue
            inside = own[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            start = np.array([top + rows[0], left + columns[0]])
            box = np.concatenate([start, start + inside.shape])
            found.append(((box[1] + box[3]) / 2, box, inside, int(mark), cost))
    found.sort(key=lambda piece: piece[0])
    labels = np.full(page.mask.shape, -1, np.intp)
    for number, (_, box, own, _, _) in enumerate(found):
        labels[box[0] : box[2], box[1] : box[3]][own] = number
    boxes = np.stack([box for _, box, _, _, _ in found])
    cuts = _between([mark for *_, mark, _ in found], [cost for *_, cost in found])
    return _Pieces(page, labels, np.arange(len(found)), boxes, cuts, typical)


def _between(marks: list[int], costs: list[float]) -> Array:
    """The cost of parting each piece from the one before, where both are of one mark.

    Seams wind, so a mark's first piece need not be its leftmost; the dearer of two cuts counts.
    """
    cuts = [0.0]
    for place in range(1, len(marks)):
        together = marks[place] == marks[place - 1]
        cuts.append(max(costs[place - 1 : place + 1]) if together else 0.0)
    return np.array(cuts, np.float32)


def _cut(mask: Mask, typical: float) -> list[tuple[Mask, float]]:
    """The parts of a component, each with the cost of the cut to its left."""
    width = mask.shape[1]
    if width <= _CUT_FROM * typical:
        return [(mask, 0.0)]
    apart = max(1, round(_CUTS_APART * typical))
    most = min(_MOST_CUTS, _FEW + int(_PER * width / typical))
    cuts = find_cuts(mask, max(1, round(_CUT_MARGIN * typical)), apart, most)
    columns = np.arange(width)
    side = np.zeros(mask.shape, np.intp)
    for cut in cuts:
        side += columns >= cut.columns[:, None]
    least = _CUT + _CUT_NARROW * max(0.0, 1 - width / max(typical, mask.shape[0]))
    costs = [0.0] + [least + _CUT_INK * cut.ink / typical for cut in cuts]
    return [(mask & (side == number), cost) for number, cost in enumerate(costs)]


def _candidate(pieces: _Pieces, first: int, last: int) -> Candidate | None:
    """The candidate of a run of pieces; None if it is too large, or no ink is left of it."""
    boxes = pieces.boxes[first:last]
    top, left = boxes[:, :2].min(0)
    bottom, right = boxes[:, 2:].max(0)
    tall, wide = (bottom - top) / pieces.typical, (right - left) / pieces.typical
    if last - first > 1 and (wide > _WIDEST or tall > _TALLEST):
        return None
    labels = pieces.labels[top:bottom, left:right]
    own = (labels >= first) & (labels < last)
    try:
        image = centre(
            fit_box(threshold(np.pad(pieces.page.flat[top:bottom, left:right] * own, 2)))
        )
    except NoDigitFound:
        return None
    cost = _WIDE * max(0.0, wide / max(1.0, tall) - _WIDE_FROM)
    cost += _HEIGHT * max(0.0, abs(float(np.log(tall))) - _HEIGHT_FREE)
    cost += _GAP * _gaps(boxes, pieces.cuts[first:last]) / pieces.typical
    return Candidate(first, last, (int(top), int(left), int(bottom), int(right)), image, cost)


def _gaps(boxes: Index, cuts: Array) -> float:
    """The sum of the gaps between each piece and the nearest before it."""
    total = 0.0
    for number in range(1, len(boxes)):
        if cuts[number] > 0:
            continue
        box, before = boxes[number], boxes[:number]
        gaps = np.maximum(before[:, :2] - box[2:], box[:2] - before[:, 2:]).max(1)
        total += max(0.0, float(gaps.min()))
    return total
