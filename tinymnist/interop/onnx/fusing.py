"""Layers that a file writes out in primitive nodes, found again.

A pattern is an expression: ``("Div", "x", ("Add", ("Abs", "x"), 1.0))`` stands for
``x / (|x| + 1)``. In it, a tuple is an operation and its inputs, a word is any tensor (the same one
wherever the word stands), a number is a constant with that value, and a list holds alternatives.
Nodes that a match leaves without a use are dropped; those that are used elsewhere too stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from tinymnist.interop.onnx.nodes import Network, Node

GENERAL_RELU = "tinymnist.Relu"
"""A ReLU with the attributes "max_value", "slope" and "threshold"."""
LAYER_NORM = "tinymnist.LayerNormalization"
"""Normalizes over the axes in the attribute "axes"; ONNX's own can only name the last ones."""

Pattern: TypeAlias = "str | float | tuple[Pattern, ...] | list[Pattern]"
Found: TypeAlias = dict[str, Any]
"""The tensor for each word of a pattern; under "axes", the axes of all its reductions."""

_COMMUTATIVE = ("Add", "Mul")


class Matcher:
    """A network, and how to find patterns in it."""

    def __init__(self, network: Network) -> None:
        self.constants, self.producers = network.constants, network.producers

    def matches(self, pattern: Pattern, name: str, found: Found) -> Iterator[Found]:
        """Every way in which the tensor ``name`` is the pattern, beginning with ``found``."""
        if isinstance(pattern, list):
            for alternative in pattern:
                yield from self.matches(alternative, name, found)
        elif isinstance(pattern, str):
            if found.get(pattern, name) == name:
                yield {**found, pattern: name}
        elif isinstance(pattern, float):
            number = self.number(name)
            if number is not None and math.isclose(number, pattern, rel_tol=1e-4):
                yield found
        else:
            yield from self._operation(pattern, name, found)

    def _operation(self, pattern: tuple[Pattern, ...], name: str, found: Found) -> Iterator[Found]:
        op, *arguments = pattern
        node = self.producer(name)
        if node is None or node.op != op or len(node.inputs) < len(arguments):
            return
        if node.op.startswith("Reduce"):
            given = node.get("axes", self.constants.get((*node.inputs, "")[1]))
            axes = None if given is None else tuple(int(axis) for axis in given)
            if axes is None or found.get("axes", axes) != axes or not node.get("keepdims", 1):
                return
            found = {**found, "axes": axes}
        for inputs in (node.inputs, node.inputs[::-1])[: 2 if op in _COMMUTATIVE else 1]:
            partial = [found]
            for argument, taken in zip(arguments, inputs, strict=False):
                partial = [more for each in partial for more in self.matches(argument, taken, each)]
            yield from partial

    def producer(self, name: str) -> Node | None:
        """The node that computes a tensor; Identity nodes are passed over."""
        node = self.producers.get(name)
        while node is not None and node.op == "Identity":
            node = self.producers.get(node.inputs[0])
        return node

    def number(self, name: str) -> float | None:
        """The value of a constant that is one number."""
        array = self.constants.get(name)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


def _half(pattern: Pattern) -> list[Pattern]:
    return [("Mul", pattern, 0.5), ("Div", pattern, 2.0)]


_POWER: Pattern = ("Exp", [("Sub", "x", ("ReduceMax", "x")), "x"])
_BELL: Pattern = ("Add", ("Erf", [("Div", "x", 2**0.5), ("Mul", "x", 0.5**0.5)]), 1.0)
_MEAN: Pattern = [("ReduceMean", "x"), ("Reshape", ("ReduceMean", "x"))]
_CENTRED: Pattern = ("Sub", "x", _MEAN)
_SQUARE: Pattern = [("Pow", _CENTRED, 2.0), ("Mul", _CENTRED, _CENTRED)]
_DEVIATION: Pattern = ("Sqrt", ("Add", ("ReduceMean", _SQUARE), "epsilon"))
_SLOPE: Pattern = ("Mul", ("Reciprocal", _DEVIATION), "gamma")

_RELU: Pattern = (
    "Where", [("LessOrEqual", "x", "threshold"), ("Less", "x", "threshold")],
    ("Mul", ("Sub", "x", "edge"), "slope"), [("Min", "x", "max_value"), "x"],
)  # fmt: skip
"""Keras's general ReLU."""
_GELU: Pattern = [
    *_half(("Mul", "x", _BELL)),
    ("Mul", _half("x"), _BELL),
    ("Mul", "x", _half(_BELL)),
]
_NORM: Pattern = [("Div", _CENTRED, _DEVIATION), ("Mul", _CENTRED, ("Reciprocal", _DEVIATION))]
_KERAS_NORM: Pattern = (
    "Add", ("Mul", "x", _SLOPE),
    [("Sub", "beta", ("Mul", _MEAN, _SLOPE)), ("Add", "beta", ("Mul", ("Neg", _MEAN), _SLOPE))],
)  # fmt: skip
"""Layer normalization as Keras exports it: ``x * s + (beta - mean * s)``."""

Made: TypeAlias = tuple[str, tuple[str, ...], dict[str, Any], int] | None
"""Operation, inputs, attributes and opset of a node; None if a match does not fit after all."""


def _log_softmax(graph: Matcher, node: Node, found: Found) -> Made:
    inner = graph.producer(node.inputs[0])
    return None if inner is None else ("LogSoftmax", inner.inputs, inner.attributes, inner.opset)


def _softmax(graph: Matcher, node: Node, found: Found) -> Made:
    axes = found["axes"]
    return ("Softmax", (found["x"],), {"axis": axes[0]}, 13) if len(axes) == 1 else None


def _relu(graph: Matcher, node: Node, found: Found) -> Made:
    words = ("threshold", "slope", "max_value")
    numbers = {word: graph.number(found[word]) for word in words if word in found}
    if None in numbers.values() or numbers["threshold"] != graph.number(found["edge"]):
        return None
    return GENERAL_RELU, (found["x"],), numbers, 17


def _norm(graph: Matcher, node: Node, found: Found) -> Made:
    epsilon = graph.number(found["epsilon"])
    affine = tuple(found[word] for word in ("gamma", "beta") if word in found)
    if epsilon is None or any(name not in graph.constants for name in affine):
        return None
    return LAYER_NORM, (found["x"], *affine), {"axes": found["axes"], "epsilon": epsilon}, 17


FUSIONS: tuple[tuple[Pattern, Callable[[Matcher, Node, Found], Made]], ...] = (
    (("Log", ("Softmax", "x")), _log_softmax),
    (("Div", _POWER, ("ReduceSum", _POWER)), _softmax),
    (
        ("Div", "x", ("Add", ("Abs", "x"), 1.0)),
        lambda graph, node, found: ("Softsign", (found["x"],), {}, 17),
    ),
    (_RELU, _relu),
    (_GELU, lambda graph, node, found: ("Gelu", (found["x"],), {}, 20)),
    (_NORM, _norm),
    (_KERAS_NORM, _norm),
)
"""Every pattern with what makes a node of a match; each is tried at every node."""


def fuse(network: Network) -> Network:
    """The same network, with every pattern that was found replaced by one node."""
    graph, nodes = Matcher(network), []
    for node in network.nodes:
        fused = _fused(graph, node)
        if fused is not node:
            graph.producers |= dict.fromkeys(node.outputs, fused)
        nodes.append(fused)
    return replace(network, nodes=nodes).needed_for(*network.outputs)


def _fused(graph: Matcher, node: Node) -> Node:
    """The node that replaces a pattern ending with this node, or the node itself."""
    for pattern, make in FUSIONS if node.op != "Identity" and node.outputs else ():
        for found in graph.matches(pattern, node.outputs[0], {}):
            if (made := make(graph, node, found)) is not None:
                op, inputs, attributes, opset = made
                return Node(op, inputs, node.outputs, attributes, opset, node.name)
    return node
