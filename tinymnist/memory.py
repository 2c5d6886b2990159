"""Arrays in memory: how the C library reuses freed ones, and how changed ones are noticed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGE_BYTES = 1 << 24
"""glibc keeps freed blocks of up to this size for reuse, once it has seen one freed."""


def reuse_freed_memory() -> None:
    """Let the memory of freed arrays serve the next ones, on systems with glibc.

    By default glibc returns large blocks to the system and requests new ones, page by page, which
    costs more than the arithmetic, until it has seen a large block freed. So one is allocated and
    freed here, untouched. Elsewhere this has no effect.
    """
    np.empty(_LARGE_BYTES, np.uint8)


def checksum(arrays: Iterable[NDArray[Any]]) -> int:
    """CRC-32 of the bytes of all arrays; about 2 GB per second. No protection against forgery."""
    total = 0
    for array in arrays:
        total = zlib.crc32(np.ascontiguousarray(array).data, total)
    return total
