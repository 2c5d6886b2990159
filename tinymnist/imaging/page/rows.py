"""Marks on a page into rows, in reading order; marks too tall for a digit are left out."""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.components import Index
from tinymnist.imaging.page.marks import heights, typical_height
from tinymnist.imaging.picture.pixels import Array

_MIN_HEIGHT, _MAX_HEIGHT = 0.5, 2.2
"""Of a digit, in typical heights of its page; fragments may be smaller."""
_MAX_OFF_ROW = 0.55
"""How far a digit's middle may lie off its row, in typical heights."""
_MAX_DISTANCE = 0.35
"""How far a fragment may lie from the nearest digit of its row, in typical heights."""
_MIN_PITCH, _MAX_PITCH, _MAX_SINK = 0.3, 3.0, 0.7
"""Across and down, in typical heights: where the next digit is, from which the slope of the rows is
measured."""


def find_rows(boxes: Index, shape: tuple[int, ...]) -> list[Index]:
    """Sort marks into rows.

    Args:
        boxes: (n, 4) of n > 0 marks.
        shape: (h, w) of the page.

    Returns:
        For each row, from the top, the numbers of its marks, from the left.
    """
    typical = typical_height(boxes, shape)
    tall = heights(boxes)
    fit = tall <= _MAX_HEIGHT * typical
    digits = np.flatnonzero(fit & (tall >= _MIN_HEIGHT * typical))
    slope = _slope(boxes[digits], typical)
    rows = [digits[row] for row in _sweep(boxes[digits], slope, typical)]
    for fragment in np.flatnonzero(fit & (tall < _MIN_HEIGHT * typical)):
        _add_fragment(int(fragment), rows, boxes, typical)
    return [row[np.argsort(_middles(boxes[row])[1], kind="stable")] for row in rows]


def _middles(boxes: Index) -> tuple[Array, Array]:
    """(down, right) of each box's middle."""
    down, right = (boxes[:, :2] + boxes[:, 2:]).astype(np.float32).T / 2
    return down, right


def _slope(boxes: Index, typical: float) -> float:
    """By how much the rows sink from left to right: the median over neighbouring digits."""
    down, right = _middles(boxes)
    apart, sunk = right - right[:, None], down - down[:, None]
    near = (apart > _MIN_PITCH * typical) & (apart < _MAX_PITCH * typical)
    near &= abs(sunk) < _MAX_SINK * typical
    apart = np.where(near, apart, np.inf)
    first, nearest = np.arange(len(boxes)), apart.argmin(1)
    found = np.isfinite(apart[first, nearest])
    slopes = sunk[first, nearest][found] / apart[first, nearest][found]
    return float(np.median(slopes)) if slopes.size else 0.0


def _sweep(boxes: Index, slope: float, typical: float) -> list[Index]:
    """Find rows by a sweep from the left: a digit continues the row that leads to it or begins one.

    A row leads from its last digit along the slope of all rows.
    """
    down, right = _middles(boxes)
    rows: list[list[int]] = []
    for digit in np.argsort(right, kind="stable"):
        off = [
            abs(down[digit] - down[row[-1]] - slope * (right[digit] - right[row[-1]]))
            for row in rows
        ]
        best = int(np.argmin(off)) if off else -1
        if best >= 0 and off[best] < _MAX_OFF_ROW * typical:
            rows[best].append(int(digit))
        else:
            rows.append([int(digit)])
    level = down - slope * right
    rows.sort(key=lambda row: float(np.median(level[row])))
    return [np.array(row, np.intp) for row in rows]


def _add_fragment(fragment: int, rows: list[Index], boxes: Index, typical: float) -> None:
    """Add a fragment to the row with the digit nearest to it, if that is near enough."""
    top, left, bottom, right = boxes[fragment]
    best, shortest = -1, np.inf
    for number, row in enumerate(rows):
        others = boxes[row]
        aside = np.maximum(others[:, 1] - right, left - others[:, 3]).clip(0)
        above = np.maximum(others[:, 0] - bottom, top - others[:, 2]).clip(0)
        distance = float(np.hypot(aside, above).min())
        if distance < shortest:
            best, shortest = number, distance
    if shortest <= _MAX_DISTANCE * typical:
        rows[best] = np.append(rows[best], fragment)
