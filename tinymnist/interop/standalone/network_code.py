"""The body of ``network`` in a standalone file: a model's layers as calls of ``functions``.

A new layer needs one entry in :data:`CALLS`, and a function unless one there does it already; a new
activation needs a function of its name, or an entry in :data:`ACTIVATIONS`.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from tinymnist.errors import InputError
from tinymnist.interop.standalone import functions, source
from tinymnist.nn import layers as L
from tinymnist.nn.arrays import Shape
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers.base import free_name
from tinymnist.nn.sequential import Sequential


class Call(NamedTuple):
    """One call: ``function(x, w["layer/array"], ..., setting=value)``."""

    function: str
    arrays: tuple[str, ...] = ()
    settings: Mapping[str, Any] = {}


CallOf: TypeAlias = Callable[[Any, Shape], Call | None]
"""``f(layer, input_shape)``: the call that computes the layer, None for nothing at all."""

ACTIVATIONS: dict[str, Call | None] = {
    **{word: Call(word) for word in L.ACTIVATIONS if hasattr(functions, word)},
    "linear": None,
    "relu6": Call("relu_pieces", settings={"max_value": 6.0}),
    "leaky_relu": Call("leaky_relu", settings={"negative_slope": 0.2}),
}
"""Activations by name; linear needs no call."""


def network_code(model: Sequential) -> tuple[list[str], set[str]]:
    """Lines of code for every layer of a model.

    The variable ``x`` always holds what was computed last. An output that is needed again later, by
    a shortcut for instance, gets a variable of its own.

    Returns:
        The lines, indented, and the names of the functions that they call.
    """
    variables = _variables(model)
    used: set[str] = set()
    lines = [f"    {variables[INPUT]} = x"] if INPUT in variables else []
    previous = INPUT
    for layer in model.layers:
        sources, name = model.sources[layer.name], layer.name
        xs = ["x" if name == previous else variables[name] for name in sources]
        calls = calls_of(layer, model.shapes[sources[0]])
        if not calls:
            lines += [f"    x = {xs[0]}"] if xs != ["x"] else []
            is_dropout = isinstance(layer, L.Dropout)
            idle = "changes numbers in training only" if is_dropout else "hands on what it gets"
            lines.append(f"    # {source.harmless(name)}: {idle}")
        for call in calls:
            shape = f"  # (n, {source.sides(model.shapes[name])})" if call is calls[-1] else ""
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
        for name in model.sources[layer.name]:
            if name != previous and name not in variables:
                stem = re.sub(r"\W", "_", name, flags=re.ASCII).lower()
                stem = stem if re.match(r"[a-z]", stem) else f"layer_{stem}"
                variables[name] = free_name(stem, reserved | set(variables.values()))
        previous = layer.name
    return variables


def _statement(call: Call, layer: str, xs: list[str], comment: str) -> list[str]:
    """One statement, on as many lines as it needs, formatted as ruff does."""
    usual, settings = source.defaults(call.function), call.settings.items()
    arguments = [*xs, *(f"w[{source.quoted(f'{layer}/{array}')}]" for array in call.arrays)]
    changed = [(name, value) for name, value in settings if usual.get(name, ...) != value]
    arguments += [f"{name}={source.literal(value)}" for name, value in changed]
    line = f"    x = {call.function}({', '.join(arguments)}){comment}"
    if len(line) <= source.LINE_LENGTH:
        return [line]
    broken = (f"        {argument}," for argument in arguments)
    return [f"    x = {call.function}(", *broken, f"    ){comment}"]


def calls_of(layer: L.Layer, input_shape: Shape) -> list[Call]:
    """The calls that compute a layer; none for a layer that does nothing in inference."""
    kind = "Dropout" if isinstance(layer, L.Dropout) else type(layer).__name__
    activation = getattr(layer, "activation", "linear")
    for what, known in ((kind, CALLS), (activation, ACTIVATIONS)):
        if what not in known:
            raise InputError(
                f"{layer.name}: a standalone file cannot hold {what} yet; expected one of "
                f"{sorted(known)}; export to another format"
            )
    calls = (CALLS[kind](layer, input_shape), ACTIVATIONS[activation])
    return [call for call in calls if call is not None]


def _convolution(layer: Any, input_shape: Shape) -> Call:
    windows = layer.windows(input_shape)
    settings = {name: getattr(windows, name) for name in ("strides", "pads", "dilation")}
    arrays, groups = tuple(layer.weights), layer.groups_of(input_shape[-1])
    if groups == 1:
        return Call("conv2d", arrays, settings)
    return Call("grouped_conv2d", arrays, settings | {"groups": groups})


def _pooling(function: str) -> CallOf:
    def call(layer: Any, input_shape: Shape) -> Call:
        windows = layer.windows(input_shape)
        settings = {"window": windows.kernel, "strides": windows.strides, "pads": windows.pads}
        counts = {"count_pads": True} if getattr(layer, "count_include_pad", False) else {}
        return Call(function, settings=settings | counts)

    return call


def _relu(layer: Any, input_shape: Shape) -> Call:
    highest = math.inf if layer.max_value is None else layer.max_value
    names = ("negative_slope", "threshold")
    settings = {"max_value": highest} | {name: getattr(layer, name) for name in names}
    plain = settings == source.defaults("relu_pieces")
    return Call("relu") if plain else Call("relu_pieces", settings=settings)


def _plain(function: str, *settings: str) -> CallOf:
    """A function of ``x``, all arrays of the layer, and some settings of it."""

    def call(layer: Any, input_shape: Shape) -> Call:
        values = {name: getattr(layer, name) for name in settings}
        return Call(function, tuple(layer.weights), values)

    return call


_SAME = ("Add", "Concatenate", "Dense", "Flatten", "Multiply", "PReLU", "Softmax")
CALLS: dict[str, CallOf] = {
    **dict.fromkeys(("Activation", "Dropout"), lambda layer, shape: None),
    **{kind: _plain(kind.lower()) for kind in _SAME},
    **dict.fromkeys(("Conv2D", "DepthwiseConv2D"), _convolution),
    **{f"{kind}Pooling2D": _pooling(f"{kind.lower()}_pool") for kind in ("Average", "Max")},
    **{f"Global{kind}Pooling2D": _plain(f"global_{kind.lower()}_pool")
       for kind in ("Average", "Max")},
    "BatchNormalization": _plain("batch_normalization", "epsilon"),
    "ELU": _plain("elu", "alpha"),
    "GELU": lambda layer, shape: Call("gelu_tanh" if layer.approximate else "gelu"),
    "LayerNormalization": _plain("layer_normalization", "epsilon"),
    "LeakyReLU": _plain("leaky_relu", "negative_slope"),
    "Normalization": _plain("normalization", "mean", "variance"),
    "Permute": lambda layer, shape: Call("permute", settings={"axes": tuple(layer.dims)}),
    "ReLU": _relu,
    "Rescaling": _plain("rescaling", "scale", "offset"),
    "Reshape": lambda layer, shape: Call("reshape", settings={"shape": layer.output_shape(shape)}),
    "ZeroPadding2D": lambda layer, shape: Call("pad", settings={"pads": layer.pads()}),
}  # fmt: skip
"""How each class of layer is called, by the name of the class."""
