"""The array types that the whole network uses, and how settings are printed."""

from __future__ import annotations

import dataclasses
from collections.abc import Container
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""A NumPy array; float32 or float64 unless stated otherwise."""

Shape: TypeAlias = tuple[int, ...]
"""The shape of one picture or feature vector: without the batch axis."""

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
"""What a network computes in: float32 for use, float64 as the reference."""


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """Check a dtype for parameters and activations.

    Raises:
        ValueError: for any dtype other than float32 and float64.
    """
    chosen: np.dtype[Any] = np.dtype(dtype)
    if chosen not in FLOATS:
        raise ValueError(f"dtype must be float32 or float64. Received: dtype={dtype!r}")
    return chosen


def settings_repr(owner: Any, always: Container[str] = ()) -> str:
    """How a dataclass of settings was made: ``Conv2D(32, 3, activation="relu", name="conv2d")``.

    Settings without a default come first, by position; then those that differ from their default,
    and those named in ``always``.
    """
    fields = [f for f in dataclasses.fields(owner) if f.init and f.repr]
    shown = []
    for field in sorted(fields, key=lambda f: (f.kw_only, f.name in ("name", "trainable"))):
        value = getattr(owner, field.name)
        text = f'"{value}"' if isinstance(value, str) else repr(value)
        factory, missing = field.default_factory, dataclasses.MISSING
        if field.default is missing and factory is missing:
            shown.append(text)
        elif field.name in always or value != (field.default if factory is missing else factory()):
            shown.append(f"{field.name}={text}")
    return f"{type(owner).__name__}({', '.join(shown)})"
