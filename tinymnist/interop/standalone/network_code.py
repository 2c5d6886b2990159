"""The body of ``network`` in a standalone file: a model's layers as lines of Python."""

from __future__ import annotations

import keyword
import re

from tinymnist.interop.standalone import functions
from tinymnist.interop.standalone.calls import Call, calls_of
from tinymnist.interop.standalone.extract_source import defaults
from tinymnist.interop.standalone.text import LINE_LENGTH, harmless, literal, quoted, sides
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import Dropout
from tinymnist.nn.layers.base import free_name
from tinymnist.nn.sequential import Sequential


def network_code(model: Sequential) -> tuple[list[str], set[str]]:
    """Lines of code for every layer of a model.

    The variable ``x`` always holds what was computed last. An output that is needed again later, by
    a shortcut for instance, gets a variable of its own.

    Returns:
        The lines, indented, and the names of the functions that they call.

    Raises:
        InputError: for a layer or an activation that a standalone file cannot hold.
    """
    variables = _variables(model)
    used: set[str] = set()
    lines = [f"    {variables[INPUT]} = x"] if INPUT in variables else []
    previous = INPUT
    for layer in model.layers:
        sources, name = model.sources[layer.name], layer.name
        xs = ["x" if source == previous else variables[source] for source in sources]
        calls = calls_of(layer, model.shapes[sources[0]])
        if not calls:
            lines += [f"    x = {xs[0]}"] if xs != ["x"] else []
            is_dropout = isinstance(layer, Dropout)
            idle = "drops numbers in training only" if is_dropout else "hands on what it gets"
            lines.append(f"    # {harmless(name)}: {idle}")
        for call in calls:
            shape = f"(n, {sides(model.shapes[name])})" if call is calls[-1] else ""
            lines += _statement(call, name, xs, shape)
            used.add(call.function)
            xs = ["x"]
        if name in variables:
            lines.append(f"    {variables[name]} = x")
        previous = name
    return lines, used


def _variables(model: Sequential) -> dict[str, str]:
    """A variable for each output that another layer than the next one takes."""
    variables: dict[str, str] = {}
    reserved = {*vars(functions), *keyword.kwlist, "x", "w", "input"}
    previous = INPUT
    for layer in model.layers:
        for source in model.sources[layer.name]:
            if source != previous and source not in variables:
                stem = re.sub(r"\W", "_", source, flags=re.ASCII).lower()
                stem = stem if re.match(r"[a-z]", stem) else f"layer_{stem}"
                variables[source] = free_name(stem, reserved | set(variables.values()))
        previous = layer.name
    return variables


def _statement(call: Call, layer: str, xs: list[str], shape: str) -> list[str]:
    """One statement, on as many lines as it needs, formatted as ruff does."""
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
    if len(line + comment) <= LINE_LENGTH:
        return [line + comment]
    broken = (f"        {argument}," for argument in arguments)
    return [f"    x = {call.function}(", *broken, f"    ){comment}"]
