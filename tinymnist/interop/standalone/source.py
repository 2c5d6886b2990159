"""Python source as text: copied functions, and arrays, values and prose as literals."""

from __future__ import annotations

import ast
import base64
import inspect
import math
import re
import textwrap
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from tinymnist.interop.standalone import functions
from tinymnist.nn.arrays import Array, Shape

LINE_LENGTH = 100
_WIDTH = 96


@cache
def _definitions(module: ModuleType) -> dict[str, tuple[str, frozenset[str]]]:
    """Source and used names of everything that a module defines, in its order."""
    text, found, name = inspect.getsource(module), dict[str, tuple[str, frozenset[str]]](), ""
    lines = text.splitlines()
    for node in ast.parse(text).body:
        above = [decorator.lineno for decorator in getattr(node, "decorator_list", ())]
        own = "\n".join(lines[min([*above, node.lineno]) - 1 : node.end_lineno])
        if isinstance(node, ast.Expr) and name:  # what a constant means
            found[name] = (f"{found[name][0]}\n{own}", found[name][1])
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)):
            own = re.sub(r"(?m)^ +(from tinymnist\..* import .*\n+|limits\..*\n)", "", own)
            stored = (n.id for n in ast.walk(node) if isinstance(n, ast.Name))
            name = getattr(node, "name", None) or next(stored)
            found[name] = (own, frozenset(used_names(own) - {name}))
    return found


def needed(names: Iterable[str], modules: Sequence[ModuleType] = (functions,)) -> list[str]:
    """The source of functions and of what they build upon, in the order of the modules.

    If two modules define a name, the first one counts.
    """
    definitions, wanted = dict[str, tuple[str, frozenset[str]]](), set[str]()
    for module in modules:
        definitions = {**_definitions(module), **definitions}
    waiting = ["Array", *names]
    while waiting:
        name = waiting.pop()
        if name in definitions and name not in wanted:
            wanted.add(name)
            waiting += definitions[name][1]
    known = dict.fromkeys(name for module in modules for name in _definitions(module))
    return [definitions[name][0] for name in known if name in wanted]


def joined(texts: Iterable[str]) -> str:
    """Definitions below each other, with two blank lines around functions and classes."""
    code, gap = "", ""
    for text in texts:
        is_block = text.startswith(("def ", "class ", "@"))
        code += ("\n\n\n" if gap and is_block else gap) + text
        gap = "\n\n\n" if is_block else "\n"
    return code


def imports(text: str, modules: Sequence[ModuleType]) -> str:
    """The import statements that a file needs, of those in modules, as isort orders them."""
    origins = {name: ("", name) for name in ("base64", "json", "math", "sys", "zlib")}
    for module in reversed(modules):
        origins |= _imported(module)
    plain, members = set[str](), dict[str, set[str]]()
    for name in used_names(text) & origins.keys():
        module_name, imported = origins[name]
        if module_name:
            members.setdefault(module_name, set()).add(imported)
        else:
            plain.add(imported)
    lines = [f"import {name}" for name in sorted(plain)]
    members = {name: members[name] for name in sorted(members, key=str.lower)}
    lines += [f"from {name} import {', '.join(sorted(own))}" for name, own in members.items()]
    is_ours = re.compile(r"(?:import|from) (?:numpy|PIL)\b").match
    ours, others = [x for x in lines if is_ours(x)], [x for x in lines if not is_ours(x)]
    return "\n".join([*others, "", *ours])


@cache
def _imported(module: ModuleType) -> dict[str, tuple[str, str]]:
    """The module and the text behind each name that a module imports from outside the package."""
    found = dict[str, tuple[str, str]]()
    for node in ast.parse(inspect.getsource(module)).body:
        origin = getattr(node, "module", "")
        if origin == "__future__" or origin.startswith("tinymnist"):
            continue
        for alias in getattr(node, "names", ()):
            name = alias.name if alias.asname is None else f"{alias.name} as {alias.asname}"
            found.setdefault(alias.asname or alias.name, (origin, name))
    return found


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
