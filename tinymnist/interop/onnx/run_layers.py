"""ONNX's operations of networks, computed by ``nn.functional``.

ONNX has channels in front, ``nn.functional`` has them last: each operation here moves them there
and back. With those of ``run_arrays`` they run a graph by ONNX's own rules, which is what layers
are checked against.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.interop.onnx.attributes import (
    ACTIVATIONS,
    as_pair,
    clip_bounds,
    counts_padding,
    old_slope,
    pool_settings,
    window_settings,
)
from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.interop.onnx.run_arrays import ARITHMETIC, Operation, bounded, broadcast
from tinymnist.nn import functional as F
from tinymnist.nn.arrays import FLOATS, Array


def channels_last(x: Array) -> Array:
    """(n, c, ...) -> (n, ..., c)."""
    return np.moveaxis(x, 1, -1)


def channels_first(y: Array) -> Array:
    """(n, ..., c) -> (n, c, ...)."""
    return np.moveaxis(y, -1, 1)


def pictures(x: Array) -> Array:
    """(n, c, h, w) or (n, c, length) -> (n, h, w, c), with w = 1 for lines."""
    if x.ndim not in (3, 4):
        raise Unmappable(f"it would need {x.ndim - 2}-dimensional pictures")
    if x.dtype not in FLOATS:
        raise Unmappable(f"it would need pictures of {x.dtype}")
    return channels_last(x if x.ndim == 4 else x[..., None])


def back(y: Array, rank: int) -> Array:
    """The opposite of :func:`pictures`."""
    first = channels_first(y)
    return first if rank == 4 else first[..., 0]


def conv(node: Node, x: Array, kernel: Array, bias: Array | None = None) -> Array:
    """Convolution; the kernel is (out, in / groups, kh, kw)."""
    seen = pictures(x)
    weights = kernel if kernel.ndim == 4 else kernel[..., None]
    size = (seen.shape[1], seen.shape[2])
    strides, dilation, pads = window_settings(node, size, as_pair(weights.shape[2:]))
    inner = (side + sum(pair) for side, pair in zip(size, pads, strict=True))
    places = [-(-side // stride) for side, stride in zip(inner, strides, strict=True)]
    # The larger of the rows before the product and the outputs behind it.
    bounded((len(seen), *places, max(weights[0].size, len(weights))))
    groups = node.get("group", 1)
    y, _ = F.conv2d(
        seen, weights.transpose(2, 3, 1, 0), bias,
        strides=strides, padding=pads, dilation=dilation, groups=groups,
    )  # fmt: skip
    return back(y, x.ndim)


def pool(node: Node, x: Array) -> Array:
    """The maximum or the mean of each window."""
    seen = pictures(x)
    kernel, strides, pads = pool_settings(node, (seen.shape[1], seen.shape[2]))
    bounded((len(seen), *(a + sum(b) for a, b in zip(seen.shape[1:3], pads, strict=True))))
    if node.op == "MaxPool":
        return back(F.max_pool2d(seen, kernel, strides=strides, padding=pads)[0], x.ndim)
    include = counts_padding(node, pads)
    y, _ = F.average_pool2d(seen, kernel, strides=strides, padding=pads, count_include_pad=include)
    return back(y, x.ndim)


def global_pool(function: Callable[[Array], tuple[Array, Any]]) -> Operation:
    """Pooling over all pixels, which stay as axes of length 1."""

    def run(node: Node, x: Array) -> Array:
        y = function(pictures(x))[0]
        return y.reshape(*y.shape, *(1,) * (x.ndim - 2))

    return run


def gemm(node: Node, a: Array, b: Array, c: Array | None = None) -> Array:
    """``alpha * a @ b + beta * c``, either matrix transposed."""
    a, b = (a.T if node.get("transA") else a), (b.T if node.get("transB") else b)
    bounded((a.shape[0], b.shape[1]))
    y: Array = a @ (b * a.dtype.type(node.get("alpha", 1)))
    return y if c is None else y + c * a.dtype.type(node.get("beta", 1))


def batch_normalization(
    node: Node, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array
) -> Array:
    """By fixed statistics."""
    if node.get("training_mode"):
        raise Unmappable("it would normalize by its own batch")
    seen = channels_last(x) if x.ndim > 1 else x[:, None]
    epsilon = node.get("epsilon", 1e-5)
    y, _ = F.batch_normalization_inference(seen, gamma, beta, mean, variance, epsilon)
    return channels_first(y) if x.ndim > 1 else y[:, 0]


def layer_normalization(node: Node, x: Array, gamma: Array, beta: Array | None = None) -> Any:
    """Over all axes from ``axis`` on, together; with the mean and the inverse deviation."""
    axis = node.get("axis", -1) % x.ndim
    rows = x.reshape(*x.shape[:axis], -1)
    scale = np.broadcast_to(gamma, x.shape[axis:]).reshape(-1)
    shift = np.broadcast_to(0 * gamma if beta is None else beta, x.shape[axis:]).reshape(-1)
    y, cache = F.layer_normalization(rows, scale, shift, node.get("epsilon", 1e-5))
    kept = (*x.shape[:axis], *(1,) * (x.ndim - axis))
    mean = rows.mean(axis=-1, keepdims=True)
    return y.reshape(x.shape), mean.reshape(kept), cache.scale.reshape(kept)


def instance_normalization(node: Node, x: Array, gamma: Array, beta: Array) -> Array:
    """Every channel of every example by its own pixels."""
    rows = x.reshape(*x.shape[:2], -1)
    one, zero = np.ones(rows.shape[-1], x.dtype), np.zeros(rows.shape[-1], x.dtype)
    y, _ = F.layer_normalization(rows, one, zero, node.get("epsilon", 1e-5))
    return (y * gamma[:, None] + beta[:, None]).reshape(x.shape)


def along(function: Callable[[Array], tuple[Array, Any]]) -> Operation:
    """Softmax over any axis; before opset 13, over all axes from the named one on, together."""

    def run(node: Node, x: Array) -> Array:
        if node.opset < 13:
            axis = node.get("axis", 1) % x.ndim
            return function(x.reshape(*x.shape[:axis], -1))[0].reshape(x.shape)
        axis = node.get("axis", -1)
        return np.moveaxis(function(np.moveaxis(x, axis, -1))[0], -1, axis)

    return run


def dropout(node: Node, x: Array, ratio: Array | None = None, training: Any = False) -> Any:
    """The array itself, and a mask that keeps everything."""
    if training:
        raise Unmappable("it drops at random")
    return x, np.ones(x.shape, bool if node.opset >= 10 else x.dtype)


def activation(node: Node, x: Array) -> Array:
    """What the layer for it computes."""
    if x.dtype not in FLOATS:
        raise Unmappable(f"it would need {x.dtype}")
    rows = x.reshape(-1, 1) if x.ndim == 0 else x
    return ACTIVATIONS[node.op](node).forward(rows)[0].reshape(x.shape)


def hard_sigmoid(node: Node, x: Array) -> Array:
    """``alpha x + beta``, clipped to 0..1."""
    y: Array = np.clip(x * node.get("alpha", 0.2) + node.get("beta", 0.5), 0, 1)
    return y.astype(x.dtype)


def clip(node: Node, x: Array, *bounds: Array | None) -> Array:
    """Clipped to bounds."""
    low, high = clip_bounds(node, [x, *bounds])
    return np.minimum(np.maximum(x, low), high).astype(x.dtype)


def prelu(node: Node, x: Array, slope: Array) -> Array:
    """A slope below 0 that broadcasts against the tensor."""
    if x.dtype not in FLOATS or x.ndim < 2:
        raise Unmappable(f"it would need {x.ndim} dimensions of {x.dtype}")
    slopes = old_slope(node, slope, x.ndim)
    broadcast(x, slopes)
    return F.prelu(x, slopes)[0]


OPERATIONS: dict[str, Operation] = {
    **dict.fromkeys(ACTIVATIONS, activation),
    **ARITHMETIC,
    "AveragePool": pool,
    "BatchNormalization": batch_normalization,
    "Clip": clip,
    "Conv": conv,
    "Dropout": dropout,
    "Gemm": gemm,
    "GlobalAveragePool": global_pool(F.global_average_pool2d),
    "GlobalMaxPool": global_pool(F.global_max_pool2d),
    "HardSigmoid": hard_sigmoid,
    "InstanceNormalization": instance_normalization,
    "LayerNormalization": layer_normalization,
    "LogSoftmax": along(F.log_softmax),
    "MaxPool": pool,
    "PRelu": prelu,
    "Softmax": along(F.softmax),
}
"""Every operation that folding and verifying compute, by ONNX's name."""
