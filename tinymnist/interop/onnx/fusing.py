"""Layers that a file writes out in primitive nodes, found again.

Each pattern looks at the node that would be its last, and follows the inputs upwards. What a match
leaves without a use falls away; what is used elsewhere, too, simply stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tinymnist.interop.onnx.nodes import Network, Node
from tinymnist.nn.arrays import Array

LAYER_NORM = "tinymnist.LayerNormalization"
"""Normalizes over the axes in ``settings["axes"]``, which ONNX's own can only say of the last."""

BENT_RELU = "tinymnist.Relu"
"""A ReLU with the settings "most", "slope" and "edge"."""


def fuse(network: Network) -> Network:
    """The same network, with every pattern that was found replaced by one node."""
    graph = Patterns(network)
    for index, node in enumerate(network.nodes):
        for pattern in PATTERNS:
            if (found := pattern(graph, node)) is not None:
                graph.replace(index, found)
                break
    fused = replace(network, nodes=graph.nodes, constants=graph.constants)
    return fused.needed_for(*network.outputs)


class Patterns:
    """A network, and how to look around in it."""

    def __init__(self, network: Network) -> None:
        self.nodes = list(network.nodes)
        self.constants = network.constants
        self._producers = network.producers

    def replace(self, index: int, node: Node) -> None:
        """Put another node in the place of one."""
        self.nodes[index] = node
        self._producers |= dict.fromkeys(node.outputs, node)

    def maker(self, name: str, *ops: str) -> Node | None:
        """The node that makes a tensor, if it is one of these operations."""
        node = self._producers.get(name)
        while node is not None and node.op == "Identity":
            node = self._producers.get(node.inputs[0])
        return node if node is not None and node.op in ops else None

    def mean(self, name: str) -> Node | None:
        """The ReduceMean behind a tensor, also where only its shape was changed since."""
        moved = self.maker(name, "Reshape")
        return self.maker(name if moved is None else moved.inputs[0], "ReduceMean")

    def number(self, name: str) -> float | None:
        """The value of a constant that is one number."""
        array = self.constants.get(name)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None

    def with_number(self, node: Node, value: float) -> str | None:
        """The other input of a node that takes this very number, in either place."""
        for mine, other in ((0, 1), (1, 0)) if len(node.inputs) == 2 else ():
            number = self.number(node.inputs[mine])
            if number is not None and math.isclose(number, value, rel_tol=1e-4):
                return node.inputs[other]
        return None

    def axes(self, node: Node) -> Array | None:
        """The axes of a reduction as an array."""
        if "axes" in node.settings:
            return np.array(node.settings["axes"])
        return self.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None


def log_softmax(graph: Patterns, node: Node) -> Node | None:
    """``Log(Softmax(x))``."""
    inner = graph.maker(node.inputs[0], "Softmax") if node.op == "Log" else None
    if inner is None:
        return None
    return replace(inner, op="LogSoftmax", outputs=node.outputs, name=node.name)


def softmax(graph: Patterns, node: Node) -> Node | None:
    """``e / ReduceSum(e)`` with ``e = Exp(x)`` or ``Exp(x - ReduceMax(x))``."""
    if node.op != "Div" or (total := graph.maker(node.inputs[1], "ReduceSum")) is None:
        return None
    power, axes = graph.maker(node.inputs[0], "Exp"), graph.axes(total)
    if power is None or axes is None or axes.size != 1 or total.inputs[0] != node.inputs[0]:
        return None
    if not total.settings.get("keepdims", 1):
        return None
    x = power.inputs[0]
    if (shifted := graph.maker(x, "Sub")) is not None:
        most = graph.maker(shifted.inputs[1], "ReduceMax")
        if most is not None and most.inputs[0] == shifted.inputs[0]:
            x = shifted.inputs[0]
    return Node("Softmax", (x,), node.outputs, {"axis": int(axes.reshape(-1)[0])}, 13, node.name)


def softsign(graph: Patterns, node: Node) -> Node | None:
    """``x / (1 + Abs(x))``."""
    plus = graph.maker(node.inputs[1], "Add") if node.op == "Div" else None
    size = None if plus is None else graph.with_number(plus, 1.0)
    absolute = None if size is None else graph.maker(size, "Abs")
    if absolute is None or absolute.inputs[0] != node.inputs[0]:
        return None
    return Node("Softsign", (node.inputs[0],), node.outputs, {}, 17, node.name)


def bent_relu(graph: Patterns, node: Node) -> Node | None:
    """``Where(x < edge, (x - edge) * slope, Min(x, most))``: Keras's general ReLU."""
    below = graph.maker(node.inputs[0], "Less") if node.op == "Where" else None
    line = None if below is None else graph.maker(node.inputs[1], "Mul")
    if below is None or line is None:
        return None
    x, edge, slope = below.inputs[0], graph.number(below.inputs[1]), graph.number(line.inputs[1])
    minus, top = graph.maker(line.inputs[0], "Sub"), graph.maker(node.inputs[2], "Min")
    most = None if top is None or top.inputs[0] != x else graph.number(top.inputs[1])
    if minus is None or edge is None or slope is None or minus.inputs[0] != x:
        return None
    if graph.number(minus.inputs[1]) != edge or (most is None and node.inputs[2] != x):
        return None
    settings = {"most": most, "slope": slope, "edge": edge}
    return Node(BENT_RELU, (x,), node.outputs, settings, 17, node.name)


def gelu(graph: Patterns, node: Node) -> Node | None:
    """``x * 0.5 * (1 + Erf(x / sqrt(2)))``, multiplied in any order."""
    if node.op != "Mul":
        return None
    factors, scale = _factors(graph, node.outputs[0])
    if len(factors) != 2 or not math.isclose(scale, 0.5, rel_tol=1e-4):
        return None
    for x, bell in (factors, factors[::-1]):
        plus = graph.maker(bell, "Add")
        inner = None if plus is None else graph.with_number(plus, 1.0)
        error = None if inner is None else graph.maker(inner, "Erf")
        if error is not None and _is_scaled(graph, error.inputs[0], x, math.sqrt(0.5)):
            return Node("Gelu", (x,), node.outputs, {}, 20, node.name)
    return None


def _factors(graph: Patterns, name: str, depth: int = 0) -> tuple[list[str], float]:
    """The tensors whose product a tensor is, and the number that they are multiplied by."""
    node = graph.maker(name, "Mul", "Div") if depth < 4 else None
    if (number := graph.number(name)) is not None:
        return [], number
    if node is None:
        return [name], 1.0
    left, right = (_factors(graph, n, depth + 1) for n in node.inputs)
    if node.op == "Mul":
        return left[0] + right[0], left[1] * right[1]
    return ([name], 1.0) if right[0] or not right[1] else (left[0], left[1] / right[1])


def _is_scaled(graph: Patterns, name: str, x: str, factor: float) -> bool:
    """Whether a tensor is ``x * factor``."""
    own, outer = _factors(graph, name)
    base, inner = _factors(graph, x)
    return own == base and math.isclose(outer, factor * inner, rel_tol=1e-4)


def layer_norm(graph: Patterns, node: Node) -> Node | None:
    """``(x - mean) / Sqrt(variance + epsilon)``, over the axes of the two means."""
    if node.op == "Div":
        centred, root = node.inputs
    elif node.op == "Mul":
        upside = [graph.maker(name, "Reciprocal") for name in node.inputs]
        if upside[1] is None and upside[0] is None:
            return None
        centred, below = (
            (node.inputs[0], upside[1]) if upside[1] is not None else (node.inputs[1], upside[0])
        )
        root = below.inputs[0] if below is not None else ""
    else:
        return None
    found, centre = _deviation(graph, root), _centred(graph, centred)
    if found is None or centre is None or found[:2] != centre:
        return None
    return _norm_node(found, (), node)


def keras_layer_norm(graph: Patterns, node: Node) -> Node | None:
    """``x * s + (beta - mean * s)`` with ``s = gamma / Sqrt(variance + epsilon)``: Keras's."""
    for scaled, shift in (node.inputs, node.inputs[::-1]) if node.op == "Add" else ():
        product = graph.maker(scaled, "Mul")
        for x, s in () if product is None else (product.inputs, product.inputs[::-1]):
            gamma, found = _inverse_deviation(graph, s)
            beta, mean = _moved_mean(graph, shift, s)
            if found is not None and mean is not None and found[0] == x == mean.inputs[0]:
                return _norm_node(found, (gamma, beta), node)
    return None


def _moved_mean(graph: Patterns, name: str, s: str) -> tuple[str, Node | None]:
    """``beta - mean * s`` or ``-mean * s + beta``: the name of beta, and the node of the mean."""
    node = graph.maker(name, "Sub", "Add")
    for beta, moved in () if node is None else (node.inputs, node.inputs[::-1]):
        product = graph.maker(moved, "Mul")
        if beta not in graph.constants or product is None or s not in product.inputs:
            continue
        factor = next((n for n in product.inputs if n != s), s)
        if node is not None and node.op == "Add":
            minus = graph.maker(factor, "Neg")
            factor = "" if minus is None else minus.inputs[0]
        return beta, graph.mean(factor)
    return "", None


_Found = tuple[str, tuple[int, ...], float]
"""The tensor that is normalized, over which axes, and epsilon."""


def _norm_node(found: _Found, affine: tuple[str, ...], node: Node) -> Node:
    x, axes, epsilon = found
    settings = {"axes": axes, "epsilon": epsilon}
    return Node(LAYER_NORM, (x, *affine), node.outputs, settings, 17, node.name)


def _inverse_deviation(graph: Patterns, name: str) -> tuple[str, _Found | None]:
    """``gamma / Sqrt(variance + epsilon)``: the name of gamma, and what is under the root."""
    product = graph.maker(name, "Mul")
    for upside, gamma in () if product is None else (product.inputs, product.inputs[::-1]):
        below = graph.maker(upside, "Reciprocal")
        if below is not None and gamma in graph.constants:
            return gamma, _deviation(graph, below.inputs[0])
    return "", None


def _deviation(graph: Patterns, name: str) -> _Found | None:
    """``Sqrt(ReduceMean((x - mean)^2) + epsilon)``."""
    root = graph.maker(name, "Sqrt")
    plus = None if root is None else graph.maker(root.inputs[0], "Add")
    if plus is None:
        return None
    for inner, number in (plus.inputs, plus.inputs[::-1]):
        epsilon, mean = graph.number(number), graph.maker(inner, "ReduceMean")
        if epsilon is None or mean is None or not mean.settings.get("keepdims", 1):
            continue
        square = graph.maker(mean.inputs[0], "Pow", "Mul")
        if square is None or not (
            graph.number(square.inputs[1]) == 2
            if square.op == "Pow"
            else square.inputs[0] == square.inputs[1]
        ):
            continue
        centre, axes = _centred(graph, square.inputs[0]), _axes(graph, mean)
        if centre is not None and centre[1] == axes:
            return *centre, epsilon
    return None


def _centred(graph: Patterns, name: str) -> tuple[str, tuple[int, ...]] | None:
    """``x - ReduceMean(x)``: x, and the axes."""
    minus = graph.maker(name, "Sub")
    mean = None if minus is None else graph.mean(minus.inputs[1])
    if minus is None or mean is None or mean.inputs[0] != minus.inputs[0]:
        return None
    axes = _axes(graph, mean)
    return None if axes is None or not mean.settings.get("keepdims", 1) else (minus.inputs[0], axes)


def _axes(graph: Patterns, node: Node) -> tuple[int, ...] | None:
    axes = graph.axes(node)
    return None if axes is None else tuple(int(axis) for axis in axes.reshape(-1))


PATTERNS: tuple[Callable[[Patterns, Node], Node | None], ...] = (
    log_softmax,
    softmax,
    softsign,
    bent_relu,
    gelu,
    layer_norm,
    keras_layer_norm,
)
"""All patterns, each tried at every node."""
