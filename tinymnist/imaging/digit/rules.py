"""Ruled lines, found and taken out of the ink; strokes that cross them stay whole."""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.components import Index, Mask
from tinymnist.imaging.digit.filters import maximum
from tinymnist.imaging.picture.pixels import Array

_SLOPES = np.linspace(-0.1, 0.1, 51)
"""How far lines may climb, as tangents; between two, a line of 1000 pixels moves by 4."""
_THICKEST = 0.012
"""A ruled line is no thicker than this share of the page's longer side, and a pixel."""
_THICKEST_NEAR = 0.035
"""The same for a picture of one digit."""
_SMALLEST_RULED = 32
"""In smaller pictures, a digit's own strokes may be thin and go from edge to edge."""
_FAINTEST = 0.1
"""How much ink a pixel must hold to belong to a line."""
_LEAST_LEFT = 0.1
"""What remains is at least so much ink against what goes; else the lines were the digit."""
_MANY = 0.55
"""The share of the page's width that a line covers, if there are others like it."""
_SINGLE = 0.9
"""And if there are none: a long stroke covers less."""
_AT_EDGE, _FRAME = 0.03, 2.0
"""What ends further from the page's edge than this share, at an upright line longer than so many
times the thickest, is no ruled line."""


def erase_rules(ink: Array) -> Array:
    """Take ruled or squared paper out of a picture of one digit.

    Args:
        ink: (h, w) in 0..1, 0 is paper.

    Returns:
        (h, w) float32; the ink itself where there are no lines from edge to edge.
    """
    mask = ink > _FAINTEST
    if min(ink.shape) < _SMALLEST_RULED or not (_reaches_across(mask) or _reaches_across(mask.T)):
        return ink
    lines, count = _find_rules(mask, _THICKEST_NEAR)
    kept = mask & ~lines
    is_own_stroke = count == 1 and _touches_frame(kept)  # as in a 7 that fills its frame
    if count == 0 or is_own_stroke or kept.sum() < _LEAST_LEFT * lines.sum():
        return ink
    soft_edges = (maximum(lines.astype(np.float32), 1) > 0) & ~mask
    return np.where(lines | soft_edges, np.float32(0), ink)


def _reaches_across(mask: Mask) -> bool:
    """Whether there is ink at the left edge and at the right one."""
    return bool(mask[:, :2].any() and mask[:, -2:].any())


def _touches_frame(mask: Mask) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def without_rules(mask: Mask) -> Mask:
    """Take lines from edge to edge out of the ink of a page, across and along."""
    if min(mask.shape) < _SMALLEST_RULED:
        return mask
    return mask & ~_find_rules(mask, _THICKEST, tables=True)[0]


def _find_rules(mask: Mask, thickest: float, tables: bool = False) -> tuple[Mask, int]:
    """The pixels of all lines, and how many lines there are; those of tables are no rules."""
    limit = 1 + thickest * max(mask.shape)
    across, rows = _rule_pixels(mask, limit, tables)
    along, columns = _rule_pixels(mask.T, limit, tables)
    return across | along.T, rows + columns


def _rule_pixels(mask: Mask, thickest: float, tables: bool) -> tuple[Mask, int]:
    """Those pixels of nearly horizontal lines where nothing else is drawn, and their number."""
    run = vertical_runs(mask)
    thin = mask & (run <= thickest)
    rows, columns = np.nonzero(thin)
    lines = _lines(rows, columns, mask.shape, thickest)
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
        if near.max() > _FRAME * thickest:
            return True
    return False


def _lines(
    rows: Index, columns: Index, shape: tuple[int, ...], thickest: float
) -> list[tuple[Index, Index]]:
    """Lines by a Hough transform over slope and height at the middle column.

    P. Hough, US patent 3,069,654 (1962).

    Args:
        rows, columns: of n pixels.
        shape: of the page.
        thickest: of a line, in pixels.

    Returns:
        For each line the numbers of the pixels near it, and by how many rows they are off it.
    """
    height, width = shape
    middle = columns - width // 2
    reach = int(np.ceil(abs(_SLOPES).max() * width / 2)) + 2
    at = np.rint(rows - _SLOPES[:, None] * middle).astype(int) + reach  # (slopes, n)
    votes = np.stack([np.bincount(row, minlength=height + 2 * reach) for row in at])
    free = np.ones(len(rows), bool)
    lines: list[tuple[Index, Index]] = []
    band = 1 + int(thickest)
    for _ in range(height // 4):
        slope, place = np.unravel_index(np.argmax(votes), votes.shape)
        line = np.flatnonzero(free & (abs(at[slope] - place) <= band))
        if 3 * votes[slope, place] < _MANY * width or len(line) == 0:
            break
        off = at[slope, line] - place
        if _covered(columns[line[abs(off) <= 1]]) >= _MANY * width:
            lines.append((line, off))
        free[line] = False
        for counts, places in zip(votes, at[:, line], strict=True):
            np.subtract.at(counts, places, 1)
    return lines


def _runs_through(mask: Mask, rows: Index, columns: Index) -> bool:
    """Whether there is ink nearly all along the line through these pixels, from edge to edge."""
    slope, height = np.polyfit(columns, rows, 1)
    across = np.arange(mask.shape[1])
    at = np.rint(height + slope * across).astype(int)
    inked = [mask[np.clip(at + down, 0, len(mask) - 1), across] for down in (-1, 0, 1)]
    return bool(np.logical_or.reduce(inked).mean() >= _SINGLE)


def _covered(columns: Index) -> int:
    return len(np.unique(columns))


def vertical_runs(mask: Mask) -> Index:
    """For each pixel of ink, how many pixels of ink follow each other there in its column."""
    height, width = mask.shape
    flat = np.pad(mask.T, ((0, 0), (1, 1))).ravel()  # columns one after the other, paper between
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.zeros(flat.size, np.intp)
    starts, ends = changes[::2], changes[1::2]
    np.add.at(lengths, starts, ends - starts)
    np.subtract.at(lengths, ends, ends - starts)
    return np.cumsum(lengths).reshape(width, height + 2)[:, 1:-1].T
