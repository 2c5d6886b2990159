"""A model described in Keras's words, before it is written to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import (
    GELU,
    AveragePooling2D,
    Conv2D,
    DepthwiseConv2D,
    Layer,
    MaxPooling2D,
    Normalization,
    Reshape,
    ZeroPadding2D,
)
from tinymnist.nn.layers.base import free_name
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.shapes import Pads, as_pair, resolve_padding

Arrays = list[tuple[str, Array]]
_PLAIN: dict[str, tuple[str, ...]] = {
    "Activation": ("activation",),
    "Add": (),
    "BatchNormalization": ("momentum", "epsilon"),
    "Concatenate": (),
    "Dense": ("units", "activation", "use_bias"),
    "Dropout": ("rate",),
    "ELU": ("alpha",),
    "Flatten": (),
    "GlobalAveragePooling2D": (),
    "GlobalMaxPooling2D": (),
    "LayerNormalization": ("epsilon",),
    "LeakyReLU": ("negative_slope",),
    "Multiply": (),
    "PReLU": ("shared_axes",),
    "Permute": ("dims",),
    "Rescaling": ("scale", "offset"),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Softmax": (),
}
"""Layers with the same name in Keras, and the settings that stay the same."""
_ALWAYS = {"BatchNormalization": {"axis": -1}}
_NEVER_NEGATIVE = ("relu", "relu6", "sigmoid", "softmax", "softplus", "exponential", "hard_sigmoid")


@dataclass(eq=False)
class KerasLayer:
    """A layer to be written.

    Attributes:
        kind: its class in Keras.
        name: its name in Keras.
        settings: the settings of its class.
        sources: the names of the layers whose outputs it takes; none for the first.
        input_shapes: the shape of one example of each input.
        arrays: names and arrays in Keras's order.
        trainable: whether it learns.
    """

    kind: str
    name: str
    settings: dict[str, Any]
    sources: list[str] = field(default_factory=list)
    input_shapes: list[Shape] = field(default_factory=list)
    arrays: Arrays = field(default_factory=list)
    trainable: bool = True


def keras_layers(model: Sequential) -> list[KerasLayer]:
    """Describe a model as Keras would, beginning with an InputLayer.

    Raises:
        InputError: when Keras lacks a counterpart of a layer.
    """
    names = _names(model)
    layers = [KerasLayer("InputLayer", names[INPUT], {"shape": model.input_shape})]
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


def _names(model: Sequential) -> dict[str, str]:
    """Names in Keras, which forbids the slash."""
    names: dict[str, str] = {INPUT: "input_layer"}
    for layer in model.layers:
        names[layer.name] = free_name(layer.name.replace("/", "_"), names.values())
    return names


def _parts(
    layer: Layer, shapes: list[Shape], before: Sequence[Layer | None]
) -> Iterator[KerasLayer]:
    """The counterpart in Keras, with a layer of zero padding before it if need be."""
    kind = type(layer).__name__
    if isinstance(layer, (Conv2D, DepthwiseConv2D)):
        yield from _convolution(layer, shapes[0])
    elif isinstance(layer, (MaxPooling2D, AveragePooling2D)):
        yield from _pooling(layer, shapes[0], before[0])
    elif kind in _PLAIN:
        same = {name: _listed(getattr(layer, name)) for name in _PLAIN[kind]}
        settings = {**_ALWAYS.get(kind, {}), **same}
        yield KerasLayer(kind, "", settings, [], shapes, list(layer.weights.items()))
    elif (special := _SPECIAL.get(type(layer))) is not None:
        keras_kind, settings = special(layer, shapes[0])
        yield KerasLayer(keras_kind, "", settings, [], shapes, list(layer.weights.items()))
    else:
        raise InputError(f"{layer.name} is a {kind}, which Keras lacks")


def _listed(value: Any) -> Any:
    """Tuples as lists, for JSON."""
    return [_listed(v) for v in value] if isinstance(value, (list, tuple)) else value


Special = Callable[[Any, Shape], tuple[str, dict[str, Any]]]


def _gelu(layer: GELU, shape: Shape) -> tuple[str, dict[str, Any]]:
    if layer.approximate:
        raise InputError(
            f"{layer.name} is GELU by the tanh formula; Keras's files can name only the exact one"
        )
    return "Activation", {"activation": "gelu"}


def _normalization(layer: Normalization, shape: Shape) -> tuple[str, dict[str, Any]]:
    by_channel = not isinstance(layer.mean, (int, float)) or not isinstance(
        layer.variance, (int, float)
    )
    mean, variance = (_spread(v, shape, by_channel) for v in (layer.mean, layer.variance))
    axis = -1 if by_channel else None
    return "Normalization", {"axis": axis, "mean": mean, "variance": variance}


def _spread(value: Any, shape: Shape, by_channel: bool) -> Any:
    is_number = isinstance(value, (int, float))
    return [value] * shape[-1] if by_channel and is_number else _listed(value)


def _reshape(layer: Reshape, shape: Shape) -> tuple[str, dict[str, Any]]:
    return "Reshape", {"target_shape": list(layer.output_shape(shape))}


def _zero_padding(layer: ZeroPadding2D, shape: Shape) -> tuple[str, dict[str, Any]]:
    return "ZeroPadding2D", {"padding": _listed(resolve_padding(layer.padding, *_ONE))}


_ONE = ((1, 1), (1, 1), (1, 1))
_SPECIAL: dict[type[Layer], Special] = {
    GELU: _gelu,
    Normalization: _normalization,
    Reshape: _reshape,
    ZeroPadding2D: _zero_padding,
}


def _zeros_around(pads: Pads, shape: Shape) -> tuple[list[KerasLayer], Shape]:
    """A layer of zeros around a picture, and the shape after it."""
    if pads == ((0, 0), (0, 0)):
        return [], shape
    (top, bottom), (left, right) = pads
    padded = (top + shape[0] + bottom, left + shape[1] + right, shape[2])
    return [KerasLayer("ZeroPadding2D", "", {"padding": _listed(pads)}, [], [shape])], padded


def _convolution(layer: Conv2D | DepthwiseConv2D, shape: Shape) -> Iterator[KerasLayer]:
    size = as_pair(layer.kernel_size, "kernel_size")
    strides = as_pair(layer.strides, "strides")
    dilation = as_pair(layer.dilation_rate, "dilation_rate")
    padding = layer.padding
    if padding not in ("valid", "same"):
        pads = resolve_padding(padding, (shape[0], shape[1]), size, strides, dilation)
        zeros, shape = _zeros_around(pads, shape)
        yield from zeros
        padding = "valid"
    settings = {
        "kernel_size": list(size),
        "strides": list(strides),
        "padding": padding,
        "dilation_rate": list(dilation),
        "activation": layer.activation,
        "use_bias": layer.use_bias,
    }
    kernel = layer.kernel
    if isinstance(layer, DepthwiseConv2D):
        settings["depth_multiplier"] = layer.depth_multiplier
        kernel = kernel.reshape(*size, shape[2], layer.depth_multiplier)
    else:
        settings |= {"filters": layer.filters, "groups": layer.groups}
    bias = [] if layer.bias is None else [("bias", layer.bias)]
    yield KerasLayer(type(layer).__name__, "", settings, [], [shape], [("kernel", kernel), *bias])


def _pooling(
    layer: MaxPooling2D | AveragePooling2D, shape: Shape, before: Layer | None
) -> Iterator[KerasLayer]:
    """Keras ignores padding; explicit zeros are the same only if they count or cannot win."""
    window = as_pair(layer.pool_size, "pool_size")
    strides = window if layer.strides is None else as_pair(layer.strides, "strides")
    pads = resolve_padding(layer.padding, (shape[0], shape[1]), window, strides)
    counts = isinstance(layer, AveragePooling2D) and layer.count_include_pad
    padding = "valid" if pads == ((0, 0), (0, 0)) else layer.padding
    if padding not in ("valid", "same") or (padding == "same" and counts):
        if not counts and not (isinstance(layer, MaxPooling2D) and _never_negative(before)):
            raise InputError(
                f"{layer.name} pads by {pads}, which Keras's pooling cannot; expected valid or same"
            )
        zeros, shape = _zeros_around(pads, shape)
        yield from zeros
        padding = "valid"
    settings = {"pool_size": list(window), "strides": list(strides), "padding": padding}
    yield KerasLayer(type(layer).__name__, "", settings, [], [shape])


def _never_negative(layer: Layer | None) -> bool:
    """Whether zeros around a layer's output can never be the only maximum."""
    if type(layer).__name__ == "ReLU":
        return getattr(layer, "negative_slope", 0) == 0 and getattr(layer, "threshold", 0) >= 0
    return getattr(layer, "activation", None) in _NEVER_NEGATIVE
