"""What the C library does with the memory of arrays that are no more."""

from __future__ import annotations

import numpy as np

_LARGE = 1 << 24
"""Bytes: glibc keeps freed memory up to this size, and twice as much of it."""


def reuse_freed_memory() -> None:
    """Let the memory of freed arrays serve the next ones, where glibc manages it.

    It gives large arrays back to the system and asks anew for the next one, which comes page by
    page and costs more than the arithmetic, until it has seen a large one freed. So one is freed
    here that nobody has touched. Elsewhere this does nothing.
    """
    np.empty(_LARGE, np.uint8)
