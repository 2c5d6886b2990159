"""Arrays as text: exact, compressed, and short enough to lie in a Python file."""

from __future__ import annotations

import base64
import textwrap
import zlib
from collections.abc import Mapping

import numpy as np

from tinymnist.nn.arrays import Array

_WIDTH = 96


def packed(arrays: Mapping[str, Array]) -> str:
    """The numbers of all arrays as lines of base85.

    The bytes are sorted by their place in the number: the first byte of a float, sign and
    exponent, varies little, and zlib makes some 8 % more of it when they lie side by side.

    Args:
        arrays: all of one dtype; their names and shapes have to be kept elsewhere.
    """
    if not arrays:
        return ""
    numbers = np.concatenate([array.ravel() for array in arrays.values()])
    little = numbers.astype(numbers.dtype.newbyteorder("<"), copy=False)
    planes = little.view(np.uint8).reshape(len(little), little.dtype.itemsize).T
    text = base64.b85encode(zlib.compress(planes.tobytes(), 9)).decode("ascii")
    return "\n".join(text[i : i + _WIDTH] for i in range(0, len(text), _WIDTH))


def wrapped(text: str, indent: str = "") -> str:
    """Prose in lines of the width of a page, harmless inside a docstring.

    A model's file may say anything of itself, so what could end the docstring, or begin an
    escape, is replaced.
    """
    return textwrap.fill(harmless(text), _WIDTH, initial_indent=indent, subsequent_indent=indent)


def harmless(text: str) -> str:
    """One line of printable characters without double quotes and backslashes."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(plain.replace('"', "'").replace("\\", "/").split())
