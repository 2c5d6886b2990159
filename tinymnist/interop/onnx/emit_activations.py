"""Activations as ONNX's operations; what opset 17 has no word for is written out."""

from __future__ import annotations

import math
from collections.abc import Callable

from tinymnist.interop.onnx.emitting import Emitter

Emission = Callable[[Emitter, str, str], str]
"""``f(emitter, tensor, name)`` appends nodes; the last one is called ``name``."""


def simple(op: str, **settings: float) -> Emission:
    """One operation."""
    return lambda e, x, name: e.node(op, [x], name, **settings)


def clipped(low: float, high: float) -> Emission:
    """Kept within bounds."""
    return lambda e, x, name: e.node("Clip", [x, e.constant(low), e.constant(high)], name)


def gated(gate: Emission) -> Emission:
    """``x`` times a gate of itself."""
    return lambda e, x, name: e.node("Mul", [x, gate(e, x, f"{name}_gate")], name)


def mish_gate(e: Emitter, x: str, name: str) -> str:
    """``tanh(softplus(x))``."""
    return e.node("Tanh", [e.node("Softplus", [x])], name)


def gelu(e: Emitter, x: str, name: str, approximate: bool = False) -> str:
    """``x / 2 * (1 + bell)``; the bell is the error function, or a tanh."""
    if approximate:
        cube = e.node("Mul", [e.node("Mul", [x, x]), x])
        inner = e.node("Add", [x, e.node("Mul", [cube, e.constant(0.044715)])])
        bell = e.node("Tanh", [e.node("Mul", [inner, e.constant(math.sqrt(2 / math.pi))])])
    else:
        bell = e.node("Erf", [e.node("Div", [x, e.constant(math.sqrt(2))])])
    product = e.node("Mul", [x, e.node("Add", [bell, e.constant(1.0)])])
    return e.node("Mul", [product, e.constant(0.5)], name)


def relu_pieces(
    e: Emitter, x: str, name: str, most: float | None, slope: float, threshold: float
) -> str:
    """Keras's general ReLU."""
    if most is None and slope == 0 and threshold == 0:
        return e.node("Relu", [x], name)
    if slope == 0 and threshold == 0:
        return e.node("Clip", [x, e.constant(0.0), e.constant(most)], name)
    top = x if most is None else e.node("Min", [x, e.constant(most)])
    edge = e.constant(threshold)
    below = e.node("Mul", [e.node("Sub", [x, edge]), e.constant(slope)])
    return e.node("Where", [e.node("Less", [x, edge]), below, top], name)


WORDS: dict[str, Emission] = {
    "elu": simple("Elu", alpha=1.0),
    "exponential": simple("Exp"),
    "gelu": gelu,
    "hard_sigmoid": simple("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_silu": simple("HardSwish"),
    "hard_tanh": clipped(-1.0, 1.0),
    "leaky_relu": simple("LeakyRelu", alpha=0.2),
    "mish": gated(mish_gate),
    "relu": simple("Relu"),
    "relu6": clipped(0.0, 6.0),
    "selu": simple("Selu", alpha=1.6732632423543772, gamma=1.0507009873554805),
    "sigmoid": simple("Sigmoid"),
    "silu": gated(simple("Sigmoid")),
    "softplus": simple("Softplus"),
    "softsign": simple("Softsign"),
    "tanh": simple("Tanh"),
}
"""Every activation that looks at one number at a time, by Keras's word."""


def activation(e: Emitter, word: str, x: str, name: str, axis: int) -> str:
    """Any activation; softmax runs over ``axis``."""
    if word == "softmax":
        return e.node("Softmax", [x], name, axis=axis)
    if word == "log_softmax":
        return e.node("LogSoftmax", [x], name, axis=axis)
    return WORDS[word](e, x, name)
