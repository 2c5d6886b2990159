"""A growing graph: nodes, constants, and every tensor in the layout in which it is wanted.

ONNX wants channels in front where windows slide, tinymnist keeps them last. A picture stays in the
layout in which it was computed; a Transpose makes the other one, once, when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymnist.interop.onnx.loading import library
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers.base import free_name


class Emitter:
    """The nodes so far.

    Attributes:
        shapes: of every layer's output, channels last, without the batch axis.
        nodes, constants: for the graph.
    """

    def __init__(self, shapes: dict[str, Shape], dtype: np.dtype[Any]) -> None:
        self.shapes, self.dtype = shapes, dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._first: dict[str, str] = {}
        self._last: dict[str, str] = {}
        self._taken = set(shapes)
        self._known: dict[tuple[Any, ...], str] = {}

    def set(self, layer: str, tensor: str, *, first: bool = False) -> None:
        """State which tensor a layer's output is, and whether its channels are in front."""
        (self._first if first else self._last)[layer] = tensor

    def first(self, layer: str) -> str:
        """A picture as (n, c, h, w)."""
        if layer not in self._first:
            name = f"{layer}_channels_first"
            self._first[layer] = self.node(
                "Transpose", [self._last[layer]], name, perm=[0, 3, 1, 2]
            )
        return self._first[layer]

    def last(self, layer: str) -> str:
        """Any output with channels last."""
        if layer not in self._last:
            name = f"{layer}_channels_last"
            self._last[layer] = self.node(
                "Transpose", [self._first[layer]], name, perm=[0, 2, 3, 1]
            )
        return self._last[layer]

    def either(self, *layers: str) -> tuple[list[str], bool]:
        """Outputs in the layout that they have, and whether channels are in front.

        If they differ, channels are last.
        """
        first = all(layer in self._first and layer not in self._last for layer in layers)
        return [self.first(layer) if first else self.last(layer) for layer in layers], first

    def node(self, op: str, inputs: Sequence[str], name: str = "", **attributes: Any) -> str:
        """Append an operation; returns the name of its output."""
        name = free_name(name or op.lower(), self._taken)
        self._taken.add(name)
        made = library().helper.make_node(op, list(inputs), [name], name=name, **attributes)
        self.nodes.append(made)
        return name

    def finish(
        self, layer: str, op: str, inputs: Sequence[str], first: bool = False, **attributes: Any
    ) -> None:
        """Append the last operation of a layer, which gets the layer's name."""
        self.give(layer)
        self.set(layer, self.node(op, inputs, layer, **attributes), first=first)

    def give(self, layer: str) -> None:
        """Let a layer's own name, which no other tensor may take, be used for the next one."""
        self._taken.discard(layer)

    def constant(self, values: Any, name: str = "", dtype: Any = None) -> str:
        """A tensor of fixed numbers, in the model's dtype unless another is named."""
        array: Array = np.ascontiguousarray(values, dtype or self.dtype).reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size < 16 else (name,)
        if key not in self._known:
            name = free_name(name or "constant", self._taken)
            self._taken.add(name)
            self.constants.append(library().numpy_helper.from_array(array, name))
            self._known[key] = name
        return self._known[key]
