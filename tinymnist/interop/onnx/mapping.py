"""From nodes to layers: the walk through a network, and the layers that it makes.

The walk goes through the nodes in order and keeps, for every tensor, either its numbers, if they
are known, or a :class:`~tinymnist.interop.onnx.views.View` of the layer that computes it.
Operations on known numbers are computed. The shape of a view is known, so the arithmetic that
some files do on shapes is too. All other operations are mapped to layers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinymnist.interop.onnx.nodes import DAMAGE, Contradiction, Network, Node, Port, Unmappable
from tinymnist.interop.onnx.running import Operation, Operations, chosen_branch, run_node
from tinymnist.interop.onnx.views import Atom, Axis, View, fresh, joined, size_of
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import Flatten, Layer, Permute, Reshape
from tinymnist.nn.layers.base import default_name, free_name
from tinymnist.nn.sequential import Sequential

_MAX_OUTPUT_NUMBERS = 1 << 24
"""Upper limit of one layer's output for one picture; larger files are rejected."""
_ABSORBED = {"Add", "Sub", "Mul", "Div"}
"""Operations that the layer before may take over: its output is then that of this node."""


class Builder:
    """A growing list of layers, and the moves of memory that they need between them.

    Attributes:
        layers, wiring, shapes: as in :class:`~tinymnist.nn.graph.Graph`.
        origins: the ONNX tensor that each layer's output corresponds to.
    """

    def __init__(self, input_shape: Shape, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.layers: list[Layer] = []
        self.wiring: dict[str, tuple[str, ...]] = {}
        self.shapes: dict[str, Shape] = {INPUT: input_shape}
        self.origins: dict[str, str] = {}
        self._moves: dict[tuple[str, str, Any], str] = {}

    def add(self, layer: Layer, *sources: str, hint: str = "", **arrays: Array) -> str:
        """Append a layer that takes its inputs from other layers, if it fits them.

        Args:
            layer: without arrays.
            sources: the names of those layers.
            hint: a name to derive its own from.
            arrays: its weights.

        Returns:
            Its name.
        """
        given = {k: np.ascontiguousarray(a, self.dtype) for k, a in arrays.items()}
        inputs = [self.shapes[source] for source in sources]
        try:
            shape = layer.output_shape(*inputs)
            wanted = layer.weight_shapes(*inputs)
        except ValueError as error:
            raise Unmappable(str(error)) from None
        if (found := {k: a.shape for k, a in given.items()}) != wanted:
            raise Unmappable(f"its weights are {found}, where {wanted} would fit")
        if math.prod(shape) > _MAX_OUTPUT_NUMBERS:
            limit = f"(limit {_MAX_OUTPUT_NUMBERS:,} numbers)"
            raise Unmappable(f"output of shape {shape} too large {limit}")
        for key, array in given.items():
            setattr(layer, key, array)
        name = re.sub(r"[^A-Za-z0-9_.]+", "_", hint or default_name(layer)).strip("_.")
        layer.name = free_name(name or "layer", self.shapes)
        self.layers.append(layer)
        self.wiring[layer.name], self.shapes[layer.name] = sources, shape
        return layer.name

    def append(self, layer: Layer, view: View) -> View:
        """Append a layer without weights that keeps the axes of its input."""
        return view.moved(self.add(layer, view.source))

    def laid_out(self, view: View, groups: Sequence[Axis]) -> str:
        """A layer whose output has these groups of atoms as its axes, in this order.

        If memory lies in that order already, only its shape changes; else a Permute layer moves
        the axes.
        """
        order, source = joined(groups), view.source
        if order != view.order:
            source = self._move(source, Reshape([a.size for a in view.order]), view.order)
            dims = [view.order.index(atom) + 1 for atom in order]
            source = self._move(source, Permute(dims), tuple(dims))
        shape = tuple(size_of(group) for group in groups) or (1,)
        return self._move(source, Flatten() if len(shape) == 1 else Reshape(list(shape)), shape)

    def _move(self, source: str, layer: Layer, key: Any) -> str:
        """Add a layer that moves numbers, unless it would change nothing or exists already."""
        place = (source, type(layer).__name__, key)
        if layer.output_shape(self.shapes[source]) == self.shapes[source] and not (
            isinstance(layer, Permute) and list(layer.dims) != sorted(layer.dims)
        ):
            return source
        if place not in self._moves:
            self._moves[place] = self.add(layer, source)
        return self._moves[place]

    def with_last(self, view: View, atoms: Axis) -> View:
        """The view over memory in which ``atoms`` are the last axis, in their present order."""
        last = tuple(atom for atom in view.order if atom in atoms)
        rest = tuple(atom for atom in view.order if atom not in atoms)
        if view.order == (*rest, *last) and self.shapes[view.source][-1] == size_of(last):
            return view
        groups = [*((atom,) for atom in rest), last]
        return replace(view, source=self.laid_out(view, groups), order=(*rest, *last))

    def as_picture(self, view: View, high: Axis, wide: Axis, channels: Axis) -> str:
        """A layer with the output (h, w, c), each made of these atoms."""
        order = (*high, *wide, *channels)
        if sorted(a.number for a in order) != sorted(a.number for a in view.order):
            raise Unmappable("it would need every axis of the picture")
        return self.laid_out(view, [high, wide, channels])

    def whole(self, view: View) -> View:
        """The view over memory that is one row, in the order of the tensor."""
        source = self.laid_out(view, [joined(view.axes)])
        one = Atom(size_of(view.order))
        return View(source, (one,), ((one,),), view.batch)

    def new_view(self, source: str, axes_from: Sequence[int], batch: int | None) -> View:
        """A view of a new layer's output: for each axis, which axis of memory it is."""
        memory = fresh(self.shapes[source])
        return View(source, joined(memory), tuple(memory[i] for i in axes_from), batch)

    def model(self, name: str, last: str) -> Sequential:
        """The model that ends with the layer ``last``, without layers that it does not need."""
        wanted, queue = {last}, [last]
        while queue:
            needed = set(self.wiring.get(queue.pop(), ())) - wanted
            wanted |= needed
            queue += needed
        kept = [layer for layer in self.layers if layer.name in wanted]
        kept.sort(key=lambda layer: layer.name == last)  # the last one is the model's output
        wiring = {layer.name: self.wiring[layer.name] for layer in kept}
        return Sequential(
            kept, input_shape=self.shapes[INPUT], wiring=wiring, dtype=self.dtype, name=name
        )


class Mapper(Builder):
    """The walk: the layers that it made, and its tensors so far.

    Attributes:
        tensors: those that depend on the picture.
        constants: those that do not.
        uses: how often each tensor is taken.
    """

    def __init__(
        self, network: Network, port: Port, shape: Shape, view: View, operations: Operations
    ) -> None:
        super().__init__(shape, "float64" if port.kind == "float64" else "float32")
        self._operations = operations
        self.tensors: dict[str, View] = {port.name: view}
        self.constants: dict[str, Array] = dict(network.constants)
        self.uses = network.uses()

    def walk(self, nodes: list[Node]) -> None:
        """Map nodes, each after its inputs; Unmappable names the first without counterpart."""
        for node in nodes:
            try:
                self._step(node)
            except Unmappable as reason:
                raise Unmappable(f"node {node} cannot be mapped: {reason}") from None
            except DAMAGE as error:
                raise Contradiction(f"node {node} is damaged: {error}") from None

    def _step(self, node: Node) -> None:
        first = node.inputs[0] if node.inputs else ""
        mapping = self._operations.get(node.op, Operation()).map
        if node.op in ("Shape", "Size") and first in self.tensors:
            shape = np.empty(self.tensors[first].shape, bool)
            self.constants |= run_node(node, {first: shape}, self._operations)
        elif node.op == "If" and first in self.constants:
            self._branch(node, chosen_branch(node, self.constants))
        elif all(name in self.constants for name in node.inputs if name):
            self.constants |= run_node(node, self.constants, self._operations)
        elif mapping is None:
            raise Unmappable(f"tinymnist has no counterpart of {node.op}")
        elif further := [name for name in node.outputs[1:] if self.uses.get(name)]:
            raise Unmappable(f"it would need its output {further[0]!r}")
        else:
            live = next(name for name in node.inputs if name in self.tensors)
            view = mapping(self, node, self.tensors[live])
            self.tensors[node.outputs[0]] = view
            if view.source not in self.origins or node.op in _ABSORBED:
                self.origins[view.source] = node.outputs[0]

    def _branch(self, node: Node, branch: Network) -> None:
        """A choice that the shapes decide: the branch taken becomes part of the walk."""
        self.constants |= branch.constants
        self.walk(branch.nodes)
        for outer, inner in zip(node.outputs, branch.outputs, strict=False):
            where: Any = self.tensors if inner in self.tensors else self.constants
            where[outer] = where[inner]

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

    def add_for(self, node: Node, layer: Layer, source: str, **arrays: Array) -> str:
        """Append a layer for a node, named after its weights in the file or the node itself."""
        weights = node.inputs[1] if len(node.inputs) > 1 else ""
        return self.add(layer, source, hint=stem(weights) or stem(node.name), **arrays)

    def alone(self, name: str) -> bool:
        """Whether a tensor and all views of its layer are used once, and by no layer yet."""
        source = self.view(name).source
        if any(source in sources for sources in self.wiring.values()):
            return False
        views = [other for other, view in self.tensors.items() if view.source == source]
        return all(self.uses.get(other, 0) == 1 for other in views)


_ENDINGS = re.compile(
    r"([./_](weights?|kernel|W|w|Conv2D|MatMul|Conv|Gemm|BiasAdd|ReadVariableOp|Tensordot|read"
    r"|depthwise|separable_conv2d|Relu|Add|add|gamma|Cast|convolution)(:\d+)?|:\d+)+$"
)


def stem(name: str) -> str:
    """A name without endings that name a kind of layer; empty if it was only numbered."""
    stem = _ENDINGS.sub("", name).replace("::", "_").split("/")[-1].strip("_.")
    usable = re.search(r"[A-Za-z]{2}", stem) and not re.match(r"(onnx|val|Parameter|node)_?", stem)
    return stem if usable else ""


def finite(values: Array) -> Array:
    """Weights, which must be numbers."""
    if not np.isfinite(values).all():
        raise Unmappable("its weights hold infinities or NaN")
    return values
