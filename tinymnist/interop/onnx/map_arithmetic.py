"""Arithmetic on activations: activation functions, sums, products, and fixed numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.interop.onnx.fusing import BENT_RELU
from tinymnist.interop.onnx.mapping import Mapper, in_order, is_one, maps
from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.interop.onnx.run_layers import clip_bounds, is_plain_selu, old_slope
from tinymnist.interop.onnx.views import Axis, View, fresh, size_of
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import (
    ELU,
    GELU,
    Activation,
    Add,
    Concatenate,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Layer,
    LayerNormalization,
    LeakyReLU,
    Multiply,
    PReLU,
    ReLU,
    Rescaling,
)

_WORDS = {
    "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Softsign": "softsign",
    "HardSwish": "hard_silu", "Mish": "mish", "Exp": "exponential",
}  # fmt: skip


@maps("Relu", *_WORDS)
def activation(mapper: Mapper, node: Node) -> View:
    """Those without settings."""
    return mapper.elementwise(node, ReLU() if node.op == "Relu" else Activation(_WORDS[node.op]))


@maps(BENT_RELU)
def bent_relu(mapper: Mapper, node: Node) -> View:
    """Keras's general ReLU."""
    most, slope, edge = (node.settings[key] for key in ("most", "slope", "edge"))
    top = None if most is None else _short(most)
    return mapper.elementwise(node, ReLU(top, _short(slope), _short(edge)))


@maps("LeakyRelu")
def leaky_relu(mapper: Mapper, node: Node) -> View:
    """The slope below 0 is stated."""
    return mapper.elementwise(node, LeakyReLU(_short(node.settings.get("alpha", 0.01))))


@maps("Elu")
def elu(mapper: Mapper, node: Node) -> View:
    """``alpha`` is stated."""
    return mapper.elementwise(node, ELU(_short(node.settings.get("alpha", 1.0))))


@maps("Selu")
def selu(mapper: Mapper, node: Node) -> View:
    """Keras's word means one pair of constants."""
    if not is_plain_selu(node):
        raise Unmappable("it would need other constants than those of Klambauer et al.")
    return mapper.elementwise(node, Activation("selu"))


@maps("Gelu", "com.microsoft.Gelu")
def gelu(mapper: Mapper, node: Node) -> View:
    """Also that of onnxruntime."""
    return mapper.elementwise(node, GELU(node.settings.get("approximate", "none") == "tanh"))


@maps("HardSigmoid")
def hard_sigmoid(mapper: Mapper, node: Node) -> View:
    """Keras's word where it is the same; else a line, cut at 0 and 1."""
    slope = _short(node.settings.get("alpha", 0.2))
    middle = _short(node.settings.get("beta", 0.5))
    if abs(slope - 1 / 6) < 1e-6 and middle == 0.5:
        return mapper.elementwise(node, Activation("hard_sigmoid"))
    view = affine(mapper, node.inputs[0], slope, middle)
    return view.moved(mapper.builder.add(ReLU(max_value=1.0), view.source))


@maps("Clip")
def clip(mapper: Mapper, node: Node) -> View:
    """Between 0 and a number, or between -1 and 1."""
    arrays = [None, mapper.optional(node, 1), mapper.optional(node, 2)]
    low, high = clip_bounds(node, arrays)
    if low == 0:
        layer: Layer = ReLU(None if math.isinf(high) or high > 1e30 else high)
    elif (low, high) == (-1, 1):
        layer = Activation("hard_tanh")
    else:
        raise Unmappable(f"it would need bounds of {low} and {high}")
    return mapper.elementwise(node, layer)


@maps("PRelu")
def prelu(mapper: Mapper, node: Node) -> View:
    """One slope in all, or one for each channel."""
    view, slope = mapper.view(node.inputs[0]), mapper.constant(node.inputs[1])
    if slope.size == 1:
        return mapper.elementwise(node, LeakyReLU(_short(slope.reshape(-1)[0])))
    atoms, values = spread(view, old_slope(node, slope, view.rank))
    seen = mapper.with_last(view, atoms)
    rank = len(mapper.builder.shapes[seen.source])
    alpha = in_order(values, atoms, seen.order).reshape((1,) * (rank - 1) + (-1,))
    layer = PReLU(list(range(1, rank)))
    return seen.moved(mapper.add(node, layer, seen.source, weights=node.inputs[1], alpha=alpha))


@maps("Neg")
def negative(mapper: Mapper, node: Node) -> View:
    """``-x``."""
    return affine(mapper, node.inputs[0], -1.0, 0.0)


@maps("Pow")
def power(mapper: Mapper, node: Node) -> View:
    """A small whole power, which is a product."""
    exponent = mapper.constant(node.inputs[1])
    if exponent.size != 1 or float(exponent.reshape(-1)[0]) not in (1, 2, 3, 4):
        raise Unmappable(f"it would need the power {exponent.tolist()}")
    view, times = mapper.view(node.inputs[0]), int(exponent.reshape(-1)[0])
    if times == 1:
        return view
    return view.moved(mapper.builder.add(Multiply(), *[view.source] * times))


@maps("Add", "Sub", "Mul", "Div", "Sum")
def arithmetic(mapper: Mapper, node: Node) -> View:
    """With a fixed number or row of numbers: a rescaling. Of two activations: a merging layer."""
    live = [name for name in node.inputs if name in mapper.tensors]
    if len(live) == len(node.inputs):
        return merge(mapper, node)
    if len(node.inputs) != 2:
        raise Unmappable("it would need a sum of fixed numbers and activations")
    fixed = mapper.constant(next(name for name in node.inputs if name not in mapper.tensors))
    fixed = _old_axis(node, mapper.view(live[0]), fixed)
    first = node.inputs[0] == live[0]
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


def _old_axis(node: Node, view: View, fixed: Array) -> Array:
    """Before opset 7, the fixed array could begin at a named axis."""
    if node.opset >= 7 or node.settings.get("axis") is None:
        return fixed
    behind = view.rank - node.settings["axis"] % view.rank - fixed.ndim
    return fixed.reshape(*fixed.shape, *(1,) * max(behind, 0))


def affine(mapper: Mapper, name: str, scale: Any, offset: Any) -> View:
    """``x * scale + offset``, put into the layer before where that is the same."""
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
    return seen.moved(mapper.builder.add(layer, seen.source))


def spread(view: View, fixed: Array) -> tuple[Axis, Array]:
    """Along which atoms a fixed array varies, and its numbers along them.

    Raises:
        Unmappable: when it varies along the batch, or would make the tensor larger.
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
        raise Unmappable("it would need other numbers for each example of a batch")
    own = shape[view.lead :]
    atoms = tuple(a for side, axis in zip(own, view.axes, strict=True) if side > 1 for a in axis)
    return atoms, fixed.reshape(-1)


def _absorbed(mapper: Mapper, view: View, scales: Array, offsets: Array) -> bool:
    """Whether the layer before could take the arithmetic over: as a bias, or as its own scale."""
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


def _short(value: Any) -> float:
    """A setting that was rounded to float32, as the number that was meant."""
    return float(np.format_float_positional(np.float32(value), unique=True))


def merge(mapper: Mapper, node: Node) -> View:
    """Two or more activations, number by number."""
    views = [mapper.view(name) for name in node.inputs]
    if len(views) == 1:
        return views[0]
    if node.op == "Sub":
        views[1] = affine(mapper, node.inputs[1], -1.0, 0.0)
    elif node.op == "Div":
        raise Unmappable("it would need to divide by an activation")
    if len({view.shape for view in views}) != 1:
        if node.op == "Mul":
            return _weighed(mapper, views)
        raise Unmappable(f"it would need to repeat one of {[view.shape for view in views]}")
    views = alike(mapper, views)
    layer = Multiply() if node.op == "Mul" else Add()
    return views[0].moved(mapper.builder.add(layer, *(view.source for view in views)))


def _weighed(mapper: Mapper, views: list[View]) -> View:
    """A product in which one tensor has sides of 1 where the other has more: weighed channels."""
    largest = max(views, key=lambda view: size_of(view.order))
    for view in views:
        if len(view.shape) != len(largest.shape) or any(
            side not in (1, most) for side, most in zip(view.shape, largest.shape, strict=True)
        ):
            raise Unmappable(f"it would need to repeat one of {[view.shape for view in views]}")
    laid = [_by_axes(mapper, view) for view in views]
    whole = laid[views.index(largest)]
    return whole.moved(mapper.builder.add(Multiply(), *(view.source for view in laid)))


def alike(mapper: Mapper, views: list[View]) -> list[View]:
    """The same tensors over memories that lie in the same way."""
    shapes = {mapper.builder.shapes[view.source] for view in views}
    if len({view.pattern() for view in views}) == 1 and len(shapes) == 1:
        return views
    return [_by_axes(mapper, view) for view in views]


def _by_axes(mapper: Mapper, view: View) -> View:
    """Each axis of the tensor as one axis of memory, channels last where there are pixels."""
    axes = list(view.axes)
    groups = [*axes[1:], axes[0]] if len(axes) >= 3 else axes
    order = tuple(atom for group in groups for atom in group)
    return View(mapper.builder.laid_out(view, groups), order, view.axes, view.batch)


@maps("Concat")
def concatenate(mapper: Mapper, node: Node) -> View:
    """The axis that grows becomes the channels."""
    views = [mapper.view(name) for name in node.inputs]
    if len(views) == 1:
        return views[0]
    axis = views[0].own_axis(node.settings.get("axis", 1))
    seen = []
    for view in views:
        if len(view.axes) != len(views[0].axes) or view.batch != views[0].batch:
            raise Unmappable("its inputs have different axes")
        rest = [each for i, each in enumerate(view.axes) if i != axis]
        seen.append(mapper.builder.laid_out(view, [*rest, view.axes[axis]]))
    name = mapper.builder.add(Concatenate(), *seen)
    kept, first = mapper.builder.shapes[name], views[0]
    rest = [each for i, each in enumerate(first.axes) if i != axis]
    joined = fresh(kept[-1:])[0]
    order = (*(atom for each in rest for atom in each), *joined)
    axes = (*first.axes[:axis], joined, *first.axes[axis + 1 :])
    if size_of(joined) != sum(size_of(view.axes[axis]) for view in views):
        raise Unmappable("its inputs do not fit each other")
    return View(name, order, axes, first.batch)
