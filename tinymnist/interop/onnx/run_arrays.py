"""ONNX's operations that move, count and compare, on plain arrays.

Folding constants needs these, and so does running a whole graph. Each is ``f(node, *arrays)``;
the settings that later versions of ONNX turned into inputs are read from both places. Nothing here
makes an array of more than :data:`MOST_NUMBERS` numbers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.nn.arrays import Array

Operation: TypeAlias = Callable[..., Any]

MOST_NUMBERS = 1 << 26
"""What one array may hold: four times the weights of the largest network for such pictures."""


def bounded(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape itself, unless an array of it would be absurd."""
    sides = tuple(int(side) for side in shape)
    if any(side < 0 for side in sides) or math.prod(sides) > MOST_NUMBERS:
        raise Unmappable(f"an array of shape {sides} is beyond all measure")
    return sides


def broadcast(*arrays: Array) -> tuple[int, ...]:
    """The shape that arrays have together."""
    return bounded(np.broadcast_shapes(*(a.shape for a in arrays)))


def option(node: Node, name: str, arrays: Sequence[Array | None], index: int) -> Any:
    """A setting that is an attribute in old versions and an input in new ones; None without it."""
    if name in node.settings:
        return node.settings[name]
    given = arrays[index] if index < len(arrays) else None
    return None if given is None else given.tolist()


def axes_of(value: Any, rank: int) -> tuple[int, ...] | None:
    """Axes as numbers from 0, or None for none given."""
    if value is None:
        return None
    listed = [value] if isinstance(value, int) else list(value)
    if any(not -rank <= axis < rank for axis in listed):
        raise Unmappable(f"axes {listed} do not exist in {rank} dimensions")
    return tuple(axis % rank for axis in listed)


def constant(node: Node) -> Array:
    """The numbers that a node holds itself."""
    for name, value in node.settings.items():
        if name == "value":
            return np.asarray(value)
        if name in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
        if name in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
    raise Unmappable("it would need texts or sparse tensors")


def constant_of_shape(node: Node, shape: Array) -> Array:
    """One number, repeated."""
    value = np.asarray(node.settings.get("value", np.zeros(1, np.float32)))
    return np.full(bounded(shape.tolist()), value.reshape(-1)[0], value.dtype)


def cast(node: Node, x: Array) -> Array:
    """Another type of number."""
    return x.astype(cast_target(node))


def cast_target(node: Node) -> np.dtype[Any]:
    """The type that Cast makes."""
    kinds = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
             9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64"}  # fmt: skip
    to = node.settings.get("to")
    name = to.lower() if isinstance(to, str) else kinds.get(to or 0)  # before opset 6, a word
    name = {"float": "float32", "double": "float64"}.get(str(name), name)
    if name not in kinds.values():
        raise Unmappable(f"it would need the number type {to}")
    return np.dtype(name)


def shape_of(node: Node, x: Array) -> Array:
    """The shape, or a stretch of it."""
    return np.array(x.shape[node.settings.get("start", 0) : node.settings.get("end")], np.int64)


def resolve_shape(node: Node, shape: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
    """The target of a Reshape: 0 keeps the side that was there, -1 takes what is left."""
    keep = not node.settings.get("allowzero")
    if any(side < -1 for side in wanted) or wanted.count(-1) > 1:
        raise Unmappable(f"the shape {list(wanted)} means nothing")
    sides = [
        shape[i] if side == 0 and keep and i < len(shape) else side for i, side in enumerate(wanted)
    ]
    known, total = math.prod(side for side in sides if side != -1), math.prod(shape)
    resolved = tuple(total // max(known, 1) if side == -1 else int(side) for side in sides)
    if math.prod(resolved) != total:
        raise Unmappable(f"{total} numbers do not fit into {list(wanted)}")
    return resolved


def reshape(node: Node, x: Array, shape: Array | None = None) -> Array:
    """Row-major, to the shape that :func:`resolve_shape` finds."""
    wanted = option(node, "shape", [x, shape], 1)
    return x.reshape(resolve_shape(node, x.shape, list(wanted)))


def flatten(node: Node, x: Array) -> Array:
    """To a matrix, cut before ``axis``."""
    axis = node.settings.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def transpose(node: Node, x: Array) -> Array:
    """The axes in the order ``perm``; without it, reversed."""
    return x.transpose(node.settings.get("perm") or tuple(reversed(range(x.ndim))))


def squeeze(node: Node, x: Array, axes: Array | None = None) -> Array:
    """Without the named axes of length 1; without names, without all of them."""
    chosen = axes_of(option(node, "axes", [x, axes], 1), x.ndim)
    return np.squeeze(x, chosen)


def unsqueeze(node: Node, x: Array, axes: Array | None = None) -> Array:
    """With new axes of length 1, counted in the result."""
    given = option(node, "axes", [x, axes], 1)
    return np.expand_dims(x, axes_of(given, x.ndim + len(given)) or ())


def concat(node: Node, *xs: Array) -> Array:
    """Side by side along ``axis``."""
    bounded([sum(x.size for x in xs)])
    return np.concatenate(xs, axis=node.settings.get("axis", 1))


def gather(node: Node, x: Array, indices: Array) -> Array:
    """What stands at the indices along ``axis``."""
    axis = node.settings.get("axis", 0)
    bounded([x.size // max(x.shape[axis], 1), indices.size])
    return np.take(x, indices, axis=axis)


def slices_of(node: Node, arrays: Sequence[Array | None], rank: int) -> tuple[slice, ...]:
    """What Slice takes of each axis."""
    starts, ends = (option(node, name, arrays, i) for i, name in ((1, "starts"), (2, "ends")))
    axes = axes_of(option(node, "axes", arrays, 3), rank) or tuple(range(len(starts)))
    steps = option(node, "steps", arrays, 4) or [1] * len(axes)
    taken = [slice(None)] * rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # Towards the front, an end far below 0 means "to the very first", which Python says as None
        stop = None if step < 0 and end < -(1 << 30) else int(end)
        taken[axis] = slice(int(start), stop, int(step))
    return tuple(taken)


def slice_(node: Node, x: Array, *more: Array | None) -> Array:
    """A stretch of each named axis."""
    return x[slices_of(node, [x, *more], x.ndim)]


def split(node: Node, x: Array, sizes: Array | None = None) -> tuple[Array, ...]:
    """Cut along ``axis``, in equal parts or those that are named."""
    axis = node.settings.get("axis", 0)
    given = option(node, "split", [x, sizes], 1)
    count = node.settings.get("num_outputs") or len(node.outputs)
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
    """Numbers at equal distances."""
    bounded([max(0, math.ceil((limit.item() - start.item()) / delta.item()))])
    return np.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def where(node: Node, condition: Array, x: Array, y: Array) -> Array:
    """One or the other, number by number."""
    broadcast(condition, x, y)
    return np.where(condition, x, y)


def pads_of(node: Node, arrays: Sequence[Array | None], rank: int) -> list[tuple[int, int]]:
    """(before, after) for each axis."""
    given = node.settings.get("paddings") or option(node, "pads", arrays, 1)
    axes = axes_of(option(node, "axes", arrays, 3), rank)
    pads = [(0, 0)] * rank
    chosen = tuple(range(rank)) if axes is None else axes
    if given is None or len(given) != 2 * len(chosen):
        raise Unmappable(f"{given} are no pads for {rank} dimensions")
    for axis, before, after in zip(chosen, given[: len(chosen)], given[len(chosen) :], strict=True):
        pads[axis] = (int(before), int(after))
    return pads


def pad(node: Node, x: Array, *more: Array | None) -> Array:
    """A frame around an array."""
    pads = pads_of(node, [x, *more], x.ndim)
    mode = node.settings.get("mode", "constant")
    bounded([side + a + b for side, (a, b) in zip(x.shape, pads, strict=True)])
    if any(min(pair) < 0 for pair in pads) or mode not in ("constant", "reflect", "edge", "wrap"):
        raise Unmappable("it would need to cut pictures")
    if mode != "constant":
        return np.pad(x, pads, mode=mode)
    value = option(node, "value", [None, None, more[1] if len(more) > 1 else None], 2) or 0
    return np.pad(x, pads, constant_values=value)


def old_broadcast(node: Node, x: Array, y: Array) -> tuple[Array, Array]:
    """Before opset 7 the second array could begin at a named axis of the first."""
    if node.opset < 7 and node.settings.get("axis") is not None:
        axis = node.settings["axis"] % x.ndim
        y = y.reshape(*y.shape, *(1,) * (x.ndim - axis - y.ndim))
    broadcast(x, y)
    return x, y


def binary(function: Callable[[Array, Array], Array]) -> Operation:
    """An operation of two arrays, which may have to be broadcast."""

    def run(node: Node, x: Array, y: Array) -> Array:
        return function(*old_broadcast(node, x, y))

    return run


def matmul(node: Node, x: Array, y: Array) -> Array:
    """Products of matrices; stacks of them are broadcast."""
    stacks = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    bounded([*stacks, *x.shape[-2:-1], *y.shape[-1:]])
    product: Array = np.matmul(x, y)
    return product


def divide(x: Array, y: Array) -> Array:
    """Integers are divided towards 0, as C does."""
    if not np.issubdtype(x.dtype, np.integer):
        quotient: Array = np.divide(x, y)
        return quotient
    whole: Array = (np.sign(x) * np.sign(y) * (np.abs(x) // np.abs(y))).astype(x.dtype)
    return whole


def power(x: Array, y: Array) -> Array:
    """A power, in the type of the base."""
    return np.power(x, y).astype(x.dtype)


def many(function: Callable[[Array, Array], Array]) -> Operation:
    """An operation of any number of arrays."""

    def run(node: Node, *xs: Array) -> Array:
        broadcast(*xs)
        return functools.reduce(function, xs)

    return run


def unary(function: Callable[[Array], Array]) -> Operation:
    """An operation of one array, whose type it keeps."""
    return lambda node, x: function(x).astype(x.dtype)


def reduction(function: Callable[..., Array]) -> Operation:
    """An operation over some axes, all of them by default."""

    def run(node: Node, x: Array, axes: Array | None = None) -> Array:
        chosen = axes_of(option(node, "axes", [x, axes], 1), x.ndim)
        if not chosen:
            if node.settings.get("noop_with_empty_axes"):
                return x
            chosen = tuple(range(x.ndim))
        keep = bool(node.settings.get("keepdims", 1))
        if not x.size and function in (np.max, np.min):
            raise Unmappable("of nothing there is no largest number")
        return function(x, axis=chosen, keepdims=keep).astype(x.dtype)

    return run


def arg_max(node: Node, x: Array) -> Array:
    """Where the largest number stands, the first of equals."""
    if node.settings.get("select_last_index"):
        raise Unmappable("of equal numbers the first is taken here")
    axis, keep = node.settings.get("axis", 0), bool(node.settings.get("keepdims", 1))
    places: Array = np.argmax(x, axis=axis, keepdims=keep).astype(np.int64)
    return places


def erf(x: Array) -> Array:
    """The error function."""
    from scipy.special import erf as error_function

    y: Array = error_function(x)
    return y


def dequantize(node: Node, x: Array, scale: Array, zero: Array | None = None) -> Array:
    """``(x - zero) * scale``, for a whole array or along an axis."""
    if scale.ndim > 1 or node.settings.get("block_size") or x.dtype.kind not in "iu":
        raise Unmappable("it would need weights in blocks, or floats of 8 bits")
    sides = [1] * x.ndim
    if scale.size > 1:
        sides[node.settings.get("axis", 1)] = scale.size
    offset = 0 if zero is None else zero.astype(np.int32).reshape(sides if zero.size > 1 else ())
    y: Array = (x.astype(np.int32) - offset) * scale.reshape(sides if scale.size > 1 else ())
    return y.astype(scale.dtype)


def same(node: Node, x: Array) -> Array:
    """The array itself."""
    if not isinstance(x, np.ndarray):
        raise Unmappable("it would need sequences of tensors")
    return x


ARITHMETIC: dict[str, Operation] = {
    "Abs": unary(np.abs), "Add": binary(np.add), "And": binary(np.logical_and),
    "ArgMax": arg_max, "Cast": cast, "Ceil": unary(np.ceil), "Concat": concat,
    "Constant": constant, "ConstantOfShape": constant_of_shape, "DequantizeLinear": dequantize,
    "Div": binary(divide), "Equal": binary(np.equal), "Erf": unary(erf), "Exp": unary(np.exp),
    "Expand": expand, "Flatten": flatten, "Floor": unary(np.floor), "Gather": gather,
    "Greater": binary(np.greater), "Identity": same, "Less": binary(np.less),
    "Log": unary(np.log), "MatMul": matmul, "Max": many(np.maximum),
    "Min": many(np.minimum), "Mul": binary(np.multiply), "Neg": unary(np.negative),
    "Not": unary(np.logical_not), "Or": binary(np.logical_or), "Pad": pad, "Pow": binary(power),
    "Range": range_, "Reciprocal": unary(np.reciprocal), "ReduceMax": reduction(np.max),
    "ReduceMean": reduction(np.mean), "ReduceMin": reduction(np.min),
    "ReduceProd": reduction(np.prod), "ReduceSum": reduction(np.sum), "Reshape": reshape,
    "Round": unary(np.round), "Shape": shape_of, "Sign": unary(np.sign),
    "Size": lambda node, x: np.array(x.size, np.int64), "Slice": slice_, "Split": split,
    "Sqrt": unary(np.sqrt), "Squeeze": squeeze, "Sub": binary(np.subtract), "Tile": tile,
    "Transpose": transpose, "Unsqueeze": unsqueeze, "Where": where,
}  # fmt: skip
"""Every such operation by ONNX's name."""
