"""Which marks are lighter all around: strokes are, parts of larger dark things are not.

A page's paper is found by filling what is dark and narrow, so the corner of a desk, the tip of a
telephone or the edge of its shadow is taken for ink where it is narrow enough. But there the
darkness goes on beyond the mark.
"""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.components import Components, Mask
from tinymnist.imaging.digit.filters import maximum, minimum
from tinymnist.imaging.picture.pixels import Array

_REACH = 3
"""Pixels from a mark to where paper is looked for; the first beyond it may be a soft edge."""
_LIGHTER = 0.5
"""How far from ink (0) to paper (1) what lies around must be lighter than the nearest ink."""
_AROUND = 0.75
"""On at least so much of its outline; neighbours and the page's edge do not count."""


def outlined(parts: Components, dark: Array, paper: Array) -> Mask:
    """Which marks are darker than what lies around them: (n,).

    Args:
        parts: n marks.
        dark: (h, w) float32, the page, ink darker than paper.
        paper: (h, w) float32, how light the page would be without ink.
    """
    if len(parts.boxes) == 0:
        return np.zeros(0, bool)
    window = _window(parts)
    labels, dark, paper = parts.labels[window], dark[window], paper[window]
    mask, count = labels >= 0, len(parts.boxes)
    ink = minimum(np.where(mask, dark, np.float32(1)), _REACH)
    light = maximum(np.where(mask, paper, np.float32(0)), _REACH)
    nearest = maximum(labels.astype(np.float32), _REACH).astype(np.intp)
    around = (nearest >= 0) & ~(maximum(mask.astype(np.float32), 1) > 0)
    clear = around & (dark > ink + _LIGHTER * (light - ink))
    length = np.bincount(nearest[around], minlength=count)
    enough: Mask = np.bincount(nearest[clear], minlength=count) >= _AROUND * length
    return enough


def _window(parts: Components) -> tuple[slice, slice]:
    """The part of the page that holds all marks and what lies around them."""
    top, left = np.maximum(parts.boxes[:, :2].min(0) - _REACH, 0)
    bottom, right = parts.boxes[:, 2:].max(0) + _REACH
    return slice(top, bottom), slice(left, right)
