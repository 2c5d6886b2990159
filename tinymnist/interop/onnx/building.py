"""The layers that the mapping makes, and the moves of memory that they need between them."""

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
from tinymnist.nn.layers.base import default_name, free_name
from tinymnist.nn.sequential import Sequential

_MAX_OUTPUT_NUMBERS = 1 << 24
"""Upper limit of one layer's output for one picture; larger files are rejected."""


class Builder:
    """A growing list of layers, with their wiring and the shape of every output.

    Attributes:
        layers, wiring, shapes: as in :class:`~tinymnist.nn.graph.Graph`.
        tensors: the ONNX tensor that each layer's output corresponds to.
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
            sources: the names of the layers that it takes its inputs from.
            hint: a name to derive its own from.
            arrays: its weights.

        Returns:
            Its name.

        Raises:
            Unmappable: if it does not fit its inputs.
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
        if math.prod(shape) > _MAX_OUTPUT_NUMBERS:
            limit = f"limit {_MAX_OUTPUT_NUMBERS:,} numbers"
            raise Unmappable(f"output of shape {shape} too large ({limit})")
        for key, array in given.items():
            setattr(layer, key, array)
        stem = re.sub(r"[^A-Za-z0-9_.]+", "_", hint or default_name(layer)).strip("_.") or "layer"
        layer.name = free_name(stem, self.shapes)
        self.layers.append(layer)
        self.wiring[layer.name], self.shapes[layer.name] = tuple(sources), shape
        return layer.name

    def laid_out(self, view: View, groups: Sequence[Axis]) -> str:
        """A layer whose output has these groups of atoms as its axes, in this order.

        If memory lies in that order already, only its shape changes; else a Permute layer moves
        the axes.
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
        """Add a layer that moves numbers, unless it would change nothing or exists already."""
        place = (source, type(layer).__name__, key)
        if layer.output_shape(self.shapes[source]) == self.shapes[source] and not (
            isinstance(layer, Permute) and list(layer.dims) != sorted(layer.dims)
        ):
            return source
        if place not in self._moves:
            self._moves[place] = self.add(layer, source)
        return self._moves[place]

    def layer(self, name: str) -> Layer | None:
        """The layer with that name; None for the model's input."""
        return next((layer for layer in reversed(self.layers) if layer.name == name), None)

    def model(self, name: str, last: str) -> Sequential:
        """The model that ends with the layer ``last``, without layers that it does not need."""
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
