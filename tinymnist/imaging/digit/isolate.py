"""The digit's own ink: clear of paper, of specks, and of whatever else is in the picture."""

from __future__ import annotations

import numpy as np

from tinymnist.errors import InputError
from tinymnist.imaging.digit.components import Components, Index, Mask, find_components
from tinymnist.imaging.digit.filters import maximum
from tinymnist.imaging.digit.paper import part, stands_out
from tinymnist.imaging.picture.pixels import Array

_SOFT = (0.25, 0.75)
"""Where, between paper (0) and ink (1), a soft edge begins and where it is full ink."""
_MARGIN = 0.2
"""How far into the picture, as a share of its side, what lies along its frame may reach."""
_HARDLY = 0.1
"""And if there is less than this share of other ink, the digit is lighter than what lies there."""
_SPECK = 0.02
_FRAGMENT_GAP = 0.25
_CROWD = 100
"""Among so many marks, the largest must hold this share of the ink, or there is but grain:"""
_LEAST_SHARE = 0.05


class NoDigitFound(InputError):
    """The picture is blank, or what is on it cannot be a digit."""


def threshold(ink: Array) -> Array:
    """Clear the paper and fill the ink, and leave the edges between them soft.

    Raises:
        NoDigitFound: when ink and paper are too much alike.
    """
    parting = part(ink)
    if not stands_out(parting):  # a black picture is all ink
        raise blank()
    inked = parting.is_above
    aside = _marginal(inked)
    if aside.any() and (inked & ~aside).sum() < _HARDLY * aside.sum():
        return threshold(np.where(maximum(aside.astype(np.float32), 1) > 0, np.float32(0), ink))
    paper, full = parting.medians
    low, high = (paper + (full - paper) * share for share in _SOFT)
    clear: Array = np.clip((ink - low) / (high - low), 0, 1)
    return clear


def _marginal(inked: Mask) -> Mask:
    """What lies along the frame and reaches not far into the picture, as a table's edge does.

    Where it is darker than the digit, it would be all the ink that there is.
    """
    if not (inked[0].any() or inked[-1].any() or inked[:, 0].any() or inked[:, -1].any()):
        return np.zeros_like(inked)
    parts = find_components(inked)
    sides = np.array(inked.shape)
    first, last = parts.boxes[:, :2], parts.boxes[:, 2:]
    shallow = np.floor(_MARGIN * sides)
    before = (first == 0) & (last <= shallow)
    after = (last == sides) & (first >= sides - shallow)
    lies_there = np.append((before | after).any(1), False)  # label -1 is the paper
    found: Mask = lies_there[parts.labels]
    return found


def keep_digit(ink: Array) -> Array:
    """Drop specks, fragments of the frame and whatever else lies apart from the digit.

    Raises:
        NoDigitFound: when nothing is left.
    """
    parts = find_components(ink > 0)
    if len(parts.boxes) == 0:
        raise blank()
    if len(parts.boxes) == 1:
        return ink
    labels = parts.labels.ravel()
    has_label = labels >= 0
    mass = np.bincount(labels.compress(has_label), ink.ravel().compress(has_label))
    at_frame = _share_of_frame(parts)
    main = int(np.argmax(mass * (1 - at_frame) ** 8))
    candidates = (mass >= _SPECK * mass[main]) & ((at_frame == 0) | (at_frame[main] > 0))
    if len(mass) > _CROWD and mass[main] < _LEAST_SHARE * mass.sum():
        raise NoDigitFound(f"no digit found: nothing stands out among {len(mass)} marks")
    kept = np.append(_gather(parts.boxes, main, candidates), False)  # label -1 is the paper
    digit: Array = ink * kept[parts.labels]
    return digit


def blank() -> NoDigitFound:
    """The error of a picture without ink."""
    return NoDigitFound("no digit found: the picture is blank")


def _share_of_frame(parts: Components) -> Array:
    """What share of the picture's frame each component covers."""
    labels = parts.labels
    frame = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    counts = np.bincount(frame[frame >= 0], minlength=len(parts.boxes))
    return (counts / frame.size).astype(np.float32)


def _gather(boxes: Index, main: int, candidates: Mask) -> Mask:
    """The main component and those that lie near it, or near what was gathered before."""
    kept: Mask = np.arange(len(boxes)) == main
    while True:
        box = np.concatenate([boxes[kept, :2].min(0), boxes[kept, 2:].max(0)])
        reach = _FRAGMENT_GAP * max(box[2] - box[0], box[3] - box[1])
        gap = np.maximum(boxes[:, :2] - box[2:], box[:2] - boxes[:, 2:]).max(1)
        near = kept | candidates & (gap <= reach)
        if np.array_equal(near, kept):
            return kept
        kept = near
