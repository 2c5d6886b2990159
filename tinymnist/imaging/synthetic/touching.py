"""Digits cut from a neighbour that they touched, as a page's rows are cut (:mod:`..page.pieces`).

A cut leaves a stub of the neighbour or takes a bite, which no digit written alone has.
"""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.components import Mask, bounds
from tinymnist.imaging.digit.filters import resize
from tinymnist.imaging.digit.frame import BOX, SIDE, centre, fit_box
from tinymnist.imaging.page.pieces import seams_of
from tinymnist.imaging.picture.pixels import Array

_SCALE = 3  # a page's digits are larger than MNIST's
_DEEPEST = 4  # pixels of MNIST's by which two digits overlap where they are closest
_INK = 0.3
_MAX_WRONG = 0.15  # a cut may give the neighbour, or take from it, this share of the digit's ink


def cut_from_neighbour(neighbours: Array, digit: Array, rng: np.random.Generator) -> Array:
    """Write a digit (28, 28) so that it touches one of (n, 28, 28), and cut it off again.

    The best cut is taken; the digit itself is returned if there is no good one.
    """
    other = neighbours[rng.integers(len(neighbours))]
    is_left = bool(rng.random() < 0.5)
    first, second = (digit, other) if is_left else (other, digit)
    own, all_ink = _side_by_side(first, second, is_left, rng)
    mask = all_ink > 0.5
    best, least = None, int(_MAX_WRONG * np.count_nonzero(own))
    for seam in seams_of(mask, BOX * _SCALE):
        before = np.arange(mask.shape[1]) < seam[:, None]
        kept = before if is_left else ~before
        wrong = int(np.count_nonzero(mask & (kept != own)))
        if wrong < least:
            best, least = kept, wrong
    if best is None:
        return digit
    piece: Array = all_ink * best
    return centre(fit_box(piece[bounds(piece > _INK)]))


def _side_by_side(
    first: Array, second: Array, is_left: bool, rng: np.random.Generator
) -> tuple[Mask, Array]:
    """Which pixels (h, w) are the digit's own, and all ink, of two digits that touch."""
    cut = [digit[bounds(digit > _INK)] for digit in (first, second)]
    high, wide = 2 * SIDE, 3 * SIDE
    layers = np.zeros((2, high, wide), np.float32)
    tops = [SIDE - len(digit) // 2 + int(rng.integers(-2, 3)) for digit in cut]
    layers[0, tops[0] : tops[0] + len(cut[0]), 1 : 1 + cut[0].shape[1]] = cut[0]
    ends = [np.flatnonzero(row > _INK)[-1] if (row > _INK).any() else -1 for row in layers[0]]
    starts = [np.flatnonzero(row > _INK)[0] if (row > _INK).any() else wide for row in cut[1]]
    reach = [end - start for end, start in zip(ends[tops[1] :], starts, strict=False) if end >= 0]
    place = max(1, max(reach, default=0) + 1 - int(rng.integers(1, _DEEPEST + 1)))
    place = min(place, wide - cut[1].shape[1])
    layers[1, tops[1] : tops[1] + len(cut[1]), place : place + cut[1].shape[1]] = cut[1]
    used = bounds(layers.max(0) > _INK)
    large = [
        np.clip(resize(layer[used], tuple(_SCALE * side for side in layer[used].shape)), 0, 1)
        for layer in layers
    ]
    ink = np.maximum(*large)
    own = (large[0] >= large[1]) == is_left
    return own & (ink > 0.5), ink
