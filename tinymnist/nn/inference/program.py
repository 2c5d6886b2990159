"""Calls of NumPy written down once, and then made again for every block of examples.

For one picture, half the time of a layer written in NumPy goes into Python: shapes are worked out,
views made, results allocated. All of that depends on the shapes alone. So a step does it once: it
allocates its buffers, makes its views, and records which functions to call with them. To run a
program is to go through that list.

Inside a block, pictures lie as planes (h, w, n, c): a row of pixels of all pictures is one long
stretch of memory, and NumPy's sums and maxima of slices run over n * c numbers at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from tinymnist.nn.arrays import Array, Pads, Shape

STRIP_BYTES = 1 << 19
"""Temporaries of a strip of rows: what a usual L2 cache holds."""


class Recorder:
    """Takes down the calls of all steps for blocks of ``n`` examples.

    A step's output is its own. Temporaries share one stretch of memory, since no step needs them
    after its last call; so they stay in the processor's cache.
    """

    def __init__(self, n: int) -> None:
        """Start with an empty list."""
        self.n = n
        self.calls: list[Callable[[], object]] = []
        self._shared: Array = np.empty(0, np.float32)
        self._zeros: Array = np.zeros(0, np.float32)

    def __call__(self, function: Callable[..., object], *arguments: Any, **settings: Any) -> None:
        """Record a call."""
        self.calls.append(partial(function, *arguments, **settings))

    def temporaries(self, *shapes: Shape) -> list[Array]:
        """Float32 arrays of these shapes, side by side in the shared memory."""
        sizes = [math.prod(shape) for shape in shapes]
        if sum(sizes) > self._shared.size:
            self._shared = np.empty(sum(sizes), np.float32)  # the steps before keep the smaller one
        ends = np.cumsum(sizes).tolist()
        return [
            self._shared[end - size : end].reshape(shape)
            for shape, size, end in zip(shapes, sizes, ends, strict=True)
        ]

    def zeros(self, shape: Shape) -> Array:
        """Zeros for a relu: ``maximum`` with an array is five times as fast as with a number."""
        size = math.prod(shape)
        if size > self._zeros.size:
            self._zeros = np.zeros(size, np.float32)
        return self._zeros[:size].reshape(shape)

    def pad(self, x: Array, pads: Pads) -> Array:
        """Planes (h, w, n, c) with a border of zeros, copied into a buffer whose border stays."""
        (top, bottom), (left, right) = pads
        if not (top or bottom or left or right):
            return x
        h, w, n, c = x.shape
        padded = np.zeros((top + h + bottom, left + w + right, n, c), np.float32)
        self(np.copyto, padded[top : top + h, left : left + w], x)
        return padded


def strips(rows: int, bytes_per_row: int) -> Iterator[slice]:
    """Cut rows into strips whose temporaries fit into the cache."""
    height = max(1, STRIP_BYTES // max(1, bytes_per_row))
    for top in range(0, rows, height):
        yield slice(top, min(top + height, rows))


def planes(x: Array) -> Array:
    """(n, h, w, c) seen as (h, w, n, c); anything else as it is. Nothing is copied."""
    return x.transpose(1, 2, 0, 3) if x.ndim == 4 else x


def examples_first(x: Array) -> Array:
    """The way back from :func:`planes`."""
    return x.transpose(2, 0, 1, 3) if x.ndim == 4 else x
