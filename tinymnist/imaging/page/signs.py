"""Marks that are signs and not digits, by their shape: plus, times, minus, slash and parentheses.

A network that knows ten digits reads a plus as a 4 and a slash as a 1, and is often sure. But these
signs are made of one or two straight strokes, or of one bow, and digits are not: what is left of a
4 beside its two longest strokes is much, of a plus nothing.
"""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.components import Components, Index, Mask, find_components
from tinymnist.imaging.picture.pixels import Array

_MAX_CROSS = 1.05  # a plus is at most this large, in heights of a digit,
_MIN_CROSS = 0.2  # and at least this
_MIN_CROSS_COVER = 0.86  # the share of its ink that lies on its two strokes
_MAX_OFF_MIDDLE = 0.26  # where they cross, from the middle of either, as a share of its length
_MIN_STROKE = 0.5  # of the shorter stroke by the longer one
_MIN_SLIM = 3.0  # and of either by its width
_MIN_CROSSING = 40  # degrees between the strokes
_ANGLES = 24  # directions that are tried, over half a circle
_MIN_ARMS, _RINGS = 5, (0.45, 0.6, 0.75)  # of a star, on a way from its middle to its ends
_MAX_STAR = 0.85  # it is at most this large, in heights of a digit
_CORE, _MIN_CORE = 0.15, 0.7  # the share of a small circle around its middle that is inked
_MAX_SURE, _MAX_SMALL, _MAX_LARGE_SURE = 0.95, 0.85, 0.6
"""What is more surely a digit is not a plus or a star; less, if it is as large as a digit."""
_DASH_ASPECT, _MAX_DASH_HEIGHT, _MAX_DASH_WIDTH = 2.0, 0.35, 1.4
_MAX_DASH_OFF = 0.3  # from a minus to the middle of the digits beside it, in heights of a digit
_MIN_SLASH, _MIN_SLASH_LEAN = 1.12, 0.22
"""A slash is at least this tall, in heights of a digit, and leans to the right by this share of its
height, further than the most upright straight stroke of its row,"""
_TALL_SLASH, _TALL_SLASH_LEAN = 1.5, 0.1  # or less if it is this tall;
_SUM_SLASH, _SUM_SLASH_LEAN = 0.85, 0.17  # beside operators it may be lower
_MIN_PARENTHESIS, _MIN_CLEAR_BOW = 0.85, 0.115
"""A parenthesis is at least this tall, in heights of a digit, and bends by this share of its own"""
_TALL_PARENTHESIS, _MIN_BOW = 1.25, 0.07  # or less if it is this tall
_MAX_BOW_WIDTH = 0.5  # the width of a parenthesis, as a share of its height
_MAX_FLAT = 2.2  # a bow is at most this many pens wide in any row of pixels
_PIXELS = 400  # of a mark, from which its strokes are found


def find_signs(
    parts: Components, marks: Index, sure: Array, bars: Mask, pens: Array, typical: float
) -> list[str]:
    """What sign each mark of a row is: ``+``, ``*``, ``-``, ``/``, ``(``, ``)``, or "" if none.

    Args:
        parts: all n marks of the page.
        marks: the numbers of those of the row, from the left.
        sure: (n,), how sure the reader is that each is a digit, 0..1.
        bars: (n,), which are straight strokes.
        pens: (n,), the width of each mark's strokes in pixels.
        typical: the height of a digit of the row, in pixels.
    """
    boxes = parts.boxes[marks]
    masks = [
        parts.labels[t:b, left:r] == n for n, (t, left, b, r) in zip(marks, boxes, strict=True)
    ]
    found = []
    for n, box, mask in zip(marks, boxes, masks, strict=True):
        tall, wide = (box[2] - box[0]) / typical, (box[3] - box[1]) / typical
        sign = ""
        if wide >= _DASH_ASPECT * tall and tall <= _MAX_DASH_HEIGHT and wide <= _MAX_DASH_WIDTH:
            sign = "-" if _beside_middle(box, boxes, sure[marks], typical) else ""
        elif _MIN_CROSS <= max(tall, wide) <= _MAX_CROSS and sure[n] < (
            _MAX_SURE if max(tall, wide) < _MAX_SMALL else _MAX_LARGE_SURE
        ):
            if _has_hole(mask):
                sign = ""
            elif is_cross(mask, float(pens[n])):
                sign = "+"
            elif max(tall, wide) <= _MAX_STAR and is_star(mask):
                sign = "*"
        if not sign and tall >= _MIN_PARENTHESIS and wide <= _MAX_BOW_WIDTH * tall:
            bow = _bow(mask, float(pens[n]))
            least = _MIN_BOW if tall >= _TALL_PARENTHESIS else _MIN_CLEAR_BOW
            sign = "" if abs(bow) < least else "(" if bow < 0 else ")"
        found.append(sign)
    return _with_slashes(found, boxes, masks, bars[marks], typical)


def _with_slashes(
    found: list[str], boxes: Index, masks: list[Mask], bars: Mask, typical: float
) -> list[str]:
    """The signs, with slashes among the straight strokes; beside operators, they may be lower."""
    leans = np.array(
        [_lean(mask) if bar else np.nan for mask, bar in zip(masks, bars, strict=True)]
    )
    upright = float(np.nanmin(np.abs(leans), initial=np.inf)) if bars.any() else 0.0
    is_sum = any(sign in ("+", "*", "-") for sign in found)
    signs = []
    for sign, lean, box in zip(found, leans, boxes, strict=True):
        tall = (box[2] - box[0]) / typical
        further = lean - (upright if len(leans[bars]) > 1 else 0.0)
        is_slash = bool(
            (tall >= _MIN_SLASH and further >= _MIN_SLASH_LEAN)
            or (tall >= _TALL_SLASH and lean >= _TALL_SLASH_LEAN)
            or (is_sum and tall >= _SUM_SLASH and further >= _SUM_SLASH_LEAN)
        )
        signs.append(sign or ("/" if is_slash else ""))
    return signs


def _beside_middle(box: Index, boxes: Index, sure: Array, typical: float) -> bool:
    """Whether a level stroke lies at half the height of the nearest digit to its left or right."""
    digits = boxes[sure > 0.5]
    if len(digits) == 0:
        return False
    away = np.maximum(digits[:, 1] - box[3], box[1] - digits[:, 3])
    if (away < 0).any():
        return False  # above or below a digit, as the bar of a 5 that came apart
    nearest = digits[np.argsort(away)[:2]]
    off = np.abs((nearest[:, 0] + nearest[:, 2]) - (box[0] + box[2])) / 2
    return bool(off.min() <= _MAX_DASH_OFF * typical)


def _points(mask: Mask) -> Array:
    """Places of a mark's pixels (n, 2), down and right from their mean; some if there are many."""
    places = np.argwhere(mask).astype(np.float32)
    places = places[:: max(1, len(places) // _PIXELS)]
    return np.asarray(places - places.mean(0), np.float32)


def _has_hole(mask: Mask) -> bool:
    """Whether a mark encloses paper: more than one pixel of it."""
    paper = find_components(~np.pad(mask, 1))
    return bool(np.count_nonzero(paper.count(paper.labels >= 0) > 1) > 1)


def is_cross(mask: Mask, pen: float) -> bool:
    """Whether a mark (h, w) is two straight strokes that cross near the middle of both.

    ``pen`` is the width of its strokes in pixels.
    """
    points = _points(mask)
    if len(points) < 8:
        return False
    angles = np.arange(_ANGLES) * np.pi / _ANGLES
    along = points @ np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32)  # (n, angles)
    across = points @ np.stack([-np.sin(angles), np.cos(angles)]).astype(np.float32)
    half = 0.6 * pen + 0.9
    bands = [_fullest(across[:, k], 2 * half) for k in range(_ANGLES)]
    masses = np.array([band[1] for band in bands])
    first = int(masses.argmax())
    apart = np.abs((np.arange(_ANGLES) - first + _ANGLES // 2) % _ANGLES - _ANGLES // 2)
    rest = np.abs(across[:, first] - bands[first][0]) > half
    far = np.flatnonzero(apart * 180 / _ANGLES >= _MIN_CROSSING)
    lines = [(k, *_fullest(across[:, k], 2 * half, rest)) for k in far]
    second, middle, _ = max(lines, key=lambda line: line[2])
    on_first, on_second = ~rest, np.abs(across[:, second] - middle) <= half
    if np.mean(on_first | on_second) < _MIN_CROSS_COVER:
        return False
    lengths = []
    for own, angle, other in ((on_first, first, on_second), (on_second, second, on_first)):
        places, both = along[own, angle], along[own & other, angle]
        if len(both) == 0:
            return False
        start, end = float(places.min()), float(places.max())
        lengths.append(max(end - start, 1e-3))
        if abs(float(both.mean()) - (start + end) / 2) > _MAX_OFF_MIDDLE * lengths[-1]:
            return False
    return min(lengths) >= max(_MIN_STROKE * max(lengths), _MIN_SLIM * pen)


def _fullest(across: Array, width: float, counted: Mask | None = None) -> tuple[float, int]:
    """The middle of the band of this width that holds the most points, and how many it holds."""
    order = np.sort(across if counted is None else across[counted])
    if len(order) == 0:
        return 0.0, 0
    counts = np.searchsorted(order, order + width, side="right") - np.arange(len(order))
    best = int(counts.argmax())
    held = order[best : best + counts[best]]
    return float(held[0] + held[-1]) / 2, int(counts[best])


def is_star(mask: Mask) -> bool:
    """Whether at least five arms lead from the middle of a mark (h, w) to all sides."""
    points = np.argwhere(mask)
    middle = points.mean(0)
    reach = float(np.quantile(np.hypot(*(points - middle).T), 0.95))
    angles = np.arange(72) * 2 * np.pi / 72
    circle = np.stack([np.sin(angles), np.cos(angles)], -1)
    limits = np.array(mask.shape) - 1

    def ring(share: float) -> Mask:
        places = np.rint(middle + share * reach * circle).astype(int)
        return np.asarray(mask[tuple(places.clip(0, limits).T)])

    arms = [np.count_nonzero(own & ~np.roll(own, 1)) for own in map(ring, _RINGS)]
    return bool(max(arms) >= _MIN_ARMS and ring(_CORE).mean() > _MIN_CORE)


def _lean(mask: Mask) -> float:
    """By how much of its height a straight stroke leans to the right."""
    points = _points(mask)
    down, right = points.T
    return float(-(down @ right) / max(float(down @ down), 1e-3))


def _bow(mask: Mask, pen: float) -> float:
    """By how much of its height a single upright stroke bends to the right; 0 if it is not one."""
    widths = mask.sum(1)
    if (widths == 0).any() or widths.max() > _MAX_FLAT * pen + 1:
        return 0.0
    middles = (mask * np.arange(mask.shape[1])).sum(1) / widths
    height = len(middles)
    chord = np.linspace(middles[:3].mean(), middles[-3:].mean(), height)
    off = middles - chord
    third = off[height // 3 : height - height // 3]
    if np.abs(third.mean()) < 0.7 * np.abs(off).max():
        return 0.0  # it bends both ways, or only at one end, as the flag of a 1
    return float(third.mean()) / height
