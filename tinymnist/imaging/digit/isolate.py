"""The digit's own ink: clear of paper, of specks, and of whatever else is in the picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinymnist.errors import InputError
from tinymnist.imaging.digit.components import (
    Components,
    Index,
    Mask,
    count_components,
    find_components,
    gaps_between,
    surrounding_box,
    touches_frame,
)
from tinymnist.imaging.digit.filters import maximum
from tinymnist.imaging.digit.rules import has_sides
from tinymnist.imaging.picture.otsu import OtsuSplit, split_at_otsu
from tinymnist.imaging.picture.pixels import Array

_SOFT = (0.25, 0.75)
"""Between paper (0) and ink (1), soft edges begin at the first and full ink at the second."""
_MAX_DEPTH_OF_MARGIN = 0.2  # of what lies along the frame, as a share of the picture's side
_MIN_INK_TO_MARGIN = 0.1  # with less ink elsewhere, the digit is lighter than the margin
_MIN_MASS = 0.02  # components with less ink than this share of the main one's are specks
_MAX_FRAGMENT_GAP = 0.25  # from a fragment to its digit, as a share of the digit's longer side
_CROWD = 100  # with more components, a picture is only grain, unless the main one has
_MIN_SHARE_IN_CROWD = 0.05  # this share of the ink

MOST_MARKS = 6
"""Marks that are looked at one by one."""
_MIN_MARK_MASS = 0.2  # of a mark that may be a digit of its own, as a share of the main one's
_MIN_MARK_HEIGHT = 0.55
_MAX_OVERLAP = 0.25  # of the rows, or of the columns, of two marks beside each other

_MOST_ENCLOSURES = 3  # the marks with the most ink, one of which may be drawn around the digit
_MIN_ENCLOSED = 0.28  # what is enclosed is at least this share of the enclosure's height tall
_MAX_INK_BETWEEN = 0.02  # the share of the enclosure's own ink in the box of what it encloses
_SLIMMEST_RING = 0.85  # width to height; a slimmer one may be a 0 with a stroke in it


class NoDigitFound(InputError):
    """The picture is blank, or its content cannot be a digit."""


def no_digit_error() -> NoDigitFound:
    """Make the error for a picture without ink."""
    return NoDigitFound("no digit found: the picture is blank")


def threshold(split: OtsuSplit) -> Array:
    """Clear the paper to 0, fill the ink to 1, and keep the edges between them soft: (h, w).

    Raises NoDigitFound if ink and paper are too much alike.
    """
    if not split.stands_out:  # a black picture is all ink
        raise no_digit_error()
    margin = _margin(split.is_above)
    if margin.any() and (split.is_above & ~margin).sum() < _MIN_INK_TO_MARGIN * margin.sum():
        covered = maximum(margin.astype(np.float32), 1) > 0
        return threshold(split_at_otsu(np.where(covered, np.float32(0), split.picture)))
    paper, full = split.medians
    low, high = paper + (full - paper) * _SOFT[0], paper + (full - paper) * _SOFT[1]
    clear = split.picture - low
    clear /= high - low
    return clear.clip(0, 1, out=clear)


def _margin(ink: Mask) -> Mask:
    """The components along the frame that reach only a little into the picture: a table's edge.

    If they are darker than the digit, Otsu's level leaves no other ink.
    """
    if not touches_frame(ink):
        return np.zeros_like(ink)
    parts = find_components(ink)
    first, last, sides = parts.boxes[:, :2], parts.boxes[:, 2:], np.array(ink.shape)
    depth = np.floor(_MAX_DEPTH_OF_MARGIN * sides)
    before = (first == 0) & (last <= depth)
    after = (last == sides) & (first >= sides - depth)
    return parts.pixels((before | after).any(1))


class Isolated(NamedTuple):
    """A digit's own ink, and what it was found among.

    Attributes:
        picture: (h, w), the digit alone.
        parts: the components of all ink; None if there is only one.
        mass: (n,), the ink of each component; 0 for those drawn around others.
        at_frame: (n,), the share of the picture's frame that each covers.
    """

    picture: Array
    parts: Components | None = None
    mass: Array = np.zeros(0, np.float32)
    at_frame: Array = np.zeros(0, np.float32)


def isolate_digit(ink: Array) -> Isolated:
    """Drop from ink (h, w) specks, fragments of the frame and anything else apart from the digit.

    A circle or a box drawn around it is dropped as well.

    Raises NoDigitFound if nothing is left.
    """
    mask = ink > 0
    if (count := count_components(mask)) < 2:
        if count == 0:
            raise no_digit_error()
        return Isolated(ink)
    parts = find_components(mask)
    labels = parts.labels.ravel()
    has_label = labels >= 0
    masses = np.bincount(labels.compress(has_label), ink.ravel().compress(has_label))
    mass = masses.astype(np.float32)
    mass[_enclosures(parts, mass)] = 0
    at_frame = _share_of_frame(parts)
    main = int(np.argmax(mass * (1 - at_frame) ** 8))
    candidates = (mass >= _MIN_MASS * mass[main]) & ((at_frame == 0) | (at_frame[main] > 0))
    if len(mass) > _CROWD and mass[main] < _MIN_SHARE_IN_CROWD * mass.sum():
        raise NoDigitFound(f"no digit found: nothing stands out among {len(mass)} marks")
    digit: Array = ink * parts.pixels(_gather(parts.boxes, main, candidates))
    return Isolated(digit, parts, mass, at_frame)


def separate_marks(ink: Array, found: Isolated) -> list[Array]:
    """Find marks beside each other, each as tall as a digit, in the ink (h, w) of a picture.

    Args:
        ink: what :func:`isolate_digit` took.
        found: what it returned.

    Returns:
        The ink of each, at most ``MOST_MARKS``; none if there are not two of them.
    """
    parts, mass = found.parts, np.where(found.at_frame > 0, 0, found.mass)
    if parts is None or not mass.any():
        return []
    boxes, main = parts.boxes, int(np.argmax(mass))
    heights = boxes[:, 2] - boxes[:, 0]
    is_tall = (mass >= _MIN_MARK_MASS * mass[main]) & (heights >= _MIN_MARK_HEIGHT * heights[main])
    tall = np.flatnonzero(is_tall)
    if not 1 < len(tall) <= _CROWD:
        return []
    group = np.arange(len(tall))  # strokes of one digit lie across each other
    for i, j in zip(*np.nonzero(_overlap(boxes[tall])), strict=True):
        group[group == group[j]] = group[i]
    groups = [tall[group == number] for number in np.unique(group)]
    if len(groups) < 2:
        return []
    chosen = np.zeros((min(len(groups), MOST_MARKS), len(boxes)), bool)
    for row, members in zip(chosen, groups, strict=False):
        row[members] = True
    marks = [ink * parts.pixels(row) for row in chosen]
    return [mark for mark in marks if mark.max() > 0.5]


def _enclosures(parts: Components, mass: Array) -> Mask:
    """Mark the components (n,), each with its ink, that are drawn around others.

    There is hardly any ink of their own among what they enclose.
    """
    boxes, found = parts.boxes, np.zeros(len(parts.boxes), bool)
    heights = boxes[:, 2] - boxes[:, 0]
    for one in np.argsort(-mass)[:_MOST_ENCLOSURES]:
        within = (boxes[:, :2] > boxes[one, :2]).all(1) & (boxes[:, 2:] < boxes[one, 2:]).all(1)
        within &= heights >= _MIN_ENCLOSED * heights[one]
        if within.any():
            top, left, bottom, right = surrounding_box(boxes[within])
            between = float((parts.labels[top:bottom, left:right] == one).mean())
            found[one] = between <= _MAX_INK_BETWEEN and _is_frame(parts, int(one))
    return found


def _is_frame(parts: Components, one: int) -> bool:
    """Whether a component that surrounds others is a ring or a box, rather than a slim 0."""
    top, left, bottom, right = parts.boxes[one]
    if right - left >= _SLIMMEST_RING * (bottom - top):
        return True
    return has_sides(parts.labels[top:bottom, left:right] == one)


def _overlap(boxes: Index) -> Mask:
    """Which boxes (n, 4) share much of their rows and of their columns: (n, n)."""
    starts = np.maximum(boxes[:, None, :2], boxes[:, :2])
    shared = np.minimum(boxes[:, None, 2:], boxes[:, 2:]) - starts
    sides = boxes[:, 2:] - boxes[:, :2]
    overlap: Mask = (shared > _MAX_OVERLAP * np.minimum(sides[:, None], sides)).all(2)
    return overlap


def _share_of_frame(parts: Components) -> Array:
    """What share of the picture's frame each component covers: (n,)."""
    labels = parts.labels
    frame = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    counts = np.bincount(frame[frame >= 0], minlength=len(parts.boxes))
    return (counts / frame.size).astype(np.float32)


def _gather(boxes: Index, main: int, candidates: Mask) -> Mask:
    """The main component, and candidates that lie near it or near one gathered before: (n,)."""
    kept: Mask = np.arange(len(boxes)) == main
    while True:
        box = surrounding_box(boxes[kept])
        reach = _MAX_FRAGMENT_GAP * max(box[2] - box[0], box[3] - box[1])
        near = kept | candidates & (gaps_between(boxes, box) <= reach)
        if np.array_equal(near, kept):
            return kept
        kept = near
