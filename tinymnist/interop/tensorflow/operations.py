"""TensorFlow's operations in Keras's words: each becomes the description of a layer.

A graph of operations names constants and results; here every result that depends on the input is
the output of a layer, and Keras's reader builds the model from these descriptions, as it does for
Keras's own files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.interop.keras.config import LayerConfig, ModelConfig
from tinymnist.nn.arrays import Array, Shape

Settings = dict[str, Any]
_ACTIVATIONS: dict[str, tuple[str, Settings]] = {
    "Relu": ("ReLU", {}), "Relu6": ("ReLU", {"max_value": 6.0}), "Elu": ("ELU", {}),
    "Tanh": ("Activation", {"activation": "tanh"}),
    "Sigmoid": ("Activation", {"activation": "sigmoid"}),
    "HardSwish": ("Activation", {"activation": "hard_silu"}),
    "Selu": ("Activation", {"activation": "selu"}),
    "Softplus": ("Activation", {"activation": "softplus"}),
    "LogSoftmax": ("Activation", {"activation": "log_softmax"}),
    "Identity": ("Identity", {}),
}  # fmt: skip


class Layers:
    """Collects layers.

    Attributes:
        values: the constants, by the name of the result.
        flat: the results that are known to have one axis beside the batch's.
    """

    def __init__(self, path: str, values: dict[str, Array]) -> None:
        self.path, self.values = path, values
        self._layers: list[LayerConfig] = []
        self._owners: dict[str, str] = {}
        self.flat: set[str] = set()

    def start(self, result: str, name: str, shape: Shape) -> None:
        """The input of the model: pictures of this shape, without the batch axis."""
        self._put("InputLayer", result, name, [], {"batch_shape": [None, *shape]})
        self._first = name

    def constant(self, result: str) -> Array:
        """A constant.

        Raises:
            InputError: when it depends on the input.
        """
        if result not in self.values:
            raise InputError(f"{self.path}: {result[:60]!r} should be a constant")
        return self.values[result]

    def add(
        self, operation: str, result: str, name: str, inputs: list[str], settings: Settings
    ) -> None:
        """Add the layer of an operation, or compute the constant that it is.

        Args:
            operation: one of :data:`HANDLERS`, or of the activations.
            result, name: what the operation's output and the layer are called.
            inputs: the results and constants that it takes.
            settings: in Keras's words, with ``kernel`` in Keras's order, and the ``shape`` of the
                output if it is known.

        Raises:
            InputError: when no layer does the same.
        """
        moving = [key for key in inputs if key in self._owners]
        if operation == "Identity" and inputs and inputs[0] in self.values:
            self.values[result] = self.values[inputs[0]]
        elif not moving:
            raise InputError(f"{self.path}: {operation} {name!r} has no input that is computed")
        elif operation in _ACTIVATIONS:
            kind, fixed = _ACTIVATIONS[operation]
            self._put(kind, result, name, moving[:1], dict(fixed))
        elif operation in HANDLERS:
            HANDLERS[operation](self, result, name, inputs, settings)
        else:
            raise InputError(f"{self.path}: no layer does what {operation} {name!r} does")

    def finish(self, result: str, name: str) -> ModelConfig:
        """The model that ends in a result."""
        if result not in self._owners:
            raise InputError(f"{self.path}: its output does not depend on its input")
        return ModelConfig(name, self._layers, [self._first], [(self._owners[result], 0)])

    def put(
        self, kind: str, result: str, name: str, inputs: list[str], settings: Settings,
        *arrays: Array,
    ) -> None:  # fmt: skip
        """Add one of Keras's layers, whose inputs are results."""
        self._put(kind, result, name, inputs, settings, *arrays)

    def _put(
        self, kind: str, result: str, name: str, inputs: list[str], settings: Settings,
        *arrays: Array,
    ) -> None:  # fmt: skip
        if len(self._layers) > 10_000:
            raise InputError(f"{self.path} has more than 10,000 operations")
        calls = [[(self._owners[key], 0) for key in inputs]] if inputs else []
        self._layers.append(LayerConfig(kind, name, settings, calls, None, list(arrays)))
        self._owners[result] = name

    def flatten(self, result: str, name: str, source: str) -> None:
        """Flatten a result, unless it is flat."""
        if source in self.flat:
            self._owners[result] = self._owners[source]
        else:
            self._put("Flatten", result, name, [source], {})
        self.flat.add(result)

    def is_moving(self, result: str) -> bool:
        """Whether a result depends on the model's input."""
        return result in self._owners


Handler = Callable[[Layers, str, str, list[str], Settings], None]
"""Adds the layer of an operation: layers, result, name, inputs, settings."""


def _weighted(kind: str) -> Handler:
    """A layer with a kernel; TensorFlow Lite adds the bias in the same operation."""

    def add(layers: Layers, result: str, name: str, inputs: list[str], s: Settings) -> None:
        kernel = np.asarray(s.pop("kernel"), np.float32)
        bias = [layers.constant(key).ravel() for key in inputs[2:3]]
        shape = s.pop("shape", None)
        settings = {**s, "use_bias": bool(bias)}
        first = inputs[:1]
        if kind == "Dense":
            settings["units"] = kernel.shape[1]
            if shape is not None and len(shape) == 1:  # it flattens what it takes
                layers.flatten(f"{result}~", f"{name}_flat", first[0])
                first = [f"{result}~"]
                layers.flat.add(result)
        else:
            settings["kernel_size"] = list(kernel.shape[:2])
        if kind == "Conv2D":
            settings["filters"] = kernel.shape[-1]
        layers.put(kind, result, name, first, settings, kernel, *bias)

    return add


def _pool(kind: str) -> Handler:
    def add(layers: Layers, result: str, name: str, inputs: list[str], s: Settings) -> None:
        s.pop("shape", None)
        layers.put(kind, result, name, inputs[:1], s)

    return add


def _scaled(operation: str) -> Handler:
    """A sum or a product: of two results, or with a constant, which a Rescaling does."""

    def add(layers: Layers, result: str, name: str, inputs: list[str], s: Settings) -> None:
        moving = [key for key in inputs if layers.is_moving(key)]
        if len(moving) == 2:
            kind = {"Add": "Add", "Mul": "Multiply", "Sub": "Subtract"}.get(operation)
            if kind is None:
                raise InputError(f"{layers.path}: {name!r} divides two results")
            layers.put(kind, result, name, inputs, {})
            return
        value = layers.constant(next(key for key in inputs if key not in moving))
        constant = np.asarray(value, np.float64).reshape(-1)
        settings: Settings = {"scale": 1.0, "offset": 0.0}
        if operation == "Add":
            settings["offset"] = constant.tolist()
        elif operation == "Mul":
            settings["scale"] = constant.tolist()
        elif inputs[0] != moving[0]:
            raise InputError(f"{layers.path}: {name!r} takes a result from a constant")
        elif operation == "Sub":
            settings["offset"] = (-constant).tolist()
        else:
            settings["scale"] = (1 / constant).tolist()
        layers.put("Rescaling", result, name, moving, settings)

    return add


def _reshape(layers: Layers, result: str, name: str, inputs: list[str], s: Settings) -> None:
    shape = s.get("shape")
    if shape is None or len(shape) == 1:
        layers.flatten(result, name, inputs[0])
    else:
        layers.put("Reshape", result, name, inputs[:1], {"target_shape": list(shape)})


def _softmax(layers: Layers, result: str, name: str, inputs: list[str], s: Settings) -> None:
    if s.get("beta", 1.0) != 1.0:
        raise InputError(f"{layers.path}: {name!r} is a softmax with beta {s['beta']}")
    layers.put("Softmax", result, name, inputs[:1], {"axis": -1})


def _reduction(kind: str) -> Handler:
    """The mean or the maximum of a whole picture."""

    def add(layers: Layers, result: str, name: str, inputs: list[str], s: Settings) -> None:
        axes = sorted(np.asarray(layers.constant(inputs[1])).ravel().tolist())
        if axes not in ([1, 2], [-3, -2]):
            raise InputError(f"{layers.path}: {name!r} reduces axes {axes}; expected [1, 2]")
        layers.put(kind, result, name, inputs[:1], {"keepdims": bool(s.get("keepdims"))})

    return add


def _pad(layers: Layers, result: str, name: str, inputs: list[str], s: Settings) -> None:
    frame = np.asarray(layers.constant(inputs[1]))
    if len(inputs) > 2 and np.any(layers.constant(inputs[2])):
        raise InputError(f"{layers.path}: {name!r} pads with something other than zeros")
    if frame.shape != (4, 2) or frame[[0, 3]].any():
        raise InputError(
            f"{layers.path}: {name!r} pads {frame.tolist()}; expected height and width"
        )
    layers.put("ZeroPadding2D", result, name, inputs[:1], {"padding": frame[1:3].tolist()})


def _transpose(layers: Layers, result: str, name: str, inputs: list[str], s: Settings) -> None:
    order = np.asarray(layers.constant(inputs[1])).ravel().tolist()
    if not order or order[0] != 0:
        raise InputError(f"{layers.path}: {name!r} moves the axis of the batch")
    layers.put("Permute", result, name, inputs[:1], {"dims": order[1:]})


def _concat(layers: Layers, result: str, name: str, inputs: list[str], s: Settings) -> None:
    layers.put("Concatenate", result, name, inputs, {"axis": int(s.get("axis", -1))})


def _leaky(layers: Layers, result: str, name: str, inputs: list[str], s: Settings) -> None:
    layers.put("LeakyReLU", result, name, inputs[:1], {"negative_slope": float(s["alpha"])})


def _prelu(layers: Layers, result: str, name: str, inputs: list[str], s: Settings) -> None:
    layers.put("PReLU", result, name, inputs[:1], {}, layers.constant(inputs[1]))


HANDLERS: dict[str, Handler] = {
    **{kind: _weighted(kind) for kind in ("Conv2D", "DepthwiseConv2D", "Dense")},
    **{kind: _scaled(kind) for kind in ("Add", "Mul", "Sub", "RealDiv")},
    "MaxPool": _pool("MaxPooling2D"),
    "AvgPool": _pool("AveragePooling2D"),
    "Reshape": _reshape,
    "Softmax": _softmax,
    "Mean": _reduction("GlobalAveragePooling2D"),
    "Max": _reduction("GlobalMaxPooling2D"),
    "Pad": _pad,
    "Transpose": _transpose,
    "Concat": _concat,
    "LeakyRelu": _leaky,
    "Prelu": _prelu,
}
"""What adds the layer of each operation."""
