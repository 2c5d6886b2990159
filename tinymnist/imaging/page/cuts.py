"""Where touching digits may be parted: seams from top to bottom that cross little ink.

A seam goes down one pixel a row, straight or aslant, so it winds between digits that lean over
each other and crosses their ink only where they touch. S. Avidan and A. Shamir, "Seam carving for
content-aware image resizing", ACM SIGGRAPH 2007, find theirs by the same dynamic programme.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinymnist.imaging.digit.components import Index, Mask
from tinymnist.imaging.picture.pixels import Array

_WANDERING = 0.2
"""What a step aslant costs, where a step through ink costs 1."""


@dataclass(frozen=True)
class Cut:
    """A seam through a mask.

    Attributes:
        columns: (h,), the first column to the right of the seam, row by row.
        ink: how many pixels of ink it crosses.
    """

    columns: Index
    ink: float


def find_cuts(mask: Mask, margin: int, apart: int, most: int) -> list[Cut]:
    """The seams that cross the least ink, from left to right.

    Args:
        mask: (h, w), one component.
        margin: pixels to the left and right that the middle of a seam keeps off.
        apart: pixels between the middles of two seams, at least.
        most: how many seams.
    """
    height, width = mask.shape
    down, from_top = _paths(mask[: height // 2 + 1])
    up, from_bottom = _paths(mask[height // 2 :][::-1])
    total = down + up - mask[height // 2]  # that row counts in both halves
    total[:margin] = total[max(width - margin, 0) :] = np.inf
    cuts: list[Cut] = []
    while len(cuts) < most and np.isfinite(total).any():
        middle = _flat_minimum(total)
        upper = _traced(from_top, middle)[::-1]
        lower = _traced(from_bottom, middle)
        columns = np.concatenate([upper, lower[1:]])
        cuts.append(Cut(columns, float(mask[np.arange(height), columns].sum())))
        total[max(middle - apart + 1, 0) : middle + apart] = np.inf
    return sorted(cuts, key=lambda cut: int(cut.columns[height // 2]))


def _paths(mask: Mask) -> tuple[Array, Index]:
    """Cheapest ways from the first row to each pixel of the last, and every pixel's step there."""
    cost = mask[0].astype(np.float32)
    steps = np.zeros(mask.shape, np.intp)
    for row, ink in enumerate(mask[1:], start=1):
        padded = np.pad(cost, 1, constant_values=np.inf)
        ways = np.stack([padded[1:-1], padded[:-2] + _WANDERING, padded[2:] + _WANDERING])
        best = ways.argmin(0)
        steps[row] = np.array([0, -1, 1])[best]
        cost = ways.min(0) + ink
    return cost, steps


def _traced(steps: Index, column: int) -> Index:
    """The columns of a path, from its last row back to its first."""
    path = np.empty(len(steps), np.intp)
    for i, row in enumerate(steps[::-1]):
        path[i] = column
        column += int(row[column])
    return path


def _flat_minimum(total: Array) -> int:
    """The middle of the first stretch of least values."""
    lowest = np.flatnonzero(total <= total.min() + 1e-6)
    stretch = lowest[: int(np.argmax(np.append(np.diff(lowest) > 1, True))) + 1]
    return int(stretch[len(stretch) // 2])
