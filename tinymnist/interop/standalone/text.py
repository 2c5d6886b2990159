"""Arrays, values and prose as text in a Python file."""

from __future__ import annotations

import base64
import math
import textwrap
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinymnist.nn.arrays import Array, Shape

LINE_LENGTH = 100
_WIDTH = 96


def packed(arrays: Mapping[str, Array]) -> str:
    """The numbers of all arrays as lines of base85, exact and compressed.

    The bytes are sorted by their place in the number: the first bytes of floats, sign and exponent,
    vary little, and zlib saves some 8 % more if they lie side by side.

    Args:
        arrays: all of one dtype; names and shapes are not packed.
    """
    if not arrays:
        return ""
    numbers = np.concatenate([array.ravel() for array in arrays.values()])
    little = numbers.astype(numbers.dtype.newbyteorder("<"), copy=False)
    planes = little.view(np.uint8).reshape(len(little), little.dtype.itemsize).T
    text = base64.b85encode(zlib.compress(planes.tobytes(), 9)).decode("ascii")
    return "\n".join(text[i : i + _WIDTH] for i in range(0, len(text), _WIDTH))


def wrapped(text: str) -> str:
    """Prose in lines, made harmless."""
    return textwrap.fill(harmless(text), _WIDTH)


def harmless(text: str) -> str:
    """One line of printable characters without double quotes and backslashes.

    A model's file may contain any text, so what could end a docstring or begin an escape is
    replaced.
    """
    plain = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(plain.replace('"', "'").replace("\\", "/").split())


def quoted(text: str) -> str:
    """A string literal in double quotes, unless it contains some."""
    plain = repr(text)
    return f'"{plain[1:-1]}"' if plain[0] == "'" and '"' not in text else plain


def literal(value: Any) -> str:
    """A number, or numbers in lists or arrays, as Python literals."""
    if isinstance(value, np.floating):
        return str(value)  # the shortest text that gives the same float32
    if isinstance(value, list | tuple | np.ndarray):
        inside = ", ".join(map(literal, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def sides(shape: Shape) -> str:
    """``28, 28, 1``."""
    return ", ".join(map(str, shape))
