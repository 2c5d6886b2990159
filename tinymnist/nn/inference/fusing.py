"""What is folded into what: from layers to the fewest steps that compute the same.

A convolution or Dense layer takes in what follows it, as long as nothing else needs the numbers in
between:

* batch normalization at inference is y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, a
  factor and an offset per channel, which scale the products and move the bias;
* an activation is applied to the output in place;
* 2x2 max-pooling commutes with adding a bias and with every activation that never falls, so it can
  come first, on raw products, and leaves a quarter of the numbers to finish;
* Dropout does nothing at inference.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np

from tinymnist.nn.arrays import Array, Pair, Shape, Windows
from tinymnist.nn.layers import (
    ACTIVATIONS,
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPooling2D,
    ReLU,
    Softmax,
)

Function: TypeAlias = Callable[..., tuple[Array, Any]]
"""The forward half of an activation."""

NEVER_FALLING = {
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "softplus",
}  # fmt: skip
"""Activations whose largest output belongs to the largest input."""


class Network(Protocol):
    """What a plan needs of a graph: its layers in order, what each takes, and every shape."""

    layers: list[Layer]
    sources: dict[str, tuple[str, ...]]
    shapes: dict[str, Shape]

    @property
    def output_shape(self) -> Shape:
        """The shape of the prediction for one example."""

    @property
    def ends_in_softmax(self) -> bool:
        """Whether the last layer is a softmax, or has one for its activation."""


@dataclass(frozen=True)
class Convolution:
    """A convolution with everything that was folded into it.

    Attributes:
        kernel: (kh, kw, c, o), the layer's own array.
        bias: (o,).
        scale: (o,), what batch normalization multiplies the products by; None if there is none.
        windows: how the kernel slides.
        activation: applied last, a name of :data:`ACTIVATIONS`.
        is_pooled: whether only the largest of each 2x2 outputs is wanted; an odd last row or
            column is dropped.
    """

    kernel: Array
    bias: Array
    windows: Windows
    activation: str = "linear"
    is_pooled: bool = False
    scale: Array | None = None

    @property
    def scaled_kernel(self) -> Array:
        """The kernel with the scale multiplied in: a copy, if there is one."""
        return self.kernel if self.scale is None else self.kernel * self.scale

    @property
    def output(self) -> Pair:
        """(oh, ow), after pooling if any."""
        oh, ow = self.windows.output
        return (oh // 2, ow // 2) if self.is_pooled else (oh, ow)


@dataclass(frozen=True)
class Product:
    """A Dense layer, and the Flatten before it, with what was folded into it."""

    kernel: Array
    bias: Array
    activation: str = "linear"


Operation: TypeAlias = Convolution | Product | Layer
"""What a step computes; a layer by itself if nothing could be folded into it."""


@dataclass(frozen=True)
class Fused:
    """One step: what to compute, from which outputs, and the name of the result."""

    operation: Operation
    sources: tuple[str, ...]
    name: str


def fuse(graph: Network) -> list[Fused]:
    """The steps of a graph in order; the one that gives the model's output is the last."""
    layers = {layer.name: layer for layer in graph.layers}
    users: dict[str, list[str]] = {}
    for name, sources in graph.sources.items():
        for source in sources:
            users.setdefault(source, []).append(name)

    def only_user(name: str) -> Layer | None:
        """The layer that takes this output, if exactly one does."""
        taking = users.get(name, [])
        return layers[taking[0]] if len(taking) == 1 else None

    steps: list[Fused] = []
    folded = set[str]()
    for layer in graph.layers:
        if layer.name in folded:
            continue
        sources, last = graph.sources[layer.name], layer.name
        operation = _start(layer, graph.shapes[sources[0]])
        while (after := only_user(last)) and (more := _fold(operation, after)):
            operation, last = more, after.name
            folded.add(last)
        steps += _split_softmax(operation, sources, last)
    output = graph.layers[-1].name if graph.layers else ""
    return sorted(steps, key=lambda step: step.name == output)  # a stable sort


def _start(layer: Layer, input_shape: Shape) -> Operation:
    """A layer as the beginning of a step."""
    if isinstance(layer, Dense):
        return Product(layer.kernel, _bias(layer), layer.activation)
    if isinstance(layer, Conv2D) and layer.groups == 1:
        return Convolution(layer.kernel, _bias(layer), layer.windows(input_shape), layer.activation)
    return layer


def _bias(layer: Conv2D | Dense) -> Array:
    zeros = np.zeros(layer.kernel.shape[-1], layer.kernel.dtype)
    return zeros if layer.bias is None else layer.bias


def _fold(operation: Operation, after: Layer) -> Operation | None:
    """``operation`` with the next layer folded in; None if that is not possible."""
    if isinstance(after, Dropout):
        return operation
    if isinstance(operation, Flatten) and isinstance(after, Dense):
        return Product(after.kernel, _bias(after), after.activation)
    if isinstance(operation, Layer):
        return None
    is_linear = operation.activation == "linear"
    is_pooled = isinstance(operation, Convolution) and operation.is_pooled
    if isinstance(after, BatchNormalization) and is_linear and not is_pooled:
        scale = after.inference_scale
        bias = (operation.bias - after.moving_mean) * scale + after.beta
        if isinstance(operation, Product):
            return replace(operation, kernel=operation.kernel * scale, bias=bias)
        before = 1 if operation.scale is None else operation.scale
        return replace(operation, scale=before * scale, bias=bias)
    if is_linear and (activation := _activation(after)) is not None:
        return replace(operation, activation=activation)
    if isinstance(operation, Convolution) and not is_pooled and _can_come_first(after, operation):
        return replace(operation, is_pooled=True)
    return None


def _activation(layer: Layer) -> str | None:
    """The name of what an activation layer without settings computes; never a softmax."""
    if isinstance(layer, ReLU) and layer.operation() is ACTIVATIONS["relu"]:
        return "relu"
    if isinstance(layer, Activation) and layer.activation not in ("softmax", "log_softmax"):
        return layer.activation
    return None


def _can_come_first(layer: Layer, conv: Convolution) -> bool:
    """Whether it is 2x2 max-pooling that commutes with the bias and the activation."""
    if not isinstance(layer, MaxPooling2D) or conv.activation not in NEVER_FALLING:
        return False
    windows = layer.windows((*conv.windows.output, 1))
    return windows[1:5] == ((2, 2), (2, 2), (1, 1), ((0, 0), (0, 0)))


def _split_softmax(operation: Operation, sources: tuple[str, ...], name: str) -> list[Fused]:
    """A softmax becomes a step of its own, so that logits can be had without it."""
    if getattr(operation, "activation", None) != "softmax":
        return [Fused(operation, sources, name)]
    if isinstance(operation, Activation):
        return [Fused(Softmax(name=name), sources, name)]
    logits = f"{name} logits"
    if isinstance(operation, Layer):
        operation = copy.copy(operation)  # shares the arrays
        operation.activation = "linear"  # type: ignore[attr-defined]
    else:
        operation = replace(operation, activation="linear")
    return [Fused(operation, sources, logits), Fused(Softmax(name=name), (logits,), name)]
