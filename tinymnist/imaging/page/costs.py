"""What speaks against each way of reading a row, in nats: minus the logarithm of a probability.

The weights are near those that make the text of 136 painted pages of MNIST's training digits most
probable (a conditional random field: J. Lafferty, A. McCallum and F. Pereira, "Conditional Random
Fields", ICML 2001). Heights and cuts cost less than there, since people's digits differ more than
painted ones; other matter costs more, since most pages hold little of it.
``python -m benchmarks.pages`` measures how well other pages are read.
All lengths are in heights of a digit of their row, unless specified in pixels.
"""

from __future__ import annotations

import math

import numpy as np

from tinymnist.imaging.digit.components import Index
from tinymnist.imaging.picture.pixels import Array

UNSURE = 6.3
"""Factor on the reader's uncertainty, which should weigh more than the reader reports."""
_MIN_SURENESS = 1e-9
"""Lower probabilities count as this."""
_CUT, _CUT_NARROW = 1.5, 12.0
"""To cut a mark in two, and per height that it is narrower than high: few such are two digits."""
GAP = 12.7
"""To join pieces, per height of the gap between them."""

_WIDE, _WIDE_FROM = 2.4, 0.6
"""Per width beyond the second."""
_HEIGHT, _HEIGHT_FREE = 7.0, 0.35
"""Digits of a row differ in height by a factor of exp(0.35) at no cost."""
_SLASH, _SLASH_FROM, _SLASH_WIDTHS = 30.0, 0.15, (0.25, 0.6)
"""A bar taller than a digit by a factor of exp(0.15) is a slash if its width is between these
shares of its height."""
_THICK, _THICK_FROM = 4.8, 0.4
"""Strokes that are wider than others on the page by a factor of exp(0.4) are probably blots."""
_SKIP, _SKIP_WIDE, _SKIP_LIKE = 3.9, 7.6, 5.9
"""To discard a mark of a digit's size among digits; more, the wider it is and the more it looks
like a digit. A bar looks like a 1 and may be anything, so its look does not count."""
_PASS_WIDE, _PASS_LIKE, _PASS_BAR = 0.56, 0.47, 0.22
"""The same among other matter, where only marks that look like one digit or several cost much."""
_MAX_LIKENESS = 0.98
"""Upper limit of how much a mark looks like a digit."""
_SWITCH, _SWITCH_NEAR, _SPACE, _BEGIN = 3.9, 5.2, 0.4, 5.6
"""To go from digits to other matter, or back; added to it if a mark follows directly, less with a
gap and nothing from the third on. The last is for a row that begins with other matter."""


def uncertainty_cost(sure: float) -> float:
    """The cost of a digit of which the reader is ``sure`` (0..1)."""
    return -UNSURE * math.log(max(sure, _MIN_SURENESS))


def shape_cost(box: Index, typical: float) -> float:
    """The cost of a digit with this width and height; box and typical height in pixels."""
    tall, wide = float(box[2] - box[0]) / typical, float(box[3] - box[1]) / typical
    cost = _WIDE * max(0.0, wide / max(1.0, tall) - _WIDE_FROM)
    return cost + _HEIGHT * max(0.0, abs(math.log(tall)) - _HEIGHT_FREE)


def slash_cost(box: Index, typical: float) -> float:
    """The cost of a digit that is a bar and may be a slash; box and typical height in pixels."""
    tall, wide = float(box[2] - box[0]) / typical, float(box[3] - box[1]) / typical
    if not _SLASH_WIDTHS[0] < wide / tall < _SLASH_WIDTHS[1]:
        return 0.0
    return _SLASH * max(0.0, math.log(tall) - _SLASH_FROM)


def thick_costs(widths: Array, usual: float) -> Array:
    """The costs (n,) of digits with strokes of these widths (n,), if ``usual`` is the page's."""
    return np.asarray(_THICK * np.maximum(0, np.log(widths / usual) - _THICK_FROM), np.float32)


def cut_cost(shape: tuple[int, ...], typical: float) -> float:
    """The cost of cutting a mark of (h, w) pixels once."""
    tall, wide = shape[0] / typical, shape[1] / typical
    return _CUT + _CUT_NARROW * max(0.0, 1 - wide / max(1.0, tall))


def discard_costs(
    shape: tuple[int, ...], typical: float, sure: float, bar: bool
) -> tuple[float, float]:
    """The costs of discarding a mark, among digits and among other matter; small for a small one.

    Args:
        shape: (h, w) of the mark in pixels.
        typical: the height of a digit in pixels.
        sure: how sure the reader is of the mark, 0..1.
        bar: whether it is a straight stroke.
    """
    tall, wide = shape[0] / typical, shape[1] / typical
    size, digits = min(1.0, max(tall, wide)) ** 2, max(1.0, wide)
    like = -math.log(1 - _MAX_LIKENESS * sure)
    skip = digits * (_SKIP + _SKIP_WIDE * (digits - 1)) + (0.0 if bar else _SKIP_LIKE) * like
    passing = _PASS_WIDE * (digits**4 - 1) + (_PASS_BAR if bar else _PASS_LIKE) * like
    return size * skip, size * passing


def switch_costs(gaps: Array) -> Array:
    """The costs of going over to other matter, or back, before each mark of a row.

    Args:
        gaps: (n - 1,), to the left of each mark except the first.

    Returns:
        (n,).
    """
    near = _SWITCH_NEAR * np.clip(1 - gaps / _SPACE, 0, 1)
    return np.append(_BEGIN, _SWITCH + near).astype(np.float32)
