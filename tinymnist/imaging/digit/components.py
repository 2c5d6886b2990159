"""Connected components of a mask, without SciPy (whose import takes longer than reading a digit).

A component is found run by run: a run is a stretch of ink in one row, and runs of neighbouring
rows that touch, also at a corner, belong together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Components:
    """The components of a mask, numbered from 0.

    Attributes:
        labels: (h, w), the component's number, and -1 where there is none.
        boxes: (n, 4), each component's top, left, bottom, right; bottom and right are exclusive.
    """

    labels: Index
    boxes: Index

    def only(self, kept: Index) -> Components:
        """Those with the given numbers, in that order; what belonged to others is -1."""
        number = np.full(len(self.boxes) + 1, -1, np.intp)  # label -1 stays
        number[kept] = np.arange(len(kept))
        return Components(number[self.labels], self.boxes[kept])


def find_components(mask: Mask) -> Components:
    """Label the 8-connected components of a (h, w) mask."""
    height, width = mask.shape
    starts, ends = _runs(mask)
    component = _join(len(starts), *_touching(starts, ends, width + 2))
    labels = np.full(height * (width + 2) + 1, 0)  # changes at the runs' ends, then summed up
    labels[starts] = component + 1
    labels[ends] = -(component + 1)  # a blank pixel, so no run starts there
    labelled = np.cumsum(labels)[:-1].reshape(height, width + 2)[:, 1:-1] - 1
    return Components(labelled, _boxes(starts, ends, component, width + 2))


def _runs(mask: Mask) -> tuple[Index, Index]:
    """Flat start and (exclusive) end of every run, in rows widened by a blank on either side."""
    wide = np.zeros((mask.shape[0], mask.shape[1] + 2), bool)
    wide[:, 1:-1] = mask
    padded = wide.ravel()
    changes = np.flatnonzero(padded[1:] != padded[:-1]) + 1
    return changes[::2], changes[1::2]


def _touching(starts: Index, ends: Index, row: int) -> tuple[Index, Index]:
    """Pairs of runs, the second in the row below the first, that share a side or a corner."""
    first = np.searchsorted(ends, starts + row, side="left")  # the first that ends late enough
    last = np.searchsorted(starts, ends + row, side="right")  # past the last that starts in time
    count = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(starts)), count)
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return upper, np.repeat(first, count) + offset


def _join(n: int, upper: Index, lower: Index) -> Index:
    """Number the groups of n things that the pairs connect: the smallest member wins."""
    root = np.arange(n)
    while True:
        a, b = root[upper], root[lower]
        if np.array_equal(a, b):
            is_first = root == np.arange(n)
            return (np.cumsum(is_first) - 1)[root]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(root, root[root]):
            root = root[root]


def _boxes(starts: Index, ends: Index, component: Index, row: int) -> Index:
    n = int(component.max(initial=-1)) + 1
    boxes = np.tile(np.array([np.iinfo(np.intp).max] * 2 + [0] * 2, np.intp), (n, 1))
    down = starts // row
    np.minimum.at(boxes[:, 0], component, down)
    np.minimum.at(boxes[:, 1], component, starts - down * row - 1)
    np.maximum.at(boxes[:, 2], component, down + 1)
    np.maximum.at(boxes[:, 3], component, ends - down * row - 1)
    return boxes
