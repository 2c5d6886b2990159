"""Where the ink of a picture lies."""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.components import Mask


def bounds(inked: Mask) -> tuple[slice, slice]:
    """Find the rows and columns of the smallest box that holds all that is True in an (h, w) mask.

    Both are empty where nothing is True. ``ink[bounds(ink > 0.5)]`` cuts the box out.
    """
    rows, columns = (np.flatnonzero(inked.any(axis)) for axis in (1, 0))
    if rows.size == 0:
        return slice(0), slice(0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
