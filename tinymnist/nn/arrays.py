"""The one type that everything in the network speaks."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""A NumPy array; float32 or float64 unless said otherwise."""

Shape: TypeAlias = tuple[int, ...]
"""The shape of one picture or feature vector: without the batch axis."""

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
"""What a network computes in: float32 for use, float64 as the reference."""


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """Check a dtype for parameters and activations.

    Raises:
        ValueError: for anything but float32 and float64.
    """
    chosen: np.dtype[Any] = np.dtype(dtype)
    if chosen not in FLOATS:
        raise ValueError(f"dtype must be float32 or float64. Received: dtype={dtype!r}")
    return chosen
