"""Operations that move numbers: the view tracks where they lie, and no layer is made."""

from __future__ import annotations

import numpy as np

from tinymnist.interop.onnx.attributes import cast_target, new_shape, option, pads_of, slices_of
from tinymnist.interop.onnx.mapping import MapFunction, Mapper, new_view
from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.interop.onnx.views import Uncut, View
from tinymnist.nn.layers import Dropout, ZeroPadding2D


def identity(mapper: Mapper, node: Node, view: View) -> View:
    """The tensor itself."""
    return view


def cast(mapper: Mapper, node: Node, view: View) -> View:
    """From one type of floats to another; layers compute in one type."""
    if cast_target(node).kind != "f":
        raise Unmappable("it would round activations to whole numbers")
    return view


def dropout(mapper: Mapper, node: Node, view: View) -> View:
    """A layer, which does nothing outside of training, so that the model can be trained on."""
    ratio = mapper.optional(node, 1)
    rate = float(node.get("ratio", 0.5) if ratio is None else ratio.reshape(-1)[0])
    return mapper.append(Dropout(round(rate, 6)), view) if 0 < rate < 1 else view


def reshape(mapper: Mapper, node: Node, view: View) -> View:
    """Another shape over the same memory, laid out again if an axis cannot be cut."""
    shape = new_shape(node, view.shape, mapper.arrays(node))
    try:
        return view.reshaped(shape)
    except Uncut:
        return mapper.whole(view).reshaped(shape)


def transpose(mapper: Mapper, node: Node, view: View) -> View:
    """The axes in another order."""
    perm = tuple(node.get("perm") or reversed(range(view.rank)))
    if sorted(perm) != list(range(view.rank)):
        raise Unmappable(f"{perm} is not an order of {view.rank} axes")
    return view.transposed(perm)


def expand(mapper: Mapper, node: Node, view: View) -> View:
    """To the shape that it has already."""
    sides = mapper.constant(node.inputs[1]).tolist()
    if node.op == "Tile":
        grown = tuple(a * b for a, b in zip(view.shape, sides, strict=True))
    else:
        grown = np.broadcast_shapes(view.shape, tuple(sides))
    if grown != view.shape:
        raise Unmappable("it would need a layer that repeats pictures")
    return view


def slice_(mapper: Mapper, node: Node, view: View) -> View:
    """The whole of every axis."""
    taken = slices_of(node, mapper.arrays(node), view.rank)
    if any(range(side)[cut] != range(side) for side, cut in zip(view.shape, taken, strict=True)):
        raise Unmappable("it would need a layer that crops pictures")
    return view


def pad(mapper: Mapper, node: Node, view: View) -> View:
    """A frame of zeros around pictures."""
    arrays = mapper.arrays(node)
    pads = pads_of(node, arrays, view.rank)
    if not any(map(any, pads)):
        return view
    value, mode = option(node, "value", arrays, 2), node.get("mode", "constant")
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
    source = mapper.add(node, layer, mapper.as_picture(view, *own))
    axes_from = tuple((high, wide, channels).index(axis) for axis in (1, 2, 3))
    return new_view(source, mapper.builder.shapes[source], axes_from, view.batch)


MOVES: dict[str, MapFunction] = {
    "Cast": cast,
    "Dropout": dropout,
    "Expand": expand,
    "Flatten": reshape,
    "Identity": identity,
    "Pad": pad,
    "Reshape": reshape,
    "Slice": slice_,
    "Squeeze": reshape,
    "Tile": expand,
    "Transpose": transpose,
    "Unsqueeze": reshape,
}
"""Their mappings, by ONNX's name."""
