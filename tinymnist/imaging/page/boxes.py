"""Boxes of a form, closed all around: paper that lines enclose.

:mod:`tinymnist.imaging.page.grid` finds grids by their lines, which may be broken or end anywhere,
if they are long. The boxes of a comb, into which a form wants digits, are small but closed.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tinymnist.imaging.digit.components import Index, Mask, find_components, surrounding_box
from tinymnist.imaging.digit.filters import maximum
from tinymnist.imaging.page.grid import Lattice
from tinymnist.imaging.page.marks import heights, widths

_MIN_BOX, _MAX_BOX = 12, 0.2  # pixels of a box's shorter side; its share of the page
_MIN_STRAIGHT = 0.85  # the share of each of a box's sides that is straight
_MIN_TO_USUAL = 0.6  # boxes lower than this share of the usual height are holes of letters
_MAX_STEP, _MAX_BETWEEN, _MAX_WIDER = 0.25, 0.3, 3.0
"""From one box of a comb to the next: how far up or down and aside, in heights, and how much
wider or narrower, as the box of a 1 may be drawn."""
_MOST_BOXES = 1000  # the largest count
_MIN_COMB = 3  # boxes of a comb


def find_combs(mask: Mask, grids: list[Lattice]) -> list[Lattice]:
    """The grids of a page, with its combs: rows of boxes beside each other.

    Args:
        mask: (h, w), the page's ink.
        grids: those found by their lines. A single row of cells gives way to a comb there.
    """
    groups = [own for own in side_by_side(find_boxes(mask)) if len(own) >= _MIN_COMB]
    frames = np.array([surrounding_box(own) for own in groups]).reshape(-1, 4)
    combs = []
    for boxes, frame in zip(groups, frames, strict=True):
        comb = _lattice(boxes)
        in_table = any(grid.rows > 1 and comb.lies_on(grid) for grid in grids)
        if not in_table and not _are_stacked(frame, frames).any():
            grids = [grid for grid in grids if not comb.lies_on(grid)]
            combs.append(comb)
    return grids + combs


def _are_stacked(frame: Index, others: Index) -> Mask:
    """Which rows of boxes are next to another one, with only a line between: those of a table."""
    near = _MAX_BETWEEN * (frame[2] - frame[0])
    below, above = np.abs(others[:, 0] - frame[2]), np.abs(frame[0] - others[:, 2])
    beside = np.minimum(others[:, 3], frame[3]) > np.maximum(others[:, 1], frame[1])
    return np.asarray((np.minimum(below, above) <= near) & beside)


def _lattice(boxes: Index) -> Lattice:
    """The grid of a comb's boxes (n, 4), from the left; its lines are between them."""
    (top, left, bottom, right), last = boxes.astype(np.float64).T, len(boxes) - 1
    half = float(np.median(left[1:] - right[:-1])) / 2  # of a line's width
    corners = []
    for before, after in pairwise([0, *range(len(boxes)), last]):
        own = slice(before, after + 1)
        across = (right[before] + left[after]) / 2
        corners.append([(top[own].mean() - half, across), (bottom[own].mean() + half, across)])
    found = np.swapaxes(np.array(corners), 0, 1)  # (2, n + 1, 2)
    found[:, 0, 1], found[:, -1, 1] = left[0] - half, right[-1] + half
    return Lattice(found)


def find_boxes(lines: Mask, most: float = _MAX_BOX) -> Index:
    """The boxes (n, 4) of paper enclosed by lines (h, w) and nearly a rectangle each.

    ``most`` is the largest share of the picture that one may cover.
    """
    paper = find_components(maximum(lines.astype(np.float32), 1) <= 0)
    sides = np.stack([heights(paper.boxes), widths(paper.boxes)])
    fit = (sides.min(0) >= _MIN_BOX) & (sides.prod(0) <= most * lines.size)
    fit &= (paper.boxes[:, :2] > 0).all(1) & (paper.boxes[:, 2:] < lines.shape).all(1)
    largest = np.argsort(-(sides.min(0) * fit), kind="stable")[:_MOST_BOXES]
    kept = []
    for number in np.sort(largest[fit[largest]]):
        top, left, bottom, right = paper.boxes[number]
        own = paper.labels[top:bottom, left:right] == number
        edges = own[: len(own) // 8 + 2], own[-(len(own) // 8) - 2 :]
        sides_of = [edge.any(0).mean() for edge in edges]
        ends = own[:, : own.shape[1] // 8 + 2], own[:, -(own.shape[1] // 8) - 2 :]
        sides_of += [end.any(1).mean() for end in ends]
        if min(sides_of) >= _MIN_STRAIGHT:
            kept.append(paper.boxes[number])
    boxes: Index = np.array(kept, np.intp).reshape(-1, 4)
    holds = (boxes[:, None, :2] < boxes[:, :2]) & (boxes[:, None, 2:] > boxes[:, 2:])
    return np.asarray(boxes[~np.any(np.all(holds, axis=2), axis=1)])


def without_holes(boxes: Index) -> Index:
    """Those of the boxes (n, 4) that are large enough not to be the holes of letters."""
    if len(boxes) == 0:
        return boxes
    area = heights(boxes) * widths(boxes)  # the holes of letters are small
    order = np.argsort(heights(boxes))
    middle = np.searchsorted(np.cumsum(area[order]), area.sum() / 2)
    usual = heights(boxes)[order][middle]
    return np.asarray(boxes[heights(boxes) >= _MIN_TO_USUAL * usual])


def side_by_side(boxes: Index) -> list[Index]:
    """Boxes in groups: those of a comb follow each other with only a line between them."""
    groups: list[list[Index]] = []
    last = np.empty_like(boxes)  # of each group
    for box in boxes[np.argsort(boxes[:, 1], kind="stable")]:
        (tall, wide), ends = box[2:] - box[:2], last[: len(groups)]
        wider = _MAX_WIDER * widths(ends)
        fits = (abs(ends[:, ::2] - box[::2]) <= _MAX_STEP * tall).all(1)  # their tops and bottoms
        fits &= (wide <= wider) & (wider <= _MAX_WIDER**2 * wide)
        fits &= (box[1] - ends[:, 3] >= -2) & (box[1] - ends[:, 3] <= _MAX_BETWEEN * tall)
        number = int(fits.argmax()) if fits.any() else len(groups)
        groups += [[]] if number == len(groups) else []
        groups[number].append(box)
        last[number] = box
    found = [np.array(group) for group in groups]
    step = float(np.median([group[0][2] - group[0][0] for group in groups])) if groups else 1.0
    return sorted(found, key=lambda own: (round(own[0][0] / step), own[0][1]))
