"""The source of functions in ``functions``, with that of the functions that they call."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from tinymnist.interop.standalone import functions


@cache
def _definitions() -> dict[str, tuple[str, frozenset[str]]]:
    """Source and used names of everything that ``functions`` defines, in its order."""
    text = Path(functions.__file__).read_text(encoding="utf-8")
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            name = node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            target: Any = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            name = target.id
        else:
            continue
        source = ast.get_source_segment(text, node) or ""
        found[name] = (source, frozenset(used_names(source) - {name}))
    return found


def needed(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """The source of functions and of everything that they build upon, in reading order.

    Returns:
        The constants and the functions.
    """
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
