"""Keras's layers that work number by number, channel by channel, or merge branches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.interop.keras.building import Call, Tensor
from tinymnist.interop.keras.config import LayerConfig
from tinymnist.nn import layers

OVER_THE_LAST_AXIS = ("softmax", "log_softmax")
_LAYERS_AS_ACTIVATIONS = ("LeakyReLU", "ELU", "ReLU", "Softmax", "ThresholdedReLU")
_TODAYS_FUNCTIONS = {"swish": "silu", "hard_swish": "hard_silu", "softmax_v2": "softmax",
                     "log_softmax_v2": "log_softmax"}  # fmt: skip
_OLD_HARD_SIGMOID = 1.2
"""Keras 1 and 2 had ``clip(0.2 x + 0.5)``; Keras 3's ``clip(x / 6 + 0.5)`` equals it at 1.2 x."""


def activation_word(value: Any) -> str | None:
    """The name of an activation function; None for a layer or an unknown object."""
    if value is None:
        return "linear"
    if isinstance(value, dict):
        is_function = value.get("class_name") in ("function", "Activation")
        if not is_function and value.get("module") != "builtins":
            return None
        inside = value.get("config")
        return activation_word(inside.get("activation") if isinstance(inside, dict) else inside)
    return _TODAYS_FUNCTIONS.get(value, value) if isinstance(value, str) else None


def activation_layers(call: Call, word: str) -> list[layers.Layer]:
    """The layers that compute an activation function in the file's version of Keras.

    Raises:
        InputError: when tinymnist has no such function.
    """
    if word not in layers.ACTIVATIONS:
        raise InputError(
            f"{call.builder.path}: {call.name!r} uses the activation {word!r}, which tinymnist "
            f"lacks; it has {sorted(layers.ACTIVATIONS)}"
        )
    if word == "hard_sigmoid" and call.builder.version < 3:
        return [layers.Rescaling(_OLD_HARD_SIGMOID), layers.Activation(word)]
    return [layers.Activation(word)]


def activate(call: Call, value: Any, tensor: Tensor) -> Tensor:
    """Apply an activation: the name of a function, or a layer that Keras wrote instead."""
    word = activation_word(value)
    if word is None:
        kind = str(value.get("class_name")) if isinstance(value, dict) else str(value)
        if kind not in _LAYERS_AS_ACTIVATIONS:
            raise call.refused(f"has {kind!r} for an activation; expected a function")
        settings = value.get("config") if isinstance(value.get("config"), dict) else {}
        config = LayerConfig(kind, call.name, settings)
        return HANDLERS[kind](Call(call.builder, config, [tensor]))
    if word in OVER_THE_LAST_AXIS:
        tensor = call.builder.in_order(tensor)
    *before, last = activation_layers(call, word)
    for layer in before:
        tensor = call.put(layer, tensor, suffix="_scaled")
    return call.put(last, tensor)


_ELEMENTWISE: dict[str, Callable[[dict[str, Any]], layers.Layer]] = {
    "ReLU": lambda s: layers.ReLU(
        None if s.get("max_value") is None else _number(s["max_value"]),
        _number(s.get("negative_slope") or 0.0),
        _number(s.get("threshold") or 0.0),
    ),
    "ThresholdedReLU": lambda s: layers.ReLU(threshold=_number(s.get("theta", 1.0))),
    "LeakyReLU": lambda s: layers.LeakyReLU(_number(s.get("negative_slope", s.get("alpha", 0.3)))),
    "ELU": lambda s: layers.ELU(_number(s.get("alpha", 1.0))),
    "Dropout": lambda s: _dropout(float(s.get("rate") or 0), s.get("noise_shape")),
    "GaussianNoise": lambda s: layers.GaussianNoise(_number(s.get("stddev", 0))),
    "SpatialDropout2D": lambda s: layers.SpatialDropout2D(_number(s.get("rate", 0))),
    # These do nothing in inference, and have no counterpart for training.
    **dict.fromkeys(
        (
            *("ActivityRegularization", "AlphaDropout", "GaussianDropout", "SpatialDropout1D"),
            *("RandomBrightness", "RandomContrast", "RandomFlip", "RandomHeight"),
            *("RandomRotation", "RandomTranslation", "RandomWidth", "RandomZoom"),
        ),
        lambda _: layers.Activation("linear"),
    ),
}
"""Layers without arrays and without regard to axes, made of their settings."""


def _number(value: Any) -> float:
    return float(np.asarray(value, float).reshape(()))


def _dropout(rate: float, noise_shape: Any) -> layers.Layer:
    is_plain = 0 <= rate < 1 and not noise_shape
    return layers.Dropout(rate) if is_plain else layers.Activation("linear")


def _elementwise(call: Call) -> Tensor:
    return call.put(_ELEMENTWISE[call.config.kind](call.settings), call.inputs[0])


def _prelu(call: Call) -> Tensor:
    tensor, arrays = call.inputs[0], call.config.arrays
    if tensor.axes is None:
        tensor = call.builder.in_order(tensor)
    if len(arrays) != 1 or arrays[0].ndim != len(tensor.shape):
        raise call.refused("should have slopes of as many axes as its input")
    alpha = arrays[0].transpose(tensor.axes)
    sides = zip(alpha.shape, call.builder.held(tensor), strict=True)
    shared = [axis for axis, (slopes, side) in enumerate(sides, 1) if slopes != side]
    return call.put(layers.PReLU(shared), tensor, arrays={"alpha": alpha})


def _axis_last(call: Call) -> Tensor:
    """The first input with the axis at its end that the layer's ``axis`` names."""
    tensor, axis = call.inputs[0], call.settings.get("axis", -1)
    axes = [axis] if isinstance(axis, int) else axis
    rank = len(tensor.shape)
    if not isinstance(axes, list) or len(axes) != 1 or not isinstance(axes[0], int):
        raise call.refused(f"works along the axes {axis}; expected one axis")
    wanted = axes[0] - 1 if axes[0] > 0 else rank + axes[0]
    if axes[0] == 0 or not 0 <= wanted < rank:
        raise call.refused(f"works along axis {axes[0]}, which is not there")
    if tensor.axes is not None and tensor.axes[-1] == wanted:
        return tensor
    return call.builder.arranged(tensor, (*(a for a in range(rank) if a != wanted), wanted))


def _normalizing(call: Call) -> Tensor:
    """Gamma and beta, either of which may be missing, then a batch norm's statistics."""
    settings, arrays = call.settings, call.config.arrays
    if settings.get("mode", 0) != 0:
        raise call.refused(f"has mode {settings['mode']}; expected 0, by channels")
    if settings.get("rms_scaling"):
        raise call.refused("divides by the root of the mean square; expected variance")
    tensor = _axis_last(call)
    epsilon = float(settings.get("epsilon", 1e-3))
    layer: layers.Layer = layers.LayerNormalization(epsilon=epsilon)
    names = ["gamma"] * bool(settings.get("scale", True))
    names += ["beta"] * bool(settings.get("center", True))
    if call.config.kind == "BatchNormalization":
        layer = layers.BatchNormalization(
            momentum=float(settings.get("momentum", 0.99)), epsilon=epsilon
        )
        names += ["moving_mean", "moving_variance"]
        arrays = arrays[: len(names)]  # batch renormalization keeps more
    if len(arrays) != len(names):
        raise call.refused(f"should have {names}; found {len(arrays)} arrays")
    channels = call.builder.held(tensor)[-1]
    plain = {"gamma": np.ones(channels), "beta": np.zeros(channels)}
    return call.put(layer, tensor, arrays=plain | dict(zip(names, arrays, strict=True)))


def _rescaling(call: Call) -> Tensor:
    scale, offset = call.settings.get("scale", 1), call.settings.get("offset", 0)
    return _fixed(call, layers.Rescaling, scale, offset)


def _normalization(call: Call) -> Tensor:
    mean, variance = call.settings.get("mean"), call.settings.get("variance")
    if mean is None and len(call.config.arrays) >= 2:
        mean, variance = call.config.arrays[:2]
    if call.settings.get("invert"):
        raise call.refused("is inverted; expected one that normalizes")
    return _fixed(call, layers.Normalization, mean, variance)


def _fixed(call: Call, kind: type[layers.Layer], *values: Any) -> Tensor:
    """Add a layer whose values are numbers, or lists along the last axis."""
    tensor = call.inputs[0]
    plain: list[float | list[float]] = []
    for value in (np.asarray(value, float) for value in values):
        if value.size == 1:
            plain.append(float(value.reshape(())))
        elif value.size == value.shape[-1] == tensor.shape[-1]:
            plain.append([float(v) for v in value.ravel()])
            tensor = call.builder.in_order(tensor)
        else:
            raise call.refused(f"holds values of shape {value.shape}; expected one per channel")
    return call.put(kind(*plain), tensor)


def _arranged_alike(call: Call) -> list[Tensor]:
    """The inputs with their axes in the same order."""
    first, *others = call.inputs
    if not others or any(tensor.shape != first.shape for tensor in others):
        shapes = [tensor.shape for tensor in call.inputs]
        raise call.refused(f"takes inputs of one shape; found {shapes}")
    axes = first.axes or first.in_order
    return [call.builder.arranged(tensor, axes) for tensor in call.inputs]


def _average(call: Call) -> Tensor:
    total = call.put(layers.Add(), *_arranged_alike(call), suffix="_sum")
    return call.put(layers.Rescaling(1 / len(call.inputs)), total)


def _subtract(call: Call) -> Tensor:
    first, *others = _arranged_alike(call)
    if len(others) != 1:
        raise call.refused(f"takes {len(call.inputs)} inputs; expected two")
    negative = call.put(layers.Rescaling(-1.0), *others, suffix="_negative")
    return call.put(layers.Add(), first, negative)


def _concatenate(call: Call) -> Tensor:
    if len({len(tensor.shape) for tensor in call.inputs}) != 1:
        raise call.refused("takes inputs with the same number of axes")
    first = _axis_last(call)
    axes = first.axes or first.in_order
    tensors = [first, *(call.builder.arranged(tensor, axes) for tensor in call.inputs[1:])]
    shape = list(first.shape)
    shape[axes[-1]] = sum(tensor.shape[axes[-1]] for tensor in tensors)
    return replace(call.put(layers.Concatenate(), *tensors), shape=tuple(shape))


_FUNCTIONS = {"add": "Add", "multiply": "Multiply", "mul": "Multiply", "subtract": "Subtract",
              "sub": "Subtract"}  # fmt: skip


def _function(call: Call) -> Tensor:
    """A function of TensorFlow between layers, ``x + y`` or ``x * 2`` for instance."""
    name = str(call.settings.get("function")).rpartition(".")[2]
    if len(call.inputs) == 2 and name in _FUNCTIONS:
        return MERGING_HANDLERS[_FUNCTIONS[name]](call)
    if len(call.inputs) == 1 and name in layers.ACTIVATIONS:
        return activate(call, name, call.inputs[0])
    arguments = (call.settings.get("_arguments") or [{}])[0]
    value = arguments.get("y")
    if len(call.inputs) == 1 and isinstance(value, (int, float)):
        scale, offset = {
            "add": (1.0, value), "subtract": (1.0, -value), "sub": (1.0, -value),
            "multiply": (value, 0.0), "mul": (value, 0.0), "truediv": (1 / (value or 1), 0.0),
        }.get(name, (None, 0.0))  # fmt: skip
        if scale is not None and not (name == "truediv" and not value):
            return call.put(layers.Rescaling(float(scale), float(offset)), call.inputs[0])
    raise call.refused(f"calls TensorFlow's {name!r} in a way that no layer does")


HANDLERS: dict[str, Callable[[Call], Tensor]] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(("InputLayer", "Identity"), lambda call: call.inputs[0]),
    "Activation": lambda call: activate(call, call.settings.get("activation"), call.inputs[0]),
    "PReLU": _prelu,
    "Softmax": lambda call: call.put(layers.Softmax(), _axis_last(call)),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization"), _normalizing),
    "Rescaling": _rescaling,
    "Normalization": _normalization,
}
"""What converts each class of layers with one input."""
MERGING_HANDLERS: dict[str, Callable[[Call], Tensor]] = {
    "Add": lambda call: call.put(layers.Add(), *_arranged_alike(call)),
    "Multiply": lambda call: call.put(layers.Multiply(), *_arranged_alike(call)),
    "Average": _average,
    "Subtract": _subtract,
    "Concatenate": _concatenate,
    "TFOpLambda": _function,
}
"""What converts each class of layers with several inputs."""
