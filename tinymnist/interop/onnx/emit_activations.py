"""Activations as ONNX's operations; those that opset 17 lacks are written out in others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from tinymnist.interop.onnx.emitting import Emitter

Emission: TypeAlias = Callable[[Emitter, str, str, int], str]
"""``f(emitter, tensor, name, axis)`` appends nodes, the last one called ``name``; returns that.

``axis`` is that of the channels.
"""


def simple(op: str, **attributes: Any) -> Emission:
    """One operation."""
    return lambda e, x, name, axis: e.node(op, [x], name, **attributes)


def along(op: str) -> Emission:
    """One operation over the channels."""
    return lambda e, x, name, axis: e.node(op, [x], name, axis=axis)


def clipped(low: float, high: float) -> Emission:
    """``x`` clipped to bounds."""
    return lambda e, x, name, axis: e.node("Clip", [x, e.constant(low), e.constant(high)], name)


def gated(gate: Emission) -> Emission:
    """``x * gate(x)``."""
    return lambda e, x, name, axis: e.node("Mul", [x, gate(e, x, f"{name}_gate", axis)], name)


def mish_gate(e: Emitter, x: str, name: str, axis: int) -> str:
    """``tanh(softplus(x))``."""
    return e.node("Tanh", [e.node("Softplus", [x])], name)


def gelu(approximate: bool = False) -> Emission:
    """``x / 2 * (1 + bell)``; the bell is the error function, or a tanh."""

    def emit(e: Emitter, x: str, name: str, axis: int) -> str:
        if approximate:
            cube = e.node("Mul", [e.node("Mul", [x, x]), x])
            inner = e.node("Add", [x, e.node("Mul", [cube, e.constant(0.044715)])])
            bell = e.node("Tanh", [e.node("Mul", [inner, e.constant(math.sqrt(2 / math.pi))])])
        else:
            bell = e.node("Erf", [e.node("Div", [x, e.constant(math.sqrt(2))])])
        product = e.node("Mul", [x, e.node("Add", [bell, e.constant(1.0)])])
        return e.node("Mul", [product, e.constant(0.5)], name)

    return emit


def general_relu(highest: float | None, slope: float, threshold: float) -> Emission:
    """Keras's general ReLU: ``Relu``, ``Clip``, or written out."""

    def emit(e: Emitter, x: str, name: str, axis: int) -> str:
        if slope == 0 and threshold == 0:
            if highest is None:
                return e.node("Relu", [x], name)
            return e.node("Clip", [x, e.constant(0.0), e.constant(highest)], name)
        top = x if highest is None else e.node("Min", [x, e.constant(highest)])
        edge = e.constant(threshold)
        below = e.node("Mul", [e.node("Sub", [x, edge]), e.constant(slope)])
        return e.node("Where", [e.node("Less", [x, edge]), below, top], name)

    return emit


ACTIVATIONS: dict[str, Emission] = {
    "elu": simple("Elu", alpha=1.0),
    "exponential": simple("Exp"),
    "gelu": gelu(),
    "hard_sigmoid": simple("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_silu": simple("HardSwish"),
    "hard_tanh": clipped(-1.0, 1.0),
    "leaky_relu": simple("LeakyRelu", alpha=0.2),
    "linear": simple("Identity"),
    "log_softmax": along("LogSoftmax"),
    "mish": gated(mish_gate),
    "relu": simple("Relu"),
    "relu6": clipped(0.0, 6.0),
    "selu": simple("Selu", alpha=1.6732632423543772, gamma=1.0507009873554805),
    "sigmoid": simple("Sigmoid"),
    "silu": gated(simple("Sigmoid")),
    "softmax": along("Softmax"),
    "softplus": simple("Softplus"),
    "softsign": simple("Softsign"),
    "tanh": simple("Tanh"),
}
"""Every activation by Keras's name."""
