"""Arrays in JSON: shape and base64 of little-endian float32, which a browser views without parsing.

A page of numbers in decimal is five times as long and loses the last bit.
"""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array

MAX_NUMBERS = 4_000_000
"""The most numbers of one packed array."""


def pack(array: Array) -> dict[str, Any]:
    """``{"shape": [...], "data": "base64"}`` of any array, as float32."""
    data = np.ascontiguousarray(array, "<f4")
    return {"shape": list(array.shape), "data": base64.b64encode(data.tobytes()).decode("ascii")}


def unpack(packed: Any, name: str = "array") -> Array:
    """The float32 array of :func:`pack`.

    Raises:
        InputError: unless it is one, of finite numbers and not too large.
    """
    match packed:
        case {"shape": [*shape], "data": str(text)} if all(
            isinstance(side, int) and 0 <= side <= MAX_NUMBERS for side in shape
        ):
            data = unpack_bytes(text, name)
            if len(data) == 4 * math.prod(shape) <= 4 * MAX_NUMBERS:
                array = np.frombuffer(data, "<f4").astype(np.float32).reshape(shape)
                if np.isfinite(array).all():
                    return array
    raise InputError(
        f'{name} must be {{"shape": [...], "data": base64 of float32}}, all numbers finite'
    )


def unpack_bytes(text: Any, name: str) -> bytes:
    """The bytes of a base64 text.

    Raises:
        InputError: unless it is one.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise InputError(f"{name} must be base64") from None
