"""Which way up a page lies, by how its marks look to the reader when they are turned."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tinymnist.imaging.page.lattice import Row
from tinymnist.imaging.page.segment import Confidence
from tinymnist.imaging.picture.pixels import Array

Likelihoods = npt.NDArray[np.float64]
"""(2, 4), for each turn: the mean log of the sureness of all marks, and how many are surely so."""
ENOUGH_MARKS = 8
"""If a page's grids hold at least this many digits, they alone say how the page lies."""
_MOST_MARKS = 96  # as many marks of a page are turned
_FEWEST_MARKS = 4  # with fewer, a page stays as it is: a 6 may be a 9
_DOUBT = -0.3  # the mean log of the sureness below which a page may be turned
_SURE = 0.9  # the sureness of a mark that is surely a digit
_LEAST_SURE = 0.02  # surenesses below count as this, so that no mark decides alone
_MIN_GAIN, _MIN_MEAN_GAIN = 3.0, 0.15
"""The gain in the log of the sureness, of all marks together and in the mean of one, from which on
a page is turned."""


def whole_marks(rows: list[Row]) -> Array:
    """The candidates that are whole marks, in MNIST's form: (n, 28, 28), at most 96 of them.

    Those smaller than half a digit are left out. Its size is the median in which each counts by its
    square.
    """
    found = []
    for row in rows:
        cuts = np.append(row.cuts, 0)
        found += [one for one in row.candidates if cuts[one.first] == cuts[one.last] == 0]
    if not found:
        return np.zeros((0, 28, 28), np.float32)
    boxes = np.array([one.box for one in found])
    sizes = (boxes[:, 2:] - boxes[:, :2]).max(1)
    order = np.argsort(sizes)
    weights = np.cumsum(sizes[order].astype(float) ** 2)
    usual = sizes[order][np.searchsorted(weights, weights[-1] / 2)]
    images = [one.image for one, size in zip(found, sizes, strict=True) if size >= usual / 2]
    return np.stack(images[:: -(-len(images) // _MOST_MARKS)])


def likelihoods(images: Array, confidence: Confidence) -> Likelihoods:
    """How much images (n, 28, 28), turned by 0 to 3 quarters, look like digits."""
    if len(images) == 0:
        return np.stack([np.full(4, math.log(_LEAST_SURE)), np.zeros(4)])
    turned = np.concatenate([np.rot90(images, turns, (1, 2)) for turns in range(4)])
    sureness = np.maximum(confidence(turned).astype(np.float64), _LEAST_SURE).reshape(4, -1)
    return np.stack([np.log(sureness).mean(1), np.sum(sureness > _SURE, axis=1)])


def is_in_doubt(own: Likelihoods) -> bool:
    """Whether marks with these likelihoods look so little like digits that a page may lie."""
    return bool(own[0, 0] < _DOUBT)


def combined(own: Likelihoods, lying: Likelihoods) -> Likelihoods:
    """The larger likelihood of each turn, of a page and of the same page turned by a quarter.

    Marks that follow each other downwards are not the same as those that follow each other to the
    right: halves of a digit are joined.
    """
    ways = own.copy()
    ways[:, [1, 3]] = np.maximum(own[:, [1, 3]], lying[:, [0, 2]])
    return ways


def best_turn(likelihoods: Likelihoods, count: int) -> int:
    """By how many quarters of a circle to the left a page must be turned to stand upright: 0 to 3.

    ``likelihoods`` are those of ``count`` marks.
    """
    means, sure = likelihoods
    best = int(np.argmax(means))
    gain = float(means[best] - means[0])
    least = max(_MIN_MEAN_GAIN, _MIN_GAIN / max(count, 1))
    return best if count >= _FEWEST_MARKS and gain >= least and sure[best] > sure[0] else 0


def turn_back(
    box: tuple[int, int, int, int], turns: int, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """A box on a page turned to the left by some quarters, on the page as it was.

    The box is left, top, right, bottom; ``size`` is (height, width) of the page as it was.
    """
    for before in reversed(range(turns)):
        width = size[0] if before % 2 else size[1]  # before this turn
        left, top, right, bottom = box
        box = width - bottom, left, width - top, right
    return box
