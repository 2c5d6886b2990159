"""What each layer of tinymnist is in a standalone file: calls of functions in ``functions``.

A new layer needs one entry in :data:`CALLS` (and a function, if none there does it); a new
activation one in :data:`ACTIVATIONS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

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


ACTIVATIONS: dict[str, Call | None] = {
    "linear": None,
    "relu": Call("relu"),
    "relu6": Call("relu_pieces", settings={"max_value": 6.0}),
    "leaky_relu": Call("leaky_relu", settings={"negative_slope": 0.2}),
    "elu": Call("elu"),
    "selu": Call("selu"),
    "exponential": Call("exponential"),
    "hard_sigmoid": Call("hard_sigmoid"),
    "hard_silu": Call("hard_silu"),
    "hard_tanh": Call("hard_tanh"),
    "mish": Call("mish"),
    "silu": Call("silu"),
    "softplus": Call("softplus"),
    "softsign": Call("softsign"),
    "gelu": Call("gelu"),
    "sigmoid": Call("sigmoid"),
    "tanh": Call("tanh"),
    "softmax": Call("softmax"),
    "log_softmax": Call("log_softmax"),
}
"""Activations by name; linear is no call at all."""


def calls_of(layer: Layer, input_shape: Shape) -> list[Call]:
    """The calls that compute a layer; none for what does nothing in inference.

    Raises:
        InputError: for a layer or an activation that has no entry here.
    """
    kind = type(layer).__name__
    if kind not in CALLS:
        raise InputError(
            f"{layer.name} is a {kind}, which a standalone file cannot hold yet; "
            f"expected layers of {sorted(CALLS)}; export to another format"
        )
    first = CALLS[kind](layer, input_shape)
    activation = getattr(layer, "activation", "linear")
    if activation not in ACTIVATIONS:
        raise InputError(
            f"{layer.name} has the activation {activation}, which a standalone file cannot hold "
            f"yet; expected one of {sorted(ACTIVATIONS)}; export to another format"
        )
    second = ACTIVATIONS[activation]
    return [call for call in (first, second) if call is not None]


def _window_settings(layer: Any, size: Any, input_shape: Shape) -> dict[str, Any]:
    """How a window slides: strides, dilation, and padding in pixels."""
    window = as_pair(size, "size")
    strides = window if layer.strides is None else as_pair(layer.strides, "strides")
    dilation = as_pair(getattr(layer, "dilation_rate", 1), "dilation_rate")
    picture = (input_shape[0], input_shape[1])
    pads = resolve_padding(layer.padding, picture, window, strides, dilation)
    return {"strides": strides, "pads": pads, "dilation": dilation}


def _convolution(layer: Any, input_shape: Shape) -> Call:
    settings = _window_settings(layer, layer.kernel_size, input_shape)
    groups = layer.groups_of(input_shape[-1])
    arrays = _kernel_and_bias(layer)
    if groups == 1:
        return Call("conv2d", arrays, settings)
    return Call("grouped_conv2d", arrays, settings | {"groups": groups})


def _dense(layer: Any, input_shape: Shape) -> Call:
    return Call("dense", _kernel_and_bias(layer))


def _kernel_and_bias(layer: Layer) -> tuple[str, ...]:
    return tuple(name for name in ("kernel", "bias") if name in layer.weights)


def _pooling(function: str) -> Callable[[Any, Shape], Call]:
    def call(layer: Any, input_shape: Shape) -> Call:
        settings = _window_settings(layer, layer.pool_size, input_shape)
        del settings["dilation"]
        if getattr(layer, "count_include_pad", False):
            settings["count_pads"] = True
        return Call(function, settings={"window": as_pair(layer.pool_size, "size"), **settings})

    return call


def _plain(function: str, *settings: str) -> Callable[[Any, Shape], Call]:
    """A function of ``x`` and settings of the layer."""

    def call(layer: Any, input_shape: Shape) -> Call:
        return Call(function, settings={name: getattr(layer, name) for name in settings})

    return call


def _batch_normalization(layer: Any, input_shape: Shape) -> Call:
    arrays = ("gamma", "beta", "moving_mean", "moving_variance")
    return Call("batch_normalization", arrays, {"epsilon": layer.epsilon})


def _gelu(layer: Any, input_shape: Shape) -> Call:
    return Call("gelu_tanh" if layer.approximate else "gelu")


def _relu(layer: Any, input_shape: Shape) -> Call:
    highest = math.inf if layer.max_value is None else layer.max_value
    settings = {
        "max_value": highest,
        "negative_slope": layer.negative_slope,
        "threshold": layer.threshold,
    }
    plain = highest == math.inf and not layer.negative_slope and not layer.threshold
    return Call("relu") if plain else Call("relu_pieces", settings=settings)


def _layer_normalization(layer: Any, input_shape: Shape) -> Call:
    return Call("layer_normalization", ("gamma", "beta"), {"epsilon": layer.epsilon})


def _prelu(layer: Any, input_shape: Shape) -> Call:
    return Call("prelu", ("alpha",))


def _permute(layer: Any, input_shape: Shape) -> Call:
    return Call("permute", settings={"axes": tuple(layer.dims)})


def _reshape(layer: Any, input_shape: Shape) -> Call:
    return Call("reshape", settings={"shape": layer.output_shape(input_shape)})


def _zero_padding(layer: Any, input_shape: Shape) -> Call:
    return Call("pad", settings={"pads": resolve_padding(layer.padding, (1, 1), (1, 1), (1, 1))})


def _nothing(layer: Any, input_shape: Shape) -> None:
    return None


CALLS: dict[str, Callable[[Any, Shape], Call | None]] = {
    "Activation": _nothing,  # its activation is all that it is
    "Add": _plain("add"),
    "AveragePooling2D": _pooling("average_pool"),
    "BatchNormalization": _batch_normalization,
    "Concatenate": _plain("concatenate"),
    "Conv2D": _convolution,
    "Dense": _dense,
    "DepthwiseConv2D": _convolution,
    "Dropout": _nothing,
    "ELU": _plain("elu", "alpha"),
    "Flatten": _plain("flatten"),
    "GELU": _gelu,
    "GlobalAveragePooling2D": _plain("global_average_pool"),
    "GlobalMaxPooling2D": _plain("global_max_pool"),
    "LayerNormalization": _layer_normalization,
    "LeakyReLU": _plain("leaky_relu", "negative_slope"),
    "MaxPooling2D": _pooling("max_pool"),
    "Multiply": _plain("multiply"),
    "Normalization": _plain("normalization", "mean", "variance"),
    "PReLU": _prelu,
    "Permute": _permute,
    "ReLU": _relu,
    "Rescaling": _plain("rescaling", "scale", "offset"),
    "Reshape": _reshape,
    "Softmax": _plain("softmax"),
    "ZeroPadding2D": _zero_padding,
}
"""How each class of layer is called, by the name of the class."""
