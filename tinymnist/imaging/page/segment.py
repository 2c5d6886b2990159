"""A page to rows of candidates: everything on it that may be a digit.

Ink is cut into pieces that are smaller rather than larger than a digit. Each piece is a candidate,
and so is each run of neighbouring pieces that together are not larger than a digit;
:mod:`tinymnist.imaging.page.lattice` chooses among them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinymnist.imaging.digit.components import (
    Components,
    Index,
    Mask,
    gaps_between,
    surrounding_box,
)
from tinymnist.imaging.digit.frame import centre, fit_box
from tinymnist.imaging.digit.isolate import NoDigitFound, threshold
from tinymnist.imaging.page.costs import (
    GAP,
    shape_cost,
    slash_cost,
    switch_costs,
    thick_costs,
    uncertainty_cost,
)
from tinymnist.imaging.page.ink import PageInk, find_outlined, page_ink
from tinymnist.imaging.page.lattice import Candidate, Row
from tinymnist.imaging.page.marks import (
    find_bars,
    find_marks,
    heights,
    stroke_measures,
    typical_height,
)
from tinymnist.imaging.page.pieces import Pieces, Whole, find_pieces
from tinymnist.imaging.page.rows import find_rows
from tinymnist.imaging.picture.otsu import split_at_otsu
from tinymnist.imaging.picture.pixels import Array

_MAX_PIECES = 8
"""In a candidate."""
_MAX_WIDTH, _MAX_HEIGHT = 1.5, 1.7
"""Of several pieces together, in heights of a digit."""
_MIN_PIXELS = 5
"""The least height of a digit, in pixels."""
_CROWD, _GRAIN = 200, 10
"""More marks than this, less than this many pixels high, are the grain of a noisy picture."""
_MAX_CANDIDATES = 4000
"""On a page; a thousand digits have about this many."""
_PRIOR_MARKS = 2
"""The typical height of the whole page weighs as much as this many marks of a row."""

Confidence = Callable[[Array], Array]
"""A function of images (n, 28, 28) in MNIST's form: how sure a reader is of each, (n,) in 0..1."""


def segment(grey: Array, confidence: Confidence | None = None) -> list[Row]:
    """Find what may be digits on a page.

    Args:
        grey: (h, w) float32 in 0..1 as displayed, of either polarity.
        confidence: called with each mark as a whole: one that is surely a digit is not cut, and
            not easily discarded. Without it, no mark looks like a digit.

    Returns:
        The rows from the top; rows without a candidate are left out.

    Raises:
        NoDigitFound: if the page is blank, or its marks are not digits.
    """
    page = page_ink(grey)
    parts = find_marks(page.mask)
    parts = parts.only(np.flatnonzero(find_outlined(parts, page.dark, page.paper)))
    usual = typical_height(parts.boxes, page.mask.shape)
    if usual < _MIN_PIXELS or (len(parts.boxes) > _CROWD and usual < _GRAIN):
        raise NoDigitFound("no digit found: nothing but specks")
    looks = _looks(page, parts, usual, confidence)
    rows: list[Row] = []
    for marks in find_rows(parts.boxes, page.mask.shape):
        typical = _row_height(heights(parts.boxes[marks]), usual)
        wholes = [_whole(int(mark), parts.boxes[mark], looks, typical) for mark in marks]
        rows.append(_row(page, find_pieces(parts, wholes, typical), typical))
        if sum(len(row.candidates) for row in rows) > _MAX_CANDIDATES:
            raise NoDigitFound("no digit found: too many marks that touch each other")
    return [row for row in rows if row.candidates]


class _Looks(NamedTuple):
    """How each whole mark of the page looks, (n,) each."""

    sure: Array  # how sure the reader is of it, 0..1
    thick: Array  # the cost of a digit with strokes of this width
    bar: Mask  # whether it is a straight stroke


def _looks(page: PageInk, parts: Components, usual: float, confidence: Confidence | None) -> _Looks:
    lengths, widths = stroke_measures(parts)
    tall = heights(parts.boxes)
    sized = (tall >= 0.5 * usual) & (tall <= 2 * usual)
    thick = thick_costs(widths, float(np.median(widths[sized])))
    return _Looks(_sureness(page, parts, confidence), thick, find_bars(parts, lengths))


def _sureness(page: PageInk, parts: Components, confidence: Confidence | None) -> Array:
    sure = np.zeros(len(parts.boxes), np.float32)
    if confidence is None:
        return sure
    images = [_image(page, box, parts.labels, mark, mark + 1)
              for mark, box in enumerate(parts.boxes)]  # fmt: skip
    known = [mark for mark, image in enumerate(images) if image is not None]
    if known:
        sure[known] = confidence(np.stack([image for image in images if image is not None]))
    return sure


def _row_height(tall: Index, usual: float) -> float:
    """The height of a digit in this row: its own median, or near the page's if it has few marks."""
    own = tall[tall >= 0.5 * tall.max()]
    share = len(own) / (len(own) + _PRIOR_MARKS)
    return float(np.median(own) ** share * usual ** (1 - share))


def _whole(mark: int, box: Index, looks: _Looks, typical: float) -> Whole:
    sure, bar = float(looks.sure[mark]), bool(looks.bar[mark])
    odd = float(looks.thick[mark]) + (slash_cost(box, typical) if bar else 0.0)
    return Whole(mark, sure, bar, odd, uncertainty_cost(sure) + shape_cost(box, typical) + odd)


def _row(page: PageInk, pieces: Pieces, typical: float) -> Row:
    candidates = [
        candidate
        for first in range(len(pieces.boxes))
        for last in range(first + 1, min(first + _MAX_PIECES, len(pieces.boxes)) + 1)
        if (candidate := _candidate(page, pieces, typical, first, last)) is not None
    ]
    return Row(candidates, pieces.skips, pieces.cuts, pieces.passes, _switches(pieces, typical))


def _switches(pieces: Pieces, typical: float) -> Array:
    """The cost of going over to other matter, or back, before each piece; never within a mark."""
    ends = np.maximum.accumulate(pieces.boxes[:, 3])
    gaps = (pieces.boxes[1:, 1] - ends[:-1]).astype(np.float32)
    return np.where(pieces.cuts > 0, np.float32(np.inf), switch_costs(gaps / typical))


def _candidate(
    page: PageInk, pieces: Pieces, typical: float, first: int, last: int
) -> Candidate | None:
    """The candidate of a run of pieces; None if it cannot be the cheapest, or no ink is left."""
    boxes = pieces.boxes[first:last]
    box = surrounding_box(boxes)
    tall, wide = (box[2:] - box[:2]) / typical
    if last - first > 1 and (wide > _MAX_WIDTH or tall > _MAX_HEIGHT):
        return None
    cost = shape_cost(box, typical) + float(pieces.odd[first:last].max())
    cost += GAP * _gaps(boxes, pieces.cuts[first:last]) / typical
    if last - first > 1 and cost >= pieces.limits[first:last].sum():
        return None
    image = _image(page, box, pieces.labels, first, last)
    if image is None:
        return None
    top, left, bottom, right = map(int, box)
    return Candidate(first, last, (top, left, bottom, right), image, cost)


def _image(page: PageInk, box: Index, labels: Index, first: int, last: int) -> Array | None:
    """Bring labels ``first`` to ``last``, exclusive, to MNIST's form; None if no ink is left."""
    top, left, bottom, right = box
    own = labels[top:bottom, left:right]
    inside = page.flat[top:bottom, left:right] * ((own >= first) & (own < last))
    try:
        return centre(fit_box(threshold(split_at_otsu(np.pad(inside, 2)))))
    except NoDigitFound:
        return None


def _gaps(boxes: Index, cuts: Array) -> float:
    """The sum of the gaps in pixels between each piece and the nearest before it."""
    total = 0.0
    for number in range(1, len(boxes)):
        if cuts[number] == 0:
            nearest = gaps_between(boxes[:number], boxes[number]).min()
            total += max(0.0, float(nearest))
    return total
