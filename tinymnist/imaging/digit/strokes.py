"""Measures how wide the strokes of a digit are, and makes them as wide as MNIST's."""

from __future__ import annotations

from functools import reduce
from itertools import product
from math import hypot

import numpy as np

from tinymnist.imaging.digit.filters import pad_edges
from tinymnist.imaging.picture.pixels import Array

MNIST_WIDTHS = (1.85, 3.35)
"""Stroke widths of MNIST's training images in pixels of a 28x28 image, 10th to 90th percentile."""


def stroke_width(ink: Array) -> float:
    """Measure the average width of the strokes, in pixels.

    A stroke of length l, width w and darkness d holds l * w * d of ink, and the picture climbs by d
    along both its edges: the sum of the gradient's length is 2 * l * d. So w is twice the ink
    over that sum, whatever the darkness, and blur does not change it.

    Args:
        ink: (h, w), 0 is paper; give it a margin, since edges along the frame are not seen.

    Returns:
        The width; 0 if there is no ink.
    """
    around = pad_edges(ink, 2)
    down = around[2:, 1:-1] - around[:-2, 1:-1]  # over two pixels
    right = around[1:-1, 2:] - around[1:-1, :-2]
    climb = float(np.sqrt(down * down + right * right).sum()) / 2
    return 2 * float(ink.sum()) / climb if climb > 0 else 0.0


def with_stroke_width(ink: Array, narrowest: float, widest: float) -> Array:
    """Thicken or thin the strokes until their average width is within the limits.

    Args:
        ink: (h, w) in 0..1, 0 is paper.
        narrowest: pixels; narrower strokes grow to this.
        widest: pixels; wider strokes shrink to this, but never by more than half.

    Returns:
        (h, w) float32.
    """
    width = stroke_width(ink)
    if 0 < width < narrowest:
        return dilate(ink, (narrowest - width) / 2)
    if width > widest:
        return 1 - dilate(1 - ink, min((width - widest) / 2, width / 4))
    return ink


def dilate(ink: Array, radius: float) -> Array:
    """Take the largest value within a disc around each pixel: grey dilation.

    Pixels that the disc covers in part count in part.

    Args:
        ink: (h, w) in 0..1.
        radius: of the disc, in pixels; not negative.

    Returns:
        (h, w) float32.
    """
    reach = int(np.ceil(radius))
    height, width = ink.shape
    padded = pad_edges(ink, reach)
    largest: dict[float, Array] = {}  # by the share of a pixel that the disc covers
    for down, right in product(range(2 * reach + 1), repeat=2):
        cover = min(max(radius + 0.5 - hypot(down - reach, right - reach), 0.0), 1.0)
        there = padded[down : down + height, right : right + width]
        if cover in largest:
            np.maximum(largest[cover], there, out=largest[cover])
        elif cover > 0:
            largest[cover] = there.copy()
    return reduce(np.maximum, [np.float32(cover) * grey for cover, grey in largest.items()], ink)
