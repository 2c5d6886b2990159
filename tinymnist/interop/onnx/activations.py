"""Operations on single numbers: activation functions, and those that only constants go through."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import erf

from tinymnist.interop.onnx.arithmetic import affine, spread
from tinymnist.interop.onnx.fusing import GENERAL_RELU
from tinymnist.interop.onnx.mapping import Mapper
from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.interop.onnx.running import Operation, broadcast
from tinymnist.interop.onnx.views import View, in_order
from tinymnist.nn import functional as F
from tinymnist.nn.arrays import FLOATS, Array
from tinymnist.nn.layers import ELU, GELU, Activation, Layer, LeakyReLU, PReLU, ReLU


def _shortest(value: Any) -> float:
    """The shortest decimal number that rounds to this float32: 0.1 for 0.10000000149."""
    return float(np.format_float_positional(np.float32(value), unique=True))


def _general_relu(node: Node) -> Layer:
    highest = node.get("max_value")
    top = None if highest is None else _shortest(highest)
    return ReLU(top, _shortest(node.get("slope")), _shortest(node.get("threshold")))


def _selu(node: Node) -> Layer:
    alpha, gamma = node.get("alpha", 1.67326), node.get("gamma", 1.0507)
    if abs(alpha - 1.67326) >= 1e-4 or abs(gamma - 1.0507) >= 1e-4:
        raise Unmappable("it would need constants other than those of Klambauer et al.")
    return Activation("selu")


def _layer(layer_for: Callable[[Node], Layer]) -> Operation:
    """An operation that is run by the layer that it is mapped to."""

    def run(node: Node, x: Array) -> Array:
        if x.dtype not in FLOATS:
            raise Unmappable(f"it would need {x.dtype}")
        rows = x.reshape(-1, 1) if x.ndim == 0 else x
        return layer_for(node).forward(rows)[0].reshape(x.shape)

    return Operation(run, lambda mapper, node, view: mapper.append(layer_for(node), view))


def _hard_sigmoid(node: Node, x: Array) -> Array:
    """``alpha x + beta``, clipped to 0..1."""
    line = x * node.get("alpha", 0.2) + node.get("beta", 0.5)
    return np.clip(line, 0, 1).astype(x.dtype)


def _map_hard_sigmoid(mapper: Mapper, node: Node, view: View) -> View:
    """Keras's activation if it is the same; else a line, clipped to 0..1."""
    slope, middle = _shortest(node.get("alpha", 0.2)), _shortest(node.get("beta", 0.5))
    if abs(slope - 1 / 6) < 1e-6 and middle == 0.5:
        return mapper.append(Activation("hard_sigmoid"), view)
    return mapper.append(ReLU(max_value=1.0), affine(mapper, node.inputs[0], slope, middle))


def clip_bounds(node: Node, arrays: Sequence[Array | None]) -> tuple[float, float]:
    """The lowest and the highest number that Clip lets through."""
    low, high = node.option("min", arrays, 1), node.option("max", arrays, 2)
    return (
        -np.inf if low is None else float(np.asarray(low).item()),
        np.inf if high is None else float(np.asarray(high).item()),
    )


def _clip(node: Node, x: Array, *bounds: Array | None) -> Array:
    low, high = clip_bounds(node, [x, *bounds])
    return np.minimum(np.maximum(x, low), high).astype(x.dtype)


def _map_clip(mapper: Mapper, node: Node, view: View) -> View:
    """Between 0 and a number, or between -1 and 1."""
    low, high = clip_bounds(node, mapper.arrays(node))
    if low == 0:
        return mapper.append(ReLU(None if math.isinf(high) or high > 1e30 else high), view)
    if (low, high) != (-1, 1):
        raise Unmappable(f"it would need bounds of {low} and {high}")
    return mapper.append(Activation("hard_tanh"), view)


def _slopes(node: Node, slope: Array, rank: int) -> Array:
    """PRelu's slopes; before opset 7, a row of them was one for each channel of (n, c, ...)."""
    if node.opset >= 7 or slope.ndim != 1:
        return slope
    return slope.reshape(-1, *(1,) * (rank - 2))


def _prelu(node: Node, x: Array, slope: Array) -> Array:
    if x.dtype not in FLOATS or x.ndim < 2:
        raise Unmappable(f"it would need {x.ndim} dimensions of {x.dtype}")
    slopes = _slopes(node, slope, x.ndim)
    broadcast(x, slopes)
    return F.prelu(x, slopes)[0]


def _map_prelu(mapper: Mapper, node: Node, view: View) -> View:
    """One slope in all, or one for each channel."""
    slope = mapper.constant(node.inputs[1])
    if slope.size == 1:
        return mapper.append(LeakyReLU(_shortest(slope.reshape(-1)[0])), view)
    atoms, values = spread(view, _slopes(node, slope, view.rank))
    seen = mapper.with_last(view, atoms)
    rank = len(mapper.shapes[seen.source])
    alpha = in_order(values, atoms, seen.order).reshape((1,) * (rank - 1) + (-1,))
    layer = PReLU(list(range(1, rank)))
    return seen.moved(mapper.add_for(node, layer, seen.source, alpha=alpha))


ACTIVATIONS: dict[str, Operation] = {
    **dict.fromkeys(
        ("Abs", "Ceil", "Floor", "Log", "Reciprocal", "Round", "Sign", "Sqrt"),
        Operation(lambda node, x: getattr(np, node.op.lower())(x).astype(x.dtype)),
    ),
    **dict.fromkeys(
        ("Mish", "Sigmoid", "Softplus", "Softsign", "Tanh"),
        _layer(lambda node: Activation(node.op.lower())),
    ),
    **dict.fromkeys(
        ("Gelu", "com.microsoft.Gelu"),
        _layer(lambda node: GELU(node.get("approximate", "none") == "tanh")),
    ),
    "Clip": Operation(_clip, _map_clip),
    "Elu": _layer(lambda node: ELU(_shortest(node.get("alpha", 1.0)))),
    "Erf": Operation(lambda node, x: erf(x).astype(x.dtype)),
    "Exp": Operation(
        lambda node, x: np.exp(x).astype(x.dtype),
        _layer(lambda node: Activation("exponential")).map,
    ),
    "HardSigmoid": Operation(_hard_sigmoid, _map_hard_sigmoid),
    "HardSwish": _layer(lambda node: Activation("hard_silu")),
    "LeakyRelu": _layer(lambda node: LeakyReLU(_shortest(node.get("alpha", 0.01)))),
    "Neg": Operation(
        lambda node, x: np.negative(x).astype(x.dtype),
        lambda mapper, node, view: affine(mapper, node.inputs[0], -1.0, 0.0),
    ),
    "Not": Operation(lambda node, x: np.logical_not(x)),
    "PRelu": Operation(_prelu, _map_prelu),
    "Relu": _layer(lambda node: ReLU()),
    "Selu": _layer(_selu),
    GENERAL_RELU: _layer(_general_relu),
}
"""Every such operation by ONNX's name; those of NumPy and Keras have ONNX's names there too."""
