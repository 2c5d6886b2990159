"""What speaks against each way of reading a row, in nats: minus the logarithm of a probability.

The weights are near those that make what is written on 136 painted pages of MNIST's training digits
most probable (a conditional random field: J. Lafferty, A. McCallum and F. Pereira, "Conditional
Random Fields", ICML 2001). Heights cost less, for people's digits differ more than painted ones,
and so do cuts; other matter costs more, for most pages hold little of it.
``python -m benchmarks.pages`` measures how other pages are read.
All lengths are in heights of a digit of their row, unless it says pixels.
"""

from __future__ import annotations

import math

import numpy as np

from tinymnist.imaging.digit.components import Index
from tinymnist.imaging.picture.pixels import Array

UNSURE = 6.3
"""Times minus the logarithm of how sure the reader is: its doubts weigh more than it says."""
_LEAST = 1e-9
"""Probabilities below count as this."""
_CUT, _CUT_NARROW = 1.5, 12.0
"""To part a mark in two, and for how much narrower than high it is: two digits seldom are."""
GAP = 12.7
"""To join pieces, for the gap between them."""

_WIDE, _WIDE_FROM = 2.4, 0.6
_HEIGHT, _HEIGHT_FREE = 7.0, 0.35
"""Digits of a row differ in height by a factor of exp(0.35) at no cost."""
_SLASH, _SLASH_FROM, _SLASH_WIDTHS = 30.0, 0.15, (0.25, 0.6)
"""A bar that is taller than a digit and of such widths, as shares of its height, is a slash."""
_THICK, _THICK_FROM = 4.8, 0.4
"""Strokes that are wider than others on the page by a factor of exp(0.4) are rather blots."""
_SKIP, _SKIP_WIDE, _SKIP_LIKE = 3.9, 7.6, 5.9
"""To take a mark of a digit's size for none, though it is among digits; the more, the wider it is,
and the more it looks like one; but a bar looks like a 1 and may be anything."""
_PASS_WIDE, _PASS_LIKE, _PASS_BAR = 0.56, 0.47, 0.22
"""And among other matter, where only what may be several digits, or looks like one, costs much."""
_MOST_LIKE = 0.98
"""Nothing looks more like a digit than this."""
_SWITCH, _SWITCH_NEAR, _SPACE, _BEGIN = 3.9, 5.2, 0.4, 5.6
"""To go from digits to other matter, or back, and what is added where a mark follows another
directly; nothing is added from this gap on. The last is the cost of a row that begins with it."""


def doubt_cost(sure: float) -> float:
    """What the reader's doubts say against a digit that it is so sure of, 0..1."""
    return -UNSURE * math.log(max(sure, _LEAST))


def shape_cost(box: Index, typical: float) -> float:
    """What a box's width and height in pixels say against its being a digit's."""
    tall, wide = (float(side) / typical for side in box[2:] - box[:2])
    cost = _WIDE * max(0.0, wide / max(1.0, tall) - _WIDE_FROM)
    return cost + _HEIGHT * max(0.0, abs(math.log(tall)) - _HEIGHT_FREE)


def slash_cost(box: Index, typical: float) -> float:
    """What a bar's box in pixels says for its being a slash."""
    tall, wide = (float(side) / typical for side in box[2:] - box[:2])
    if not _SLASH_WIDTHS[0] < wide / tall < _SLASH_WIDTHS[1]:
        return 0.0
    return _SLASH * max(0.0, math.log(tall) - _SLASH_FROM)


def thick_costs(widths: Array, usual: float) -> Array:
    """What strokes of these widths say against digits, where ``usual`` is the page's: (n,)."""
    return np.asarray(_THICK * np.maximum(0, np.log(widths / usual) - _THICK_FROM), np.float32)


def cut_cost(shape: tuple[int, ...], typical: float) -> float:
    """To part a mark of (h, w) pixels once."""
    tall, wide = (side / typical for side in shape)
    return _CUT + _CUT_NARROW * max(0.0, 1 - wide / max(1.0, tall))


def aside_costs(
    shape: tuple[int, ...], typical: float, sure: float, bar: bool
) -> tuple[float, float]:
    """To take a mark for no digit, among digits and among other matter; small for a small one.

    Args:
        shape: (h, w) of the mark in pixels.
        typical: the height of a digit in pixels.
        sure: how sure the reader is of the mark, 0..1.
        bar: whether it is a straight stroke.
    """
    tall, wide = (side / typical for side in shape)
    size, digits = min(1.0, max(tall, wide)) ** 2, max(1.0, wide)
    like = -math.log(1 - _MOST_LIKE * sure)
    skip = digits * (_SKIP + _SKIP_WIDE * (digits - 1)) + (0.0 if bar else _SKIP_LIKE) * like
    passing = _PASS_WIDE * (digits**4 - 1) + (_PASS_BAR if bar else _PASS_LIKE) * like
    return size * skip, size * passing


def switch_costs(gaps: Array) -> Array:
    """To go over to other matter, or back, before each mark of a row.

    Args:
        gaps: (n - 1,), to the left of each mark but the first.

    Returns:
        (n,).
    """
    near = _SWITCH_NEAR * np.clip(1 - gaps / _SPACE, 0, 1)
    return np.append(_BEGIN, _SWITCH + near).astype(np.float32)
