"""tinymnist's layers in Keras's words: what a model is before it is written to a file."""

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
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Layer,
    MaxPooling2D,
    Normalization,
    Rescaling,
    Reshape,
    ZeroPadding2D,
)
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.shapes import Pads, as_pair, resolve_padding

Arrays = list[tuple[str, Array]]
_PLAIN: dict[str, tuple[str, ...]] = {
    "Activation": ("activation",),
    "Add": (),
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
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Softmax": (),
}
"""Layers that Keras has under the same name, and the settings that go over as they are."""
_NEVER_NEGATIVE = ("relu", "relu6", "sigmoid", "softmax", "softplus", "exponential", "hard_sigmoid")


@dataclass(eq=False)
class KerasLayer:
    """A layer to be written.

    Attributes:
        kind: its class in Keras.
        name: its name in Keras.
        settings: the settings of its class.
        sources: the names of the layers whose outputs it takes; none for the first.
        input_shape: of one example of its input, or of all of them where it merges.
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
        InputError: when Keras has nothing that does the same as one of the layers.
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
    """Names that Keras takes: it forbids the slash."""
    names: dict[str, str] = {INPUT: "input_layer"}
    for layer in model.layers:
        free = stem = layer.name.replace("/", "_")
        number = 0
        while free in names.values():
            number += 1
            free = f"{stem}_{number}"
        names[layer.name] = free
    return names


def _parts(
    layer: Layer, shapes: list[Shape], before: Sequence[Layer | None]
) -> Iterator[KerasLayer]:
    """The Keras layers that do what a layer does: one, or zeros around the picture before it."""
    kind = type(layer).__name__
    if isinstance(layer, (Conv2D, DepthwiseConv2D)):
        yield from _convolution(layer, shapes[0])
    elif isinstance(layer, (MaxPooling2D, AveragePooling2D)):
        yield from _pooling(layer, shapes[0], before[0])
    elif kind in _PLAIN:
        settings = {name: _listed(getattr(layer, name)) for name in _PLAIN[kind]}
        yield KerasLayer(kind, "", settings, [], shapes, list(layer.weights.items()))
    elif (special := _SPECIAL.get(type(layer))) is not None:
        keras_kind, settings = special(layer, shapes[0])
        yield KerasLayer(keras_kind, "", settings, [], shapes, list(layer.weights.items()))
    else:
        raise InputError(f"{layer.name} is a {kind}, for which Keras has no layer")


def _listed(value: Any) -> Any:
    """Tuples as lists, for JSON."""
    return [_listed(v) for v in value] if isinstance(value, (list, tuple)) else value


Special = Callable[[Any, Shape], tuple[str, dict[str, Any]]]


def _gelu(layer: GELU, shape: Shape) -> tuple[str, dict[str, Any]]:
    if layer.approximate:
        raise InputError(
            f"{layer.name} is GELU by the tanh formula; Keras keeps only the exact one in files"
        )
    return "Activation", {"activation": "gelu"}


def _batch_normalization(layer: BatchNormalization, shape: Shape) -> tuple[str, dict[str, Any]]:
    settings = {"axis": -1, "momentum": layer.momentum, "epsilon": layer.epsilon}
    return "BatchNormalization", settings


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


def _rescaling(layer: Rescaling, shape: Shape) -> tuple[str, dict[str, Any]]:
    return "Rescaling", {"scale": _listed(layer.scale), "offset": _listed(layer.offset)}


def _reshape(layer: Reshape, shape: Shape) -> tuple[str, dict[str, Any]]:
    return "Reshape", {"target_shape": list(layer.output_shape(shape))}


def _zero_padding(layer: ZeroPadding2D, shape: Shape) -> tuple[str, dict[str, Any]]:
    return "ZeroPadding2D", {"padding": _listed(resolve_padding(layer.padding, *_ONE))}


_ONE = ((1, 1), (1, 1), (1, 1))
_SPECIAL: dict[type[Layer], Special] = {
    GELU: _gelu,
    BatchNormalization: _batch_normalization,
    Normalization: _normalization,
    Rescaling: _rescaling,
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
    size, strides, dilation = (
        as_pair(value, name)
        for value, name in (
            (layer.kernel_size, "kernel_size"),
            (layer.strides, "strides"),
            (layer.dilation_rate, "dilation_rate"),
        )
    )
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
    """Keras pads with nothing that counts; zeros are the same only where the layer agrees."""
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
    """Whether zeros around what a layer gives can never win a maximum over it."""
    if type(layer).__name__ == "ReLU":
        return getattr(layer, "negative_slope", 0) == 0 and getattr(layer, "threshold", 0) >= 0
    return getattr(layer, "activation", None) in _NEVER_NEGATIVE
