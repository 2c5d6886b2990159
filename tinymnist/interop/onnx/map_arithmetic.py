"""Arithmetic on activations: activation functions, sums, products, and fixed numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.interop.onnx.attributes import ACTIVATIONS, clip_bounds, old_slope, shortest
from tinymnist.interop.onnx.mapping import MapFunction, Mapper, in_order, is_one
from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.interop.onnx.views import Axis, View, fresh, size_of
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers import (
    Activation,
    Add,
    Concatenate,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    LayerNormalization,
    LeakyReLU,
    Multiply,
    PReLU,
    ReLU,
    Rescaling,
)


def activation(mapper: Mapper, node: Node, view: View) -> View:
    """The layer that ``attributes`` names."""
    return mapper.append(ACTIVATIONS[node.op](node), view)


def hard_sigmoid(mapper: Mapper, node: Node, view: View) -> View:
    """Keras's activation if it is the same; else a line, clipped to 0..1."""
    slope, middle = shortest(node.get("alpha", 0.2)), shortest(node.get("beta", 0.5))
    if abs(slope - 1 / 6) < 1e-6 and middle == 0.5:
        return mapper.append(Activation("hard_sigmoid"), view)
    return mapper.append(ReLU(max_value=1.0), affine(mapper, node.inputs[0], slope, middle))


def clip(mapper: Mapper, node: Node, view: View) -> View:
    """Between 0 and a number, or between -1 and 1."""
    low, high = clip_bounds(node, mapper.arrays(node))
    if low == 0:
        return mapper.append(ReLU(None if math.isinf(high) or high > 1e30 else high), view)
    if (low, high) != (-1, 1):
        raise Unmappable(f"it would need bounds of {low} and {high}")
    return mapper.append(Activation("hard_tanh"), view)


def prelu(mapper: Mapper, node: Node, view: View) -> View:
    """One slope in all, or one for each channel."""
    slope = mapper.constant(node.inputs[1])
    if slope.size == 1:
        return mapper.append(LeakyReLU(shortest(slope.reshape(-1)[0])), view)
    atoms, values = spread(view, old_slope(node, slope, view.rank))
    seen = mapper.with_last(view, atoms)
    rank = len(mapper.builder.shapes[seen.source])
    alpha = in_order(values, atoms, seen.order).reshape((1,) * (rank - 1) + (-1,))
    layer = PReLU(list(range(1, rank)))
    return seen.moved(mapper.add(node, layer, seen.source, weights=node.inputs[1], alpha=alpha))


def negative(mapper: Mapper, node: Node, view: View) -> View:
    """``-x``."""
    return affine(mapper, node.inputs[0], -1.0, 0.0)


def power(mapper: Mapper, node: Node, view: View) -> View:
    """A small whole power, as a product."""
    exponent = mapper.constant(node.inputs[1])
    if exponent.size != 1 or float(exponent.reshape(-1)[0]) not in (1, 2, 3, 4):
        raise Unmappable(f"it would need the power {exponent.tolist()}")
    times = int(exponent.reshape(-1)[0])
    if times == 1:
        return view
    return view.moved(mapper.builder.add(Multiply(), *[view.source] * times))


def arithmetic(mapper: Mapper, node: Node, view: View) -> View:
    """With a fixed number or row of numbers: a rescaling. Of two activations: a merging layer."""
    live = [name for name in node.inputs if name in mapper.tensors]
    if len(live) == len(node.inputs):
        return merge(mapper, node)
    if len(node.inputs) != 2:
        raise Unmappable("it would need a sum of fixed numbers and activations")
    first = node.inputs[0] == live[0]
    fixed = mapper.constant(node.inputs[first])
    if node.opset < 7 and node.get("axis") is not None:  # the array begins at a named axis
        behind = view.rank - node.get("axis") % view.rank - fixed.ndim
        fixed = fixed.reshape(*fixed.shape, *(1,) * max(behind, 0))
    if node.op == "Div" and (not first or not np.all(fixed)):
        raise Unmappable("it would need to divide by an activation, or by 0")
    value = fixed.astype(np.float64)
    scale: dict[str, Callable[[], tuple[Any, Any]]] = {
        "Add": lambda: (1.0, value),
        "Sub": lambda: (1.0, -value) if first else (-1.0, value),
        "Mul": lambda: (value, 0.0),
        "Div": lambda: (1 / value, 0.0),
    }
    return affine(mapper, live[0], *scale[node.op]())


def affine(mapper: Mapper, name: str, scale: Any, offset: Any) -> View:
    """``x * scale + offset``, absorbed by the layer before if that computes the same."""
    view = mapper.view(name)
    rows = np.broadcast_arrays(np.asarray(scale, float), np.asarray(offset, float))
    (atoms, scales), (_, offsets) = (spread(view, row) for row in rows)
    alone = mapper.alone(name)
    seen = mapper.with_last(view, atoms) if atoms else view
    scales, offsets = (
        in_order(row, atoms, seen.order) if atoms else row.reshape(-1) for row in (scales, offsets)
    )
    if not np.isfinite([scales, offsets]).all():
        raise Unmappable("it would need infinities")
    if is_one(scales) and not offsets.any():
        return seen
    if alone and seen.source == view.source and _absorbed(mapper, seen, scales, offsets):
        return seen
    layer = Rescaling(_plain(scales), _plain(offsets))
    return mapper.append(layer, seen)


def spread(view: View, fixed: Array) -> tuple[Axis, Array]:
    """The atoms along which a fixed array varies, and its numbers along them.

    Raises:
        Unmappable: if it varies along the batch, or would make the tensor larger.
    """
    if fixed.size == 1:
        return (), fixed.reshape(-1)
    shape = (1,) * (view.rank - fixed.ndim) + fixed.shape
    while len(shape) > view.rank and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != view.rank or any(
        side not in (1, there) for side, there in zip(shape, view.shape, strict=True)
    ):
        raise Unmappable(f"a tensor of {view.shape} would grow by one of {fixed.shape}")
    if view.lead and shape[0] != 1:
        raise Unmappable("it would need different numbers for each example of a batch")
    own = shape[view.lead :]
    atoms = tuple(a for side, axis in zip(own, view.axes, strict=True) if side > 1 for a in axis)
    return atoms, fixed.reshape(-1)


def _absorbed(mapper: Mapper, view: View, scales: Array, offsets: Array) -> bool:
    """Let the layer before do it, as a bias or in its own scale; False if it cannot."""
    layer = mapper.builder.layer(view.source)
    channels = mapper.builder.shapes[view.source][-1]
    if layer is None or scales.size not in (1, channels):
        return False
    dtype = mapper.builder.dtype
    if isinstance(layer, Dense | Conv2D | DepthwiseConv2D) and not layer.use_bias:
        if not is_one(scales):
            return False
        layer.use_bias = True
        layer.bias = np.broadcast_to(offsets, (channels,)).astype(dtype)
    elif isinstance(layer, LayerNormalization):
        layer.gamma = (layer.gamma * scales).astype(dtype)
        layer.beta = (layer.beta * scales + offsets).astype(dtype)
    elif isinstance(layer, Rescaling):
        layer.offset = _plain(np.asarray(layer.offset) * scales + offsets)
        layer.scale = _plain(np.asarray(layer.scale) * scales)
    else:
        return False
    return True


def _plain(values: Array) -> Any:
    """One number, or a list of them."""
    listed = [float(v) for v in np.atleast_1d(values)]
    return listed[0] if len(listed) == 1 else listed


def merge(mapper: Mapper, node: Node) -> View:
    """Two or more activations, number by number."""
    views = [mapper.view(name) for name in node.inputs]
    if len(views) == 1:
        return views[0]
    if node.op == "Div":
        raise Unmappable("it would need to divide by an activation")
    if node.op == "Sub":
        views[1] = affine(mapper, node.inputs[1], -1.0, 0.0)
    shapes = [view.shape for view in views]
    largest = max(views, key=lambda view: size_of(view.order))
    alike = len(set(shapes)) == 1
    # Of a product, one may have sides of 1 where the other has more: weighted channels.
    if not alike and (node.op != "Mul" or not all(_broadcasts(s, largest.shape) for s in shapes)):
        raise Unmappable(f"it would need to repeat one of {shapes}")
    in_memory = {(view.pattern(), mapper.builder.shapes[view.source]) for view in views}
    laid = views if len(in_memory) == 1 else [_by_axes(mapper, view) for view in views]
    layer = Multiply() if node.op == "Mul" else Add()
    whole = laid[views.index(largest)]
    return whole.moved(mapper.builder.add(layer, *(view.source for view in laid)))


def _broadcasts(shape: Shape, to: Shape) -> bool:
    return len(shape) == len(to) and all(s in (1, t) for s, t in zip(shape, to, strict=True))


def _by_axes(mapper: Mapper, view: View) -> View:
    """Each axis of the tensor as one axis of memory, channels last where there are pixels."""
    axes = list(view.axes)
    groups = [*axes[1:], axes[0]] if len(axes) >= 3 else axes
    order = tuple(atom for group in groups for atom in group)
    return View(mapper.builder.laid_out(view, groups), order, view.axes, view.batch)


def concatenate(mapper: Mapper, node: Node, view: View) -> View:
    """The axis that grows becomes the channels."""
    views = [mapper.view(name) for name in node.inputs]
    if len(views) == 1:
        return view
    if len({(len(each.axes), each.batch) for each in views}) > 1:
        raise Unmappable("its inputs have different axes")
    axis = view.own_axis(node.get("axis", 1))
    rests = [[*each.axes[:axis], *each.axes[axis + 1 :]] for each in views]
    seen = [
        mapper.builder.laid_out(each, [*rest, each.axes[axis]])
        for each, rest in zip(views, rests, strict=True)
    ]
    name = mapper.builder.add(Concatenate(), *seen)
    joined = fresh(mapper.builder.shapes[name][-1:])[0]
    if size_of(joined) != sum(size_of(each.axes[axis]) for each in views):
        raise Unmappable("its inputs do not fit each other")
    order = (*(atom for each in rests[0] for atom in each), *joined)
    return View(name, order, (*view.axes[:axis], joined, *view.axes[axis + 1 :]), view.batch)


ARITHMETIC: dict[str, MapFunction] = {
    **dict.fromkeys(ACTIVATIONS, activation),
    **dict.fromkeys(("Add", "Div", "Mul", "Sub", "Sum"), arithmetic),
    "Clip": clip,
    "Concat": concatenate,
    "HardSigmoid": hard_sigmoid,
    "Neg": negative,
    "PRelu": prelu,
    "Pow": power,
}
"""Their mappings, by ONNX's name."""
