"""The marks on a page: components of its ink that may be digits or parts of them.

A box is (top, left, bottom, right) in pixels, bottom and right exclusive.
"""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.components import Components, Index, Mask, find_components
from tinymnist.imaging.page.tables import without_lines
from tinymnist.imaging.picture.pixels import Array

_MOST = 1000
"""So many marks, the largest, are looked at."""
_SPECK = 0.08
"""Marks smaller than this, in heights of a digit, are dust; so are those of a single pixel."""
_FULL = 0.8
"""Marks that cover this share of the page's width are lines; those of its height, nearly all."""
_SLIM = 0.3
"""Marks along the page's edge that are slimmer than this, width by length, are leftovers of it."""
_INSIDE = 0.4
"""A frame holds marks that are at least so tall, as a share of its own height."""
_BROKEN = 0.06
"""The largest gap between the halves of a broken digit, as a share of its height."""
_STRAIGHT = 1.05
"""The length of a straight stroke against its box's diagonal; most digits but 1 are longer."""
_CERTAIN, _LIKELY, _SEVERAL = 0.1, 0.04, 3
"""Marks that do not touch the page's edge tell a digit's height if one is taller than the first
share of the tallest mark, or so many are taller than the second: desks are taller than digits."""
_WHOLE, _FEW = 1.4, 4
"""Halves make a digit no taller than this, in heights of a digit, if there are more than so many
marks to tell that height from."""


def heights(boxes: Index) -> Index:
    """Of boxes (n, 4): (n,)."""
    return boxes[:, 2] - boxes[:, 0]


def widths(boxes: Index) -> Index:
    """Of boxes (n, 4): (n,)."""
    return boxes[:, 3] - boxes[:, 1]


def stroke_measures(parts: Components) -> tuple[Array, Array]:
    """The lengths and widths of each mark's strokes in pixels: (n,) each.

    A stroke is half as long as its outline, and its area tells the width.
    """
    labels = np.pad(parts.labels, 1, constant_values=-1)
    own = labels[1:-1, 1:-1]
    inner = (labels[:-2, 1:-1] == own) & (labels[2:, 1:-1] == own)
    inner &= (labels[1:-1, :-2] == own) & (labels[1:-1, 2:] == own)
    inked, count = own >= 0, len(parts.boxes)
    area = np.bincount(own[inked], minlength=count)
    outline = np.bincount(own[inked & ~inner], minlength=count)
    lengths = np.asarray(outline / 2, np.float32)
    return lengths, np.asarray(area / lengths, np.float32)


def bars(parts: Components, lengths: Array) -> Mask:
    """Which marks are straight strokes: hardly longer than from corner to corner, (n,)."""
    diagonals = np.hypot(heights(parts.boxes), widths(parts.boxes))
    straight: Mask = lengths <= _STRAIGHT * diagonals
    return straight


def find_marks(mask: Mask) -> Components:
    """Find the marks, without dust, frames, lines and leftovers of the page's edge.

    Args:
        mask: (h, w), where there is ink.

    Returns:
        The marks; none where there is nothing but dust.
    """
    parts = find_components(mask)
    parts = without_lines(parts, typical_height(parts.boxes, mask.shape))
    size = np.maximum(heights(parts.boxes), widths(parts.boxes))
    parts = parts.only(np.sort(np.argsort(-size, kind="stable")[:_MOST]))
    drawn = ~_frames(parts) & ~_lines(parts.boxes, mask.shape) & ~_at_edge(parts.boxes, mask.shape)
    parts = parts.only(np.flatnonzero(drawn))
    least = max(_SPECK * typical_height(parts.boxes, mask.shape), 2)
    size = np.maximum(heights(parts.boxes), widths(parts.boxes))
    return _mended(parts.only(np.flatnonzero(size >= least)))


def typical_height(boxes: Index, shape: tuple[int, ...]) -> float:
    """The height of a digit on this page: the median, in which each mark weighs its height squared.

    So ten digits outweigh a thousand specks. What touches the page's edge does not count, unless
    there is nothing else.

    Args:
        boxes: (n, 4).
        shape: of the page.

    Returns:
        Pixels; 0 where there is no mark.
    """
    if len(boxes) == 0:
        return 0.0
    tall = heights(boxes)
    counted = np.all((boxes[:, :2] > 0) & (boxes[:, 2:] < shape), axis=1)
    large = counted & (tall > _CERTAIN * tall.max())
    several = np.count_nonzero(counted & (tall > _LIKELY * tall.max())) >= _SEVERAL
    if not large.any() and not several:
        counted = np.ones(len(boxes), bool)
    order = np.argsort(tall * counted, kind="stable")
    weights = np.cumsum((tall.astype(float) ** 2 * counted)[order])
    return float(tall[order][np.searchsorted(weights, weights[-1] / 2)])


def _lines(boxes: Index, shape: tuple[int, ...]) -> Mask:
    tall, wide = heights(boxes), widths(boxes)
    across = (wide > _FULL * shape[1]) & (tall < wide / 8)
    along = (tall >= 0.98 * shape[0]) & (wide < tall / 8) & (len(boxes) > 1)
    lines: Mask = across | along
    return lines


def _at_edge(boxes: Index, shape: tuple[int, ...]) -> Mask:
    """Which marks are slim and lie along the page's edge, as what is left of a frame does."""
    tall, wide = heights(boxes), widths(boxes)
    touching = (boxes[:, :2] == 0) ^ (boxes[:, 2:] == shape)
    # What reaches across the whole page is a digit that fills it.
    along: Mask = touching[:, 0] & (tall < _SLIM * wide) | touching[:, 1] & (wide < _SLIM * tall)
    return along


def _frames(parts: Components) -> Mask:
    """Which marks are drawn around others that are not much smaller, as boxes in a form are."""
    top, left, bottom, right = parts.boxes.T
    inside = (top[:, None] < top) & (left[:, None] < left)
    inside &= (bottom[:, None] > bottom) & (right[:, None] > right)
    tall = heights(parts.boxes)
    inside &= tall > _INSIDE * tall[:, None]
    found = np.zeros(len(tall), bool)
    for outer, inner in np.argwhere(inside):
        found[outer] |= _surrounds(parts, int(outer), int(inner))
    return found


def _surrounds(parts: Components, outer: int, inner: int) -> bool:
    """Whether one mark has ink on all four sides of another, straight from its middle."""
    top, left, bottom, right = parts.boxes[inner]
    across = parts.labels[(top + bottom) // 2] == outer
    along = parts.labels[:, (left + right) // 2] == outer
    return bool(
        across[:left].any() and across[right:].any() and along[:top].any() and along[bottom:].any()
    )


def _mended(parts: Components) -> Components:
    """Halves of a digit that lie one above the other, hardly apart, become one mark."""
    typical = typical_height(parts.boxes, parts.labels.shape)
    few = np.count_nonzero(heights(parts.boxes) >= 0.5 * typical) <= _FEW
    limit = np.inf if few else _WHOLE * typical
    while True:
        top, left, bottom, right = parts.boxes.T
        whole = np.maximum(bottom[:, None], bottom) - np.minimum(top[:, None], top)
        gap = top - bottom[:, None]  # of the second below the first
        shared = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
        halves = (top > top[:, None]) & (gap <= _BROKEN * whole) & (whole <= limit)
        halves &= shared >= 0.5 * np.minimum(widths(parts.boxes)[:, None], widths(parts.boxes))
        halves &= np.minimum(heights(parts.boxes)[:, None], heights(parts.boxes)) >= 0.25 * whole
        pairs = np.argwhere(halves)
        if len(pairs) == 0:
            return parts
        parts = _joined(parts, *map(int, pairs[0]))


def _joined(parts: Components, first: int, second: int) -> Components:
    boxes = parts.boxes.copy()
    boxes[first, :2] = np.minimum(boxes[first, :2], boxes[second, :2])
    boxes[first, 2:] = np.maximum(boxes[first, 2:], boxes[second, 2:])
    labels = np.where(parts.labels == second, first, parts.labels)
    return Components(labels, boxes).only(np.delete(np.arange(len(boxes)), second))
