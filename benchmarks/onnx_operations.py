"""ONNX's operations as the conformance suite runs them: all through ``nn.functional``.

The reader of ONNX files has those that folding constants and verifying models need. Here are the
others, which never become a layer (losses, training modes), and some that the reader computes with
NumPy, so that the suite tests tinymnist's own functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.interop.onnx import reading
from tinymnist.interop.onnx.activations import clip_bounds
from tinymnist.interop.onnx.moves import pads_of
from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.interop.onnx.running import Operation, bounded, broadcast
from tinymnist.interop.onnx.windows import channels_first, channels_last
from tinymnist.nn import functional as F
from tinymnist.nn.arrays import FLOATS, Array
from tinymnist.nn.layers import BatchNormalization
from tinymnist.nn.losses import cross_entropy, example_weights, one_hot

_READER = {name: op.run for name, op in reading.OPERATIONS.items() if op.run is not None}


def add(node: Node, *xs: Array) -> Array:
    """The sum of arrays; of one shape, through ``F.add``."""
    if len(xs) > 1 and len({x.shape for x in xs}) == 1:
        return F.add(*xs)[0]
    y: Array = _READER[node.op](node, *xs)
    return y


def multiply(node: Node, x: Array, y: Array) -> Array:
    """The product; of one shape, through ``F.multiply``."""
    product: Array = F.multiply(x, y)[0] if x.shape == y.shape else _READER["Mul"](node, x, y)
    return product


def matmul(node: Node, a: Array, b: Array) -> Array:
    """The product of matrices, through ``F.dense``."""
    if a.ndim == b.ndim == 2 and a.dtype in FLOATS:
        return F.dense(a, b)[0]
    y: Array = _READER["MatMul"](node, a, b)
    return y


def gemm(node: Node, a: Array, b: Array, c: Array | None = None) -> Array:
    """``alpha * a @ b + beta * c``, through ``F.dense``."""
    a = a.T if node.get("transA") else a
    alpha, beta = (a.dtype.type(node.get(name, 1)) for name in ("alpha", "beta"))
    kernel = (b.T if node.get("transB") else b) * alpha
    if c is None:
        return F.dense(a, kernel)[0]
    units = kernel.shape[1]
    if broadcast(c, np.empty((1, units))) != (1, units):
        y: Array = F.dense(a, kernel)[0] + c * beta
        return y
    return F.dense(a, kernel, np.broadcast_to(c, (1, units))[0] * beta)[0]


def concatenate(node: Node, *xs: Array) -> Array:
    """Side by side, through ``F.concatenate``, which joins the last axis."""
    if any(x.dtype not in FLOATS for x in xs) or xs[0].ndim < 2:
        y: Array = _READER["Concat"](node, *xs)
        return y
    axis = node.get("axis", 1)
    return np.moveaxis(F.concatenate(*(np.moveaxis(x, axis, -1) for x in xs))[0], -1, axis)


def clip(node: Node, x: Array, *bounds: Array | None) -> Array:
    """From 0 on, through ``F.relu_pieces``."""
    low, high = clip_bounds(node, [x, *bounds])
    if low == 0 and x.dtype in FLOATS:
        return F.relu_pieces(x, max_value=high)[0]
    y: Array = _READER["Clip"](node, x, *bounds)
    return y


def hard_sigmoid(node: Node, x: Array) -> Array:
    """``alpha x + beta``, clipped to 0..1, through ``F.rescaling`` and ``F.relu_pieces``."""
    line, _ = F.rescaling(x, node.get("alpha", 0.2), node.get("beta", 0.5))
    return F.relu_pieces(line, max_value=1.0)[0]


def batch_normalization(
    node: Node, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array
) -> Any:
    """In training mode with the statistics after the batch, as the layer keeps them."""
    if not node.get("training_mode"):
        return _READER["BatchNormalization"](node, x, gamma, beta, mean, variance)
    layer = BatchNormalization(
        momentum=node.get("momentum", 0.9), epsilon=node.get("epsilon", 1e-5)
    )
    arrays = (gamma, beta, mean, variance)
    for name, array in zip((*layer.parameters, *layer.statistics), arrays, strict=True):
        setattr(layer, name, array)
    y, cache = layer.forward(channels_last(x), training=True)
    return channels_first(y), *layer.new_statistics(cache).values()


def dropout(node: Node, x: Array, ratio: Array | None = None, training: Any = False) -> Any:
    """In training mode only a rate of 0 has a single result."""
    if training and (ratio is None or float(ratio) != 0):
        raise Unmappable("it drops at random")
    y, mask = _READER["Dropout"](node, x)
    return F.dropout(y, 0.0, np.random.default_rng(0))[0] if training else y, mask


def loss(node: Node, scores: Array, labels: Array, weights: Array | None = None) -> Any:
    """Each pixel is an example; the mean divides by the sum of the weights, as in PyTorch."""
    if node.get("ignore_index") is not None:
        raise Unmappable("no label is ignored")
    classes = scores.shape[1]
    logits = channels_last(scores).reshape(-1, classes)
    flat = labels.reshape(-1)
    by_class = None if weights is None else dict(enumerate(weights))
    of_example = example_weights(flat, by_class, dtype=scores.dtype)
    losses = cross_entropy(logits, one_hot(flat, classes, scores.dtype))[0] * of_example
    log_p = channels_first(F.log_softmax(channels_last(scores))[0])
    how = node.get("reduction", "mean")
    if how == "none":
        return losses.reshape(labels.shape), log_p
    return losses.sum() / (of_example.sum() if how == "mean" else 1), log_p


def arg_max(node: Node, x: Array) -> Array:
    """The index of the largest number, the first of equals."""
    if node.get("select_last_index"):
        raise Unmappable("of equal numbers the first is taken here")
    axis, keep = node.get("axis", 0), bool(node.get("keepdims", 1))
    places: Array = np.argmax(x, axis=axis, keepdims=keep).astype(np.int64)
    return places


def pad(node: Node, x: Array, *more: Array | None) -> Array:
    """Also by mirroring and repeating."""
    mode = node.get("mode", "constant")
    if mode not in ("reflect", "edge", "wrap"):
        y: Array = _READER["Pad"](node, x, *more)
        return y
    pads = pads_of(node, [x, *more], x.ndim)
    bounded([side + a + b for side, (a, b) in zip(x.shape, pads, strict=True)])
    return np.pad(x, pads, mode=mode)


_OWN: dict[str, Callable[..., Any]] = {
    "Add": add,
    "ArgMax": arg_max,
    "BatchNormalization": batch_normalization,
    "Clip": clip,
    "Concat": concatenate,
    "Dropout": dropout,
    "Gemm": gemm,
    "HardSigmoid": hard_sigmoid,
    "MatMul": matmul,
    "Mul": multiply,
    "Pad": pad,
    "SoftmaxCrossEntropyLoss": loss,
    "Sum": add,
}
OPERATIONS = {name: Operation(run) for name, run in (_READER | _OWN).items()}
"""Every operation that the suite can run, by ONNX's name."""
