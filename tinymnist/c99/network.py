"""A model's layers as calls of the functions in ``layers.c``, and its weights as C arrays."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinymnist.adapter import SIDE, check_classifier, final_activation, picture_side
from tinymnist.errors import InputError
from tinymnist.nn import layers as L
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.graph import INPUT, cast_copy
from tinymnist.nn.sequential import Sequential

_ACTIVATIONS = {
    **{"linear": "", "relu": "relu", "sigmoid": "sigmoid", "softmax": "softmax"},
    "tanh": "hyperbolic_tangent",
}
_MOVING = (L.Dropout, L.Flatten, L.Reshape)
"""Layers that leave all numbers where they are."""


class Network:
    """A model as C code.

    Attributes:
        arrays: by name, the numbers of the file: int8 weights, float32 for all others.
        lines: the body of ``digits_network``.
        buffers, largest: what the layers write by turns, and the most numbers that one gives.
    """

    def __init__(self, model: Sequential, int8: bool) -> None:
        """Translate a model.

        Raises:
            InputError: for a layer, an activation, a shape or a scaling without a function.
        """
        check_classifier(model)
        if picture_side(model.input_shape) != SIDE or math.prod(model.input_shape) != SIDE**2:
            raise InputError(f"{model.name} takes {model.input_shape}; a C file takes 28x28 pixels")
        self.model, self._int8 = model, int8
        self.arrays: dict[str, Array] = {}
        self.lines: list[str] = []
        self.largest, self.buffers = 1, set[str]()
        self._x = "picture"
        self._scale()
        for layer, normalization in self._folded():
            self._translate(layer, normalization)
        self._finish()

    def _scale(self) -> None:
        """The numbers that the network was trained on, of those in 0..1."""
        scaling = self.model.metadata.get("preprocessing", {}).get("scaling") or {}
        if scaling.get("axis"):
            raise InputError(f"{self.model.name} takes vectors of length 1, a C file does not")
        scale, offset = float(scaling.get("scale", 1.0)), float(scaling.get("offset", 0.0))
        if (scale, offset) != (1.0, 0.0):
            self._call("rescale", f"{SIDE**2}, {number(scale)}, {number(offset)}", (SIDE**2,), "")

    def _folded(self) -> Iterator[tuple[Any, Any]]:
        """Every layer, and the batch normalization after it if it can be folded into it."""
        previous, waiting = INPUT, list(self.model.layers)
        while waiting:
            layer = waiting.pop(0)
            if tuple(self.model.sources[layer.name]) != (previous,):
                raise _unknown(layer, "branches")
            previous = layer.name
            is_linear = getattr(layer, "activation", "") == "linear"
            after = waiting[0] if waiting else None
            if (
                isinstance(layer, (L.Conv2D, L.Dense))
                and is_linear
                and isinstance(after, L.BatchNormalization)
                and tuple(self.model.sources[after.name]) == (previous,)
            ):
                previous = waiting.pop(0).name
                yield layer, after
            else:
                yield layer, None

    def _translate(self, layer: Any, normalization: Any) -> None:
        """Append the calls that compute a layer, and the batch normalization folded into it."""
        before: Shape = self.model.shapes[self.model.sources[layer.name][0]]
        after: Shape = self.model.shapes[layer.name]
        folded = f" + {normalization.name}" if normalization else ""
        comment = f"{layer.name}{folded}: {sides(before)} -> {sides(after)}"
        self.lines.append(f"    /* {plain(comment)} */")
        kind, activation = type(layer).__name__, getattr(layer, "activation", "linear")
        if kind in ("Conv2D", "Dense"):
            self._products(layer, normalization, before, after)
        elif kind in ("MaxPooling2D", "AveragePooling2D"):
            self._pooling(layer, before, after)
        elif not isinstance(layer, (*_MOVING, L.Activation)):
            self._each_channel(layer, before, after)
        if activation not in _ACTIVATIONS or (activation == "softmax" and len(after) > 1):
            raise _unknown(layer, activation)
        if function := _ACTIVATIONS[activation]:
            self._in_place(function, f"{math.prod(after)}")

    def _products(self, layer: Any, normalization: Any, before: Shape, after: Shape) -> None:
        weights = self._weights(layer, normalization)
        if isinstance(layer, L.Conv2D):
            windows = layer.windows(before)
            if layer.groups_of(before[-1]) > 1 or windows.dilation != (1, 1):
                raise _unknown(layer, "groups or dilation")
            self._call("conv2d", f"{_sliding(before, windows)}, {weights}", after)
        elif len(before) > 1:
            raise _unknown(layer, f"Dense over {before}")
        else:
            self._call("dense", f"{before[0]}, {weights}", after, f", {after[0]}")

    def _pooling(self, layer: Any, before: Shape, after: Shape) -> None:
        arguments = _sliding(before, layer.windows(before))
        if isinstance(layer, L.MaxPooling2D):
            self._call("max_pool", arguments, after)
        else:
            counts = int(getattr(layer, "count_include_pad", False))
            self._call("average_pool", f"{arguments}, {counts}", after)

    def _each_channel(self, layer: Any, before: Shape, after: Shape) -> None:
        kind, n = type(layer).__name__, math.prod(after)
        if kind == "GlobalAveragePooling2D":
            self._call("global_average_pool", shape(before), after, "")
        elif kind == "BatchNormalization":
            slope, shift = affine(layer)
            names = self._array(layer, "slope", slope), self._array(layer, "shift", shift)
            self._in_place("batch_normalization", f"{n}, {', '.join(names)}, {before[-1]}")
        elif kind == "Rescaling" and np.ndim(layer.scale) == np.ndim(layer.offset) == 0:
            arguments = f"{n}, {number(layer.scale)}, {number(layer.offset)}"
            self._call("rescale", arguments, after, "")
        elif kind == "Softmax" and len(after) == 1:
            self._in_place("softmax", f"{n}")
        elif kind == "ReLU" and layer.max_value is None and not layer.negative_slope:
            if layer.threshold:
                raise _unknown(layer, "ReLU with a threshold")
            self._in_place("relu", f"{n}")
        else:
            raise _unknown(layer, kind)

    def _finish(self) -> None:
        """Make probabilities of the answers, and copy them out."""
        classes, (activation, _) = math.prod(self.model.output_shape), final_activation(self.model)
        self.lines.append("    /* The answers as probabilities. */")
        if activation == "sigmoid":
            self._in_place("divide_by_sum", f"{classes}")
        elif activation != "softmax":
            self._in_place("softmax", f"{classes}")
        self.lines.append(f"    memcpy(answer, {self._x}, {classes} * sizeof *answer);")

    def _call(self, function: str, arguments: str, after: Shape, last: str | None = None) -> None:
        """Append a call that reads one buffer and writes the other, whose shape comes last."""
        y = "b" if self._x == "a" else "a"
        last = f", {shape(after)}" if last is None else last
        self.lines.append(f"    {function}({self._x}, {arguments}, {y}{last});")
        self.buffers.add(y)
        self._x, self.largest = y, max(self.largest, math.prod(after))

    def _in_place(self, function: str, arguments: str) -> None:
        if self._x == "picture":  # which is the caller's
            self._call("rescale", f"{SIDE**2}, 1.0f, 0.0f", (SIDE**2,), "")
        self.lines.append(f"    {function}({self._x}, {arguments});")

    def _weights(self, layer: Any, normalization: Any) -> str:
        """The names of kernel, scale and bias, NULL for what there is none of."""
        arrays = {name: np.asarray(array, np.float64) for name, array in layer.weights.items()}
        kernel, bias = arrays["kernel"], arrays.get("bias")
        if normalization is not None:
            slope, shift = affine(normalization)
            kernel, bias = kernel * slope, shift + (0 if bias is None else bias * slope)
        scale = None
        if self._int8:
            flat = np.abs(kernel).reshape(-1, kernel.shape[-1])
            scale = np.maximum(flat.max(axis=0), 1e-30) / 127
            kernel = np.rint(kernel / scale).astype(np.int8)
        found = {"kernel": kernel, "scale": scale, "bias": bias}
        return ", ".join(
            "NULL" if array is None else self._array(layer, name, array)
            for name, array in found.items()
        )

    def _array(self, layer: Any, name: str, array: Array) -> str:
        """Keep an array under a name that no other has."""
        stem = re.sub(r"\W", "_", layer.name, flags=re.ASCII).lower()
        full = f"w_{stem}_{name}" if f"w_{stem}_{name}" not in self.arrays else ""
        full = full or f"w{len(self.arrays)}_{stem}_{name}"
        self.arrays[full] = array if array.dtype == np.int8 else array.astype(np.float32)
        return full


def _unknown(layer: Any, what: str) -> InputError:
    return InputError(f"{layer.name}: a C file cannot hold {what}; export to .py or .onnx")


def _sliding(before: Shape, windows: Any) -> str:
    """The shape of a picture, and the window that slides over it."""
    (top, _), (left, _) = windows.pads
    numbers = ", ".join(map(str, (*windows.kernel, *windows.strides, top, left)))
    return f"{shape(before)}, (Window){{{numbers}}}"


def affine(layer: L.BatchNormalization) -> tuple[Array, Array]:
    """Slope and shift (channels,) of a batch normalization, in float64."""
    exact: Any = cast_copy(layer, np.dtype(np.float64))
    slope = exact.inference_scale
    return slope, exact.beta - exact.moving_mean * slope


def number(value: Any) -> str:
    """A float literal with the shortest text that gives the same float32."""
    text = str(np.float32(value))
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def shape(sides: Shape) -> str:
    """``(Shape){28, 28, 1}``; what is missing is 1."""
    full = (*sides, 1, 1)[:3] if len(sides) > 1 else (1, 1, *sides)
    return f"(Shape){{{', '.join(map(str, full))}}}"


def sides(values: Shape) -> str:
    """``28 x 28 x 1``."""
    return " x ".join(map(str, values))


def plain(text: str) -> str:
    """Text of any origin as characters that do nothing in a C comment."""
    return re.sub(r"[^A-Za-z0-9 .,:;()<>+_=%-]", "_", text)
