"""What a lesson is, the file that it begins with, and its solution."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tinymnist.nn.arrays import Array

Function = Callable[..., Any]
Cases = Mapping[str, tuple[Any, ...]]
"""A case in words, like "even size", and the arguments of the function."""


def normal(rng: np.random.Generator, *shapes: int | tuple[int, ...]) -> tuple[Array, ...]:
    """Normally distributed numbers in several arrays."""
    return tuple(rng.normal(size=shape) for shape in shapes)


@dataclass(frozen=True)
class Lesson:
    """One function to write.

    Attributes:
        title: the topic in a few words.
        function: computes what is right, with the package's own code. Its docstring is the task.
        returns: a name for each array that it returns.
        solution: the functions of the package that do the work.
        twin: computes the same without the package, and makes a mistake if its name is the first
            argument: a mistake is recognized by its results.
        cases: draws what the function is tried on.
        mistakes: what to do instead, by the names of usual mistakes.
    """

    title: str
    function: Function
    returns: tuple[str, ...]
    solution: tuple[Any, ...]
    twin: Function
    cases: Callable[[np.random.Generator], Cases]
    mistakes: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of the function to write."""
        return self.function.__name__

    @property
    def task(self) -> str:
        """What to write: the formula and the shapes."""
        return inspect.getdoc(self.function) or ""


def empty_file(lesson: Lesson, number: int) -> str:
    """A Python file with the task and an empty function."""
    arguments = ", ".join(inspect.signature(lesson.function).parameters)
    # A raw string, as a formula may contain backslashes.
    task = textwrap.indent(f'r"""{lesson.task}\n"""', "    ", lambda line: bool(line.strip()))
    return f'''"""Lesson {number}: {lesson.title}.

Write the function, then let it be checked:

    tinymnist lesson {number} --check {lesson.name}.py
"""

import numpy as np


def {lesson.name}({arguments}):
{task}
    raise NotImplementedError("this function is still empty")
'''


def solution_file(lesson: Lesson) -> str:
    """The source of the package's own functions, and of the one that calls them, as one file.

    It is read from the package each time, so it cannot differ from what the package does.
    """
    functions = (*lesson.solution, lesson.function)
    sources = [textwrap.dedent(inspect.getsource(function)).rstrip() for function in functions]
    imports: dict[str, str] = {}
    for function, source in zip(functions, sources, strict=True):
        imports |= _imports(source, vars(sys.modules[function.__module__]))
    for function in functions:
        imports.pop(function.__name__, None)
    titled = (f"# {f.__module__}\n{text}" for f, text in zip(functions, sources, strict=True))
    top = "from __future__ import annotations\n\n" + "\n".join(sorted(imports.values()))
    return "\n\n\n".join((top, *titled)) + "\n"


def _imports(source: str, namespace: Mapping[str, Any]) -> dict[str, str]:
    """An import for each name that a piece of source takes from its module, by the name."""
    used = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    lines = {}
    for name in used & namespace.keys():
        value = namespace[name]
        if isinstance(value, ModuleType):
            alias = "" if value.__name__ == name else f" as {name}"
            lines[name] = f"import {value.__name__}{alias}"
        else:
            home = getattr(value, "__module__", "")
            has_it = name in vars(sys.modules.get(home, object))
            lines[name] = f"from {home if has_it else namespace['__name__']} import {name}"
    return lines
