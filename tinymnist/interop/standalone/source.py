"""Python source as text: copied functions, and arrays, values and prose as literals."""

from __future__ import annotations

import ast
import base64
import inspect
import math
import re
import textwrap
import zlib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np

from tinymnist.interop.standalone import functions
from tinymnist.nn.arrays import Array, Shape

LINE_LENGTH = 100
_WIDTH = 96


@cache
def _definitions() -> dict[str, tuple[str, frozenset[str]]]:
    """Source and used names of everything that ``functions`` defines, in its order."""
    text, found = inspect.getsource(functions), {}
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.Assign, ast.AnnAssign)):
            source = ast.get_source_segment(text, node) or ""
            (name,) = re.findall(r"^(?:def )?(\w+)", source)
            found[name] = (source, frozenset(used_names(source) - {name}))
    return found


def needed(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """The source of functions and of what they build upon: constants, then functions."""
    definitions, wanted = _definitions(), set[str]()
    waiting = ["Array", *names]
    while waiting:
        name = waiting.pop()
        if name in definitions and name not in wanted:
            wanted.add(name)
            waiting += definitions[name][1]
    texts = [text for name, (text, _) in definitions.items() if name in wanted]
    constants = [text for text in texts if not text.startswith("def ")]
    return constants, [text for text in texts if text.startswith("def ")]


@cache
def defaults(function: str) -> dict[str, Any]:
    """The default values of a function's arguments, by name."""
    parameters = inspect.signature(getattr(functions, function)).parameters
    return {name: p.default for name, p in parameters.items() if p.default is not p.empty}


def used_names(text: str) -> set[str]:
    """Every name that a piece of code mentions."""
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


def packed(arrays: Mapping[str, Array]) -> str:
    """The numbers of all arrays, which have one dtype, as lines of base85, exact and compressed.

    The bytes are sorted by their place in the number: the first bytes of floats, sign and exponent,
    vary little, and zlib saves some 8 % more if they lie side by side.
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
