"""Keras's layers that work number by number or channel by channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.interop.keras.activations import activation_layers, activation_word
from tinymnist.interop.keras.building import Builder, Tensor
from tinymnist.interop.keras.config import LayerConfig
from tinymnist.interop.keras.registry import build_layer, handles, refused
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers import (
    ELU,
    Activation,
    BatchNormalization,
    Dropout,
    Layer,
    LayerNormalization,
    LeakyReLU,
    Normalization,
    PReLU,
    ReLU,
    Rescaling,
    Softmax,
)

_OVER_THE_LAST_AXIS = ("softmax", "log_softmax")
_LAYERS_AS_ACTIVATIONS = ("LeakyReLU", "ELU", "ReLU", "Softmax", "ThresholdedReLU")


def put(builder: Builder, layer: Layer, name: str, tensor: Tensor, **arrays: Array) -> Tensor:
    """Add a layer that keeps the shape."""
    source = builder.add(layer, name, tensor.source, arrays=arrays)
    return Tensor(source, tensor.shape, tensor.axes)


def with_activation(
    builder: Builder, config: LayerConfig, axes: Shape, make: Callable[[str, str], Tensor]
) -> Tensor:
    """A layer and its activation: in one where tinymnist has it so, else in two or three.

    Args:
        builder, config: where to add what.
        axes: the order of axes that the layer gives.
        make: ``make(activation, name)`` adds the layer. The last one added has Keras's name.
    """
    value = config.settings.get("activation")
    word = activation_word(value)
    turned = word in _OVER_THE_LAST_AXIS and axes[-1] != len(axes) - 1
    if word is not None and not turned:
        layers = activation_layers(word, builder.version, f"{builder.path}: {config.name!r}")
        if len(layers) == 1:
            return make(word, config.name)
    return activate(builder, config, value, make("linear", f"{config.name}_linear"))


def activate(builder: Builder, config: LayerConfig, value: Any, tensor: Tensor) -> Tensor:
    """Apply an activation: a function's name, or one of Keras's layers written in its place."""
    word = activation_word(value)
    if word is None:
        kind = str(value.get("class_name")) if isinstance(value, dict) else str(value)
        if kind not in _LAYERS_AS_ACTIVATIONS:
            raise refused(builder, config, f"has {kind!r} for an activation; expected a function")
        settings = value.get("config") if isinstance(value.get("config"), dict) else {}
        return build_layer(builder, LayerConfig(kind, config.name, settings), [tensor])
    if word in _OVER_THE_LAST_AXIS:
        tensor = builder.in_order(tensor)
    layers = activation_layers(word, builder.version, f"{builder.path}: {config.name!r}")
    for layer in layers[:-1]:
        tensor = put(builder, layer, f"{config.name}_scaled", tensor)
    return put(builder, layers[-1], config.name, tensor)


@handles("Activation")
def _activation(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    return activate(builder, config, config.settings.get("activation"), inputs[0])


@handles("ReLU", "ThresholdedReLU", "LeakyReLU", "ELU")
def _rectifier(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    settings = config.settings
    if config.kind == "LeakyReLU":
        slope = settings.get("negative_slope", settings.get("alpha", 0.3))
        return put(builder, LeakyReLU(_number(slope)), config.name, inputs[0])
    if config.kind == "ELU":
        return put(builder, ELU(_number(settings.get("alpha", 1.0))), config.name, inputs[0])
    if config.kind == "ThresholdedReLU":
        relu = ReLU(threshold=_number(settings.get("theta", 1.0)))
    else:
        largest = settings.get("max_value")
        relu = ReLU(
            None if largest is None else _number(largest),
            _number(settings.get("negative_slope") or 0.0),
            _number(settings.get("threshold") or 0.0),
        )
    return put(builder, relu, config.name, inputs[0])


def _number(value: Any) -> float:
    return float(np.asarray(value, float).reshape(()))


@handles("PReLU")
def _prelu(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    tensor = inputs[0] if inputs[0].axes is not None else builder.in_order(inputs[0])
    if len(config.arrays) != 1 or config.arrays[0].ndim != len(tensor.shape):
        raise refused(builder, config, "should have slopes of as many axes as its input")
    alpha = config.arrays[0].transpose(tensor.axes)
    sides = zip(alpha.shape, builder.held(tensor), strict=True)
    shared = [axis for axis, (slopes, side) in enumerate(sides, 1) if slopes != side]
    return put(builder, PReLU(shared), config.name, tensor, alpha=alpha)


@handles("Softmax")
def _softmax(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    tensor = axis_last(builder, config, inputs[0])
    return put(builder, Softmax(), config.name, tensor)


def axis_last(builder: Builder, config: LayerConfig, tensor: Tensor) -> Tensor:
    """The tensor with the one axis at its end that a layer's ``axis`` names, if it is not yet."""
    axis = config.settings.get("axis", -1)
    axes = [axis] if isinstance(axis, int) else axis
    rank = len(tensor.shape)
    if not isinstance(axes, list) or len(axes) != 1 or not isinstance(axes[0], int):
        raise refused(builder, config, f"works along the axes {axis}; expected one axis")
    wanted = axes[0] - 1 if axes[0] > 0 else rank + axes[0]
    if axes[0] == 0 or not 0 <= wanted < rank:
        raise refused(builder, config, f"works along axis {axes[0]}, which is not there")
    if tensor.axes is not None and tensor.axes[-1] == wanted:
        return tensor
    return builder.arranged(tensor, (*(a for a in range(rank) if a != wanted), wanted))


@handles("BatchNormalization")
def _batch_normalization(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    settings, arrays = config.settings, list(config.arrays)
    if settings.get("mode", 0) != 0:
        raise refused(builder, config, f"has mode {settings['mode']}; expected 0, by channels")
    tensor = axis_last(builder, config, inputs[0])
    channels = builder.held(tensor)[-1]
    scaled, centred = settings.get("scale", True), settings.get("center", True)
    if len(arrays) < bool(scaled) + bool(centred) + 2:
        raise refused(builder, config, f"lacks arrays: found {len(arrays)}")
    gamma = arrays.pop(0) if scaled else np.ones(channels)
    beta = arrays.pop(0) if centred else np.zeros(channels)
    layer = BatchNormalization(
        float(settings.get("momentum", 0.99)), float(settings.get("epsilon", 1e-3))
    )
    return put(
        builder,
        layer,
        config.name,
        tensor,
        gamma=gamma,
        beta=beta,
        moving_mean=arrays[0],
        moving_variance=arrays[1],
    )


@handles("LayerNormalization")
def _layer_normalization(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    settings, arrays = config.settings, list(config.arrays)
    if settings.get("rms_scaling"):
        raise refused(builder, config, "divides by the root of the mean square; expected variance")
    tensor = axis_last(builder, config, inputs[0])
    channels = builder.held(tensor)[-1]
    if len(arrays) != bool(settings.get("scale", True)) + bool(settings.get("center", True)):
        raise refused(builder, config, f"should have gamma and beta; found {len(arrays)} arrays")
    gamma = arrays.pop(0) if settings.get("scale", True) else np.ones(channels)
    beta = arrays.pop(0) if settings.get("center", True) else np.zeros(channels)
    layer = LayerNormalization(float(settings.get("epsilon", 1e-3)))
    return put(builder, layer, config.name, tensor, gamma=gamma, beta=beta)


@handles("Rescaling")
def _rescaling(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    scale, offset = (
        np.asarray(config.settings.get(k, d)) for k, d in (("scale", 1), ("offset", 0))
    )
    return put(builder, Rescaling(*_by_channel(builder, config, inputs[0], scale, offset)),
               config.name, _channels_last(builder, inputs[0], scale, offset))  # fmt: skip


@handles("Normalization")
def _normalization(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    mean, variance = config.settings.get("mean"), config.settings.get("variance")
    if mean is None and len(config.arrays) >= 2:
        mean, variance = config.arrays[:2]
    mean, variance = np.asarray(mean, float), np.asarray(variance, float)
    if config.settings.get("invert"):
        raise refused(builder, config, "is inverted; expected one that normalizes")
    return put(builder, Normalization(*_by_channel(builder, config, inputs[0], mean, variance)),
               config.name, _channels_last(builder, inputs[0], mean, variance))  # fmt: skip


def _channels_last(builder: Builder, tensor: Tensor, *values: Array) -> Tensor:
    """The tensor as Keras has it where values differ from channel to channel."""
    return tensor if all(value.size == 1 for value in values) else builder.in_order(tensor)


def _by_channel(
    builder: Builder, config: LayerConfig, tensor: Tensor, *values: Array
) -> list[float | list[float]]:
    """Each value as one number, or as a list along the last axis."""
    plain: list[float | list[float]] = []
    for value in values:
        if value.size == 1:
            plain.append(float(value.reshape(())))
        elif value.size == value.shape[-1] == tensor.shape[-1]:
            plain.append([float(v) for v in value.ravel()])
        else:
            raise refused(builder, config, f"holds values of shape {value.shape}; expected one "
                          "for each channel")  # fmt: skip
    return plain


@handles("Dropout")
def _dropout(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    rate = float(config.settings.get("rate") or 0)
    if not 0 <= rate < 1 or config.settings.get("noise_shape"):
        return _nothing(builder, config, inputs)
    return put(builder, Dropout(rate), config.name, inputs[0])


@handles(
    *("ActivityRegularization", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
    *("SpatialDropout1D", "SpatialDropout2D", "RandomBrightness", "RandomContrast", "RandomFlip"),
    *("RandomHeight", "RandomRotation", "RandomTranslation", "RandomWidth", "RandomZoom"),
)
def _nothing(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    """Layers that act in training alone, in ways that tinymnist does not have."""
    return put(builder, Activation("linear"), config.name, inputs[0])


@handles("InputLayer", "Identity")
def _passing(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    return inputs[0]
