"""A model described in Keras's words, before it is written to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array, Pads, Shape
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import (
    GELU,
    AveragePooling2D,
    Conv2D,
    DepthwiseConv2D,
    Layer,
    MaxPooling2D,
    Normalization,
)
from tinymnist.nn.layers.base import free_name
from tinymnist.nn.sequential import Sequential

Arrays = list[tuple[str, Array]]
_PLAIN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Add", "Concatenate", "Flatten", "Multiply", "Softmax"), ()),
    **dict.fromkeys(("GlobalAveragePooling2D", "GlobalMaxPooling2D"), ()),
    "Activation": ("activation",),
    "Dense": ("units", "activation", "use_bias"),
    **dict.fromkeys(("Dropout", "SpatialDropout2D"), ("rate",)),
    "GaussianNoise": ("stddev",), "ELU": ("alpha",), "LayerNormalization": ("epsilon",),
    "LeakyReLU": ("negative_slope",), "PReLU": ("shared_axes",), "Permute": ("dims",),
    "Rescaling": ("scale", "offset"),
    "ReLU": ("max_value", "negative_slope", "threshold"),
}  # fmt: skip
"""Layers with the same name in Keras, and the settings that stay the same."""
_NEVER_NEGATIVE = ("relu", "relu6", "sigmoid", "softmax", "softplus", "exponential", "hard_sigmoid")


@dataclass(eq=False)
class KerasLayer:
    """A layer to be written, of the class ``kind`` in Keras.

    Attributes:
        input_shapes: the shape of one example of each input.
        arrays: names and arrays in Keras's order.
        sources: the names of the layers whose outputs it takes; none for the first.
    """

    kind: str
    settings: dict[str, Any]
    input_shapes: list[Shape] = field(default_factory=list)
    arrays: Arrays = field(default_factory=list)
    name: str = ""
    sources: list[str] = field(default_factory=list)
    trainable: bool = True


def keras_layers(model: Sequential) -> list[KerasLayer]:
    """Describe a model as Keras would, beginning with an InputLayer.

    Raises:
        InputError: when Keras lacks a counterpart of a layer.
    """
    names = {INPUT: "input_layer"}
    for layer in model.layers:  # Keras forbids the slash in names
        names[layer.name] = free_name(layer.name.replace("/", "_"), names.values())
    layers = [KerasLayer("InputLayer", {"shape": model.input_shape}, name=names[INPUT])]
    for layer in model.layers:
        sources = model.sources[layer.name]
        shapes = [model.shapes[source] for source in sources]
        before = [model.get_layer(s) if s != INPUT else None for s in sources]
        chain = list(_parts(layer, shapes, before))
        feeding = [names[source] for source in sources]
        for part in chain:
            part.name = names[layer.name] if part is chain[-1] else f"{names[layer.name]}_padding"
            part.sources, part.trainable = feeding, layer.trainable
            feeding = [part.name]
        layers += chain
    return layers


def _parts(
    layer: Layer, shapes: list[Shape], before: Sequence[Layer | None]
) -> Iterator[KerasLayer]:
    """The counterpart in Keras, with a layer of zero padding before it if need be."""
    kind = type(layer).__name__
    if isinstance(layer, (Conv2D, DepthwiseConv2D)):
        yield from _convolution(layer, shapes[0])
    elif isinstance(layer, (MaxPooling2D, AveragePooling2D)):
        yield from _pooling(layer, shapes[0], before[0])
    elif kind in _PLAIN or kind in _SPECIAL:
        settings = {name: getattr(layer, name) for name in _PLAIN.get(kind, ())}
        settings |= _SPECIAL[kind](layer, shapes[0]) if kind in _SPECIAL else {}
        keras_kind = "Activation" if kind == "GELU" else kind
        yield KerasLayer(keras_kind, settings, shapes, list(layer.weights.items()))
    else:
        raise InputError(f"{layer.name} is a {kind}, which is not written as Keras here")


def _gelu(layer: GELU, shape: Shape) -> dict[str, Any]:
    if layer.approximate:
        reason = "Keras's files can name only the exact one"
        raise InputError(f"{layer.name} is GELU by the tanh formula; {reason}")
    return {"activation": "gelu"}


def _normalization(layer: Normalization, shape: Shape) -> dict[str, Any]:
    """Mean and variance as numbers, or both as lists by channel."""
    values = {"mean": layer.mean, "variance": layer.variance}
    if all(isinstance(value, (int, float)) for value in values.values()):
        return {"axis": None, **values}
    lists = {
        name: [value] * shape[-1] if isinstance(value, (int, float)) else value
        for name, value in values.items()
    }
    return {"axis": -1, **lists}


_SPECIAL: dict[str, Callable[[Any, Shape], dict[str, Any]]] = {
    "BatchNormalization": lambda layer, _: {
        "axis": -1, "momentum": layer.momentum, "epsilon": layer.epsilon
    },
    "GELU": _gelu,
    "Normalization": _normalization,
    "Reshape": lambda layer, shape: {"target_shape": layer.output_shape(shape)},
    "ZeroPadding2D": lambda layer, _: {"padding": layer.pads()},
}  # fmt: skip
"""Layers whose settings Keras writes differently."""


def _zeros_around(pads: Pads, shape: Shape) -> tuple[list[KerasLayer], Shape]:
    """A layer of zeros around a picture, and the shape after it."""
    if pads == ((0, 0), (0, 0)):
        return [], shape
    (top, bottom), (left, right) = pads
    padded = (top + shape[0] + bottom, left + shape[1] + right, shape[2])
    return [KerasLayer("ZeroPadding2D", {"padding": pads}, [shape])], padded


def _convolution(layer: Conv2D | DepthwiseConv2D, shape: Shape) -> Iterator[KerasLayer]:
    _, size, strides, dilation, pads, _ = layer.windows(shape)
    padding = layer.padding
    if padding not in ("valid", "same"):
        zeros, shape = _zeros_around(pads, shape)
        yield from zeros
        padding = "valid"
    settings: dict[str, Any] = {"kernel_size": size, "strides": strides, "padding": padding}
    settings |= {"dilation_rate": dilation, "activation": layer.activation}
    settings |= {"use_bias": layer.use_bias}
    kernel = layer.kernel
    if isinstance(layer, DepthwiseConv2D):
        settings["depth_multiplier"] = layer.depth_multiplier
        kernel = kernel.reshape(*size, shape[2], layer.depth_multiplier)
    else:
        settings |= {"filters": layer.filters, "groups": layer.groups}
    bias = [] if layer.bias is None else [("bias", layer.bias)]
    yield KerasLayer(type(layer).__name__, settings, [shape], [("kernel", kernel), *bias])


def _pooling(
    layer: MaxPooling2D | AveragePooling2D, shape: Shape, before: Layer | None
) -> Iterator[KerasLayer]:
    """Keras ignores padding; explicit zeros are the same only if they count or cannot win."""
    _, window, strides, _, pads, _ = layer.windows(shape)
    counts = isinstance(layer, AveragePooling2D) and layer.count_include_pad
    padding = "valid" if pads == ((0, 0), (0, 0)) else layer.padding
    if padding not in ("valid", "same") or (padding == "same" and counts):
        if not counts and not (isinstance(layer, MaxPooling2D) and _never_negative(before)):
            reason = "which Keras's pooling cannot; expected valid or same"
            raise InputError(f"{layer.name} pads by {pads}, {reason}")
        zeros, shape = _zeros_around(pads, shape)
        yield from zeros
        padding = "valid"
    settings = {"pool_size": window, "strides": strides, "padding": padding}
    yield KerasLayer(type(layer).__name__, settings, [shape])


def _never_negative(layer: Layer | None) -> bool:
    """Whether zeros around a layer's output can never be the only maximum."""
    if type(layer).__name__ == "ReLU":
        return getattr(layer, "negative_slope", 0) == 0 and getattr(layer, "threshold", 0) >= 0
    return getattr(layer, "activation", None) in _NEVER_NEGATIVE
