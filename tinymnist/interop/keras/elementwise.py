"""Keras's layers that work number by number, channel by channel, or merge branches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.interop.keras.building import Builder, Handler, Tensor
from tinymnist.interop.keras.config import LayerConfig
from tinymnist.interop.keras.vocabulary import activation_layers, activation_word
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers import (
    ELU,
    Activation,
    Add,
    BatchNormalization,
    Concatenate,
    Dropout,
    Layer,
    LayerNormalization,
    LeakyReLU,
    Multiply,
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
    """Add a layer and its activation: in one layer if tinymnist has it, else in two or three.

    Args:
        builder, config: the model, and the layer in Keras.
        axes: the order of axes of the layer's output.
        make: ``make(activation, name)`` adds the layer. The last one added gets Keras's name.
    """
    value = config.settings.get("activation")
    word = activation_word(value)
    is_turned = word in _OVER_THE_LAST_AXIS and axes[-1] != len(axes) - 1
    if word is not None and not is_turned and len(_layers_of(word, builder, config)) == 1:
        return make(word, config.name)
    return activate(builder, config, value, make("linear", f"{config.name}_linear"))


def _layers_of(word: str, builder: Builder, config: LayerConfig) -> list[Layer]:
    return activation_layers(word, builder.version, f"{builder.path}: {config.name!r}")


def activate(builder: Builder, config: LayerConfig, value: Any, tensor: Tensor) -> Tensor:
    """Apply an activation: the name of a function, or a layer that Keras wrote instead."""
    word = activation_word(value)
    if word is None:
        kind = str(value.get("class_name")) if isinstance(value, dict) else str(value)
        if kind not in _LAYERS_AS_ACTIVATIONS:
            raise builder.refused(config, f"has {kind!r} for an activation; expected a function")
        settings = value.get("config") if isinstance(value.get("config"), dict) else {}
        return HANDLERS[kind](builder, LayerConfig(kind, config.name, settings), [tensor])
    if word in _OVER_THE_LAST_AXIS:
        tensor = builder.in_order(tensor)
    *before, last = _layers_of(word, builder, config)
    for layer in before:
        tensor = put(builder, layer, f"{config.name}_scaled", tensor)
    return put(builder, last, config.name, tensor)


def _activation(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    return activate(builder, config, config.settings.get("activation"), inputs[0])


_RECTIFIERS: dict[str, Callable[[dict[str, Any]], Layer]] = {
    "ReLU": lambda s: ReLU(
        None if s.get("max_value") is None else _number(s["max_value"]),
        _number(s.get("negative_slope") or 0.0),
        _number(s.get("threshold") or 0.0),
    ),
    "ThresholdedReLU": lambda s: ReLU(threshold=_number(s.get("theta", 1.0))),
    "LeakyReLU": lambda s: LeakyReLU(_number(s.get("negative_slope", s.get("alpha", 0.3)))),
    "ELU": lambda s: ELU(_number(s.get("alpha", 1.0))),
}


def _rectifier(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    return put(builder, _RECTIFIERS[config.kind](config.settings), config.name, inputs[0])


def _number(value: Any) -> float:
    return float(np.asarray(value, float).reshape(()))


def _prelu(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    tensor = inputs[0] if inputs[0].axes is not None else builder.in_order(inputs[0])
    if len(config.arrays) != 1 or config.arrays[0].ndim != len(tensor.shape):
        raise builder.refused(config, "should have slopes of as many axes as its input")
    alpha = config.arrays[0].transpose(tensor.axes)
    sides = zip(alpha.shape, builder.held(tensor), strict=True)
    shared = [axis for axis, (slopes, side) in enumerate(sides, 1) if slopes != side]
    return put(builder, PReLU(shared), config.name, tensor, alpha=alpha)


def _softmax(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    tensor = axis_last(builder, config, inputs[0])
    return put(builder, Softmax(), config.name, tensor)


def axis_last(builder: Builder, config: LayerConfig, tensor: Tensor) -> Tensor:
    """The tensor with the axis at its end that the layer's ``axis`` names."""
    axis = config.settings.get("axis", -1)
    axes = [axis] if isinstance(axis, int) else axis
    rank = len(tensor.shape)
    if not isinstance(axes, list) or len(axes) != 1 or not isinstance(axes[0], int):
        raise builder.refused(config, f"works along the axes {axis}; expected one axis")
    wanted = axes[0] - 1 if axes[0] > 0 else rank + axes[0]
    if axes[0] == 0 or not 0 <= wanted < rank:
        raise builder.refused(config, f"works along axis {axes[0]}, which is not there")
    if tensor.axes is not None and tensor.axes[-1] == wanted:
        return tensor
    return builder.arranged(tensor, (*(a for a in range(rank) if a != wanted), wanted))


def _normalizing(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    """Gamma and beta, either of which may be missing, then a batch norm's statistics."""
    settings, arrays = config.settings, list(config.arrays)
    if settings.get("mode", 0) != 0:
        raise builder.refused(config, f"has mode {settings['mode']}; expected 0, by channels")
    if settings.get("rms_scaling"):
        raise builder.refused(config, "divides by the root of the mean square; expected variance")
    tensor = axis_last(builder, config, inputs[0])
    epsilon = float(settings.get("epsilon", 1e-3))
    layer: Layer = LayerNormalization(epsilon)
    names = ["gamma"] * bool(settings.get("scale", True))
    names += ["beta"] * bool(settings.get("center", True))
    if config.kind == "BatchNormalization":
        layer = BatchNormalization(float(settings.get("momentum", 0.99)), epsilon)
        names += ["moving_mean", "moving_variance"]
        arrays = arrays[: len(names)]  # batch renormalization keeps more
    if len(arrays) != len(names):
        raise builder.refused(config, f"should have {names}; found {len(arrays)} arrays")
    channels = builder.held(tensor)[-1]
    found = {"gamma": np.ones(channels), "beta": np.zeros(channels)}
    return put(builder, layer, config.name, tensor, **found | dict(zip(names, arrays, strict=True)))


def _rescaling(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    values = (config.settings.get("scale", 1), config.settings.get("offset", 0))
    return _fixed(builder, config, inputs[0], Rescaling, *values)


def _normalization(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    mean, variance = config.settings.get("mean"), config.settings.get("variance")
    if mean is None and len(config.arrays) >= 2:
        mean, variance = config.arrays[:2]
    if config.settings.get("invert"):
        raise builder.refused(config, "is inverted; expected one that normalizes")
    return _fixed(builder, config, inputs[0], Normalization, mean, variance)


def _fixed(
    builder: Builder, config: LayerConfig, tensor: Tensor, kind: type[Layer], *values: Any
) -> Tensor:
    """Add a layer whose values are numbers, or lists along the last axis."""
    plain: list[float | list[float]] = []
    for value in (np.asarray(value, float) for value in values):
        if value.size == 1:
            plain.append(float(value.reshape(())))
        elif value.size == value.shape[-1] == tensor.shape[-1]:
            plain.append([float(v) for v in value.ravel()])
            tensor = builder.in_order(tensor)
        else:
            raise builder.refused(
                config, f"holds values of shape {value.shape}; expected one per channel"
            )
    return put(builder, kind(*plain), config.name, tensor)


def _dropout(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    rate = float(config.settings.get("rate") or 0)
    if not 0 <= rate < 1 or config.settings.get("noise_shape"):
        return _nothing(builder, config, inputs)
    return put(builder, Dropout(rate), config.name, inputs[0])


_TRAINING_ONLY = (
    *("ActivityRegularization", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
    *("SpatialDropout1D", "SpatialDropout2D"),
    *(f"Random{what}" for what in ("Brightness", "Contrast", "Flip", "Height", "Rotation")),
    *(f"Random{what}" for what in ("Translation", "Width", "Zoom")),
)


def _nothing(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    """Layers that do nothing in inference, and have no counterpart for training."""
    return put(builder, Activation("linear"), config.name, inputs[0])


def _passing(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    return inputs[0]


def _alike(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> list[Tensor]:
    """The inputs with their axes in the same order."""
    if len(inputs) < 2 or len({tensor.shape for tensor in inputs}) != 1:
        shapes = [tensor.shape for tensor in inputs]
        raise builder.refused(config, f"takes inputs of one shape; found {shapes}")
    axes = inputs[0].axes or inputs[0].in_order
    return [builder.arranged(tensor, axes) for tensor in inputs]


def _merge(
    builder: Builder, layer: Layer, name: str, inputs: list[Tensor], shape: Shape | None = None
) -> Tensor:
    source = builder.add(layer, name, *(tensor.source for tensor in inputs))
    return Tensor(source, shape or inputs[0].shape, inputs[0].axes)


def _elementwise(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    layer = Add() if config.kind == "Add" else Multiply()
    return _merge(builder, layer, config.name, _alike(builder, config, inputs))


def _average(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    total = _merge(builder, Add(), f"{config.name}_sum", _alike(builder, config, inputs))
    return _merge(builder, Rescaling(1 / len(inputs)), config.name, [total])


def _subtract(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    inputs = _alike(builder, config, inputs)
    if len(inputs) != 2:
        raise builder.refused(config, f"takes {len(inputs)} inputs; expected two")
    negative = _merge(builder, Rescaling(-1.0), f"{config.name}_negative", inputs[1:])
    return _merge(builder, Add(), config.name, [inputs[0], negative])


def _concatenate(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    if len({len(tensor.shape) for tensor in inputs}) != 1:
        raise builder.refused(config, "takes inputs with the same number of axes")
    first = axis_last(builder, config, inputs[0])
    axes = first.axes or first.in_order
    tensors = [first, *(builder.arranged(tensor, axes) for tensor in inputs[1:])]
    axis = axes[-1]
    shape = list(first.shape)
    shape[axis] = sum(tensor.shape[axis] for tensor in tensors)
    return _merge(builder, Concatenate(), config.name, tensors, tuple(shape))


HANDLERS: dict[str, Handler] = {
    "Activation": _activation,
    **dict.fromkeys(_RECTIFIERS, _rectifier),
    "PReLU": _prelu,
    "Softmax": _softmax,
    **dict.fromkeys(("BatchNormalization", "LayerNormalization"), _normalizing),
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    "Dropout": _dropout,
    **dict.fromkeys(_TRAINING_ONLY, _nothing),
    **dict.fromkeys(("InputLayer", "Identity"), _passing),
}
"""The functions of this file, by the layer's class."""
MERGING_HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(("Add", "Multiply"), _elementwise),
    "Average": _average,
    "Subtract": _subtract,
    "Concatenate": _concatenate,
}
"""The functions for layers that take several inputs."""
