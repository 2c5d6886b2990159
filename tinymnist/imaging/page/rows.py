"""Marks on a page into rows, in reading order; what is no digit by its size is left out.

A box is (top, left, bottom, right) in pixels, bottom and right exclusive.
"""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.components import Index
from tinymnist.imaging.page.marks import heights, typical_height
from tinymnist.imaging.picture.pixels import Array

_SHORTEST, _TALLEST = 0.5, 2.2
"""Heights that a digit may have, in typical digits of its page; fragments may be smaller."""
_ON_ROW = 0.55
"""How far a digit's middle may lie off its row, in digits' heights."""
_REACH = 0.35
"""How far a fragment may stick out above or below its neighbour, in digits' heights."""
_NEIGHBOUR = 3.0
"""How far the next digit may be where the slope of the rows is measured, in heights."""


def find_rows(boxes: Index, shape: tuple[int, ...]) -> list[Index]:
    """Part marks into rows.

    Args:
        boxes: (n, 4) of n > 0 marks.
        shape: of the page.

    Returns:
        For each row, from the top, the numbers of its marks, from the left.
    """
    typical = typical_height(boxes, shape)
    tall = heights(boxes)
    fit = tall <= _TALLEST * typical
    digits = np.flatnonzero(fit & (tall >= _SHORTEST * typical))
    slope = _slope(boxes[digits], typical)
    rows = [digits[row] for row in _swept(boxes[digits], slope, typical)]
    for fragment in np.flatnonzero(fit & (tall < _SHORTEST * typical)):
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
    near = (apart > 0.3 * typical) & (apart < _NEIGHBOUR * typical) & (abs(sunk) < 0.7 * typical)
    apart = np.where(near, apart, np.inf)
    first, nearest = np.arange(len(boxes)), apart.argmin(1)
    found = np.isfinite(apart[first, nearest])
    slopes = sunk[first, nearest][found] / apart[first, nearest][found]
    return float(np.median(slopes)) if slopes.size else 0.0


def _swept(boxes: Index, slope: float, typical: float) -> list[Index]:
    """Rows by a sweep from the left: a digit goes on with the row that leads to it, or begins one.

    Where a row leads to is told by its last digit and the slope of all rows.
    """
    down, right = _middles(boxes)
    rows: list[list[int]] = []
    for digit in np.argsort(right, kind="stable"):
        off = [
            abs(down[digit] - down[row[-1]] - slope * (right[digit] - right[row[-1]]))
            for row in rows
        ]
        best = int(np.argmin(off)) if off else -1
        if best >= 0 and off[best] < _ON_ROW * typical:
            rows[best].append(int(digit))
        else:
            rows.append([int(digit)])
    level = down - slope * right
    rows.sort(key=lambda row: float(np.median(level[row])))
    return [np.array(row, np.intp) for row in rows]


def _add_fragment(fragment: int, rows: list[Index], boxes: Index, typical: float) -> None:
    """Put it into the row whose nearest digit it lies beside, above or below; or into none."""
    top, left, bottom, right = boxes[fragment]
    best, shortest = -1, np.inf
    for number, row in enumerate(rows):
        others = boxes[row]
        aside = np.maximum(others[:, 1] - right, left - others[:, 3]).clip(0)
        above = np.maximum(others[:, 0] - bottom, top - others[:, 2]).clip(0)
        distance = float(np.hypot(aside, above).min())
        if distance < shortest:
            best, shortest = number, distance
    if shortest <= _REACH * typical:
        rows[best] = np.append(rows[best], fragment)
