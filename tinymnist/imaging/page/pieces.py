"""A row of marks in pieces that are smaller rather than larger than a digit.

Each mark is a piece, and one that may be several digits is cut where touching digits may meet:
along seams from top to bottom that cross little ink. A seam goes down one pixel per row, straight
or aslant, so it winds between digits that lean over each other and crosses their ink only where
they touch. Digits that meet along a stroke need another seam than digits that meet in a point, so
seams are found at several prices of going aslant. S. Avidan and A. Shamir, "Seam carving for
content-aware image resizing", ACM SIGGRAPH 2007, find theirs by the same dynamic programming.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tinymnist.imaging.digit.components import Components, Index, Mask, bounds, surrounding_box
from tinymnist.imaging.page.lattice import CLEAR, SKIP_SIGN, cut_cost, discard_costs
from tinymnist.imaging.picture.pixels import Array

_CUT_FROM = 0.6  # marks wider than this, in heights of a digit, may be several digits
_MIN_CUT_DISTANCE, _MIN_CUT_MARGIN = 0.18, 0.12
"""Between two cuts, and from a cut to the mark's sides, in heights of a digit."""
_MIN_CUTS, _CUTS_PER_HEIGHT, _MAX_CUTS = 2, 3.0, 40
"""The number of cuts is the first, plus the second for each height of a digit that a mark is wide,
up to the third."""
_ASLANT = 0.2
_DENSE_FROM, _DENSE_SURE = 0.85, 0.8
"""If there are few marks to cut, those at least this wide, in heights of a digit, of which the
reader is less sure than this are cut in more places: they are rather two digits than one written
oddly."""
_DENSE_ASLANT = (0.2, 0.5, 1.5)  # all these prices are tried there,
_DENSE_DISTANCE, _DENSE_CUTS = (
    0.08,
    2,
)  # with cuts this close to each other, and this many times more
_SAME_CUT = 0.01  # cuts that give less ink than this to another side are the same


class Whole(NamedTuple):
    """What is known of a mark as a whole."""

    number: int
    sure: float  # how sure the reader is that it is a digit, 0..1
    bar: bool  # whether it is a straight stroke
    odd: float  # the cost of a digit with such strokes
    cost: float  # the total cost of taking it for a digit
    sign: str = ""  # what it is, if it is not a digit by its shape
    image: Array | None = None  # (28, 28), in MNIST's form, if it is known

    @property
    def clear(self) -> bool:
        """Whether the reader is sure of it, and it is not a straight stroke."""
        return self.sure >= CLEAR and not self.bar


class Seam(NamedTuple):
    """Where a mark is cut."""

    box: Index  # of the mark
    columns: Index  # of the page, the first to the right of the cut in each row of the box


@dataclass(frozen=True)
class Pieces:
    """The n pieces of a row, from the left."""

    labels: Index  # (h, w) of the page, the piece's number, and -1 where there is none
    owners: Index  # (n + 1,), the mark of each, and last -1
    boxes: Index  # (n, 4)
    cuts: Array  # (n,), the cost of cutting each from the one before; 0 between two marks
    skips: Array  # (n,), the cost of discarding each among digits,
    passes: Array  # (n,), and among other matter
    limits: Array  # (n,), an upper limit of what each can cost
    odd: Array  # (n,), the cost of a digit with the strokes of its mark
    clear: Mask  # (n,), whether the mark of each is clearly a digit
    signs: tuple[str, ...]  # (n,), the signs of their marks, or ""
    images: tuple[Array | None, ...]  # (n,), in MNIST's form, of those that are known
    seams: tuple[Seam | None, ...]  # (n,), where each is cut from the one before; None at a mark

    def is_one_mark(self, first: int, last: int) -> bool:
        """Whether a run of pieces is a mark as a whole."""
        own = self.owners[first:last] == self.owners[first]
        before = first > 0 and self.owners[first - 1] == self.owners[first]
        return bool(own.all() and not before and self.owners[last] != self.owners[first])

    def cut_out(self, first: int, last: int) -> tuple[Index, Mask] | None:
        """The box (4,) of a run of pieces and its ink within; None if its seams cross.

        Parts of one mark are what lies between two seams: other seams may cross these, so it is not
        always the sum of the pieces.
        """
        box = surrounding_box(self.boxes[first:last])
        start = self.seams[first]
        end = self.seams[last] if self.owners[last] == self.owners[first] else None
        known = start or end
        if known is None or (self.owners[first:last] != self.owners[first]).any():
            top, left, bottom, right = box
            own = self.labels[top:bottom, left:right]
            return box, (own >= first) & (own < last)
        top, left, bottom, right = known.box
        lower = np.full(bottom - top, left) if start is None else start.columns
        upper = np.full(bottom - top, right) if end is None else end.columns
        if (lower > upper).any():
            return None
        left, right = int(lower.min()), int(upper.max())
        columns = np.arange(left, right)
        own = self.owners[self.labels[top:bottom, left:right]] == self.owners[first]
        own &= (columns >= lower[:, None]) & (columns < upper[:, None])
        if not own.any():
            return None
        rows, within = bounds(own)
        box = np.array([top + rows.start, left + within.start, top + rows.stop, left + within.stop])
        return box, own[rows, within]


class _Piece(NamedTuple):
    """A mark, or a part of one."""

    box: Index
    mask: Mask  # within the box
    mark: int
    cut: float  # the cost of cutting it from a neighbour of the same mark
    skip: float
    passing: float
    limit: float
    odd: float
    clear: bool
    sign: str
    image: Array | None
    seam: Seam | None  # on its left


def find_pieces(
    parts: Components, marks: list[Whole], typical: float, *, dense: bool = False
) -> Pieces:
    """Cut the marks of a row; the pieces are in the order of their middles.

    ``parts`` are all marks of the page, ``marks`` those of the row, ``typical`` is the height of a
    digit in pixels, and ``dense`` asks for more cuts.
    """
    found = [piece for mark in marks for piece in _cut_mark(parts, mark, typical, dense)]
    found.sort(key=lambda piece: int(piece.box[1] + piece.box[3]))
    labels = np.full(parts.labels.shape, -1, np.intp)
    for number, piece in enumerate(found):
        top, left, bottom, right = piece.box
        labels[top:bottom, left:right][piece.mask] = number
    boxes = np.stack([piece.box for piece in found])
    same = [after.cut if after.mark == piece.mark else 0.0 for piece, after in pairwise(found)]
    skips, passes, limits, odd = np.array([piece[4:8] for piece in found], np.float32).T
    cuts = np.array([0.0, *same], np.float32)
    clear, signs = np.array([piece.clear for piece in found]), tuple(p.sign for p in found)
    images, seams = tuple(p.image for p in found), tuple(p.seam for p in found)
    owners = np.array([*(piece.mark for piece in found), -1])
    return Pieces(
        labels, owners, boxes, cuts, skips, passes, limits, odd, clear, signs, images, seams
    )


def _cut_mark(parts: Components, mark: Whole, typical: float, dense: bool) -> Iterator[_Piece]:
    """The pieces of a mark, from the left."""
    whole_box = parts.boxes[mark.number]
    top, left, bottom, right = whole_box
    mask = parts.labels[top:bottom, left:right] == mark.number
    cut = cut_cost(mask.shape, typical)
    discards = discard_costs(mask.shape, typical, mark.sure, mark.bar)
    if mark.sign:
        discards = SKIP_SIGN, SKIP_SIGN
    # Taking it for a digit may cost less than cutting off a bit and skipping that.
    stays = bool(mark.sign) or mark.cost <= cut / 2 or mask.shape[1] <= _CUT_FROM * typical
    dense = dense and mask.shape[1] >= _DENSE_FROM * typical and mark.sure < _DENSE_SURE
    seams = [] if stays else seams_of(mask, typical, dense=dense)
    side = np.zeros(mask.shape, np.intp)
    for columns in seams:
        side += np.arange(mask.shape[1]) >= columns[:, None]
    image = None if seams else mark.image
    seam = None  # the first piece has none on its left, though seams may cross before it
    for number in range(len(seams) + 1):
        own = mask & (side == number)
        rows, within = bounds(own)
        inside = own[rows, within]
        if inside.size == 0:
            continue
        start = np.array([top + rows.start, left + within.start])
        box = np.concatenate([start, start + inside.shape])
        skip, passing = (inside.shape[1] / mask.shape[1] * cost for cost in discards)
        is_whole = inside.size == mask.size
        limit = min(skip, mark.cost) if is_whole else skip
        yield _Piece(box, inside, mark.number, cut, skip, passing, limit, mark.odd,
                     mark.clear, mark.sign, image, seam)  # fmt: skip
        seam = Seam(whole_box, left + seams[number]) if number < len(seams) else None


def seams_of(mask: Mask, typical: float, *, dense: bool = False) -> list[Index]:
    """The seams (h,) along which a mark (h, w) may be cut; a digit is ``typical`` pixels high."""
    most = min(_MAX_CUTS, _MIN_CUTS + int(_CUTS_PER_HEIGHT * mask.shape[1] / typical))
    margin, apart = _MIN_CUT_MARGIN * typical, _MIN_CUT_DISTANCE * typical
    if not dense:
        return find_cuts(mask, max(1, round(margin)), max(1, round(apart)), most)
    apart = max(1, round(_DENSE_DISTANCE * typical))
    found: list[Index] = []
    for aslant in _DENSE_ASLANT:
        for seam in find_cuts(mask, max(1, round(margin)), apart, _DENSE_CUTS * most, aslant):
            if not any(_is_same(mask, seam, other) for other in found):
                found.append(seam)
    return sorted(found, key=lambda seam: float(seam.mean()))


def _is_same(mask: Mask, one: Index, other: Index) -> bool:
    """Whether hardly any ink lies between two seams."""
    columns = np.arange(mask.shape[1])
    apart = (columns >= one[:, None]) ^ (columns >= other[:, None])
    return bool(np.count_nonzero(mask & apart) <= _SAME_CUT * np.count_nonzero(mask))


def find_cuts(
    mask: Mask, margin: int, apart: int, most: int, aslant: float = _ASLANT
) -> list[Index]:
    """Find the seams that cross the least ink, from left to right.

    Args:
        mask: (h, w), one component.
        margin: pixels at the left and right that the middle of a seam avoids.
        apart: the least distance between the middles of two seams, in pixels.
        most: the largest number of seams.
        aslant: the cost of a step aslant, if a step through ink costs 1.

    Returns:
        For each seam the first column to its right, row by row: (h,).
    """
    height, width = mask.shape
    down, from_top = _paths(mask[: height // 2 + 1], aslant)
    up, from_bottom = _paths(mask[height // 2 :][::-1], aslant)
    total = down + up - mask[height // 2]  # that row counts in both halves
    total[:margin] = total[max(width - margin, 0) :] = np.inf
    seams: list[Index] = []
    while len(seams) < most and np.isfinite(total).any():
        middle = _flat_minimum(total)
        upper, lower = _trace(from_top, middle)[::-1], _trace(from_bottom, middle)
        seams.append(np.concatenate([upper, lower[1:]]))
        total[max(middle - apart + 1, 0) : middle + apart] = np.inf
    return sorted(seams, key=lambda seam: int(seam[height // 2]))


def _paths(mask: Mask, aslant: float) -> tuple[Array, Index]:
    """The cost of the cheapest path from the first row to each pixel of the last, and all steps.

    A step leads from a pixel to the column of its predecessor: -1, 0 or 1.
    """
    cost = mask[0].astype(np.float32)
    steps = np.zeros(mask.shape, np.intp)
    for row, ink in enumerate(mask[1:], start=1):
        padded = np.pad(cost, 1, constant_values=np.inf)
        ways = np.stack([padded[1:-1], padded[:-2] + aslant, padded[2:] + aslant])
        steps[row] = np.array([0, -1, 1])[ways.argmin(0)]
        cost = ways.min(0) + ink
    return cost, steps


def _trace(steps: Index, column: int) -> Index:
    """The columns of a path, from its last row back to its first."""
    path = np.empty(len(steps), np.intp)
    for i, row in enumerate(steps[::-1]):
        path[i] = column
        column += int(row[column])
    return path


def _flat_minimum(total: Array) -> int:
    """The middle of the first stretch of lowest values."""
    lowest = np.flatnonzero(total <= total.min() + 1e-6)
    stretch = lowest[: int(np.argmax(np.append(np.diff(lowest) > 1, True))) + 1]
    return int(stretch[len(stretch) // 2])
