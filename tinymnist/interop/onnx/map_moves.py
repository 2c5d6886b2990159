"""Operations that move numbers: account is kept of where they lie, and no layer is made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinymnist.interop.onnx.mapping import Mapper, maps, new_view
from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.interop.onnx.run_arrays import cast_target, pads_of, resolve_shape, slices_of
from tinymnist.interop.onnx.views import Uncut, View
from tinymnist.nn.layers import Dropout, ZeroPadding2D


@maps("Identity")
def identity(mapper: Mapper, node: Node) -> View:
    """The tensor itself."""
    return mapper.view(node.inputs[0])


@maps("Cast")
def cast(mapper: Mapper, node: Node) -> View:
    """From one type of floats to another; layers compute in one type."""
    if cast_target(node).kind != "f":
        raise Unmappable("it would round activations to whole numbers")
    return mapper.view(node.inputs[0])


@maps("Dropout")
def dropout(mapper: Mapper, node: Node) -> View:
    """Kept as a layer, which does nothing outside of training, so that it can be trained on."""
    if len(node.outputs) > 1 and mapper.uses.get(node.outputs[1]):
        raise Unmappable("it would need the mask as an output")
    ratio = mapper.optional(node, 1)
    rate = float(node.settings.get("ratio", 0.5) if ratio is None else ratio.reshape(-1)[0])
    if not 0 < rate < 1:
        return mapper.view(node.inputs[0])
    return mapper.elementwise(node, Dropout(round(rate, 6)))


@maps("Reshape")
def reshape(mapper: Mapper, node: Node) -> View:
    """Another shape over the same memory."""
    view = mapper.view(node.inputs[0])
    wanted = mapper.numbers(node, "shape", 1)
    if wanted is None:
        raise Unmappable("it tells no shape")
    return reshaped(mapper, view, resolve_shape(node, view.shape, wanted))


@maps("Flatten")
def flatten(mapper: Mapper, node: Node) -> View:
    """To two axes, cut before ``axis``."""
    view = mapper.view(node.inputs[0])
    axis = node.settings.get("axis", 1)
    axis = axis + view.rank if axis < 0 else axis
    shape = view.shape
    return reshaped(mapper, view, (int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))))


def reshaped(mapper: Mapper, view: View, shape: tuple[int, ...]) -> View:
    """Under another shape; where axes would have to be cut without a joint, laid out anew."""
    try:
        return view.reshaped(shape)
    except Uncut:
        return mapper.whole(view).reshaped(shape)


@maps("Transpose")
def transpose(mapper: Mapper, node: Node) -> View:
    """The axes in another order."""
    view = mapper.view(node.inputs[0])
    perm = tuple(node.settings.get("perm") or reversed(range(view.rank)))
    if sorted(perm) != list(range(view.rank)):
        raise Unmappable(f"it has {view.rank} axes, and {perm} are none of them")
    return view.transposed(perm)


@maps("Squeeze")
def squeeze(mapper: Mapper, node: Node) -> View:
    """Without axes of length 1."""
    view = mapper.view(node.inputs[0])
    axes = mapper.numbers(node, "axes", 1)
    if axes is None:  # all of length 1; a batch of 1 among them
        return view.reshaped(tuple(side for side in view.shape if side != 1))
    own = {axis % view.rank for axis in axes}
    if any(view.shape[axis] != 1 for axis in own):
        raise Unmappable(f"{view.shape} are not of length 1 at {axes}")
    return view.reshaped(tuple(side for axis, side in enumerate(view.shape) if axis not in own))


@maps("Unsqueeze")
def unsqueeze(mapper: Mapper, node: Node) -> View:
    """With new axes of length 1."""
    view = mapper.view(node.inputs[0])
    axes = mapper.numbers(node, "axes", 1) or []
    rank = view.rank + len(axes)
    new = {axis % rank for axis in axes}
    sides = iter(view.shape)
    shape = tuple(1 if axis in new else next(sides) for axis in range(rank))
    if 0 in new and view.batch is not None:
        if view.batch != 1:
            raise Unmappable("it would need an axis before the batch axis")
        return replace(view, axes=((),) * (len(shape) - 1 - len(view.axes)) + view.axes)
    return view.reshaped(shape)


@maps("Expand", "Tile")
def expand(mapper: Mapper, node: Node) -> View:
    """To the shape that is there already."""
    view, sides = mapper.view(node.inputs[0]), mapper.constant(node.inputs[1]).tolist()
    if node.op == "Tile":
        grown = [a * b for a, b in zip(view.shape, sides, strict=True)]
    else:
        grown = list(np.broadcast_shapes(view.shape, tuple(sides)))
    if tuple(grown) != view.shape:
        raise Unmappable("it would need a layer that repeats pictures")
    return view


@maps("Slice")
def slice_(mapper: Mapper, node: Node) -> View:
    """Of the whole."""
    view = mapper.view(node.inputs[0])
    taken = slices_of(node, mapper.arrays(node), view.rank)
    whole = [range(side)[cut] == range(side) for side, cut in zip(view.shape, taken, strict=True)]
    if not all(whole):
        raise Unmappable("it would need a layer that cuts pictures")
    return view


@maps("Pad")
def pad(mapper: Mapper, node: Node) -> View:
    """A frame of zeros around pictures."""
    view = mapper.view(node.inputs[0])
    pads = pads_of(node, mapper.arrays(node), view.rank)
    if not any(map(any, pads)):
        return view
    value = node.settings.get("value", mapper.optional(node, 2))
    mode = node.settings.get("mode", "constant")
    if mode != "constant" or (value is not None and float(np.asarray(value).reshape(-1)[0]) != 0):
        raise Unmappable(f"it would need padding by {mode}, {value}")
    padded = [axis for axis, pair in enumerate(pads) if any(pair)]
    if view.rank != 4 or view.batch is None or min(map(min, pads)) < 0 or 0 in padded:
        raise Unmappable(f"it would need pads {pads}")
    # Whichever axis stays as it is holds the channels: the first of them, of pictures (c, h, w).
    channels = next((axis for axis in (1, 3, 2) if axis not in padded), None)
    if channels is None:
        raise Unmappable("it would need padding of channels")
    high, wide = (axis for axis in (1, 2, 3) if axis != channels)
    own = [view.axes[axis - 1] for axis in (high, wide, channels)]
    source = mapper.add(
        node, ZeroPadding2D([list(pads[high]), list(pads[wide])]), mapper.as_picture(view, *own)
    )
    memory = (high, wide, channels)
    axes_from = tuple(memory.index(axis) for axis in (1, 2, 3))
    return new_view(source, mapper.builder.shapes[source], axes_from, view.batch)
