"""Finds ruled lines and boxes and takes them out of the ink; strokes that cross them stay whole."""

from __future__ import annotations

import numpy as np

from tinymnist import limits
from tinymnist.imaging.digit.components import Index, Mask, bounds, touches_frame, vertical_runs
from tinymnist.imaging.digit.filters import maximum
from tinymnist.imaging.picture.pixels import Array

_SLOPES = np.linspace(-0.1, 0.1, 51)
"""Tangents of a line's climb that are tried; from one to the next, 1000 pixels move it by 4."""
_MAX_THICKNESS_ON_PAGE = 0.012
"""A ruled line is at most a pixel plus this share of the page's longer side thick."""
_MAX_THICKNESS_OF_DIGIT = 0.035  # the same for a picture of one digit
_SMALLEST_RULED = 32
"""Pixels on the shorter side; in smaller pictures, a digit's own strokes may be thin and go from
edge to edge."""
_MIN_INK = 0.1  # ink (0..1) that a pixel must hold to belong to a line
_MIN_INK_LEFT = 0.1  # with a smaller share of the lines' ink beside them, they were the digit
_MIN_COVER = 0.55  # the share of the page's width that a line covers, if there are others like it,
_MIN_COVER_ALONE = 0.9  # and if it is the only one: a long stroke covers less
_AT_EDGE = 0.03  # a ruled line ends at most this share of the page's width from its edge,
_MIN_FRAME = 2.0  # or else not at an upright line longer than this many times the largest thickness

_SMALLEST_BOX = 24  # pixels on the shorter side of a box around a digit
_MAX_THICKNESS_OF_BOX = 0.04  # of its sides, as a share of the longer one
_MIN_SIDES = 3  # of a box that must be there
_MIN_COVER_OF_SIDE = 0.9  # the share of a box's side that is inked
_DEPTH = 5  # a box's side may lie as deep in it as a fifth of its height or width
_MIN_INSIDE = 0.28  # what a box holds is at least this share of its height tall


def erase_rules(ink: Array) -> Array:
    """Take ruled or squared paper out of a picture of one digit, ink (h, w) in 0..1 on paper of 0.

    Without lines from edge to edge, the ink itself is returned.
    """
    mask = ink > _MIN_INK
    if min(ink.shape) < _SMALLEST_RULED or not (_reaches_across(mask) or _reaches_across(mask.T)):
        return ink
    lines, count = find_rules(mask, _MAX_THICKNESS_OF_DIGIT)
    kept = mask & ~lines
    is_own_stroke = count == 1 and touches_frame(kept)  # as in a 7 that fills its frame
    if count == 0 or is_own_stroke or kept.sum() < _MIN_INK_LEFT * lines.sum():
        return ink
    soft_edges = (maximum(lines.astype(np.float32), 1) > 0) & ~mask
    return np.where(lines | soft_edges, np.float32(0), ink)


def _reaches_across(mask: Mask) -> bool:
    """Whether there is ink at the left edge and at the right one."""
    return bool(mask[:, :2].any() and mask[:, -2:].any())


def erase_box(ink: Array) -> Array:
    """Take out a box with straight sides that touches or crosses its digit, from ink (h, w).

    Without such a box, the ink itself is returned.
    """
    all_ink = ink > 0
    place = bounds(all_ink)
    mask = all_ink[place]
    if min(mask.shape) < _SMALLEST_BOX or not has_sides(mask):
        return ink
    lines, count = find_rules(mask, _MAX_THICKNESS_OF_BOX)
    if count < _MIN_SIDES or not _fills_inside(mask & ~lines):
        return ink
    cleared = ink.copy()
    cleared[place][lines] = 0
    return cleared


def _fills_inside(mask: Mask) -> bool:
    """Whether what is left of a box's inside is tall enough for a digit."""
    height, width = mask.shape
    deep, wide = height // (2 * _DEPTH), width // (2 * _DEPTH)
    rows, _ = bounds(mask[deep : height - deep, wide : width - wide])
    return bool(rows.stop - (rows.start or 0) >= _MIN_INSIDE * height)


def has_sides(mask: Mask) -> bool:
    """Whether a picture (h, w) has ink all along most of its sides."""
    rows, columns = -(-len(mask) // _DEPTH), -(-mask.shape[1] // _DEPTH)
    missing = 0
    for side in (mask[:rows], mask[:, :columns].T, mask[-rows:], mask[:, -columns:].T):
        covered = np.count_nonzero(np.logical_or.reduce(side))
        missing += covered < _MIN_COVER_OF_SIDE * side.shape[1]
        if missing > 4 - _MIN_SIDES:
            return False
    return True


def erase_page_rules(mask: Mask) -> Mask:
    """Take lines from edge to edge out of the ink of a page, across and along."""
    if min(mask.shape) < _SMALLEST_RULED:
        return mask
    return mask & ~find_rules(mask, _MAX_THICKNESS_ON_PAGE, tables=True)[0]


def find_rules(mask: Mask, thickest: float, tables: bool = False) -> tuple[Mask, int]:
    """Find nearly straight lines from edge to edge of a mask (h, w), across and along.

    Args:
        mask: True for ink.
        thickest: lines are at most a pixel plus this share of the longer side thick.
        tables: leave lines out that end at others, as in a table.

    Returns:
        The pixels of all lines (h, w), and the number of lines.
    """
    limit = 1 + thickest * max(mask.shape)
    across, rows = _rule_pixels(mask, limit, tables)
    along, columns = _rule_pixels(mask.T, limit, tables)
    return across | along.T, rows + columns


def _rule_pixels(mask: Mask, thickest: float, tables: bool) -> tuple[Mask, int]:
    """The pixels of nearly horizontal lines that no stroke crosses, and the number of lines."""
    run = vertical_runs(mask)
    thin = mask & (run <= thickest)
    rows, columns = np.nonzero(thin)
    lines = _find_lines(rows, columns, mask.shape, thickest)
    if tables:
        lines = [line for line in lines if not _is_framed(run, rows, columns, line[0], thickest)]
    if len(lines) == 1 and not _runs_through(mask, rows[lines[0][0]], columns[lines[0][0]]):
        lines = []
    found = np.zeros_like(mask)
    for line, off in lines:
        lengths = run[rows[line], columns[line]]
        thickness = np.median(lengths[abs(off) <= 1])
        own = line[(lengths <= 1.5 * thickness + 1) & (abs(off) <= thickness + 1)]
        found[rows[own], columns[own]] = True
    return found, len(lines)


def _is_framed(run: Index, rows: Index, columns: Index, line: Index, thickest: float) -> bool:
    """Whether a line ends within the page where an upright one begins: a table's or a form's."""
    rows, columns = rows[line], columns[line]
    width = run.shape[1]
    for end in (int(columns.min()), int(columns.max())):
        if not _AT_EDGE * width < end < (1 - _AT_EDGE) * width:
            continue
        row = int(np.median(rows[columns == end]))
        near = run[max(row - int(thickest), 0) : row + int(thickest) + 1, end - 2 : end + 3]
        if near.max() > _MIN_FRAME * thickest:
            return True
    return False


def _find_lines(
    rows: Index, columns: Index, shape: tuple[int, ...], thickest: float
) -> list[tuple[Index, Index]]:
    """Find lines by a Hough transform over slope and height at the middle column.

    P. Hough, "Method and means for recognizing complex patterns", US patent 3,069,654 (1962).
    The n pixels in these rows and columns may belong to lines. The result is, for each line, the
    numbers of the pixels near it, and by how many rows they are off it.
    """
    height, width = shape
    reach = int(np.ceil(abs(_SLOPES).max() * width / 2)) + 2
    climbs = _SLOPES[:, None] * (np.arange(width) - width // 2)
    shifts = reach - np.rint(climbs).astype(np.intp)  # (slopes, w)

    def vote(some: Index) -> Index:
        down, right = rows[some], columns[some]
        own = [np.bincount(down + shift[right], minlength=height + 2 * reach) for shift in shifts]
        return np.stack(own)

    limits.work(len(rows) // 2, "finding lines")
    free = np.arange(len(rows))
    votes = vote(free)
    lines: list[tuple[Index, Index]] = []
    band = 1 + int(thickest)
    for _ in range(height // 4):
        slope, place = np.unravel_index(np.argmax(votes), votes.shape)
        if 3 * votes[slope, place] < _MIN_COVER * width:
            break
        limits.work(500 + len(free) // 30, "finding lines")
        off = rows[free] + shifts[slope][columns[free]] - place
        near = np.abs(off) <= band
        line, off = free[near], off[near]
        if len(np.unique(columns[line[np.abs(off) <= 1]])) >= _MIN_COVER * width:
            lines.append((line, off))
        free = free[~near]
        votes -= vote(line)
    return lines


def _runs_through(mask: Mask, rows: Index, columns: Index) -> bool:
    """Whether there is ink nearly all along the line through these pixels, from edge to edge."""
    slope, height = np.polyfit(columns, rows, 1)
    across = np.arange(mask.shape[1])
    at = np.rint(height + slope * across).astype(int)
    inked = [mask[np.clip(at + down, 0, len(mask) - 1), across] for down in (-1, 0, 1)]
    return bool(np.logical_or.reduce(inked).mean() >= _MIN_COVER_ALONE)
