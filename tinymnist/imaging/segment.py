"""A page to rows of candidates: everything on it that may be a digit.

Ink is cut into pieces that are smaller rather than larger than a digit: each mark is one, and a
wide one is cut where it is thin. Each piece, and each run of neighbouring pieces that together are
no larger than a digit, is a candidate; :mod:`tinymnist.imaging.lattice` chooses among them. Costs
are in nats: minus the logarithm of a probability.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinymnist.imaging.components import Components, Index, Mask
from tinymnist.imaging.cuts import find_cuts
from tinymnist.imaging.frame import centre, fit_box
from tinymnist.imaging.isolate import NoDigitFound, threshold
from tinymnist.imaging.lattice import Candidate, Row
from tinymnist.imaging.marks import find_marks, heights, typical_height
from tinymnist.imaging.outline import outlined
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

_SKIP = 1.0
"""The cost of taking a mark of a digit's size for no digit, among digits."""
_PASS, _PASS_WIDE = 0.15, 3
"""And among other matter; a mark that is wider than a digit may be several that touch each other,
so the cost grows with this power of its width."""
_SWITCH, _SWITCH_NEAR, _SPACE = 0.5, 0.5, 0.4
"""The cost of going from digits to other matter, or back, and what is added where a mark follows
another directly; nothing is added from this gap on, in heights of a digit."""
_CUT, _CUT_INK, _CUT_NARROW = 0.05, 0.68, 0.4
"""The cost of a cut; what is added for each height of a digit that it goes through ink, and for
each height that the component is narrower than one: two digits seldom are."""
_GAP = 1.0
"""The cost of joining pieces that are a digit's height apart."""
_WIDE, _WIDE_FROM = 0.42, 0.6
_HEIGHT, _HEIGHT_FREE = 1.5, 0.35
"""Digits of a row differ in height by a factor of exp(0.35) at no cost."""

Confidence = Callable[[Array], Array]
"""Of images (n, 28, 28) in MNIST's form: how sure their reader is of each, 0..1."""


def segment(grey: Array, confidence: Confidence | None = None) -> list[Row]:
    """Find what may be digits on a page.

    Args:
        grey: (h, w) float32 in 0..1 as displayed, of either polarity.
        confidence: what is known of a whole mark; one that is surely a digit need not be cut. The
            cheapest way stays the same without it, and takes longer.

    Returns:
        The rows from the top; rows without a candidate are left out.

    Raises:
        NoDigitFound: when the page is blank.
    """
    page = page_ink(grey)
    parts = find_marks(page.mask)
    parts = parts.only(np.flatnonzero(outlined(parts, page.dark, page.paper)))
    usual = typical_height(parts.boxes, page.mask.shape)
    if usual < _SMALLEST or (len(parts.boxes) > _CROWD and usual < _GRAIN):
        raise NoDigitFound("no digit found: nothing but specks")
    unsure = _unsure(page, parts, confidence)
    rows = []
    for marks in find_rows(parts.boxes, page.mask.shape):
        rows.append(_row(page, parts, marks, unsure, usual))
        if sum(len(row.candidates) for row in rows) > _MOST_CANDIDATES:
            raise NoDigitFound("no digit found: too many marks that touch each other")
    return [row for row in rows if row.candidates]


def _unsure(page: PageInk, parts: Components, confidence: Confidence | None) -> Array:
    """What it costs to take each whole mark for a digit, but for its geometry: (n,)."""
    costs = np.full(len(parts.boxes), np.inf, np.float32)
    if confidence is None:
        return costs
    images = [_image(page, box, parts.labels, mark, mark + 1)
              for mark, box in enumerate(parts.boxes)]  # fmt: skip
    known = [mark for mark, image in enumerate(images) if image is not None]
    if known:
        sure = confidence(np.stack([image for image in images if image is not None]))
        costs[known] = -np.log(np.maximum(sure, 1e-9))
    return costs


@dataclass
class _Pieces:
    """The pieces of a row, from the left, and the ink that they are of."""

    page: PageInk
    labels: Index  # (h, w) of the page
    boxes: Index  # (n, 4)
    cuts: Array  # (n,)
    skips: Array  # (n,)
    passes: Array  # (n,)
    typical: float
    limits: Array  # (n,), the most that it can cost to account for each


def _row(page: PageInk, parts: Components, marks: Index, unsure: Array, usual: float) -> Row:
    typical = _row_height(heights(parts.boxes[marks]), usual)
    alone = {
        int(mark): float(unsure[mark]) + _geometry(parts.boxes[mark], typical) for mark in marks
    }
    pieces = _pieces(page, parts, alone, typical)
    candidates = [
        candidate
        for first in range(len(pieces.boxes))
        for last in range(first + 1, min(first + _MOST_PIECES, len(pieces.boxes)) + 1)
        if (candidate := _candidate(pieces, first, last)) is not None
    ]
    return Row(candidates, pieces.skips, pieces.cuts, pieces.passes, _switches(pieces))


def _switches(pieces: _Pieces) -> Array:
    """The cost of going over to other matter, or back, before each piece; never within a mark."""
    ends = np.maximum.accumulate(pieces.boxes[:, 3])
    gaps = np.append(np.inf, pieces.boxes[1:, 1] - ends[:-1]) / pieces.typical
    near = _SWITCH_NEAR * np.clip(1 - gaps / _SPACE, 0, 1)
    return np.where(pieces.cuts > 0, np.inf, _SWITCH + near).astype(np.float32)


def _row_height(tall: Index, usual: float) -> float:
    """The height of a digit in this row: its own median, but few marks say less than the page."""
    own = tall[tall >= 0.5 * tall.max()]
    share = len(own) / (len(own) + _TRUST)
    return float(np.median(own) ** share * usual ** (1 - share))


def _pieces(page: PageInk, parts: Components, alone: dict[int, float], typical: float) -> _Pieces:
    """Cut wide components that may be several digits; everything in the order of the middles."""
    found: list[_Piece] = []
    for mark, cost in alone.items():
        top, left, bottom, right = parts.boxes[mark]
        mask = parts.labels[top:bottom, left:right] == mark
        skip, passing = _aside(mask.shape, typical)
        for own, cut in _cut(mask, typical, cost):
            rows, columns = (np.flatnonzero(own.any(axis)) for axis in (1, 0))
            if rows.size == 0:
                continue
            inside = own[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            start = np.array([top + rows[0], left + columns[0]])
            box = np.concatenate([start, start + inside.shape])
            share = inside.shape[1] / mask.shape[1]
            limit = cost if inside.size == mask.size else np.inf
            found.append(_Piece(box, inside, mark, cut, skip * share, passing * share, limit))
    found.sort(key=lambda piece: int(piece.box[1] + piece.box[3]))
    labels = np.full(page.mask.shape, -1, np.intp)
    for number, piece in enumerate(found):
        top, left, bottom, right = piece.box
        labels[top:bottom, left:right][piece.mask] = number
    boxes = np.stack([piece.box for piece in found])
    cuts = _between([piece.mark for piece in found], [piece.cut for piece in found])
    skips, passes, limits = np.array([piece[-3:] for piece in found], np.float32).T
    return _Pieces(page, labels, boxes, cuts, skips, passes, typical, np.minimum(skips, limits))


class _Piece(NamedTuple):
    """A mark, or a part of one."""

    box: Index
    mask: Mask  # within the box
    mark: int
    cut: float  # the cost of the cut to its left
    skip: float
    passing: float
    limit: float  # the cost of its being a digit alone


def _aside(shape: tuple[int, ...], typical: float) -> tuple[float, float]:
    """The cost of a mark's being no digit, among digits and among other matter.

    Both are small for a small mark, and larger for one as wide as two.
    """
    tall, wide = (side / typical for side in shape)
    size, digits = min(1.0, max(tall, wide)) ** 2, max(1.0, wide)
    return _SKIP * size * digits, _PASS * size * digits ** (1 + _PASS_WIDE)


def _between(marks: list[int], costs: list[float]) -> Array:
    """The cost of parting each piece from the one before, where both are of one mark.

    Seams wind, so a mark's first piece need not be its leftmost; the dearer of two cuts counts.
    """
    cuts = [0.0]
    for place in range(1, len(marks)):
        together = marks[place] == marks[place - 1]
        cuts.append(max(costs[place - 1 : place + 1]) if together else 0.0)
    return np.array(cuts, np.float32)


def _cut(mask: Mask, typical: float, whole: float) -> list[tuple[Mask, float]]:
    """The parts of a component, each with the cost of the cut to its left.

    It stays whole if it is narrow, or if that costs less than to cut off a bit and skip that.
    """
    width = mask.shape[1]
    least = _CUT + _CUT_NARROW * max(0.0, 1 - width / max(typical, mask.shape[0]))
    if width <= _CUT_FROM * typical or whole <= least / 2:
        return [(mask, 0.0)]
    apart = max(1, round(_CUTS_APART * typical))
    most = min(_MOST_CUTS, _FEW + int(_PER * width / typical))
    cuts = find_cuts(mask, max(1, round(_CUT_MARGIN * typical)), apart, most)
    columns = np.arange(width)
    side = np.zeros(mask.shape, np.intp)
    for cut in cuts:
        side += columns >= cut.columns[:, None]
    costs = [0.0] + [least + _CUT_INK * cut.ink / typical for cut in cuts]
    return [(mask & (side == number), cost) for number, cost in enumerate(costs)]


def _candidate(pieces: _Pieces, first: int, last: int) -> Candidate | None:
    """The candidate of a run of pieces; None if another way is never dearer, or no ink is left."""
    boxes = pieces.boxes[first:last]
    box = np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])
    tall, wide = (box[2:] - box[:2]) / pieces.typical
    if last - first > 1 and (wide > _WIDEST or tall > _TALLEST):
        return None
    cost = _geometry(box, pieces.typical)
    cost += _GAP * _gaps(boxes, pieces.cuts[first:last]) / pieces.typical
    if last - first > 1 and cost >= pieces.limits[first:last].sum():
        return None
    image = _image(pieces.page, box, pieces.labels, first, last)
    if image is None:
        return None
    top, left, bottom, right = map(int, box)
    return Candidate(first, last, (top, left, bottom, right), image, cost)


def _geometry(box: Index, typical: float) -> float:
    """What a box's width and height say against its being a digit's."""
    tall, wide = (box[2:] - box[:2]) / typical
    cost = _WIDE * max(0.0, float(wide / max(1.0, tall)) - _WIDE_FROM)
    return cost + _HEIGHT * max(0.0, abs(float(np.log(tall))) - _HEIGHT_FREE)


def _image(page: PageInk, box: Index, labels: Index, first: int, last: int) -> Array | None:
    """Labels ``first`` to ``last``, exclusive, in MNIST's form; None if no ink is left of them."""
    top, left, bottom, right = box
    own = labels[top:bottom, left:right]
    inside = page.flat[top:bottom, left:right] * ((own >= first) & (own < last))
    try:
        return centre(fit_box(threshold(np.pad(inside, 2))))
    except NoDigitFound:
        return None


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
