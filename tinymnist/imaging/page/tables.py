"""The lines of tables, of forms and under sums, taken out of a page's marks.

They do not go from edge to edge as ruled lines do (:mod:`tinymnist.imaging.digit.rules`), they hold
digits together that touch them, and a box around a digit is itself much like a 0. But they are
longer than any stroke of a digit, thin, and nearly level or upright.
"""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.components import Components, Index, Mask, find_components

_LONG, _THIN = 1.3, 0.14
"""A line is at least so long and at most so thick, in heights of a digit;"""
_LONG_BETWEEN = 0.7
"""one that leads from line to line, as the sides of a box do, at least so long."""
_LARGE = 1.5
"""Marks below this in both directions, in heights of a digit, are left as they are."""


def without_lines(parts: Components, typical: float) -> Components:
    """Take lines out of the marks that are larger than a digit, and part what they held together.

    Args:
        parts: the marks.
        typical: the height of a digit in pixels.
    """
    ink = parts.labels >= 0
    lines = np.zeros_like(ink)
    for mark, (top, left, bottom, right) in enumerate(parts.boxes):
        if max(bottom - top, right - left) >= _LARGE * typical:
            own = parts.labels[top:bottom, left:right] == mark
            lines[top:bottom, left:right] |= _lines(own, typical)
    return find_components(ink & ~lines) if lines.any() else parts


def _lines(mask: Mask, typical: float) -> Mask:
    """The pixels of a mark's lines, but for those where a stroke crosses one."""
    nothing = np.zeros_like(mask)
    level = _level(mask, nothing, typical)
    upright = _level(mask.T, level.T, typical).T
    return _level(mask, upright, typical) | upright


def _level(mask: Mask, others: Mask, typical: float) -> Mask:
    """Those of nearly horizontal lines; short ones must lead from one of the others to another.

    Runs are measured in ink made a pixel thicker above and below, so that a line may climb.
    """
    start, end = _runs(_thicker(mask))
    columns, rows = np.arange(mask.shape[1]), np.arange(mask.shape[0])[:, None]
    ends = _thicker(_thicker(others))
    leads = ends[rows, np.clip(start, 0, columns[-1])] & ends[rows, np.clip(end - 1, 0, None)]
    length = (end - start) / typical
    long = mask & ((length >= _LONG) | leads & (length >= _LONG_BETWEEN))
    top, bottom = _runs(mask.T)
    across = (bottom - top).T
    is_corner = across >= _LONG * typical  # where two lines meet
    return long & ((across <= 1 + _THIN * typical) | is_corner)


def _runs(mask: Mask) -> tuple[Index, Index]:
    """For each pixel of ink where the run of ink in its row begins, and where it has ended."""
    columns, width = np.arange(mask.shape[1]), mask.shape[1]
    start = np.maximum.accumulate(np.where(mask, -1, columns), axis=1) + 1
    ahead = np.where(mask, width, columns)[:, ::-1]
    return start, np.minimum.accumulate(ahead, axis=1)[:, ::-1]


def _thicker(mask: Mask) -> Mask:
    """A pixel added above and below."""
    thick = mask.copy()
    thick[1:] |= mask[:-1]
    thick[:-1] |= mask[1:]
    return thick
