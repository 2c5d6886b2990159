"""Edges for the corruption "canny edges", for many images at once.

J. Canny, "A Computational Approach to Edge Detection" (1986): smooth, differentiate, keep local
maxima along the gradient, and of these the lines that are strong somewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def canny(
    images: NDArray[np.float64], sigma: float = 1.0, low: float = 0.1, high: float = 0.2
) -> NDArray[np.bool_]:
    """Find edges one pixel wide.

    Args:
        images: (n, h, w) in 0..1.
        sigma: of the smoothing Gaussian, in pixels.
        low: minimum gradient of an edge pixel, in units of the Sobel filter, whose weights sum to
            4 on either side.
        high: minimum gradient that an edge must have somewhere.

    Returns:
        (n, h, w). Pixels at the border are never on an edge.
    """
    smooth = _smoothed(images, sigma)
    down, right = _sobel(smooth, 1), _sobel(smooth, 2)
    steepness = np.hypot(down, right)
    candidates = _is_ridge(steepness, down, right) & (steepness >= low)
    for axis in (1, 2):
        np.moveaxis(candidates, axis, 0)[[0, -1]] = False
    within = np.zeros((3, 3, 3), bool)
    within[1] = True  # eight neighbours, in the same image only
    labels, count = ndimage.label(candidates, within)
    strong = np.zeros(count + 1, bool)
    strong[labels[candidates & (steepness >= high)]] = True
    edges: NDArray[np.bool_] = strong[labels]
    return edges


def _smoothed(images: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """A Gaussian over the pixels inside the image."""
    sums = ndimage.gaussian_filter(images, (0, sigma, sigma), mode="constant")
    weights = ndimage.gaussian_filter(np.ones(images.shape[1:]), sigma, mode="constant")
    smooth: NDArray[np.float64] = sums / weights
    return smooth


def _sobel(x: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The difference along one axis of the images, smoothed along the other.

    SciPy's own would also smooth along the third axis, across images.
    """
    difference = ndimage.correlate1d(x, [-1, 0, 1], axis)
    sobel: NDArray[np.float64] = ndimage.correlate1d(difference, [1, 2, 1], 3 - axis)
    return sobel


def _is_ridge(
    steepness: NDArray[np.float64], down: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether a pixel is at least as steep as one step up and down its gradient.

    The step ends between a straight and a diagonal neighbour, which are interpolated.
    """
    rows, columns = np.abs(down), np.abs(right)
    longer = np.maximum(rows, columns)
    diagonal = np.minimum(rows, columns) / np.where(longer > 0, longer, 1)
    i, j = (np.where(part < 0, -1, 1) for part in (down, right))
    is_steep = rows >= columns
    straight = np.where(is_steep, i, 0), np.where(is_steep, 0, j)
    padded = np.pad(steepness, ((0, 0), (1, 1), (1, 1)))
    picture, row, column = np.ogrid[tuple(map(slice, steepness.shape))]
    ridge = np.ones(steepness.shape, bool)
    for sign in (1, -1):
        beside = padded[picture, row + 1 + sign * straight[0], column + 1 + sign * straight[1]]
        across = padded[picture, row + 1 + sign * i, column + 1 + sign * j]
        ridge &= across * diagonal + beside * (1 - diagonal) <= steepness
    return ridge
