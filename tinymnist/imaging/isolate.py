"""The digit's own ink: clear of paper, of specks, and of whatever else is in the picture."""

from __future__ import annotations

import numpy as np

from tinymnist.errors import InputError
from tinymnist.imaging.components import Components, Index, Mask, find_components
from tinymnist.imaging.paper import median, otsu, sample
from tinymnist.imaging.pixels import Array

_FAINTEST = 0.06
"""Ink that takes away less of the paper's light is no ink."""
_SOFT = (0.25, 0.75)
"""Where, between paper (0) and ink (1), a soft edge begins and where it is full ink."""
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
    level, _ = otsu(ink)
    inked = ink > level
    if inked.all() or not inked.any():  # a black picture is all ink
        raise blank()
    around = sample(ink[~inked])
    paper, full = median(around), median(sample(ink[inked]))
    if full - paper < max(_FAINTEST, 4 * _noise(around)):
        raise blank()
    low, high = (paper + (full - paper) * share for share in _SOFT)
    clear: Array = np.clip((ink - low) / (high - low), 0, 1)
    return clear


def keep_digit(ink: Array) -> Array:
    """Drop specks, fragments of the frame and whatever else lies apart from the digit.

    Raises:
        NoDigitFound: when nothing is left.
    """
    parts = find_components(ink > 0)
    if len(parts.boxes) == 0:
        raise blank()
    mass = np.bincount(parts.labels[parts.labels >= 0], ink[parts.labels >= 0])
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


def _noise(paper: Array) -> float:
    """The standard deviation of noise, by the median, which strokes and shadows do not move."""
    return 1.4826 * median(np.abs(paper - np.float32(median(paper))))


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
