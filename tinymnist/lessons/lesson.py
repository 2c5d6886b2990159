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
    sources = {
        function: textwrap.dedent(inspect.getsource(function))
        for function in (*lesson.solution, lesson.function)
    }
    imports: dict[str, str] = {}
    for function, source in sources.items():
        imports |= _imports(source, sys.modules[function.__module__])
    own = {function.__name__ for function in sources}
    lines = sorted({line for name, line in imports.items() if name not in own})
    return "\n".join(
        [
            "from __future__ import annotations\n",
            *lines,
            *(f"\n\n{_titled(f, s)}" for f, s in sources.items()),
        ]
    )


def _titled(function: Any, source: str) -> str:
    """The source, beneath a line that says where it is."""
    return f"# {function.__module__}\n{source.rstrip()}"


def _imports(source: str, module: ModuleType) -> dict[str, str]:
    """An import for each name that a piece of source takes from its module, by the name."""
    used = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    found = {}
    for name in used & vars(module).keys():
        value = vars(module)[name]
        is_alias = isinstance(value, ModuleType)
        found[name] = (
            f"import {value.__name__} as {name}"
            if is_alias
            else f"from {module.__name__} import {name}"
        )
    return found
