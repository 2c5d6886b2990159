"""Reading pictures between their pixels: bilinear interpolation for whole batches, by NumPy.

The answers are those of ``scipy.ndimage`` at order 1, in a third of the time: that one walks from
pixel to pixel, and here every step of the arithmetic runs over several pictures at once.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[Any]
"""(n, h, w, c), of any real dtype."""

FILL_MODES = ("nearest", "constant", "reflect", "wrap")
"""What lies outside of a picture, in Keras's and SciPy's words."""

_CHUNK_PIXELS = 32768
"""Pixels that are worked on at a time: so many that Python's share is small, and that threads do
not wait for each other at every step."""

_own = threading.local()


def resample(
    images: Images, places: NDArray[np.float64], fill_mode: str = "nearest", cval: float = 0.0
) -> Images:
    """Draw new pictures whose pixels show given places of the old ones.

    Args:
        images: (n, h, w, c).
        places: (n, 2, oh, ow), the (row, column) that each pixel of a result shows.
        fill_mode: what lies outside, with pixels a b c d: "nearest" aaaa|abcd|dddd, "constant"
            (``cval`` without a soft edge), "reflect" dcba|abcd|dcba, "wrap" as SciPy has it (the
            period is one pixel less than the side).
        cval: the value outside, for "constant".

    Returns:
        (n, oh, ow, c) in the dtype of the images; whole numbers are rounded. No value leaves the
        range of its picture, ``cval`` apart.

    Raises:
        ValueError: when there is no such fill mode.
    """
    n, _, oh, ow = places.shape
    sampler = _sampler(images, (oh, ow))
    out = np.empty((n, oh, ow, images.shape[3]), images.dtype)
    for part in sampler.parts(n):
        rows, columns = sampler.places(part)
        rows[...], columns[...] = places[part, 0], places[part, 1]
        sampler.sample(images[part], rows, columns, fill_mode, cval, out[part])
    return out


def resample_affine(
    images: Images,
    matrices: NDArray[np.float64],
    offsets: NDArray[np.float64],
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> Images:
    """Draw new pictures, pixel (row, column) of which shows ``matrix @ (row, column) + offset``.

    Args:
        images: (n, h, w, c).
        matrices: (n, 2, 2).
        offsets: (n, 2).
        fill_mode, cval: as in :func:`resample`.

    Returns:
        (n, h, w, c) in the dtype of the images, as :func:`resample`.
    """
    n, h, w, _ = images.shape
    sampler = _sampler(images, (h, w))
    out = np.empty_like(images, order="C")
    down, right = np.arange(h)[:, None], np.arange(w)
    # Rounded in the order in which SciPy adds, since a border may hang on the last bit.
    for part in sampler.parts(n):
        places = sampler.places(part)
        for axis, place in enumerate(places):
            matrix = matrices[part, axis, :, None, None]  # (k, 2, 1, 1)
            start = offsets[part, axis, None, None] + matrix[:, 0] * down  # (k, h, 1)
            np.add(start, matrix[:, 1] * right, out=place)  # (k, h, w)
        sampler.sample(images[part], *places, fill_mode, cval, out[part])
    return out


def _sampler(images: Images, out_shape: tuple[int, int]) -> _Sampler:
    """This thread's own; its arrays are kept, since new memory costs more than the arithmetic."""
    dtype = images.dtype
    real = np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64)
    key = (images.shape[1:3], out_shape, real)
    kept: _Sampler | None = getattr(_own, "sampler", None)
    if kept is not None and kept.key == key:
        return kept
    sampler = _Sampler(*key)
    if sampler.chunk > 1:  # the arrays of a large picture would be a burden
        _own.sampler = sampler
    return sampler


class _Sampler:
    """Bilinear interpolation of a few pictures at a time, in arrays that are used again."""

    def __init__(
        self, shape: tuple[int, ...], out_shape: tuple[int, int], real: np.dtype[Any]
    ) -> None:
        self.key = (shape, out_shape, real)
        self.height, self.width = shape
        pixels = max(1, out_shape[0] * out_shape[1], self.height * self.width)
        self.chunk = max(1, _CHUNK_PIXELS // pixels)
        size = (self.chunk, *out_shape)
        self._rows, self._columns, self._top, self._left = (np.empty(size) for _ in range(4))
        self._index = np.empty(size, np.intp)
        self._down, self._right, *self._corners = (np.empty(size, real) for _ in range(6))
        # One more row and column, so that every pixel has a neighbour on either side.
        self._padded = np.empty((self.chunk, self.height + 1, self.width + 1), real)
        stride = float((self.height + 1) * (self.width + 1))
        self._starts = np.arange(self.chunk)[:, None, None] * stride

    def parts(self, n: int) -> list[slice]:
        """``n`` pictures in chunks of about the same size."""
        each = math.ceil(n / max(1, math.ceil(n / self.chunk)))
        return [slice(at, min(at + each, n)) for at in range(0, n, max(1, each))]

    def places(self, part: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Room for the rows and columns that the pixels of a chunk show."""
        k = part.stop - part.start
        return self._rows[:k], self._columns[:k]

    def sample(
        self,
        images: Images,
        rows: NDArray[np.float64],
        columns: NDArray[np.float64],
        fill_mode: str,
        cval: float,
        out: Images,
    ) -> None:
        """Interpolate ``images`` (k, h, w, c) at ``rows`` and ``columns``, which are used up."""
        if fill_mode not in FILL_MODES:
            raise ValueError(f"fill_mode must be one of {FILL_MODES}. Received: {fill_mode=}")
        outside = _bring_inside(rows, self.height, fill_mode)
        beside = _bring_inside(columns, self.width, fill_mode)
        down, right, index = self._split(rows, columns)
        for channel in range(images.shape[3]):
            values = self._mix(images[..., channel], down, right, index)
            if outside is not None and beside is not None:
                values[outside | beside] = cval
            out[..., channel] = np.floor(values + 0.5) if out.dtype.kind in "iub" else values

    def _split(
        self, rows: NDArray[np.float64], columns: NDArray[np.float64]
    ) -> tuple[Images, Images, NDArray[np.intp]]:
        """Places as shares of the way to the next pixel (down, right), and the pixel's index."""
        k = len(rows)
        top, left = np.floor(rows, out=self._top[:k]), np.floor(columns, out=self._left[:k])
        down, right, index = self._down[:k], self._right[:k], self._index[:k]
        np.subtract(rows, top, out=rows)
        np.subtract(columns, left, out=columns)
        down[...], right[...] = rows, columns
        top *= self.width + 1
        top += left
        top += self._starts[:k]
        index[...] = top
        return down, right, index

    def _mix(self, plane: Images, down: Images, right: Images, index: NDArray[np.intp]) -> Images:
        """Four neighbours, mixed: (k, h, w) -> (k, oh, ow)."""
        k = len(plane)
        flat, beneath = self._pad(plane).reshape(-1), self.width + 1
        a, b, c, d = (corner[:k] for corner in self._corners)
        for corner, start in ((a, 0), (b, 1), (c, beneath), (d, beneath + 1)):
            # The indices are right; "clip" only spares the check and a copy.
            flat[start:].take(index, out=corner, mode="clip")
        for begin, end, share in ((a, b, right), (c, d, right), (a, c, down)):
            np.subtract(end, begin, out=end)
            np.multiply(end, share, out=end)
            np.add(begin, end, out=begin)
        np.maximum(a, plane.min(axis=(1, 2), keepdims=True), out=a)  # rounding may overshoot
        np.minimum(a, plane.max(axis=(1, 2), keepdims=True), out=a)
        return a

    def _pad(self, plane: Images) -> Images:
        padded, h, w = self._padded[: len(plane)], self.height, self.width
        padded[:, :h, :w] = plane
        padded[:, h, :w] = plane[:, -1]
        padded[:, :, w] = padded[:, :, w - 1]
        return padded


def _bring_inside(
    places: NDArray[np.float64], side: int, fill_mode: str
) -> NDArray[np.bool_] | None:
    """Turn places into ones within 0..side-1, in place; tell which were outside, if it matters."""
    last = side - 1
    outside = None
    if fill_mode == "constant":
        outside = (places < 0) | (places > last)
    elif fill_mode == "reflect":
        places += 0.5
        np.mod(places, 2 * side, out=places)
        np.minimum(places, 2 * side - places, out=places)
        places -= 0.5
    elif fill_mode == "wrap" and last:
        below, above = places < 0, places > last
        places[below] += last * (np.trunc(-places[below] / last) + 1)
        places[above] -= last * np.trunc(places[above] / last)
    np.clip(places, 0, last, out=places)
    return outside
