"""The middle line of strokes: what a pen drew, without its width."""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.components import Mask

_AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
"""The eight neighbours, (down, right), clockwise from the one above: P2 to P9 in the paper."""


def skeleton(mask: Mask) -> Mask:
    """Peel strokes from both sides until they are a pixel wide; none of them breaks.

    T. Y. Zhang and C. Y. Suen, "A fast parallel algorithm for thinning digital patterns", CACM 27
    (1984).

    Args:
        mask: (h, w), where there is ink.

    Returns:
        (h, w), a part of the mask.
    """
    thin = np.pad(mask, 1)
    while True:
        before = thin.sum()
        for peel in _PEELS:
            inside = thin[1:-1, 1:-1]
            inside &= ~peel[_neighbourhoods(thin)]
        if thin.sum() == before:
            return thin[1:-1, 1:-1]


def _neighbourhoods(padded: Mask) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """The neighbours of each pixel as the bits of a number."""
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    numbers = np.zeros((height, width), np.uint8)
    for bit, (down, right) in enumerate(_AROUND):
        near = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        numbers |= near.astype(np.uint8) << bit
    return numbers


def _peel(number: int, corners: tuple[tuple[int, int, int], ...]) -> bool:
    """Whether a pixel with these neighbours goes: an edge's, but no end's and no bridge's."""
    ring = [bool(number >> bit & 1) for bit in range(8)]
    rises = sum(not a and b for a, b in zip(ring, ring[1:] + ring[:1], strict=True))
    free = all(not all(ring[bit] for bit in corner) for corner in corners)
    return 2 <= sum(ring) <= 6 and rises == 1 and free


_PEELS = [
    np.array([_peel(number, corners) for number in range(256)])
    for corners in (((0, 2, 4), (2, 4, 6)), ((0, 2, 6), (0, 4, 6)))
]
"""The paper's two half steps: what goes at the south-east, and what at the north-west."""
