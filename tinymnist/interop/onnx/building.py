"""Layers as they come out of the mapping, and the moves that memory needs between them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymnist.interop.onnx.nodes import Unmappable
from tinymnist.interop.onnx.views import Axis, View, shape_of
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import Flatten, Layer, Permute, Reshape
from tinymnist.nn.layers.base import default_name
from tinymnist.nn.sequential import Sequential

_MOST_NUMBERS = 1 << 24
"""In one layer's output for one picture; beyond, a file is broken or hostile."""


class Builder:
    """A list of layers that grows, with its wiring and the shape of every output.

    Attributes:
        layers, wiring, shapes: as of :class:`~tinymnist.nn.graph.Graph`.
        tensors: the ONNX tensor that each layer's output stands for.
    """

    def __init__(self, input_shape: Shape, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.layers: list[Layer] = []
        self.wiring: dict[str, tuple[str, ...]] = {}
        self.shapes: dict[str, Shape] = {INPUT: input_shape}
        self.tensors: dict[str, str] = {}
        self._moves: dict[tuple[str, str, Any], str] = {}

    def add(
        self, layer: Layer, *sources: str, hint: str = "", arrays: dict[str, Array] | None = None
    ) -> str:
        """Append a layer.

        Args:
            layer: without arrays.
            sources: the names of what it takes.
            hint: what to call it, if it can be.
            arrays: its weights.

        Returns:
            Its name.

        Raises:
            Unmappable: when it does not fit what it takes.
        """
        given = {k: np.ascontiguousarray(a, self.dtype) for k, a in (arrays or {}).items()}
        inputs = [self.shapes[source] for source in sources]
        try:
            shape = layer.output_shape(*inputs)
            wanted = layer.weight_shapes(*inputs)
        except ValueError as error:
            raise Unmappable(str(error)) from None
        if (found := {k: a.shape for k, a in given.items()}) != wanted:
            raise Unmappable(f"its weights are {found}, where {wanted} would fit")
        if math.prod(shape) > _MOST_NUMBERS:
            raise Unmappable(f"an output of {shape} is beyond all measure")
        for key, array in given.items():
            setattr(layer, key, array)
        layer.name = self._name(hint or default_name(layer))
        self.layers.append(layer)
        self.wiring[layer.name], self.shapes[layer.name] = tuple(sources), shape
        return layer.name

    def _name(self, hint: str) -> str:
        stem = re.sub(r"[^A-Za-z0-9_.]+", "_", hint).strip("_.") or "layer"
        name, number = stem, 0
        while name in self.shapes:
            number += 1
            name = f"{stem}_{number}"
        return name

    def laid_out(self, view: View, groups: Sequence[Axis]) -> str:
        """A layer's output in which the groups are the axes, in this order.

        Where memory lies in that order already, a change of shape is all that it takes; else the
        axes are moved by a Permute layer.
        """
        order = tuple(atom for group in groups for atom in group)
        source = view.source
        if order != view.order:
            source = self._move(source, Reshape([a.size for a in view.order]), view.order)
            dims = [view.order.index(atom) + 1 for atom in order]
            source = self._move(source, Permute(dims), tuple(dims))
        shape = shape_of(groups)
        layer = Flatten() if len(shape) == 1 else Reshape(list(shape))
        return self._move(source, layer, shape)

    def _move(self, source: str, layer: Layer, key: Any) -> str:
        """Add a layer that moves numbers, unless it would change nothing or is there already."""
        place = (source, type(layer).__name__, key)
        if layer.output_shape(self.shapes[source]) == self.shapes[source] and not (
            isinstance(layer, Permute) and list(layer.dims) != sorted(layer.dims)
        ):
            return source
        if place not in self._moves:
            self._moves[place] = self.add(layer, source)
        return self._moves[place]

    def layer(self, name: str) -> Layer | None:
        """The layer of that name; None for the model's input."""
        return next((layer for layer in reversed(self.layers) if layer.name == name), None)

    def model(self, name: str, last: str) -> Sequential:
        """The model that ends with the layer ``last``; what leads nowhere is left out."""
        wanted, queue = {last}, [last]
        while queue:
            fresh = set(self.wiring.get(queue.pop(), ())) - wanted
            wanted |= fresh
            queue += fresh
        kept = [layer for layer in self.layers if layer.name in wanted]
        kept.sort(key=lambda layer: layer.name == last)  # the last one is the model's output
        wiring = {layer.name: self.wiring[layer.name] for layer in kept}
        return Sequential(
            kept, input_shape=self.shapes[INPUT], wiring=wiring, dtype=self.dtype, name=name
        )
