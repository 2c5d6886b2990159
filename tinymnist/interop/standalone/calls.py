"""What each layer of tinymnist is in a standalone file: calls of functions in ``functions``.

A new layer needs one entry in :data:`CALLS`, and a function unless one there does it already; a new
activation needs one in :data:`ACTIVATIONS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tinymnist.errors import InputError
from tinymnist.nn.arrays import Shape
from tinymnist.nn.layers import Layer
from tinymnist.nn.shapes import as_pair, resolve_padding


@dataclass(frozen=True)
class Call:
    """One call: ``function(x, w["layer/array"], ..., setting=value)``.

    Attributes:
        function: its name in ``functions``.
        arrays: which arrays of the layer it takes, in order, after ``x``.
        settings: the other arguments by name.
    """

    function: str
    arrays: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


CallOf: TypeAlias = Callable[[Any, Shape], Call | None]
"""``f(layer, input_shape)``: the call that computes the layer, None for nothing at all."""

ACTIVATIONS: dict[str, Call | None] = {
    "linear": None,
    "relu6": Call("relu_pieces", settings={"max_value": 6.0}),
    "leaky_relu": Call("leaky_relu", settings={"negative_slope": 0.2}),
} | {
    word: Call(word)
    for word in (
        "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_tanh", "log_softmax",
        "mish", "relu", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh",
    )
}  # fmt: skip
"""Activations by name; linear needs no call."""


def calls_of(layer: Layer, input_shape: Shape) -> list[Call]:
    """The calls that compute a layer; none for a layer that does nothing in inference.

    Args:
        layer: any layer.
        input_shape: of its first input, without the batch axis.

    Raises:
        InputError: for a layer or an activation without an entry here.
    """
    kind, activation = type(layer).__name__, getattr(layer, "activation", "linear")
    for what, known in ((kind, CALLS), (activation, ACTIVATIONS)):
        if what not in known:
            raise InputError(
                f"{layer.name}: a standalone file cannot hold {what} yet; expected one of "
                f"{sorted(known)}; export to another format"
            )
    calls = (CALLS[kind](layer, input_shape), ACTIVATIONS[activation])
    return [call for call in calls if call is not None]


def _window_settings(layer: Any, size: Any, input_shape: Shape) -> dict[str, Any]:
    """How a window slides: strides, padding in pixels, and dilation."""
    window = as_pair(size, "size")
    strides = window if layer.strides is None else as_pair(layer.strides, "strides")
    dilation = as_pair(getattr(layer, "dilation_rate", 1), "dilation_rate")
    picture = (input_shape[0], input_shape[1])
    pads = resolve_padding(layer.padding, picture, window, strides, dilation)
    return {"strides": strides, "pads": pads, "dilation": dilation}


def _convolution(layer: Any, input_shape: Shape) -> Call:
    settings = _window_settings(layer, layer.kernel_size, input_shape)
    arrays, groups = tuple(layer.weights), layer.groups_of(input_shape[-1])
    if groups == 1:
        return Call("conv2d", arrays, settings)
    return Call("grouped_conv2d", arrays, settings | {"groups": groups})


def _pooling(function: str) -> CallOf:
    def call(layer: Any, input_shape: Shape) -> Call:
        settings = _window_settings(layer, layer.pool_size, input_shape)
        del settings["dilation"]
        if getattr(layer, "count_include_pad", False):
            settings["count_pads"] = True
        return Call(function, settings={"window": as_pair(layer.pool_size, "size"), **settings})

    return call


def _relu(layer: Any, input_shape: Shape) -> Call:
    highest = math.inf if layer.max_value is None else layer.max_value
    if highest == math.inf and not layer.negative_slope and not layer.threshold:
        return Call("relu")
    names = ("negative_slope", "threshold")
    settings = {"max_value": highest} | {name: getattr(layer, name) for name in names}
    return Call("relu_pieces", settings=settings)


def _zero_padding(layer: Any, input_shape: Shape) -> Call:
    return Call("pad", settings={"pads": resolve_padding(layer.padding, (1, 1), (1, 1), (1, 1))})


def _plain(function: str, *settings: str) -> CallOf:
    """A function of ``x``, all arrays of the layer, and some settings of it."""

    def call(layer: Any, input_shape: Shape) -> Call:
        values = {name: getattr(layer, name) for name in settings}
        return Call(function, tuple(layer.weights), values)

    return call


def _nothing(layer: Any, input_shape: Shape) -> None:
    """For layers that compute nothing but their activation."""


CALLS: dict[str, CallOf] = {
    "Activation": _nothing,
    "Add": _plain("add"),
    "AveragePooling2D": _pooling("average_pool"),
    "BatchNormalization": _plain("batch_normalization", "epsilon"),
    "Concatenate": _plain("concatenate"),
    "Conv2D": _convolution,
    "Dense": _plain("dense"),
    "DepthwiseConv2D": _convolution,
    "Dropout": _nothing,
    "ELU": _plain("elu", "alpha"),
    "Flatten": _plain("flatten"),
    "GELU": lambda layer, shape: Call("gelu_tanh" if layer.approximate else "gelu"),
    "GlobalAveragePooling2D": _plain("global_average_pool"),
    "GlobalMaxPooling2D": _plain("global_max_pool"),
    "LayerNormalization": _plain("layer_normalization", "epsilon"),
    "LeakyReLU": _plain("leaky_relu", "negative_slope"),
    "MaxPooling2D": _pooling("max_pool"),
    "Multiply": _plain("multiply"),
    "Normalization": _plain("normalization", "mean", "variance"),
    "PReLU": _plain("prelu"),
    "Permute": lambda layer, shape: Call("permute", settings={"axes": tuple(layer.dims)}),
    "ReLU": _relu,
    "Rescaling": _plain("rescaling", "scale", "offset"),
    "Reshape": lambda layer, shape: Call("reshape", settings={"shape": layer.output_shape(shape)}),
    "Softmax": _plain("softmax"),
    "ZeroPadding2D": _zero_padding,
}
"""How each class of layer is called, by the name of the class."""
