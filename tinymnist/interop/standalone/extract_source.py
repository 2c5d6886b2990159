"""Take functions out of ``functions``: their text word by word, and whatever they call."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("functions.py")


@cache
def _definitions() -> dict[str, tuple[str, frozenset[str]]]:
    """Text and used names of everything that ``functions`` defines, in its order."""
    text = _FILE.read_text(encoding="utf-8")
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            name = node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            target: Any = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            name = target.id
        else:
            continue
        used = frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name)) - {name}
        found[name] = (ast.get_source_segment(text, node) or "", used)
    return found


def needed(functions: Iterable[str]) -> tuple[list[str], list[str]]:
    """The text of functions and of all that they build upon, in reading order.

    Returns:
        The constants and the functions.
    """
    definitions, wanted = _definitions(), set[str]()
    waiting = ["Array", *functions]
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
    import inspect

    from tinymnist.interop.standalone import functions

    parameters = inspect.signature(getattr(functions, function)).parameters
    return {name: p.default for name, p in parameters.items() if p.default is not p.empty}


def used_names(text: str) -> set[str]:
    """Every name that a piece of code mentions."""
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
