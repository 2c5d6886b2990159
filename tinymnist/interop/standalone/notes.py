"""The body of ``network``: a model's layers as lines of Python, one for each call."""

from __future__ import annotations

import keyword
import math
import re
from typing import Any

import numpy as np

from tinymnist.interop.standalone.calls import Call, calls_of
from tinymnist.interop.standalone.extract_source import defaults
from tinymnist.interop.standalone.text import harmless
from tinymnist.nn.arrays import Shape
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import Layer
from tinymnist.nn.sequential import Sequential

LINE = 100
"""Characters in a line, at most."""


class Story:
    """Lines of code for every layer of a model.

    The variable ``x`` always holds what was computed last. What is needed again later, a shortcut
    for instance, gets a variable of its own.

    Attributes:
        lines: the code, indented.
        functions: the names of the functions that it calls.
    """

    def __init__(self, model: Sequential) -> None:
        self.model = model
        self.lines: list[str] = []
        self.functions: set[str] = set()
        self._variables = _variables(model)
        previous = INPUT
        self._keep(INPUT)
        for layer in model.layers:
            self._tell(layer, previous)
            previous = layer.name

    def _tell(self, layer: Layer, previous: str) -> None:
        sources = self.model.sources[layer.name]
        xs = ["x" if source == previous else self._variables[source] for source in sources]
        calls = calls_of(layer, self.model.shapes[sources[0]])
        if not calls:
            if xs != ["x"]:
                self.lines.append(f"    x = {xs[0]}")
            self.lines.append(f"    # {harmless(layer.name)}: {_idle(layer)}")
        for number, call in enumerate(calls):
            last = number == len(calls) - 1
            shape = f"(n, {sides(self.model.shapes[layer.name])})" if last else ""
            self.lines += _lines(call, layer.name, xs if number == 0 else ["x"], shape)
            self.functions.add(call.function)
        self._keep(layer.name)

    def _keep(self, name: str) -> None:
        if name in self._variables:
            self.lines.append(f"    {self._variables[name]} = x")


def sides(shape: Shape) -> str:
    """``28, 28, 1``."""
    return ", ".join(map(str, shape))


def literal(value: Any) -> str:
    """A setting as Python writes it, whatever kind of number NumPy made of it."""
    if isinstance(value, np.floating):
        return str(value)  # the shortest text that gives the same float32
    if isinstance(value, np.ndarray):
        value = list(value)
    if isinstance(value, (list, tuple)):
        inside = ", ".join(map(literal, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def _idle(layer: Layer) -> str:
    if type(layer).__name__ == "Dropout":
        return "drops numbers in training only"
    return "hands on what it gets"


def _variables(model: Sequential) -> dict[str, str]:
    """A variable for each output that somebody other than the very next layer takes."""
    variables: dict[str, str] = {}
    previous = INPUT
    for layer in model.layers:
        for source in model.sources[layer.name]:
            if source != previous and source not in variables:
                variables[source] = _identifier(source, set(variables.values()))
        previous = layer.name
    return variables


def _identifier(name: str, taken: set[str]) -> str:
    """A layer's name as a variable: no other's, and none that the file itself uses."""
    from tinymnist.interop.standalone import functions

    stem = re.sub(r"\W", "_", name, flags=re.ASCII).lower()
    stem = stem if re.match(r"[a-z]", stem) else f"layer_{stem}"
    reserved = taken | set(vars(functions)) | set(keyword.kwlist) | {"x", "w", "input"}
    chosen, number = stem, 0
    while chosen in reserved:
        number += 1
        chosen = f"{stem}_{number}"
    return chosen


def _lines(call: Call, layer: str, xs: list[str], shape: str) -> list[str]:
    """One statement, on as many lines as it needs, in the form that formatters give it."""
    usual = defaults(call.function)
    arguments = [
        *xs,
        *(f"w[{quoted(f'{layer}/{array}')}]" for array in call.arrays),
        *(
            f"{name}={literal(value)}"
            for name, value in call.settings.items()
            if name not in usual or value != usual[name]
        ),
    ]
    comment = f"  # {shape}" if shape else ""
    line = f"    x = {call.function}({', '.join(arguments)})"
    if len(line + comment) <= LINE:
        return [line + comment]
    broken = (f"        {argument}," for argument in arguments)
    return [f"    x = {call.function}(", *broken, f"    ){comment}"]


def quoted(text: str) -> str:
    """A string as the formatters like it: in double quotes, unless it holds some."""
    plain = repr(text)
    return f'"{plain[1:-1]}"' if plain[0] == "'" and '"' not in text else plain
