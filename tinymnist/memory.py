"""How the C library manages the memory of freed arrays."""

from __future__ import annotations

import numpy as np

_LARGE_BYTES = 1 << 24
"""glibc keeps freed blocks of up to this size for reuse, once it has seen one freed."""


def reuse_freed_memory() -> None:
    """Let the memory of freed arrays serve the next ones, on systems with glibc.

    By default glibc returns large blocks to the system and requests new ones, page by page, which
    costs more than the arithmetic, until it has seen a large block freed. So one is allocated and
    freed here, untouched. Elsewhere this has no effect.
    """
    np.empty(_LARGE_BYTES, np.uint8)
