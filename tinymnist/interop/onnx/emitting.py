"""A growing graph, and activations as operations of it.

ONNX wants channels in front where windows slide, tinymnist keeps them last. A picture stays in the
layout in which it was computed; a Transpose makes the other one, once, when it is asked for.
Activations that opset 17 lacks are written out in other operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tinymnist.interop.onnx.loading import library
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers.base import free_name


class Emitter:
    """Nodes and constants of a graph.

    Attributes:
        shapes: of every layer's output, channels last.
        tensors: every layer's output, by its name and whether channels are in front.
    """

    def __init__(self, shapes: dict[str, Shape], dtype: np.dtype[Any]) -> None:
        self.shapes, self.dtype = shapes, dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.tensors: dict[tuple[str, bool], str] = {}
        self._taken = set(shapes)
        self._known: dict[tuple[Any, ...], str] = {}

    def get(self, layer: str, *, first: bool = False) -> str:
        """An output with channels in front, (n, c, h, w), or last."""
        if (layer, first) not in self.tensors:
            perm = [0, 3, 1, 2] if first else [0, 2, 3, 1]
            name = f"{layer}_channels_{'first' if first else 'last'}"
            made = self.node("Transpose", [self.tensors[layer, not first]], name, perm=perm)
            self.tensors[layer, first] = made
        return self.tensors[layer, first]

    def either(self, *layers: str) -> tuple[list[str], bool]:
        """Outputs in the layout that all have, and whether channels are in front; else last."""
        first = not any((layer, False) in self.tensors for layer in layers)
        return [self.get(layer, first=first) for layer in layers], first

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
        self._taken.discard(layer)  # no other tensor may take this name
        self.tensors[layer, first] = self.node(op, inputs, layer, **attributes)

    def activate(self, layer: str, emission: Emission, x: str, first: bool) -> None:
        """Append an activation as the end of a layer, which gets the layer's name."""
        self._taken.discard(layer)
        self.tensors[layer, first] = emission(self, x, layer, 1 if first else -1)

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

    def weights(self, layer: Any) -> list[str]:
        """The arrays of a layer as constants, kernels of pictures as ONNX has them."""
        arrays = dict(layer.weights)
        if "kernel" in arrays and arrays["kernel"].ndim == 4:
            # (kh, kw, in / groups, out) -> (out, in / groups, kh, kw)
            arrays["kernel"] = arrays["kernel"].transpose(3, 2, 0, 1)
        return [self.constant(array, f"{layer.name}/{key}") for key, array in arrays.items()]


Emission: TypeAlias = Callable[[Emitter, str, str, int], str]
"""``f(emitter, tensor, name, axis of channels)`` appends nodes up to ``name``; returns that."""


def simple(op: str, **attributes: Any) -> Emission:
    """An activation that is one operation."""
    return lambda e, x, name, axis: e.node(op, [x], name, **attributes)


def _along(op: str) -> Emission:
    """One operation over the channels."""
    return lambda e, x, name, axis: e.node(op, [x], name, axis=axis)


def _clipped(low: float, high: float) -> Emission:
    return lambda e, x, name, axis: e.node("Clip", [x, e.constant(low), e.constant(high)], name)


def _silu(e: Emitter, x: str, name: str, axis: int) -> str:
    """``x * sigmoid(x)``."""
    return e.node("Mul", [x, e.node("Sigmoid", [x], f"{name}_gate")], name)


def _mish(e: Emitter, x: str, name: str, axis: int) -> str:
    """``x * tanh(softplus(x))``."""
    return e.node("Mul", [x, e.node("Tanh", [e.node("Softplus", [x])], f"{name}_gate")], name)


def gelu(approximate: bool = False) -> Emission:
    """``x / 2 * (1 + bell)``; the bell is the error function, or a tanh."""

    def emit(e: Emitter, x: str, name: str, axis: int) -> str:
        if approximate:
            cube = e.node("Mul", [e.node("Mul", [x, x]), x])
            inner = e.node("Add", [x, e.node("Mul", [cube, e.constant(0.044715)])])
            bell = e.node("Tanh", [e.node("Mul", [inner, e.constant(math.sqrt(2 / math.pi))])])
        else:
            bell = e.node("Erf", [e.node("Div", [x, e.constant(math.sqrt(2))])])
        product = e.node("Mul", [x, e.node("Add", [bell, e.constant(1.0)])])
        return e.node("Mul", [product, e.constant(0.5)], name)

    return emit


def general_relu(highest: float | None, slope: float, threshold: float) -> Emission:
    """Keras's general ReLU: ``Relu``, ``Clip``, or written out."""
    if slope == 0 and threshold == 0:
        return simple("Relu") if highest is None else _clipped(0.0, highest)

    def emit(e: Emitter, x: str, name: str, axis: int) -> str:
        top = x if highest is None else e.node("Min", [x, e.constant(highest)])
        edge = e.constant(threshold)
        below = e.node("Mul", [e.node("Sub", [x, edge]), e.constant(slope)])
        return e.node("Where", [e.node("LessOrEqual", [x, edge]), below, top], name)

    return emit


ACTIVATIONS: dict[str, Emission] = {
    **{word: simple(word.title()) for word in ("relu", "sigmoid", "softplus", "softsign", "tanh")},
    "elu": simple("Elu", alpha=1.0),
    "exponential": simple("Exp"),
    "gelu": gelu(),
    "hard_sigmoid": simple("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_silu": simple("HardSwish"),
    "hard_tanh": _clipped(-1.0, 1.0),
    "leaky_relu": simple("LeakyRelu", alpha=0.2),
    "linear": simple("Identity"),
    "log_softmax": _along("LogSoftmax"),
    "mish": _mish,
    "relu6": _clipped(0.0, 6.0),
    "selu": simple("Selu", alpha=1.6732632423543772, gamma=1.0507009873554805),
    "silu": _silu,
    "softmax": _along("Softmax"),
}
"""Every activation by Keras's name."""
