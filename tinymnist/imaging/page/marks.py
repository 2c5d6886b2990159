"""The marks on a page: components of its ink that may be digits or parts of them.

The lines of tables, of forms and under sums are taken out first. They do not go from edge to edge
as ruled lines do (:mod:`tinymnist.imaging.digit.rules`), they hold digits together that touch them,
and a box around a digit looks much like a 0. But they are longer than any stroke of a digit, thin,
and nearly level or upright.
"""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.components import (
    Components,
    Index,
    Mask,
    find_components,
    surrounding_box,
    vertical_runs,
)
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.picture.pixels import Array

_MAX_MARKS = 3000  # a page with more marks is refused, unless they are
_MIN_COUNTED = 0.3  # smaller than this, in heights of a digit: then the largest are considered;
_GRAIN = 10  # if a digit is less than this many pixels high, they are the grain of a noisy picture
_MIN_SIZE = 0.08  # smaller marks, in heights of a digit, are dust; so are single pixels
_MIN_COVER = 0.8  # marks that cover this share of the page's width are lines,
_MIN_COVER_ALONG = 0.98  # as are those that cover this share of its height;
_MIN_LINE_ASPECT = 8  # lines are this many times longer than thick
_MAX_SLIMNESS = 0.3  # slimmer marks (width by length) along the page's edge are leftovers of it
_MIN_FRAMED = 0.4  # a frame holds marks at least this tall, as a share of its own height
_MIN_HELD, _SEVERAL_HELD = 0.15, 2  # or several, of which two are this tall
_MAX_BREAK = 0.06  # largest gap between the halves of a broken digit, as a share of its height
_MAX_BAR_LENGTH = 1.05
"""A straight stroke is at most this long, in diagonals of its box; most digits but 1 are longer."""
_MIN_TALL, _MIN_SMALL, _ENOUGH_SMALL = 0.1, 0.04, 3
"""Desks are taller than digits. Marks that do not touch the page's edge decide a digit's height if
one is taller than the first share of the tallest mark, or three are taller than the second."""
_MAX_JOINED = 1.4  # two halves make a digit at most this tall, in heights of a digit,
_FEW = 4  # unless there are at most this many marks from which that height is known
_LARGE = 1.5  # marks at least this large, in heights of a digit, may hold lines of tables
_MIN_LINE = 1.3  # those are at least this long, in heights of a digit,
_MIN_LINE_BETWEEN = 0.7  # or this long if they lead from line to line, as a box's sides do,
_MAX_LINE_THICKNESS = 0.14  # and at most a pixel more than this thick


def heights(boxes: Index) -> Index:
    """The heights (n,) of boxes (n, 4), in pixels."""
    return boxes[:, 2] - boxes[:, 0]


def widths(boxes: Index) -> Index:
    """The widths (n,) of boxes (n, 4), in pixels."""
    return boxes[:, 3] - boxes[:, 1]


def stroke_measures(parts: Components) -> tuple[Array, Array]:
    """Measure the lengths and widths of each mark's strokes in pixels: (n,) each.

    A stroke is half as long as its outline, and its width is its area over its length.
    """
    labels = np.pad(parts.labels, 1, constant_values=-1)
    own = labels[1:-1, 1:-1]
    inner = (labels[:-2, 1:-1] == own) & (labels[2:, 1:-1] == own)
    inner &= (labels[1:-1, :-2] == own) & (labels[1:-1, 2:] == own)
    ink = own >= 0
    lengths = np.asarray(parts.count(ink & ~inner) / 2, np.float32)
    return lengths, np.asarray(parts.count(ink) / lengths, np.float32)


def find_bars(parts: Components, lengths: Array) -> Mask:
    """Find the marks that are straight strokes, hardly longer than from corner to corner: (n,)."""
    diagonals = np.hypot(heights(parts.boxes), widths(parts.boxes))
    straight: Mask = lengths <= _MAX_BAR_LENGTH * diagonals
    return straight


def find_marks(mask: Mask, typical: float | None = None) -> Components:
    """Find the marks in a page's ink (h, w), without dust, frames, lines and leftovers of its edge.

    There are none if there is only dust. ``typical`` is the height of a digit, in pixels, by which
    strokes and lines differ in length; None takes the page's. NoDigitFound is raised if there are
    too many marks, so that none of them is left out without a word.
    """
    parts = find_components(mask)
    if typical is None:
        typical = typical_height(parts.boxes[~_hold_others(parts.boxes)], mask.shape)
    parts = _remove_lines(parts, typical)
    sizes = _sizes(parts.boxes)
    if typical >= _GRAIN and np.count_nonzero(sizes >= _MIN_COUNTED * typical) > _MAX_MARKS:
        raise NoDigitFound(
            f"no digit found: more than {_MAX_MARKS:,} marks; read the page in parts"
        )
    largest = np.argsort(-sizes, kind="stable")[:_MAX_MARKS]
    parts = parts.only(np.sort(largest))
    dropped = _frames(parts) | _lines_and_leftovers(parts.boxes, mask.shape)
    parts = parts.only(np.flatnonzero(~dropped))
    smallest = max(_MIN_SIZE * typical_height(parts.boxes, mask.shape), 2)
    return _join_halves(parts.only(np.flatnonzero(_sizes(parts.boxes) >= smallest)))


def _sizes(boxes: Index) -> Index:
    """The longer side of each box."""
    return np.maximum(heights(boxes), widths(boxes))


def typical_height(boxes: Index, shape: tuple[int, ...]) -> float:
    """Estimate the height of a digit on this page, in pixels.

    It is the median in which each mark weighs its height squared, so that ten digits outweigh a
    thousand specks. Marks that touch the page's edge do not count, unless there are no others.
    Without marks it is 0.

    Args:
        boxes: (n, 4).
        shape: (h, w) of the page.
    """
    if len(boxes) == 0:
        return 0.0
    tall = heights(boxes)
    counted = np.all((boxes[:, :2] > 0) & (boxes[:, 2:] < shape), axis=1)
    large = counted & (tall > _MIN_TALL * tall.max())
    several = np.count_nonzero(counted & (tall > _MIN_SMALL * tall.max())) >= _ENOUGH_SMALL
    if not large.any() and not several:
        counted = np.ones(len(boxes), bool)
    order = np.argsort(tall * counted, kind="stable")
    weights = np.cumsum((tall.astype(float) ** 2 * counted)[order])
    return float(tall[order][np.searchsorted(weights, weights[-1] / 2)])


def _lines_and_leftovers(boxes: Index, shape: tuple[int, ...]) -> Mask:
    """Which marks are lines across or along the whole page, or slim leftovers at its edge."""
    tall, wide = heights(boxes), widths(boxes)
    across = (wide > _MIN_COVER * shape[1]) & (tall < wide / _MIN_LINE_ASPECT)
    along = (tall >= _MIN_COVER_ALONG * shape[0]) & (wide < tall / _MIN_LINE_ASPECT)
    # A mark that reaches from edge to edge is a digit that fills the page.
    touching = (boxes[:, :2] == 0) ^ (boxes[:, 2:] == shape)
    level = touching[:, 0] & (tall < _MAX_SLIMNESS * wide)
    upright = touching[:, 1] & (wide < _MAX_SLIMNESS * tall)
    found: Mask = across | along & (len(boxes) > 1) | level | upright
    return found


def _hold_others(boxes: Index) -> Mask:
    """Which marks may be frames, grids or tables: several lie within their boxes."""
    large = np.argsort(-_sizes(boxes), kind="stable")[:_MAX_MARKS]
    starts, ends, tall = boxes[large, :2], boxes[large, 2:], heights(boxes[large])
    inside = ((starts[:, None] < starts) & (ends[:, None] > ends)).all(2)
    inside &= tall > _MIN_HELD * tall.max(initial=0)
    found = np.zeros(len(boxes), bool)
    found[large] = inside.sum(1) >= _SEVERAL_HELD
    return found


def _frames(parts: Components) -> Mask:
    """Which marks are drawn around others that are not much smaller, as boxes in a form are."""
    starts, ends, tall = parts.boxes[:, :2], parts.boxes[:, 2:], heights(parts.boxes)
    found = np.zeros(len(tall), bool)
    for outer in np.flatnonzero(tall > tall.min(initial=0)):
        inside = (starts[outer] < starts).all(1) & (ends[outer] > ends).all(1)
        several = np.count_nonzero(inside & (tall > _MIN_HELD * tall[outer])) >= _SEVERAL_HELD
        inside &= tall > (_MIN_HELD if several else _MIN_FRAMED) * tall[outer]
        found[outer] = any(
            _surrounds(parts, int(outer), int(inner)) for inner in np.flatnonzero(inside)
        )
    return found


def _surrounds(parts: Components, outer: int, inner: int) -> bool:
    """Whether one mark has ink on all four sides of another, straight from its middle."""
    top, left, bottom, right = parts.boxes[inner]
    across = parts.labels[(top + bottom) // 2] == outer
    along = parts.labels[:, (left + right) // 2] == outer
    sides = across[:left], across[right:], along[:top], along[bottom:]
    return all(side.any() for side in sides)


def _join_halves(parts: Components) -> Components:
    """Join the halves of a digit that lie one above the other, hardly apart."""
    typical = typical_height(parts.boxes, parts.labels.shape)
    few = np.count_nonzero(heights(parts.boxes) >= 0.5 * typical) <= _FEW
    limit = np.inf if few else _MAX_JOINED * typical
    boxes, whole = parts.boxes.copy(), np.arange(len(parts.boxes))
    upper = 0
    while upper < len(boxes):
        alive = whole == np.arange(len(boxes))
        lower = np.flatnonzero(alive & _are_halves(boxes[upper], boxes, limit))
        if not alive[upper] or len(lower) == 0:
            upper += 1
            continue
        boxes[upper] = surrounding_box(boxes[[upper, lower[0]]])
        whole[whole == lower[0]] = upper
        alive[lower[0]] = False
        above = np.flatnonzero(alive & _are_halves(boxes, boxes[upper], limit))
        upper = min(above.min(initial=upper), upper)  # it may now be the lower half of an earlier
    kept = np.flatnonzero(whole == np.arange(len(boxes)))
    if len(kept) == len(boxes):
        return parts
    return Components(np.append(whole, -1)[parts.labels], boxes).only(kept)


def _are_halves(upper: Index, lower: Index, limit: float) -> Mask:
    """Which boxes (n, 4) are halves of a digit, with a box (4,) below or above them: (n,)."""
    (top, left, bottom, right), (top_2, left_2, bottom_2, right_2) = upper.T, lower.T
    whole = np.maximum(bottom, bottom_2) - np.minimum(top, top_2)
    gap = top_2 - bottom
    shared = np.minimum(right, right_2) - np.maximum(left, left_2)
    halves = (top_2 > top) & (gap <= _MAX_BREAK * whole) & (whole <= limit)
    halves &= shared >= 0.5 * np.minimum(right - left, right_2 - left_2)
    halves &= np.minimum(bottom - top, bottom_2 - top_2) >= 0.25 * whole
    return np.asarray(halves)


def _remove_lines(parts: Components, typical: float) -> Components:
    """Take lines out of marks larger than a digit, and separate marks that they held together."""
    ink = parts.labels >= 0
    lines = np.zeros_like(ink)
    for mark, (top, left, bottom, right) in enumerate(parts.boxes):
        if max(bottom - top, right - left) >= _LARGE * typical:
            own = parts.labels[top:bottom, left:right] == mark
            lines[top:bottom, left:right] |= _table_lines(own, typical)
    return find_components(ink & ~lines) if lines.any() else parts


def _table_lines(mask: Mask, typical: float) -> Mask:
    """The pixels of a mark's lines, except those where a stroke crosses one."""
    nothing = np.zeros_like(mask)
    level = _level(mask, nothing, typical)
    upright = _level(mask.T, level.T, typical).T
    return _level(mask, upright, typical) | upright


def _level(mask: Mask, others: Mask, typical: float) -> Mask:
    """The pixels of nearly horizontal lines; short ones must lead from line to line of the others.

    Runs are measured in ink made a pixel thicker above and below, so that a line may climb.
    """
    start, end = _row_runs(_dilate_vertically(mask))
    columns, rows = np.arange(mask.shape[1]), np.arange(mask.shape[0])[:, None]
    ends = _dilate_vertically(_dilate_vertically(others))
    leads = ends[rows, np.clip(start, 0, columns[-1])] & ends[rows, np.clip(end - 1, 0, None)]
    length = (end - start) / typical
    long = mask & ((length >= _MIN_LINE) | leads & (length >= _MIN_LINE_BETWEEN))
    across = vertical_runs(mask)
    is_corner = across >= _MIN_LINE * typical  # where two lines meet
    return long & ((across <= 1 + _MAX_LINE_THICKNESS * typical) | is_corner)


def _row_runs(mask: Mask) -> tuple[Index, Index]:
    """For each pixel of ink where the run of ink in its row begins, and where it has ended."""
    columns, width = np.arange(mask.shape[1]), mask.shape[1]
    start = np.maximum.accumulate(np.where(mask, -1, columns), axis=1) + 1
    ahead = np.where(mask, width, columns)[:, ::-1]
    return start, np.minimum.accumulate(ahead, axis=1)[:, ::-1]


def _dilate_vertically(mask: Mask) -> Mask:
    """Add a pixel above and below."""
    thick = mask.copy()
    thick[1:] |= mask[:-1]
    thick[:-1] |= mask[1:]
    return thick
