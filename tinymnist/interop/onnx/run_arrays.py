"""ONNX's operations that move, count and compare, on plain arrays.

Folding constants and running a whole graph need these. Each is ``f(node, *arrays)``. None makes an
array of more than :data:`MAX_NUMBERS` numbers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tinymnist.interop.onnx.attributes import (
    axes_of,
    cast_target,
    new_shape,
    option,
    pads_of,
    slices_of,
)
from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.nn.arrays import Array

Operation: TypeAlias = Callable[..., Any]

MAX_NUMBERS = 1 << 26
"""Limit of one array: four times the weights of the largest network for such pictures."""


def bounded(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape itself.

    Raises:
        Unmappable: if an array of it would exceed :data:`MAX_NUMBERS`.
    """
    sides = tuple(int(side) for side in shape)
    if any(side < 0 for side in sides) or math.prod(sides) > MAX_NUMBERS:
        raise Unmappable(f"array of shape {sides} too large (limit {MAX_NUMBERS:,} numbers)")
    return sides


def broadcast(*arrays: Array) -> tuple[int, ...]:
    """The shape to which arrays broadcast."""
    return bounded(np.broadcast_shapes(*(a.shape for a in arrays)))


def constant(node: Node) -> Array:
    """The numbers that a node holds itself."""
    for name, value in node.attributes.items():
        if name == "value":
            return np.asarray(value)
        if name in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
        if name in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
    raise Unmappable("it would need texts or sparse tensors")


def constant_of_shape(node: Node, shape: Array) -> Array:
    """One number, repeated."""
    value = np.asarray(node.get("value", np.zeros(1, np.float32)))
    return np.full(bounded(shape.tolist()), value.reshape(-1)[0], value.dtype)


def shape_of(node: Node, x: Array) -> Array:
    """The shape, or a part of it."""
    return np.array(x.shape[node.get("start", 0) : node.get("end")], np.int64)


def reshape(node: Node, x: Array, *more: Array | None) -> Array:
    """Reshape, Flatten, Squeeze, Unsqueeze: another shape, row-major."""
    return x.reshape(new_shape(node, x.shape, [x, *more]))


def concat(node: Node, *xs: Array) -> Array:
    """Side by side along ``axis``."""
    bounded([sum(x.size for x in xs)])
    return np.concatenate(xs, axis=node.get("axis", 1))


def gather(node: Node, x: Array, indices: Array) -> Array:
    """The parts at the indices along ``axis``."""
    axis = node.get("axis", 0)
    bounded([x.size // max(x.shape[axis], 1), indices.size])
    return np.take(x, indices, axis=axis)


def split(node: Node, x: Array, sizes: Array | None = None) -> tuple[Array, ...]:
    """Cut along ``axis``, in equal parts or in parts of given sizes."""
    axis = node.get("axis", 0)
    given = option(node, "split", [x, sizes], 1)
    count = node.get("num_outputs") or len(node.outputs)
    if given is None:
        side = -(-x.shape[axis] // count)
        ends = [side * i for i in range(1, count)]
    else:
        ends = np.cumsum(given)[:-1].tolist()
    return tuple(np.split(x, ends, axis=axis))


def expand(node: Node, x: Array, shape: Array) -> Array:
    """Repeated along axes of length 1."""
    wanted = bounded(np.broadcast_shapes(x.shape, tuple(shape.tolist())))
    return np.broadcast_to(x, wanted).copy()


def tile(node: Node, x: Array, repeats: Array) -> Array:
    """Repeated along every axis."""
    bounded([side * int(r) for side, r in zip(x.shape, repeats, strict=True)])
    return np.tile(x, repeats.tolist())


def range_(node: Node, start: Array, limit: Array, delta: Array) -> Array:
    """Equally spaced numbers."""
    bounded([max(0, math.ceil((limit.item() - start.item()) / delta.item()))])
    return np.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def where(node: Node, condition: Array, x: Array, y: Array) -> Array:
    """``x`` where the condition holds, else ``y``."""
    broadcast(condition, x, y)
    return np.where(condition, x, y)


def pad(node: Node, x: Array, *more: Array | None) -> Array:
    """A frame of one number around an array."""
    pads = pads_of(node, [x, *more], x.ndim)
    bounded([side + a + b for side, (a, b) in zip(x.shape, pads, strict=True)])
    if any(min(pair) < 0 for pair in pads) or node.get("mode", "constant") != "constant":
        raise Unmappable("it would need to crop or mirror pictures")
    return np.pad(x, pads, constant_values=option(node, "value", [x, *more], 2) or 0)


def binary(function: Callable[[Array, Array], Array]) -> Operation:
    """An operation on two arrays; before opset 7 the second could start at a named axis."""

    def run(node: Node, x: Array, y: Array) -> Array:
        if node.opset < 7 and node.get("axis") is not None:
            y = y.reshape(*y.shape, *(1,) * (x.ndim - node.get("axis") % x.ndim - y.ndim))
        broadcast(x, y)
        return function(x, y)

    return run


def matmul(node: Node, x: Array, y: Array) -> Array:
    """The product of matrices, or of stacks of them."""
    stacks = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    bounded([*stacks, *x.shape[-2:-1], *y.shape[-1:]])
    product: Array = np.matmul(x, y)
    return product


def divide(x: Array, y: Array) -> Array:
    """A quotient; integers round towards 0, as in C."""
    if not np.issubdtype(x.dtype, np.integer):
        quotient: Array = np.divide(x, y)
        return quotient
    whole: Array = (np.sign(x) * np.sign(y) * (np.abs(x) // np.abs(y))).astype(x.dtype)
    return whole


def power(x: Array, y: Array) -> Array:
    """A power, in the dtype of the base."""
    return np.power(x, y).astype(x.dtype)


def many(function: Callable[[Array, Array], Array]) -> Operation:
    """An operation on any number of arrays."""

    def run(node: Node, *xs: Array) -> Array:
        broadcast(*xs)
        return functools.reduce(function, xs)

    return run


def unary(function: Callable[[Array], Array]) -> Operation:
    """An operation on one array that keeps its dtype."""
    return lambda node, x: function(x).astype(x.dtype)


def reduction(function: Callable[..., Array]) -> Operation:
    """An operation over some axes, by default over all."""

    def run(node: Node, x: Array, axes: Array | None = None) -> Array:
        chosen = axes_of(option(node, "axes", [x, axes], 1), x.ndim)
        if not chosen:
            if node.get("noop_with_empty_axes"):
                return x
            chosen = tuple(range(x.ndim))
        if not x.size and function in (np.max, np.min):
            raise Unmappable("max or min of an empty array")
        return function(x, axis=chosen, keepdims=bool(node.get("keepdims", 1))).astype(x.dtype)

    return run


def erf(x: Array) -> Array:
    """The error function."""
    from scipy.special import erf as error_function

    y: Array = error_function(x)
    return y


def dequantize(node: Node, x: Array, scale: Array, zero: Array | None = None) -> Array:
    """``(x - zero) * scale``, for a whole array or along an axis."""
    if scale.ndim > 1 or node.get("block_size") or x.dtype.kind not in "iu":
        raise Unmappable("it would need weights in blocks, or floats of 8 bits")
    sides = [1] * x.ndim
    if scale.size > 1:
        sides[node.get("axis", 1)] = scale.size
    offset = 0 if zero is None else zero.astype(np.int32).reshape(sides if zero.size > 1 else ())
    y: Array = (x.astype(np.int32) - offset) * scale.reshape(sides if scale.size > 1 else ())
    return y.astype(scale.dtype)


def identity(node: Node, x: Array) -> Array:
    """The array itself."""
    if not isinstance(x, np.ndarray):
        raise Unmappable("it would need sequences of tensors")
    return x


ARITHMETIC: dict[str, Operation] = {
    "Abs": unary(np.abs), "Add": binary(np.add), "And": binary(np.logical_and),
    "Cast": lambda node, x: x.astype(cast_target(node)), "Ceil": unary(np.ceil),
    "Concat": concat, "Constant": constant, "ConstantOfShape": constant_of_shape,
    "DequantizeLinear": dequantize, "Div": binary(divide), "Equal": binary(np.equal),
    "Erf": unary(erf), "Exp": unary(np.exp), "Expand": expand, "Flatten": reshape,
    "Floor": unary(np.floor), "Gather": gather, "Greater": binary(np.greater),
    "Identity": identity, "Less": binary(np.less), "Log": unary(np.log), "MatMul": matmul,
    "Max": many(np.maximum), "Min": many(np.minimum), "Mul": binary(np.multiply),
    "Neg": unary(np.negative), "Not": unary(np.logical_not), "Or": binary(np.logical_or),
    "Pad": pad, "Pow": binary(power), "Range": range_, "Reciprocal": unary(np.reciprocal),
    "ReduceMax": reduction(np.max), "ReduceMean": reduction(np.mean),
    "ReduceMin": reduction(np.min), "ReduceProd": reduction(np.prod),
    "ReduceSum": reduction(np.sum), "Reshape": reshape, "Round": unary(np.round),
    "Shape": shape_of, "Sign": unary(np.sign),
    "Size": lambda node, x: np.array(x.size, np.int64),
    "Slice": lambda node, x, *more: x[slices_of(node, [x, *more], x.ndim)],
    "Split": split, "Sqrt": unary(np.sqrt), "Squeeze": reshape, "Sub": binary(np.subtract),
    "Sum": many(np.add), "Tile": tile,
    "Transpose": lambda node, x: x.transpose(node.get("perm") or range(x.ndim)[::-1]),
    "Unsqueeze": reshape, "Where": where,
}  # fmt: skip
"""Every such operation by ONNX's name."""
