"""Operations on several tensors, number by number: sums, products, comparisons."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.interop.onnx.mapping import Mapper
from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.interop.onnx.running import Operation, broadcast
from tinymnist.interop.onnx.views import Axis, View, in_order, joined, size_of
from tinymnist.nn import layers as L
from tinymnist.nn.arrays import Array, Shape


def _binary(function: Callable[[Array, Array], Array]) -> Callable[..., Any]:
    """An operation on two arrays; before opset 7 the second could start at a named axis."""

    def run(node: Node, x: Array, y: Array) -> Array:
        if node.opset < 7 and node.get("axis") is not None:
            y = y.reshape(*y.shape, *(1,) * (x.ndim - node.get("axis") % x.ndim - y.ndim))
        broadcast(x, y)
        return function(x, y)

    return run


def _many(function: Callable[[Array, Array], Array]) -> Callable[..., Any]:
    """An operation on any number of arrays."""

    def run(node: Node, *xs: Array) -> Array:
        broadcast(*xs)
        return functools.reduce(function, xs)

    return run


def _divide(x: Array, y: Array) -> Array:
    """A quotient; integers round towards 0, as in C."""
    if not np.issubdtype(x.dtype, np.integer):
        return np.divide(x, y)
    return (np.sign(x) * np.sign(y) * (np.abs(x) // np.abs(y))).astype(x.dtype)


def _dequantize(node: Node, x: Array, scale: Array, zero: Array | None = None) -> Array:
    """``(x - zero) * scale``, for a whole array or along an axis."""
    if scale.ndim > 1 or node.get("block_size") or x.dtype.kind not in "iu":
        raise Unmappable("it would need weights in blocks, or floats of 8 bits")
    sides = [1] * x.ndim
    if scale.size > 1:
        sides[node.get("axis", 1)] = scale.size
    offset = 0 if zero is None else zero.astype(np.int32).reshape(sides if zero.size > 1 else ())
    factor = scale.reshape(sides if scale.size > 1 else ())
    return ((x.astype(np.int32) - offset) * factor).astype(scale.dtype)


def _map_power(mapper: Mapper, node: Node, view: View) -> View:
    """A small whole power, as a product."""
    exponent = mapper.constant(node.inputs[1])
    if exponent.size != 1 or float(exponent.reshape(-1)[0]) not in (1, 2, 3, 4):
        raise Unmappable(f"it would need the power {exponent.tolist()}")
    times = int(exponent.reshape(-1)[0])
    return view if times == 1 else view.moved(mapper.add(L.Multiply(), *[view.source] * times))


def _map_arithmetic(mapper: Mapper, node: Node, view: View) -> View:
    """With a fixed number or row of numbers: a rescaling. Of two activations: a merging layer."""
    live = [name for name in node.inputs if name in mapper.tensors]
    if len(live) == len(node.inputs):
        return _merge(mapper, node)
    if len(node.inputs) != 2:
        raise Unmappable("it would need a sum of fixed numbers and activations")
    first = node.inputs[0] == live[0]
    fixed = mapper.constant(node.inputs[first])
    if node.opset < 7 and node.get("axis") is not None:  # the array begins at a named axis
        behind = view.rank - node.get("axis") % view.rank - fixed.ndim
        fixed = fixed.reshape(*fixed.shape, *(1,) * max(behind, 0))
    if node.op == "Div" and (not first or not np.all(fixed)):
        raise Unmappable("it would need to divide by an activation, or by 0")
    value, sign = fixed.astype(np.float64), 1.0
    if node.op in ("Mul", "Div"):
        return affine(mapper, live[0], value if node.op == "Mul" else 1 / value, 0.0)
    if node.op == "Sub":
        value, sign = (-value, 1.0) if first else (value, -1.0)
    return affine(mapper, live[0], sign, value)


def affine(mapper: Mapper, name: str, scale: Any, offset: Any) -> View:
    """``x * scale + offset``, absorbed by the layer before if that computes the same."""
    view = mapper.view(name)
    rows = np.broadcast_arrays(np.asarray(scale, float), np.asarray(offset, float))
    (atoms, scales), (_, offsets) = (spread(view, row) for row in rows)
    alone = mapper.alone(name)
    seen = mapper.with_last(view, atoms) if atoms else view
    if atoms:
        scales, offsets = (in_order(row, atoms, seen.order) for row in (scales, offsets))
    if not np.isfinite([scales, offsets]).all():
        raise Unmappable("it would need infinities")
    if (scales == 1).all() and not offsets.any():
        return seen
    if alone and seen.source == view.source and _absorbed(mapper, seen, scales, offsets):
        return seen
    return mapper.append(L.Rescaling(_plain(scales), _plain(offsets)), seen)


def spread(view: View, fixed: Array) -> tuple[Axis, Array]:
    """The atoms along which a fixed array varies, and its numbers along them."""
    if fixed.size == 1:
        return (), fixed.reshape(-1)
    shape = (1,) * (view.rank - fixed.ndim) + fixed.shape
    while len(shape) > view.rank and shape[0] == 1:
        shape = shape[1:]
    if not _broadcasts(shape, view.shape):
        raise Unmappable(f"a tensor of {view.shape} would grow by one of {fixed.shape}")
    if view.lead and shape[0] != 1:
        raise Unmappable("it would need different numbers for each example of a batch")
    own = zip(shape[view.lead :], view.axes, strict=True)
    return joined(axis for side, axis in own if side > 1), fixed.reshape(-1)


def _absorbed(mapper: Mapper, view: View, scales: Array, offsets: Array) -> bool:
    """Let the layer before do it, as a bias or in its own scale; False if it cannot."""
    layer = next((layer for layer in mapper.layers if layer.name == view.source), None)
    channels, dtype = mapper.shapes[view.source][-1], mapper.dtype
    if layer is None or scales.size not in (1, channels):
        return False
    if isinstance(layer, L.Dense | L.Conv2D | L.DepthwiseConv2D) and not layer.use_bias:
        if not (scales == 1).all():
            return False
        layer.use_bias = True
        layer.bias = np.broadcast_to(offsets, (channels,)).astype(dtype)
    elif isinstance(layer, L.LayerNormalization):
        layer.gamma = (layer.gamma * scales).astype(dtype)
        layer.beta = (layer.beta * scales + offsets).astype(dtype)
    elif isinstance(layer, L.Rescaling):
        layer.offset = _plain(np.asarray(layer.offset) * scales + offsets)
        layer.scale = _plain(np.asarray(layer.scale) * scales)
    else:
        return False
    return True


def _plain(values: Array) -> Any:
    """One number, or a list of them."""
    listed = [float(v) for v in np.atleast_1d(values)]
    return listed[0] if len(listed) == 1 else listed


def _merge(mapper: Mapper, node: Node) -> View:
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
    in_memory = {(view.pattern(), mapper.shapes[view.source]) for view in views}
    laid = views if len(in_memory) == 1 else [_by_axes(mapper, view) for view in views]
    layer = L.Multiply() if node.op == "Mul" else L.Add()
    whole = laid[views.index(largest)]
    return whole.moved(mapper.add(layer, *(view.source for view in laid)))


def _broadcasts(shape: Shape, to: Shape) -> bool:
    return len(shape) == len(to) and all(s in (1, t) for s, t in zip(shape, to, strict=True))


def _by_axes(mapper: Mapper, view: View) -> View:
    """Each axis of the tensor as one axis of memory, channels last where there are pixels."""
    axes = list(view.axes)
    groups = [*axes[1:], axes[0]] if len(axes) >= 3 else axes
    return View(mapper.laid_out(view, groups), joined(groups), view.axes, view.batch)


_COMPARED = {"And": np.logical_and, "Equal": np.equal, "Greater": np.greater, "Less": np.less,
             "LessOrEqual": np.less_equal, "Or": np.logical_or}  # fmt: skip
_CALCULATED: dict[str, Callable[..., Array]] = {
    "Add": np.add,
    "Div": _divide,
    "Mul": np.multiply,
    "Sub": np.subtract,
}
ARITHMETIC: dict[str, Operation] = {
    **{op: Operation(_binary(function)) for op, function in _COMPARED.items()},
    **{op: Operation(_binary(f), _map_arithmetic) for op, f in _CALCULATED.items()},
    "DequantizeLinear": Operation(_dequantize),
    **{op: Operation(_many(f)) for op, f in (("Max", np.maximum), ("Min", np.minimum))},
    "Pow": Operation(_binary(lambda x, y: np.power(x, y).astype(x.dtype)), _map_power),
    "Sum": Operation(_many(np.add), _map_arithmetic),
}
"""Every such operation by ONNX's name."""
