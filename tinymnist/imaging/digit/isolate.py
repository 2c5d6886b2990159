"""The digit's own ink: clear of paper, of specks, and of whatever else is in the picture."""

from __future__ import annotations

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
from tinymnist.imaging.digit.paper import stands_out
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


class NoDigitFound(InputError):
    """The picture is blank, or its content cannot be a digit."""


def no_digit_error() -> NoDigitFound:
    """Make the error for a picture without ink."""
    return NoDigitFound("no digit found: the picture is blank")


def threshold(split: OtsuSplit) -> Array:
    """Clear the paper to 0, fill the ink to 1, and keep the edges between them soft: (h, w).

    Raises NoDigitFound if ink and paper are too much alike.
    """
    if not stands_out(split):  # a black picture is all ink
        raise no_digit_error()
    margin = _margin(split.is_above)
    if margin.any() and (split.is_above & ~margin).sum() < _MIN_INK_TO_MARGIN * margin.sum():
        covered = maximum(margin.astype(np.float32), 1) > 0
        return threshold(split_at_otsu(np.where(covered, np.float32(0), split.picture)))
    paper, full = split.medians
    low, high = paper + (full - paper) * _SOFT[0], paper + (full - paper) * _SOFT[1]
    clear: Array = np.clip((split.picture - low) / (high - low), 0, 1)
    return clear


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


def keep_digit(ink: Array) -> Array:
    """Drop from ink (h, w) specks, fragments of the frame and anything else apart from the digit.

    Raises NoDigitFound if nothing is left.
    """
    mask = ink > 0
    if (count := count_components(mask)) < 2:
        if count == 0:
            raise no_digit_error()
        return ink
    parts = find_components(mask)
    labels = parts.labels.ravel()
    has_label = labels >= 0
    mass = np.bincount(labels.compress(has_label), ink.ravel().compress(has_label))
    at_frame = _share_of_frame(parts)
    main = int(np.argmax(mass * (1 - at_frame) ** 8))
    candidates = (mass >= _MIN_MASS * mass[main]) & ((at_frame == 0) | (at_frame[main] > 0))
    if len(mass) > _CROWD and mass[main] < _MIN_SHARE_IN_CROWD * mass.sum():
        raise NoDigitFound(f"no digit found: nothing stands out among {len(mass)} marks")
    digit: Array = ink * parts.pixels(_gather(parts.boxes, main, candidates))
    return digit


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
