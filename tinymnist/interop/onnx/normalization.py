"""Operations with features or statistics: matrix products, normalization, softmax."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tinymnist.interop.onnx.fusing import LAYER_NORM
from tinymnist.interop.onnx.mapping import Mapper, finite
from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.interop.onnx.running import Operation, bounded
from tinymnist.interop.onnx.views import Axis, View, in_order, joined, size_of
from tinymnist.interop.onnx.windows import channels_first, channels_last
from tinymnist.nn import functional as F
from tinymnist.nn import layers as L
from tinymnist.nn.arrays import Array


def _gemm(node: Node, a: Array, b: Array, c: Array | None = None) -> Array:
    """``alpha * a @ b + beta * c``, either matrix transposed."""
    a, b = (a.T if node.get("transA") else a), (b.T if node.get("transB") else b)
    bounded((a.shape[0], b.shape[1]))
    y = a @ (b * a.dtype.type(node.get("alpha", 1)))
    return y if c is None else y + c * a.dtype.type(node.get("beta", 1))


def _matmul(node: Node, x: Array, y: Array) -> Array:
    """The product of matrices, or of stacks of them."""
    stacks = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    bounded([*stacks, *x.shape[-2:-1], *y.shape[-1:]])
    return np.matmul(x, y)


def _map_product(mapper: Mapper, node: Node, view: View) -> View:
    """Dense; the rows of the kernel take the order in which memory has the features."""
    if node.get("transA"):
        raise Unmappable("it would need the batch as columns")
    kernel = finite(mapper.constant(node.inputs[1]))
    if kernel.size == math.prod(kernel.shape[-2:]):
        kernel = kernel.reshape(kernel.shape[-2:])
    if kernel.ndim != 2 or not view.axes:
        raise Unmappable(f"it would need a product with an array of shape {kernel.shape}")
    kernel = kernel.T if node.get("transB") else kernel
    features, units = view.axes[-1], kernel.shape[1]
    if kernel.shape[0] != size_of(features):
        raise Unmappable(f"it takes {kernel.shape[0]} features, and gets {size_of(features)}")
    rows = in_order(np.arange(len(kernel)), features, view.order)
    arrays = {"kernel": kernel[rows] * kernel.dtype.type(node.get("alpha", 1))}
    bias, beta = mapper.optional(node, 2), node.get("beta", 1)
    if bias is not None and beta != 0:
        if bias.size not in (1, units):
            raise Unmappable(f"it would need a bias of shape {bias.shape} for {units} units")
        row = np.broadcast_to(finite(bias).reshape(-1), (units,))
        arrays["bias"] = row * bias.dtype.type(beta)
    if set(features) != set(view.order):
        return _map_product_along(mapper, node, view, arrays)
    source = mapper.laid_out(view, [view.order])
    name = mapper.add_for(node, L.Dense(units, use_bias="bias" in arrays), source, **arrays)
    made = mapper.new_view(name, (0,), view.batch)
    return replace(made, axes=((),) * (len(view.axes) - 1) + made.axes)


def _map_product_along(mapper: Mapper, node: Node, view: View, arrays: dict[str, Array]) -> View:
    """Dense along the last axis of several: a convolution of one pixel."""
    seen = mapper.with_last(view, view.axes[-1])
    rest = seen.order[: len(seen.order) - len(view.axes[-1])]
    last = seen.order[len(rest) :]
    shape = mapper.shapes[seen.source]
    is_picture = len(shape) == 3 and shape[2] == size_of(last)
    source = seen.source if is_picture else mapper.as_picture(seen, rest, (), last)
    layer = L.Conv2D(arrays["kernel"].shape[1], 1, use_bias="bias" in arrays)
    arrays["kernel"] = arrays["kernel"][None, None]
    name = mapper.add_for(node, layer, source, **arrays)
    made = mapper.new_view(name, (2,), view.batch).axes[0]
    return View(name, (*rest, *made), (*view.axes[:-1], made), view.batch)


def _batch_norm(node: Node, x: Array, gamma: Array, beta: Array, mean: Array, var: Array) -> Array:
    """By fixed statistics."""
    if node.get("training_mode"):
        raise Unmappable("it would normalize by its own batch")
    seen, epsilon = channels_last(x) if x.ndim > 1 else x[:, None], node.get("epsilon", 1e-5)
    y, _ = F.batch_normalization_inference(seen, gamma, beta, mean, var, epsilon)
    return channels_first(y) if x.ndim > 1 else y[:, 0]


def _map_batch_norm(mapper: Mapper, node: Node, view: View) -> View:
    if node.get("training_mode") or node.get("spatial", 1) == 0:
        raise Unmappable("it would normalize by its own batch; export it for inference")
    channels = view.axes[view.own_axis(1)] if view.rank > 1 else ()
    seen = mapper.with_last(view, channels)
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    arrays = {
        key: in_order(finite(mapper.constant(name)), channels, seen.order)
        for key, name in zip(names, node.inputs[1:5], strict=True)
    }
    momentum = round(float(node.get("momentum", 0.9)), 6)
    layer = L.BatchNormalization(momentum=momentum, epsilon=float(node.get("epsilon", 1e-5)))
    return seen.moved(mapper.add_for(node, layer, seen.source, **arrays))


def _layer_norm(node: Node, x: Array, gamma: Array, beta: Array | None = None) -> Any:
    """Over all axes from ``axis`` on, together; with the mean and the inverse deviation."""
    axis = node.get("axis", -1) % x.ndim
    rows = x.reshape(*x.shape[:axis], -1)
    scale = np.broadcast_to(gamma, x.shape[axis:]).reshape(-1)
    shift = np.broadcast_to(0 * gamma if beta is None else beta, x.shape[axis:]).reshape(-1)
    y, cache = F.layer_normalization(rows, scale, shift, node.get("epsilon", 1e-5))
    kept = (*x.shape[:axis], *(1,) * (x.ndim - axis))
    mean = rows.mean(axis=-1, keepdims=True)
    return y.reshape(x.shape), mean.reshape(kept), cache.scale.reshape(kept)


def _map_layer_norm(mapper: Mapper, node: Node, view: View) -> View:
    """ONNX's own, and the one that was found in primitive nodes."""
    first = node.get("axis", -1) % view.rank
    axes = node.get("axes") or range(first, view.rank)
    own = sorted(view.own_axis(axis) for axis in axes)
    sides = [size_of(axis) if i in own else 1 for i, axis in enumerate(view.axes)]
    rows = []
    for index, default in ((1, np.ones(1, np.float32)), (2, np.zeros(1, np.float32))):
        given = mapper.optional(node, index)
        array = default if given is None else finite(given)
        array = array.reshape(array.shape[max(array.ndim - len(sides), 0) :])  # (1, 1, c) -> (c,)
        rows.append(np.broadcast_to(array, sides).reshape(-1))
    return _normalized(mapper, node, view, joined(view.axes[axis] for axis in own), *rows)


def _normalized(
    mapper: Mapper, node: Node, view: View, atoms: Axis, gamma: Array, beta: Array
) -> View:
    """A LayerNormalization over ``atoms``, which become the channels."""
    seen = mapper.with_last(view, atoms)
    affine = {
        "gamma": in_order(gamma, atoms, seen.order),
        "beta": in_order(beta, atoms, seen.order),
    }
    layer = L.LayerNormalization(epsilon=float(node.get("epsilon", 1e-5)))
    return seen.moved(mapper.add_for(node, layer, seen.source, **affine))


def _instance_norm(node: Node, x: Array, gamma: Array, beta: Array) -> Array:
    """Every channel of every example by its own pixels."""
    rows = x.reshape(*x.shape[:2], -1)
    one, zero = np.ones(rows.shape[-1], x.dtype), np.zeros(rows.shape[-1], x.dtype)
    y, _ = F.layer_normalization(rows, one, zero, node.get("epsilon", 1e-5))
    return (y * gamma[:, None] + beta[:, None]).reshape(x.shape)


def _map_instance_norm(mapper: Mapper, node: Node, view: View) -> View:
    """Each channel by its own pixels, then a scale and a shift for each channel."""
    gamma, beta = (finite(mapper.constant(name)) for name in node.inputs[1:3])
    channels, pixels = view.axes[0], joined(view.axes[1:])
    plain = (np.ones(size_of(pixels)), np.zeros(size_of(pixels)))
    seen = mapper.with_last(_normalized(mapper, node, view, pixels, *plain), channels)
    scale, offset = (in_order(array, channels, seen.order).tolist() for array in (gamma, beta))
    return mapper.append(L.Rescaling(scale, offset), seen)


def _softmax(function: Callable[[Array], tuple[Array, Any]]) -> Operation:
    """Over one axis; before opset 13, over all axes from the named one on, together."""

    def run(node: Node, x: Array) -> Array:
        if node.opset < 13:
            axis = node.get("axis", 1) % x.ndim
            return function(x.reshape(*x.shape[:axis], -1))[0].reshape(x.shape)
        axis = node.get("axis", -1)
        return np.moveaxis(function(np.moveaxis(x, axis, -1))[0], -1, axis)

    return Operation(run, _map_softmax)


def _map_softmax(mapper: Mapper, node: Node, view: View) -> View:
    axis = node.get("axis", 1 if node.opset < 13 else -1) % view.rank
    chosen = range(axis, view.rank) if node.opset < 13 else [axis]
    seen = mapper.with_last(view, joined(view.axes[view.own_axis(each)] for each in chosen))
    layer = L.Softmax() if node.op == "Softmax" else L.Activation("log_softmax")
    return mapper.append(layer, seen)


NORMALIZATION: dict[str, Operation] = {
    "BatchNormalization": Operation(_batch_norm, _map_batch_norm),
    "Gemm": Operation(_gemm, _map_product),
    "InstanceNormalization": Operation(_instance_norm, _map_instance_norm),
    "LayerNormalization": Operation(_layer_norm, _map_layer_norm),
    LAYER_NORM: Operation(map=_map_layer_norm),
    "LogSoftmax": _softmax(F.log_softmax),
    "MatMul": Operation(_matmul, _map_product),
    "Softmax": _softmax(F.softmax),
}
"""Every such operation by ONNX's name."""
