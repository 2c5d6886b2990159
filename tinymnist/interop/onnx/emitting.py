"""A graph that grows: nodes, constants, and every tensor in the layout in which it is wanted.

ONNX wants channels in front where windows slide, tinymnist keeps them last. A picture stays in the
layout in which it was computed; the other one is made by a Transpose, once, when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymnist.interop.onnx.library import library
from tinymnist.nn.arrays import Array, Shape

_TO_FIRST, _TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


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
        """State which tensor a layer's output is, and in which layout."""
        (self._first if first else self._last)[layer] = tensor

    def is_first(self, layer: str) -> bool:
        """Whether a layer's output was computed with channels in front."""
        return layer in self._first and layer not in self._last

    def first(self, layer: str) -> str:
        """A picture as (n, c, h, w)."""
        if layer not in self._first:
            name = f"{layer}_channels_first"
            self._first[layer] = self.node("Transpose", [self._last[layer]], name, perm=_TO_FIRST)
        return self._first[layer]

    def last(self, layer: str) -> str:
        """Any output as tinymnist has it."""
        if layer not in self._last:
            name = f"{layer}_channels_last"
            self._last[layer] = self.node("Transpose", [self._first[layer]], name, perm=_TO_LAST)
        return self._last[layer]

    def either(self, layer: str) -> tuple[str, bool]:
        """An output in the layout that is there, and whether channels are in front."""
        first = self.is_first(layer)
        return (self._first if first else self._last)[layer], first

    def node(self, op: str, inputs: Sequence[str], name: str = "", **settings: Any) -> str:
        """Append an operation; gives the name of its output."""
        name = self.free(name or op.lower())
        made = library().helper.make_node(op, list(inputs), [name], name=name, **settings)
        self.nodes.append(made)
        return name

    def constant(self, values: Any, name: str = "", dtype: Any = None) -> str:
        """A tensor of fixed numbers, in the model's own type unless another is named."""
        array: Array = np.ascontiguousarray(values, dtype or self.dtype).reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size < 16 else (name,)
        if key not in self._known:
            name = self.free(name or "constant")
            self.constants.append(library().numpy_helper.from_array(array, name))
            self._known[key] = name
        return self._known[key]

    def free(self, name: str) -> str:
        """A name for a tensor: this one, or with a number where it is taken."""
        stem, number = name, 0
        while name in self._taken:
            number += 1
            name = f"{stem}_{number}"
        self._taken.add(name)
        return name

    def give(self, name: str) -> None:
        """Let a layer's own name be used for a tensor."""
        self._taken.discard(name)
