"""A row of marks in pieces that are smaller rather than larger than a digit.

Each mark is a piece, and one that may be several digits is cut wherever it is thin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tinymnist.imaging.digit.bounds import bounds
from tinymnist.imaging.digit.components import Components, Index, Mask
from tinymnist.imaging.page.costs import aside_costs, cut_cost
from tinymnist.imaging.page.cuts import find_cuts
from tinymnist.imaging.picture.pixels import Array

_CUT_FROM = 0.6
"""Marks wider than this, in heights of a digit, may be several digits."""
_CUTS_APART, _CUT_MARGIN = 0.18, 0.12
_MOST_CUTS = 40
_FEW, _PER = 2, 3.0
"""So many cuts, and so many more for each height of a digit that a mark is wide."""


class Whole(NamedTuple):
    """What is known of a mark as a whole.

    Attributes:
        number: of the mark.
        sure: how sure the reader is of it, 0..1.
        bar: whether it is a straight stroke.
        odd: what the look of its strokes costs a digit.
        cost: of its being a digit, all in all.
    """

    number: int
    sure: float
    bar: bool
    odd: float
    cost: float


@dataclass(frozen=True)
class Pieces:
    """The pieces of a row, from the left.

    Attributes:
        labels: (h, w) of the page, the piece's number, and -1 where there is none.
        boxes: (n, 4).
        cuts: (n,), the cost of parting each from the one before; 0 where they are of two marks.
        skips, passes: (n,), the cost of each one's being no digit, among digits and among others.
        limits: (n,), the most that it can cost to account for each.
        odd: (n,), what the look of its mark's strokes costs a digit.
    """

    labels: Index
    boxes: Index
    cuts: Array
    skips: Array
    passes: Array
    limits: Array
    odd: Array


class _Piece(NamedTuple):
    """A mark, or a part of one."""

    box: Index
    mask: Mask  # within the box
    mark: int
    cut: float  # the cost of parting it from a neighbour of the same mark
    skip: float
    passing: float
    limit: float
    odd: float


def find_pieces(parts: Components, marks: list[Whole], typical: float) -> Pieces:
    """Cut the marks of a row; the pieces come in the order of their middles.

    Args:
        parts: all marks of the page.
        marks: those of the row.
        typical: the height of a digit in pixels.
    """
    found = [piece for mark in marks for piece in _parted(parts, mark, typical)]
    found.sort(key=lambda piece: int(piece.box[1] + piece.box[3]))
    labels = np.full(parts.labels.shape, -1, np.intp)
    for number, piece in enumerate(found):
        top, left, bottom, right = piece.box
        labels[top:bottom, left:right][piece.mask] = number
    skips, passes, limits, odd = np.array([piece[-4:] for piece in found], np.float32).T
    boxes = np.stack([piece.box for piece in found])
    return Pieces(labels, boxes, _between(found), skips, passes, limits, odd)


def _parted(parts: Components, mark: Whole, typical: float) -> Iterator[_Piece]:
    """The pieces of a mark."""
    top, left, bottom, right = parts.boxes[mark.number]
    mask = parts.labels[top:bottom, left:right] == mark.number
    cut = cut_cost(mask.shape, typical)
    asides = aside_costs(mask.shape, typical, mark.sure, mark.bar)
    for own in _cut(mask, typical, whole=mark.cost <= cut / 2):
        rows, columns = bounds(own)
        inside = own[rows, columns]
        if inside.size == 0:
            continue
        start = np.array([top + rows.start, left + columns.start])
        box = np.concatenate([start, start + inside.shape])
        share = inside.shape[1] / mask.shape[1]
        skip, passing = (share * aside for aside in asides)
        limit = min(skip, mark.cost) if inside.size == mask.size else skip
        yield _Piece(box, inside, mark.number, cut, skip, passing, limit, mark.odd)


def _cut(mask: Mask, typical: float, whole: bool) -> list[Mask]:
    """The parts of a mark, from the left.

    ``whole`` says that to take it for a digit costs less than to cut off a bit and skip that.
    """
    width = mask.shape[1]
    if width <= _CUT_FROM * typical or whole:
        return [mask]
    apart = max(1, round(_CUTS_APART * typical))
    most = min(_MOST_CUTS, _FEW + int(_PER * width / typical))
    side = np.zeros(mask.shape, np.intp)
    cuts = find_cuts(mask, max(1, round(_CUT_MARGIN * typical)), apart, most)
    for cut in cuts:
        side += np.arange(width) >= cut.columns[:, None]
    return [mask & (side == number) for number in range(len(cuts) + 1)]


def _between(pieces: list[_Piece]) -> Array:
    """The cost of parting each piece from the one before, where both are of one mark."""
    cuts = [0.0]
    for before, piece in pairwise(pieces):
        cuts.append(piece.cut if piece.mark == before.mark else 0.0)
    return np.array(cuts, np.float32)
