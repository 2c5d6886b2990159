"""Operations that make, count and move numbers.

Running them moves arrays. Mapping them seldom makes a layer: the view tracks where the numbers lie.
Rules: https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymnist.interop.onnx.mapping import Mapper, stem
from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.interop.onnx.running import Operation, bounded, broadcast
from tinymnist.interop.onnx.views import Uncut, View, fresh, joined, size_of
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers import Concatenate, Dropout, ZeroPadding2D


def _constant(node: Node) -> Array:
    kinds = {"value": None, "value_float": np.float32, "value_floats": np.float32,
             "value_int": np.int64, "value_ints": np.int64}  # fmt: skip
    for name, value in node.attributes.items():
        if name in kinds:
            return np.asarray(value, kinds[name])
    raise Unmappable("it would need texts or sparse tensors")


def _constant_of_shape(node: Node, shape: Array) -> Array:
    value = np.asarray(node.get("value", np.zeros(1, np.float32)))
    return np.full(bounded(shape.tolist()), value.reshape(-1)[0], value.dtype)


def _range(node: Node, start: Array, limit: Array, delta: Array) -> Array:
    bounded([max(0, math.ceil((limit.item() - start.item()) / delta.item()))])
    return np.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def _cast_target(node: Node) -> np.dtype[Any]:
    """The dtype that Cast converts to."""
    kinds = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
             9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64"}  # fmt: skip
    to = node.get("to")
    name = to.lower() if isinstance(to, str) else kinds.get(to or 0)  # before opset 6, a word
    name = {"float": "float32", "double": "float64"}.get(str(name), name)
    if name not in kinds.values():
        raise Unmappable(f"it would need the number type {to}")
    return np.dtype(name)


def _map_cast(mapper: Mapper, node: Node, view: View) -> View:
    """From one type of floats to another; layers compute in one type."""
    if _cast_target(node).kind != "f":
        raise Unmappable("it would round activations to whole numbers")
    return view


def _identity(node: Node, x: Array) -> Array:
    if not isinstance(x, np.ndarray):
        raise Unmappable("it would need sequences of tensors")
    return x


def _dropout(node: Node, x: Array, ratio: Array | None = None, training: Any = False) -> Any:
    """The array itself, and a mask that keeps everything."""
    if training:
        raise Unmappable("it drops at random")
    return x, np.ones(x.shape, bool if node.opset >= 10 else x.dtype)


def _map_dropout(mapper: Mapper, node: Node, view: View) -> View:
    """A layer, which does nothing outside of training, so that the model can be trained on."""
    ratio = mapper.optional(node, 1)
    rate = float(node.get("ratio", 0.5) if ratio is None else ratio.reshape(-1)[0])
    return mapper.append(Dropout(round(rate, 6)), view) if 0 < rate < 1 else view


def _new_shape(node: Node, shape: Shape, arrays: Sequence[Array | None]) -> Shape:
    """The shape after Reshape, Flatten, Squeeze or Unsqueeze."""
    if node.op == "Reshape":
        return _resolved(node, shape, node.option("shape", arrays, 1))
    if node.op == "Flatten":
        axis = node.get("axis", 1)
        axis += len(shape) if axis < 0 else 0
        return math.prod(shape[:axis]), math.prod(shape[axis:])
    axes = node.option("axes", arrays, 1)
    if node.op == "Squeeze":
        chosen = node.axes(arrays, 1, len(shape))
        if chosen is None:
            return tuple(side for side in shape if side != 1)
        if any(shape[axis] != 1 for axis in chosen):
            raise Unmappable(f"{shape} does not have length 1 at {axes}")
        return tuple(side for axis, side in enumerate(shape) if axis not in chosen)
    rank = len(shape) + len(axes)
    new, sides = node.axes(arrays, 1, rank) or (), iter(shape)
    return tuple(1 if axis in new else next(sides) for axis in range(rank))


def _resolved(node: Node, shape: Shape, wanted: Any) -> Shape:
    """The target of a Reshape: 0 keeps the side, -1 takes what is left."""
    if wanted is None:
        raise Unmappable("it has no target shape")
    wanted, keep = list(wanted), not node.get("allowzero")
    if any(side < -1 for side in wanted) or wanted.count(-1) > 1:
        raise Unmappable(f"{wanted} is not a valid shape")
    kept = dict(enumerate(shape)) if keep else {}
    sides = [side or kept.get(i, 0) for i, side in enumerate(wanted)]
    known, total = math.prod(side for side in sides if side != -1), math.prod(shape)
    resolved = tuple(total // max(known, 1) if side == -1 else int(side) for side in sides)
    if math.prod(resolved) != total:
        raise Unmappable(f"{total} numbers do not fit into {wanted}")
    return resolved


def _map_reshape(mapper: Mapper, node: Node, view: View) -> View:
    """Another shape over the same memory, laid out again if an axis cannot be cut."""
    shape = _new_shape(node, view.shape, mapper.arrays(node))
    try:
        return view.reshaped(shape)
    except Uncut:
        return mapper.whole(view).reshaped(shape)


def _map_transpose(mapper: Mapper, node: Node, view: View) -> View:
    perm = tuple(node.get("perm") or reversed(range(view.rank)))
    if sorted(perm) != list(range(view.rank)):
        raise Unmappable(f"{perm} is not an order of {view.rank} axes")
    return view.transposed(perm)


def _slices_of(node: Node, arrays: Sequence[Array | None], rank: int) -> tuple[slice, ...]:
    """The part of each axis that Slice takes."""
    starts, ends = (node.option(name, arrays, i) for i, name in ((1, "starts"), (2, "ends")))
    axes = node.axes(arrays, 3, rank) or tuple(range(len(starts)))
    steps = node.option("steps", arrays, 4) or [1] * len(axes)
    taken = [slice(None)] * rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # With a negative step, an end far below 0 means "to the first", which is None in Python.
        stop = None if step < 0 and end < -(1 << 30) else int(end)
        taken[axis] = slice(int(start), stop, int(step))
    return tuple(taken)


def _map_slice(mapper: Mapper, node: Node, view: View) -> View:
    """The whole of every axis."""
    taken = _slices_of(node, mapper.arrays(node), view.rank)
    if any(range(side)[cut] != range(side) for side, cut in zip(view.shape, taken, strict=True)):
        raise Unmappable("it would need a layer that crops pictures")
    return view


def _gather(node: Node, x: Array, indices: Array) -> Array:
    axis = node.get("axis", 0)
    bounded([x.size // max(x.shape[axis], 1), indices.size])
    return np.take(x, indices, axis=axis)


def _split(node: Node, x: Array, sizes: Array | None = None) -> tuple[Array, ...]:
    """Cut along ``axis``, in equal parts or in parts of given sizes."""
    axis, given = node.get("axis", 0), node.option("split", [x, sizes], 1)
    count = node.get("num_outputs") or len(node.outputs)
    side = -(-x.shape[axis] // count)
    equal = [side * i for i in range(1, count)]
    return tuple(np.split(x, equal if given is None else np.cumsum(given)[:-1].tolist(), axis))


def _where(node: Node, condition: Array, x: Array, y: Array) -> Array:
    broadcast(condition, x, y)
    return np.where(condition, x, y)


def _expand(node: Node, x: Array, shape: Array) -> Array:
    """Repeated along axes of length 1."""
    wanted = bounded(np.broadcast_shapes(x.shape, tuple(shape.tolist())))
    return np.broadcast_to(x, wanted).copy()


def _tile(node: Node, x: Array, repeats: Array) -> Array:
    bounded([side * int(r) for side, r in zip(x.shape, repeats, strict=True)])
    return np.tile(x, repeats.tolist())


def _map_repeat(mapper: Mapper, node: Node, view: View) -> View:
    """To the shape that it has already."""
    sides = mapper.constant(node.inputs[1]).tolist()
    if node.op == "Tile":
        grown = tuple(a * b for a, b in zip(view.shape, sides, strict=True))
    else:
        grown = np.broadcast_shapes(view.shape, tuple(sides))
    if grown != view.shape:
        raise Unmappable("it would need a layer that repeats pictures")
    return view


def _concat(node: Node, *xs: Array) -> Array:
    bounded([sum(x.size for x in xs)])
    return np.concatenate(xs, axis=node.get("axis", 1))


def _map_concat(mapper: Mapper, node: Node, view: View) -> View:
    """The axis that grows becomes the channels."""
    views = [mapper.view(name) for name in node.inputs]
    if len(views) == 1:
        return view
    if len({(len(each.axes), each.batch) for each in views}) > 1:
        raise Unmappable("its inputs have different axes")
    axis = view.own_axis(node.get("axis", 1))
    rests = [[*each.axes[:axis], *each.axes[axis + 1 :]] for each in views]
    seen = [
        mapper.laid_out(each, [*rest, each.axes[axis]])
        for each, rest in zip(views, rests, strict=True)
    ]
    name = mapper.add(Concatenate(), *seen)
    (grown,) = fresh(mapper.shapes[name][-1:])
    if size_of(grown) != sum(size_of(each.axes[axis]) for each in views):
        raise Unmappable("its inputs do not fit each other")
    axes = (*view.axes[:axis], grown, *view.axes[axis + 1 :])
    return View(name, joined([*rests[0], grown]), axes, view.batch)


def pads_of(node: Node, arrays: Sequence[Array | None], rank: int) -> list[tuple[int, int]]:
    """(before, after) for each axis of a Pad."""
    given = node.get("paddings") or node.option("pads", arrays, 1)
    axes = node.axes(arrays, 3, rank)
    pads = [(0, 0)] * rank
    chosen = range(rank) if axes is None else axes
    if given is None or len(given) != 2 * len(chosen):
        raise Unmappable(f"pads {given} do not fit {rank} dimensions")
    for axis, before, after in zip(chosen, given[: len(chosen)], given[len(chosen) :], strict=True):
        pads[axis] = (int(before), int(after))
    return pads


def _pad(node: Node, x: Array, *more: Array | None) -> Array:
    """A frame of one number around an array."""
    pads = pads_of(node, [x, *more], x.ndim)
    bounded([side + a + b for side, (a, b) in zip(x.shape, pads, strict=True)])
    if any(min(pair) < 0 for pair in pads) or node.get("mode", "constant") != "constant":
        raise Unmappable("it would need to crop or mirror pictures")
    return np.pad(x, pads, constant_values=node.option("value", [x, *more], 2) or 0)


def _map_pad(mapper: Mapper, node: Node, view: View) -> View:
    """A frame of zeros around pictures."""
    arrays = mapper.arrays(node)
    pads = pads_of(node, arrays, view.rank)
    if not any(map(any, pads)):
        return view
    value, mode = node.option("value", arrays, 2), node.get("mode", "constant")
    if mode != "constant" or np.any(value or 0):
        raise Unmappable(f"it would need padding by {mode}, {value}")
    padded = [axis for axis, pair in enumerate(pads) if any(pair)]
    if view.rank != 4 or view.batch is None or min(map(min, pads)) < 0 or 0 in padded:
        raise Unmappable(f"it would need pads {pads}")
    # The axis that is not padded holds the channels: the first such, of pictures (c, h, w).
    channels = next((axis for axis in (1, 3, 2) if axis not in padded), None)
    if channels is None:
        raise Unmappable("it would need padding of channels")
    high, wide = (axis for axis in (1, 2, 3) if axis != channels)
    own = [view.axes[axis - 1] for axis in (high, wide, channels)]
    layer = ZeroPadding2D([list(pads[high]), list(pads[wide])])
    source = mapper.add(layer, mapper.as_picture(view, *own), hint=stem(node.name))
    axes_from = [(high, wide, channels).index(axis) for axis in (1, 2, 3)]
    return mapper.new_view(source, axes_from, view.batch)


_RESHAPE = Operation(
    lambda node, x, *more: x.reshape(_new_shape(node, x.shape, [x, *more])), _map_reshape
)
MOVES: dict[str, Operation] = {
    "Cast": Operation(lambda node, x: x.astype(_cast_target(node)), _map_cast),
    "Concat": Operation(_concat, _map_concat),
    "Constant": Operation(_constant),
    "ConstantOfShape": Operation(_constant_of_shape),
    "Dropout": Operation(_dropout, _map_dropout),
    "Expand": Operation(_expand, _map_repeat),
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), _RESHAPE),
    "Gather": Operation(_gather),
    "Identity": Operation(_identity, lambda mapper, node, view: view),
    "Pad": Operation(_pad, _map_pad),
    "Range": Operation(_range),
    "Shape": Operation(
        lambda node, x: np.array(x.shape[node.get("start", 0) : node.get("end")], np.int64)
    ),
    "Size": Operation(lambda node, x: np.array(x.size, np.int64)),
    "Slice": Operation(lambda node, x, *more: x[_slices_of(node, [x, *more], x.ndim)], _map_slice),
    "Split": Operation(_split),
    "Tile": Operation(_tile, _map_repeat),
    "Transpose": Operation(
        lambda node, x: x.transpose(node.get("perm") or range(x.ndim)[::-1]), _map_transpose
    ),
    "Where": Operation(_where),
}
"""Every such operation by ONNX's name."""
