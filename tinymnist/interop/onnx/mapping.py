"""From nodes to layers: the walk through a network, and what the mappings of operations use.

The walk goes through the nodes in order and keeps, for every tensor, either its numbers, if they
are known, or a :class:`~tinymnist.interop.onnx.views.View` of the layer that computes it.
Operations on known numbers are computed. The shape of a view is known, so the arithmetic that
some files do on shapes is too. All other operations are looked up in a table of mappings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from tinymnist.interop.onnx.building import Builder
from tinymnist.interop.onnx.nodes import Contradiction, Network, Node, Unmappable
from tinymnist.interop.onnx.running import run_node
from tinymnist.interop.onnx.views import Atom, Axis, View, fresh, size_of
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import Layer

MapFunction: TypeAlias = Callable[["Mapper", Node, View], View]
"""``f(mapper, node, view)`` appends the layers of a node.

``view`` is the first of its inputs that depends on the picture; all others are expected to be fixed
unless the function looks at them itself. The result is the node's first output.
"""
_ABSORBED = {"Add", "Sub", "Mul", "Div"}
"""Operations that the layer before may take over: its output is then that of this node."""


class Mapper:
    """The walk: its tensors so far, and the layers that it made.

    Attributes:
        builder: the layers.
        tensors: the tensors that depend on the picture.
        constants: the tensors that do not.
        uses: how often each tensor is taken.
    """

    def __init__(
        self,
        network: Network,
        builder: Builder,
        tensors: Mapping[str, View],
        mappings: Mapping[str, MapFunction],
    ) -> None:
        self.builder, self._mappings = builder, mappings
        self.tensors: dict[str, View] = dict(tensors)
        self.constants: dict[str, Array] = dict(network.constants)
        self.uses = network.uses()

    def walk(self, nodes: list[Node]) -> None:
        """Map nodes, each after its inputs.

        Raises:
            Unmappable: at the first that has no counterpart; the message names it.
        """
        for node in nodes:
            try:
                self._step(node)
            except Unmappable as reason:
                raise Unmappable(f"node {node} cannot be mapped: {reason}") from None
            except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
                # Attributes or shapes that contradict each other; NumPy says how.
                message = " ".join(str(error).split())
                raise Contradiction(f"node {node} is damaged: {message}") from None

    def _step(self, node: Node) -> None:
        first = node.inputs[0] if node.inputs else ""
        if node.op in ("Shape", "Size") and first in self.tensors:
            shape = np.empty(self.tensors[first].shape, bool)
            self.constants |= run_node(node, {first: shape})
        elif node.op == "If" and first in self.constants:
            self._branch(node, bool(self.constants[first].reshape(-1)[0]))
        elif all(name in self.constants for name in node.inputs if name):
            self.constants |= run_node(node, self.constants)
        elif node.op not in self._mappings:
            raise Unmappable(f"tinymnist has no counterpart of {node.op}")
        elif further := [name for name in node.outputs[1:] if self.uses.get(name)]:
            raise Unmappable(f"it would need its output {further[0]!r}")
        else:
            live = next(name for name in node.inputs if name in self.tensors)
            view = self._mappings[node.op](self, node, self.tensors[live])
            self.tensors[node.outputs[0]] = view
            if view.source not in self.builder.tensors or node.op in _ABSORBED:
                self.builder.tensors[view.source] = node.outputs[0]

    def _branch(self, node: Node, condition: bool) -> None:
        """A choice that the shapes decide: the branch taken becomes part of the walk."""
        branch = node.get("then_branch" if condition else "else_branch")
        if not isinstance(branch, Network):
            raise Unmappable("it has no such branch")
        self.constants |= branch.constants
        self.walk(branch.nodes)
        for outer, inner in zip(node.outputs, branch.outputs, strict=False):
            where: Any = self.tensors if inner in self.tensors else self.constants
            where[outer] = where[inner]

    # For mappings --------------------------------------------------------------------------------

    def view(self, name: str) -> View:
        """A tensor that depends on the picture."""
        if name not in self.tensors:
            raise Unmappable(f"it would need {name!r} to come from the picture")
        return self.tensors[name]

    def constant(self, name: str) -> Array:
        """A tensor that does not."""
        if name not in self.constants:
            raise Unmappable(f"it would need {name!r} to be fixed, not computed")
        return self.constants[name]

    def optional(self, node: Node, index: int) -> Array | None:
        """A fixed input that may be left out."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        return self.constant(name) if name else None

    def arrays(self, node: Node) -> list[Array | None]:
        """The inputs of a node by place: None for the first, which is a view; all others fixed."""
        return [None, *(self.optional(node, i) for i in range(1, len(node.inputs)))]

    def add(self, node: Node, layer: Layer, *sources: str, weights: str = "", **arrays: Any) -> str:
        """Append a layer for a node, named after the file's own names."""
        return self.builder.add(layer, *sources, hint=name_for(node, weights), arrays=arrays)

    def alone(self, name: str) -> bool:
        """Whether a tensor and all views of its layer are used once, and by no layer yet."""
        source = self.view(name).source
        if any(source in sources for sources in self.builder.wiring.values()):
            return False
        views = [other for other, view in self.tensors.items() if view.source == source]
        return all(self.uses.get(other, 0) == 1 for other in views)

    def append(self, layer: Layer, view: View) -> View:
        """Append a layer without weights that keeps the axes of its input."""
        return view.moved(self.builder.add(layer, view.source))

    def with_last(self, view: View, atoms: Axis) -> View:
        """The view over memory in which ``atoms`` are the last axis, in their present order."""
        last = tuple(atom for atom in view.order if atom in atoms)
        rest = tuple(atom for atom in view.order if atom not in atoms)
        shape = self.builder.shapes[view.source]
        if view.order == (*rest, *last) and shape[-1] == size_of(last):
            return view
        groups = [*((atom,) for atom in rest), last]
        return replace(view, source=self.builder.laid_out(view, groups), order=(*rest, *last))

    def as_picture(self, view: View, high: Axis, wide: Axis, channels: Axis) -> str:
        """A layer with the output (h, w, c), each made of these atoms."""
        order = (*high, *wide, *channels)
        if sorted(a.number for a in order) != sorted(a.number for a in view.order):
            raise Unmappable("it would need every axis of the picture")
        return self.builder.laid_out(view, [high, wide, channels])

    def whole(self, view: View) -> View:
        """The view over memory that is one row, in the order of the tensor."""
        flat = tuple(atom for axis in view.axes for atom in axis)
        source = self.builder.laid_out(view, [flat])
        one = Atom(size_of(flat))
        return View(source, (one,), ((one,),), view.batch)


def new_view(source: str, order_shape: tuple[int, ...], axes_from: tuple[int, ...],
             batch: int | None) -> View:  # fmt: skip
    """A view of a new output.

    Args:
        source: its layer.
        order_shape: the shape in memory.
        axes_from: for each axis of the tensor, which axis of memory it is.
        batch: as of :class:`View`.
    """
    memory = fresh(order_shape)
    order = tuple(atom for axis in memory for atom in axis)
    return View(source, order, tuple(memory[i] for i in axes_from), batch)


def in_order(values: Array, atoms: Axis, order: Axis) -> Array:
    """Numbers along ``atoms``, brought into the order in which memory has these atoms."""
    kept = [atom for atom in order if atom in atoms]
    pieces = values.reshape([atom.size for atom in atoms])
    return pieces.transpose([atoms.index(atom) for atom in kept]).reshape(-1)


_ENDINGS = re.compile(
    r"([./_](weights?|kernel|W|w|Conv2D|MatMul|Conv|Gemm|BiasAdd|ReadVariableOp|Tensordot|read"
    r"|depthwise|separable_conv2d|Relu|Add|add|gamma|Cast|convolution)(:\d+)?|:\d+)+$"
)


def name_for(node: Node, weights: str = "") -> str:
    """A name for a layer: that of its weights or its node, without endings that name its kind."""
    for name in (weights, node.name):
        stem = _ENDINGS.sub("", name).replace("::", "_").split("/")[-1].strip("_.")
        if re.search(r"[A-Za-z]{2}", stem) and not re.match(r"(onnx|val|Parameter|node)_?", stem):
            return stem
    return ""


def is_one(value: Array | float) -> bool:
    """Whether all numbers are 1."""
    return bool(np.all(np.asarray(value) == 1))


def finite(values: Array) -> Array:
    """Weights, which must be numbers."""
    if not np.isfinite(values).all():
        raise Unmappable("its weights hold infinities or NaN")
    return values
