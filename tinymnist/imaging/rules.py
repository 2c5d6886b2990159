"""Ruled lines on a page, found and taken out of the ink; strokes that cross them stay whole."""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.components import Index, Mask

_SLOPES = np.linspace(-0.1, 0.1, 51)
"""How far lines may climb, as tangents; between two, a line of 1000 pixels moves by 4."""
_THICKEST = 0.012
"""A ruled line is no thicker than this share of the page's longer side, and a pixel."""
_MANY = 0.55
"""The share of the page's width that a line covers, if there are others like it."""
_SINGLE = 0.9
"""And if there are none: a long stroke covers less."""


def without_rules(mask: Mask) -> Mask:
    """Take lines from edge to edge out of the ink, across and along."""
    across = _rule_pixels(mask)
    along = _rule_pixels(mask.T).T
    return mask & ~across & ~along


def _rule_pixels(mask: Mask) -> Mask:
    """Those pixels of nearly horizontal lines where nothing else is drawn."""
    run = vertical_runs(mask)
    thin = mask & (run <= 1 + _THICKEST * max(mask.shape))
    rows, columns = np.nonzero(thin)
    lines = _lines(rows, columns, mask.shape)
    found = np.zeros_like(mask)
    for line, off in lines:
        if len(lines) == 1 and _covered(columns[line]) < _SINGLE * mask.shape[1]:
            continue
        lengths = run[rows[line], columns[line]]
        thickness = np.median(lengths[abs(off) <= 1])
        own = line[(lengths <= 1.5 * thickness + 1) & (abs(off) <= thickness + 1)]
        found[rows[own], columns[own]] = True
    return found


def _lines(rows: Index, columns: Index, shape: tuple[int, ...]) -> list[tuple[Index, Index]]:
    """Lines by a Hough transform over slope and height at the middle column.

    P. Hough, US patent 3,069,654 (1962).

    Args:
        rows, columns: of n pixels.
        shape: of the page.

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
    band = 2 + int(_THICKEST * max(shape))
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
