"""A page to rows of candidates: everything on it that may be a digit.

Ink is cut into pieces that are smaller rather than larger than a digit. Each piece is a candidate,
and so is each run of neighbouring pieces that together are not larger than a digit;
:mod:`tinymnist.imaging.page.lattice` chooses among them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinymnist import limits
from tinymnist.imaging.digit.components import (
    Components,
    Index,
    Mask,
    gaps_between,
    surrounding_box,
)
from tinymnist.imaging.digit.frame import centre, fit_box
from tinymnist.imaging.digit.isolate import NoDigitFound, threshold
from tinymnist.imaging.page.ink import PageInk, find_outlined, page_ink
from tinymnist.imaging.page.lattice import (
    CLEAR,
    GAP,
    SIGN,
    Candidate,
    Mark,
    Row,
    shape_cost,
    slash_cost,
    switch_costs,
    thick_costs,
    uncertainty_cost,
)
from tinymnist.imaging.page.marks import (
    find_bars,
    find_marks,
    heights,
    stroke_measures,
    typical_height,
    widths,
)
from tinymnist.imaging.page.pieces import Pieces, Whole, find_pieces
from tinymnist.imaging.page.signs import find_signs
from tinymnist.imaging.picture.otsu import split_at_otsu
from tinymnist.imaging.picture.pixels import Array

_MAX_MARKS_JOINED = 8  # in a candidate
_MAX_WIDTH, _MAX_HEIGHT = 1.5, 1.7  # of several pieces together, in heights of a digit
_MIN_PIXELS = 5  # the least height of a digit
_CROWD, _GRAIN = 200, 10
"""More marks than this, less than this many pixels high, are the grain of a noisy picture."""
_MANY, _PRINT_SURE = 100, 0.45
"""If a page has this many marks, and its usual mark looks less surely like a digit, it is print;"""
_LARGER_THAN_PRINT = 1.35  # what is written by hand there is taller by this factor
_WRITING_SURE = 0.8  # it is taken for a number if its usual mark looks as surely like a digit,
_MIN_LEVEL, _MAX_LETTER_GAP = 0.3, 1.2
"""and its marks share at least this of their height with the next, which is at most this far, in
heights."""
_MAX_CANDIDATES = 12_000  # on a page; three thousand digits have about this many
_MAX_DENSE = 30
"""Marks in doubt are cut in more places if all of them on the page are this wide, in heights."""
_FEW_CLEAR = 3  # digits that are clear and enough to say how tall those of their row are
_PRIOR_MARKS = 2
"""The typical height of the whole page weighs as much as this many marks of a row."""
_MIN_DIGIT, _MAX_DIGIT = 0.5, 2.2
"""The height of a digit, in typical heights of its page; fragments may be smaller."""
_MIN_CLEAR_DIGIT = 0.12  # and of one of which the reader is sure
_MAX_OFF_ROW = 0.55  # how far a digit's middle may lie off its row, in typical heights
_MAX_DISTANCE = 0.35  # from a fragment to the nearest digit of its row, in typical heights
_MAX_SIGN_DISTANCE, _MAX_SIGN_OFF = 1.5, 0.35
"""The same for a fragment between two digits, and how far it may lie off their middles."""
_MIN_PITCH, _MAX_PITCH, _MAX_SINK = 0.3, 3.0, 0.7
"""Across and down, in typical heights: where the next digit is, from which the slope of the rows is
measured."""

Confidence = Callable[[Array], Array]
"""A function of images (n, 28, 28) in MNIST's form: how sure a reader is of each, (n,) in 0..1."""


def segment(
    grey: Array | PageInk,
    confidence: Confidence | None = None,
    ignored: Mask | None = None,
    shortest: float = 0.0,
) -> list[Row]:
    """Find what may be digits on a page.

    Args:
        grey: (h, w) float32 in 0..1 as displayed, of either polarity; or its ink, if it is known.
        confidence: called with each mark as a whole: one that is surely a digit is not cut, and
            not easily discarded. Without it, no mark looks like a digit.
        ignored: (h, w), where nothing is looked for, as in tables that were read.
        shortest: pixels; lower marks are left out, as print around tables.

    Returns:
        The rows from the top; rows without a candidate are left out.

    Raises:
        NoDigitFound: if the page is blank, or its marks are not digits.
    """
    page = grey if isinstance(grey, PageInk) else page_ink(grey)
    mask = page.mask if ignored is None else page.mask & ~ignored
    parts = find_marks(mask)
    parts = parts.only(np.flatnonzero(find_outlined(parts, page.dark, page.paper)))
    parts = parts.only(np.flatnonzero(heights(parts.boxes) >= shortest))
    usual = typical_height(parts.boxes, page.mask.shape)
    if usual < _MIN_PIXELS or (len(parts.boxes) > _CROWD and usual < _GRAIN):
        raise NoDigitFound("no digit found: nothing but specks")
    looks = looks_of(page, parts, usual, confidence)
    if confidence is not None and _is_print(parts, looks, usual):
        large = heights(parts.boxes) > _LARGER_THAN_PRINT * usual
        if large.any():  # their flat strokes may be as long as lines among print
            parts = find_marks(mask, typical_height(parts.boxes[large], mask.shape))
            looks = looks_of(page, parts, usual, confidence)
        parts = parts.only(_numbers_on_print(parts.boxes, looks, usual))
        if len(parts.boxes) == 0:
            raise NoDigitFound("no digit found: nothing but print")
        usual = typical_height(parts.boxes, page.mask.shape)
        looks = looks_of(page, parts, usual, confidence)
    rows: list[Row] = []
    found = find_rows(parts.boxes, usual, looks.clear)
    for marks in found:
        if len(found) > 1 and _is_rest(parts, marks, looks.bar):
            continue
        typical = _row_height(heights(parts.boxes[marks]), usual, looks.clear[marks])
        rows.append(_row_of_marks(page, parts, marks, looks, typical))
        if sum(len(row.candidates) for row in rows) > _MAX_CANDIDATES:
            raise NoDigitFound("no digit found: too many marks that touch each other")
    return [row for row in rows if row.candidates]


def segment_line(grey: Array, confidence: Confidence) -> Row:
    """The candidates of a picture (h, w) that holds one row and nothing else, as a field of a form.

    ``confidence`` and errors are those of :func:`segment`.
    """
    page = page_ink(grey)
    parts = find_marks(page.mask)
    usual = typical_height(parts.boxes, page.mask.shape)
    if usual < _MIN_PIXELS:
        raise NoDigitFound("no digit found: nothing but specks")
    looks = looks_of(page, parts, usual, confidence)
    tall = heights(parts.boxes)
    if (looks.clear & (tall < usual)).any() and not looks.clear[tall >= usual].any():
        usual = float(np.median(tall[looks.clear]))  # what is taller is a rest of the field's lines
    marks = np.argsort(_middles(parts.boxes)[1], kind="stable")[:_MANY]
    marks = marks[tall[marks] <= _MAX_DIGIT * usual]
    marks = _without_words(parts.boxes, marks, find_rows(parts.boxes, usual, looks.clear))
    typical = _row_height(tall[marks], usual, looks.clear[marks])
    return _row_of_marks(page, parts, marks, looks, typical)


def _without_words(boxes: Index, marks: Index, rows: list[Index]) -> Index:
    """The marks of a line without words printed above or below what is written.

    Those are rows of several marks that lie wholly above or below the tallest row. Parts of one row
    that climbs lie beside each other.
    """
    if len(rows) < 2:
        return marks
    top, left, bottom, right = surrounding_box(
        boxes[max(rows, key=lambda row: float(np.square(heights(boxes[row])).sum()))]
    )
    for row in rows:
        first = surrounding_box(boxes[row])
        aside = first[1] >= right or first[3] <= left
        if len(row) > 1 and not aside and (first[0] >= bottom or first[2] <= top):
            marks = marks[~np.isin(marks, row)]
    return marks


def _row_of_marks(
    page: PageInk, parts: Components, marks: Index, looks: Looks, typical: float
) -> Row:
    """The candidates of these marks, from the left, in which a digit is ``typical`` pixels high."""
    signs = find_signs(parts, marks, looks.sure, looks.bar, looks.pens, typical)
    wholes = [
        whole_of(int(mark), parts.boxes[mark], looks, typical, sign)
        for mark, sign in zip(marks, signs, strict=True)
    ]
    doubtful = widths(parts.boxes[~looks.clear]).sum() / typical
    pieces = find_pieces(parts, wholes, typical, dense=bool(doubtful <= _MAX_DENSE))
    return row_of(page, pieces, typical)


def _is_rest(parts: Components, marks: Index, bars: Mask) -> bool:
    """Whether a row is a straight stroke cut by the page's edge: of a line or a slash."""
    first, last = parts.boxes[marks[0], :2], parts.boxes[marks[0], 2:]
    is_cut = (first == 0).any() or (last == parts.labels.shape).any()
    return bool(len(marks) == 1 and bars[marks[0]] and is_cut)


def _is_print(parts: Components, looks: Looks, usual: float) -> bool:
    """Whether the usual mark of a page is a letter: there are many, and few look like digits."""
    tall = heights(parts.boxes)
    sized = (tall >= _MIN_DIGIT * usual) & (tall <= usual / _MIN_DIGIT)
    return bool(sized.sum() >= _MANY and np.median(looks.sure[sized]) < _PRINT_SURE)


def _numbers_on_print(boxes: Index, looks: Looks, usual: float) -> Index:
    """The marks of numbers written by hand on a page of print, whose usual mark is ``usual`` high.

    They are larger than print, stand beside each other, and most of each number looks like digits:
    headlines, drawings and logos do not.
    """
    tall = heights(boxes)
    large = np.flatnonzero(tall > _LARGER_THAN_PRINT * usual)
    groups: list[list[int]] = []
    for mark in large[np.argsort(boxes[large, 1], kind="stable")]:
        for group in groups:
            last = group[-1]
            height = min(tall[mark], tall[last])
            shared = min(boxes[mark, 2], boxes[last, 2]) - max(boxes[mark, 0], boxes[last, 0])
            apart = boxes[mark, 1] - boxes[group, 3].max()
            if shared > _MIN_LEVEL * height and apart < _MAX_LETTER_GAP * height:
                group.append(int(mark))
                break
        else:
            groups.append([int(mark)])
    kept: list[Index] = []
    for group in groups:
        digits = tall[group] >= _MIN_DIGIT * np.median(tall[group])
        own = np.array(group)[digits]
        several = len(own) >= _FEW_CLEAR or (len(own) == 2 and looks.clear[own].all())
        if several and np.median(looks.sure[own]) >= _WRITING_SURE:
            kept.append(np.array(group))
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.intp)


def find_rows(boxes: Index, typical: float, clear: Mask | None = None) -> list[Index]:
    """Sort n > 0 marks into rows; marks too tall for a digit are left out.

    ``typical`` is the height of a digit on the page in pixels, and ``clear`` (n,) says which marks
    are clearly digits, so that they are one though they are small. The result is, for each row from
    the top, the numbers of its marks from the left.
    """
    tall = heights(boxes)
    fit = tall <= _MAX_DIGIT * typical
    large = tall >= _MIN_DIGIT * typical
    if clear is not None:
        large |= clear & (tall >= _MIN_CLEAR_DIGIT * typical)
    digits = np.flatnonzero(fit & large)
    down, right = _middles(boxes)
    rows = [digits[row] for row in _sweep(down[digits], right[digits], tall[digits], typical)]
    for fragment in np.flatnonzero(fit & ~large):
        distances = [_distance(boxes[fragment], boxes[row]) for row in rows]
        nearest = int(np.argmin(distances))
        if distances[nearest] <= _MAX_DISTANCE * typical or (
            distances[nearest] <= _MAX_SIGN_DISTANCE * typical
            and _is_between(boxes[fragment], boxes[rows[nearest]], typical)
        ):
            rows[nearest] = np.append(rows[nearest], fragment)
    return [row[np.argsort(right[row], kind="stable")] for row in rows]


def _is_between(box: Index, others: Index, typical: float) -> bool:
    """Whether a fragment lies between two digits of a row, at half their height, as a minus."""
    down, right = (others[:, :2] + others[:, 2:]).T / 2
    own_down, own_right = (box[:2] + box[2:]) / 2
    before, after = right < own_right, right > own_right
    if not before.any() or not after.any():
        return False
    near = [
        np.flatnonzero(before)[right[before].argmax()],
        np.flatnonzero(after)[right[after].argmin()],
    ]
    return bool(abs(down[near].mean() - own_down) <= _MAX_SIGN_OFF * typical)


def _middles(boxes: Index) -> tuple[Array, Array]:
    """(down, right) of each box's middle."""
    down, right = (boxes[:, :2] + boxes[:, 2:]).astype(np.float32).T / 2
    return down, right


def _slope(down: Array, right: Array, reach: Array) -> float:
    """By how much the rows sink from left to right: the median over neighbouring digits.

    ``reach`` (n,) is the height of a digit where each is.
    """
    apart, sunk = right - right[:, None], down - down[:, None]
    usual = np.maximum(reach, reach[:, None])
    near = (apart > _MIN_PITCH * usual) & (apart < _MAX_PITCH * usual)
    near &= abs(sunk) < _MAX_SINK * usual
    apart = np.where(near, apart, np.inf)
    first, nearest = np.arange(len(down)), apart.argmin(1)
    found = np.isfinite(apart[first, nearest])
    slopes = sunk[first, nearest][found] / apart[first, nearest][found]
    return float(np.median(slopes)) if slopes.size else 0.0


def _sweep(down: Array, right: Array, tall: Index, typical: float) -> list[Index]:
    """Find rows by a sweep from the left: a digit continues the row that leads to it or begins one.

    A row leads from its last digit along the slope of all rows. Small digits that follow each other
    must lie closer to it.
    """
    reach = np.where(tall < _MIN_DIGIT * typical, tall / _MIN_DIGIT, typical)
    slope = _slope(down, right, reach)
    rows: list[list[int]] = []
    for digit in np.argsort(right, kind="stable"):
        last = [row[-1] for row in rows]
        off = abs(down[digit] - down[last] - slope * (right[digit] - right[last]))
        off /= np.maximum(reach[digit], reach[last])
        if rows and off.min() < _MAX_OFF_ROW:
            rows[int(off.argmin())].append(int(digit))
        else:
            rows.append([int(digit)])
    level = down - slope * right
    rows.sort(key=lambda row: float(np.median(level[row])))
    return [np.array(row, np.intp) for row in rows]


def _distance(box: Index, others: Index) -> float:
    """The distance in pixels from a box (4,) to the nearest of boxes (n, 4)."""
    top, left, bottom, right = box
    aside = np.maximum(others[:, 1] - right, left - others[:, 3]).clip(0)
    above = np.maximum(others[:, 0] - bottom, top - others[:, 2]).clip(0)
    return float(np.hypot(aside, above).min())


class Looks(NamedTuple):
    """How each whole mark of the page looks, (n,) each."""

    sure: Array  # how sure the reader is of it, 0..1
    thick: Array  # the cost of a digit with strokes of this width
    bar: Mask  # whether it is a straight stroke
    pens: Array  # the width of its strokes in pixels
    images: dict[int, Array]  # the marks in MNIST's form, by their numbers

    @property
    def clear(self) -> Mask:
        """Whether the reader is sure of it, and it is not a straight stroke."""
        return np.asarray((self.sure >= CLEAR) & ~self.bar)


def looks_of(
    page: PageInk, parts: Components, usual: float, confidence: Confidence | None
) -> Looks:
    """How each mark looks as a whole; ``usual`` is the height of a digit on the page in pixels."""
    lengths, pens = stroke_measures(parts)
    tall = heights(parts.boxes)
    sized = (tall >= 0.5 * usual) & (tall <= 2 * usual)
    thick = thick_costs(pens, float(np.median(pens[sized if sized.any() else slice(None)])))
    sure = np.zeros(len(parts.boxes), np.float32)
    images: dict[int, Array] = {}
    if confidence is not None:
        images = {
            mark: image
            for mark, box in enumerate(parts.boxes)
            if (image := image_of(page, box, parts.labels, mark, mark + 1)) is not None
        }
        if images:
            sure[list(images)] = confidence(np.stack(list(images.values())))
    return Looks(sure, thick, find_bars(parts, lengths), pens, images)


def _row_height(tall: Index, usual: float, clear: Mask) -> float:
    """The height of a digit in this row: its own median, or near the page's if it has few marks.

    If three marks are clearly digits, they alone count, each by its height.
    """
    own = tall[tall >= 0.5 * tall.max()]
    middle = float(np.median(own))
    if np.count_nonzero(clear) >= _FEW_CLEAR:
        own = np.sort(tall[clear])
        middle = float(own[np.searchsorted(np.cumsum(own), own.sum() / 2)])
    share = len(own) / (len(own) + _PRIOR_MARKS)
    return float(middle**share * usual ** (1 - share))


def whole_of(mark: int, box: Index, looks: Looks, typical: float, sign: str = "") -> Whole:
    """A mark of a row in which a digit is ``typical`` pixels high."""
    sure, bar = float(looks.sure[mark]), bool(looks.bar[mark])
    odd = float(looks.thick[mark]) + (slash_cost(box, typical) if bar else 0.0)
    odd += SIGN if sign else 0.0
    shape = shape_cost(box, typical, bool(looks.clear[mark]))
    cost = uncertainty_cost(sure) + shape + odd
    return Whole(mark, sure, bar, odd, cost, sign, looks.images.get(mark))


def row_of(page: PageInk, pieces: Pieces, typical: float) -> Row:
    """All candidates of a row of pieces, and what each step past them costs."""
    candidates = [
        candidate
        for first in range(len(pieces.boxes))
        for last in range(first + 1, _reach(pieces, first, typical) + 1)
        if (candidate := _candidate(page, pieces, typical, first, last)) is not None
    ]
    ends = np.maximum.accumulate(pieces.boxes[:, 3])
    gaps = (pieces.boxes[1:, 1] - ends[:-1]).astype(np.float32)
    within_mark = pieces.cuts > 0  # a path never changes its state there
    switches = np.where(within_mark, np.float32(np.inf), switch_costs(gaps / typical))
    marks = tuple(
        Mark((int(top), int(left), int(bottom), int(right)), sign)
        for (top, left, bottom, right), sign in zip(pieces.boxes, pieces.signs, strict=True)
    )
    return Row(candidates, pieces.skips, pieces.cuts, pieces.passes, switches, marks, typical)


def _reach(pieces: Pieces, first: int, typical: float) -> int:
    """Where the longest run ends that begins at a piece and may be a digit."""
    ends = np.maximum.accumulate(pieces.boxes[first + 1 :, 3])
    near = np.searchsorted(ends, pieces.boxes[first, 1] + _MAX_WIDTH * typical, side="right")
    marks = np.cumsum(pieces.cuts[first + 1 :] == 0)
    return first + 1 + min(int(near), int(np.searchsorted(marks, _MAX_MARKS_JOINED)))


def _candidate(
    page: PageInk, pieces: Pieces, typical: float, first: int, last: int
) -> Candidate | None:
    """The candidate of a run of pieces; None if it cannot be the cheapest, or no ink is left."""
    boxes = pieces.boxes[first:last]
    if (cut_out := pieces.cut_out(first, last)) is None:
        return None
    box, own = cut_out
    tall, wide = (box[2:] - box[:2]) / typical
    if last - first > 1 and (wide > _MAX_WIDTH or tall > _MAX_HEIGHT):
        return None
    clear = pieces.is_one_mark(first, last) and bool(pieces.clear[first])
    cost = shape_cost(box, typical, clear) + float(pieces.odd[first:last].max())
    cost += GAP * _gaps(boxes, pieces.cuts[first:last]) / typical
    if last - first > 1 and cost >= pieces.limits[first:last].sum():
        return None
    image = pieces.images[first] if last - first == 1 else None
    image = _in_mnists_form(page, box, own) if image is None else image
    if image is None:
        return None
    top, left, bottom, right = map(int, box)
    return Candidate(first, last, (top, left, bottom, right), image, cost)


def image_of(page: PageInk, box: Index, labels: Index, first: int, last: int) -> Array | None:
    """Bring labels ``first`` to ``last``, exclusive, to MNIST's form; None if no ink is left."""
    top, left, bottom, right = box
    own = labels[top:bottom, left:right]
    return _in_mnists_form(page, box, (own >= first) & (own < last))


def _in_mnists_form(page: PageInk, box: Index, own: Mask) -> Array | None:
    """Bring the ink of a box (4,) where a mask is True to MNIST's form; None if there is none."""
    top, left, bottom, right = box
    limits.work(500 + own.size // 20, "reading all marks of the page")
    inside = page.flat[top:bottom, left:right] * own
    try:
        return centre(fit_box(threshold(split_at_otsu(np.pad(inside, 2)))))
    except NoDigitFound:
        return None


def _gaps(boxes: Index, cuts: Array) -> float:
    """The sum of the gaps in pixels between each piece and the nearest before it."""
    separate = [number for number in range(1, len(boxes)) if cuts[number] == 0]
    nearest = [gaps_between(boxes[:number], boxes[number]).min() for number in separate]
    return float(sum(max(0, gap) for gap in nearest))
