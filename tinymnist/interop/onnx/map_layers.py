"""Operations with weights or windows: convolution, pooling, Dense, normalization, softmax."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tinymnist.interop.onnx.attributes import (
    as_pair,
    axes_of,
    counts_padding,
    option,
    pool_settings,
    window_settings,
)
from tinymnist.interop.onnx.fusing import LAYER_NORM
from tinymnist.interop.onnx.mapping import MapFunction, Mapper, finite, in_order, new_view
from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.interop.onnx.views import Axis, View, size_of
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    LayerNormalization,
    MaxPooling2D,
    Rescaling,
    Softmax,
)
from tinymnist.nn.shapes import Padding, Pads, Pair, resolve_padding


def picture(mapper: Mapper, view: View) -> tuple[str, Pair]:
    """The tensor (n, c, h, w) or (n, c, length) as a layer's (h, w, c), and its size."""
    if view.batch is None and len(view.axes) in (3, 4):  # one picture, without a batch axis
        view = replace(view, batch=1, axes=view.axes[-3:])
    if view.batch is None or view.rank not in (3, 4):
        raise Unmappable(f"it would need pictures, and the tensor is of shape {view.shape}")
    channels, high, *more = view.axes
    wide: Axis = more[0] if more else ()
    source = mapper.as_picture(view, high, wide, channels)
    return source, (size_of(high), size_of(wide))


def picture_view(mapper: Mapper, source: str, view: View) -> View:
    """The view (n, c, h, w) of a layer's (h, w, c), or (n, c, length) if it was so before."""
    axes_from = (2, 0, 1) if len(view.axes) >= 3 else (2, 0)
    return new_view(source, mapper.builder.shapes[source], axes_from, view.batch or 1)


def padding_word(pads: Pads, size: Pair, kernel: Pair, strides: Pair, dilation: Pair) -> Padding:
    """Padding as Keras's word, if one means the same, else in pixels."""
    if pads == ((0, 0), (0, 0)):
        return "valid"
    if strides == (1, 1) and pads == resolve_padding("same", size, kernel, strides, dilation):
        return "same"
    return [list(pads[0]), list(pads[1])]


def conv(mapper: Mapper, node: Node, view: View) -> View:
    """A convolution, depthwise if each channel is a group."""
    weights = finite(mapper.constant(node.inputs[1]))
    if weights.ndim not in (3, 4):
        raise Unmappable(f"it would need {weights.ndim - 2}-dimensional pictures")
    weights = weights if weights.ndim == 4 else weights[..., None]
    bias = mapper.optional(node, 2)
    source, size = picture(mapper, view)
    kernel = as_pair(weights.shape[2:])
    strides, dilation, pads = window_settings(node, size, kernel)
    padding = padding_word(pads, size, kernel, strides, dilation)
    channels, groups = mapper.builder.shapes[source][2], node.get("group", 1)
    if groups < 1 or channels % groups or weights.shape[0] % groups:
        raise Unmappable(f"{groups} groups do not divide {channels} channels")
    layer: Layer
    if groups == channels > 1:
        layer = DepthwiseConv2D(
            list(kernel), list(strides), padding, dilation_rate=list(dilation),
            depth_multiplier=weights.shape[0] // channels, use_bias=bias is not None,
        )  # fmt: skip
    else:
        layer = Conv2D(
            weights.shape[0], list(kernel), list(strides), padding,
            dilation_rate=list(dilation), groups=groups, use_bias=bias is not None,
        )  # fmt: skip
    # (out, in / groups, kh, kw) -> (kh, kw, in / groups, out)
    arrays = {"kernel": weights.transpose(2, 3, 1, 0)}
    arrays |= {} if bias is None else {"bias": finite(bias)}
    name = mapper.add(node, layer, source, weights=node.inputs[1], **arrays)
    return picture_view(mapper, name, view)


def pool(mapper: Mapper, node: Node, view: View) -> View:
    """A window over pictures; rounding up is more padding behind."""
    source, size = picture(mapper, view)
    kernel, strides, pads = pool_settings(node, size)
    padding = padding_word(pads, size, kernel, strides, (1, 1))
    layer: Layer = MaxPooling2D(list(kernel), list(strides), padding)
    if node.op == "AveragePool":
        include = counts_padding(node, pads)
        layer = AveragePooling2D(list(kernel), list(strides), padding, count_include_pad=include)
    return picture_view(mapper, mapper.builder.add(layer, source), view)


def reduce(mapper: Mapper, node: Node, view: View) -> View:
    """Global pooling over some axes, once these are in front; the others are the channels."""
    pools = node.op.startswith("Global")
    given = None if pools else axes_of(option(node, "axes", mapper.arrays(node), 1), view.rank)
    axes = tuple(range(2, view.rank)) if pools else given
    if axes is None:
        raise Unmappable("it would need to work across the examples of a batch")
    own = sorted({view.own_axis(axis) for axis in axes})
    high, *more = [view.axes[axis] for axis in own] or [()]
    rest = tuple(a for i, axis in enumerate(view.axes) if i not in own for a in axis)
    if not rest and view.order and not own:
        raise Unmappable("it has no axes to work on")
    source = mapper.as_picture(view, high, tuple(atom for axis in more for atom in axis), rest)
    is_max = node.op in ("GlobalMaxPool", "ReduceMax")
    pooled = mapper.builder.add(
        GlobalMaxPooling2D() if is_max else GlobalAveragePooling2D(), source
    )
    keep = pools or node.get("keepdims", 1)
    left = [() if i in own else axis for i, axis in enumerate(view.axes) if keep or i not in own]
    result = View(pooled, rest, tuple(left), view.batch)
    if node.op != "ReduceSum":
        return result
    return mapper.append(Rescaling(float(math.prod(view.shape[axis] for axis in axes))), result)


def dense(mapper: Mapper, node: Node, view: View) -> View:
    """The rows of the kernel take the order in which memory has the features."""
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
        return _dense_along(mapper, node, view, arrays)
    source = mapper.builder.laid_out(view, [view.order])
    layer = Dense(units, use_bias="bias" in arrays)
    name = mapper.add(node, layer, source, weights=node.inputs[1], **arrays)
    made = new_view(name, (units,), (0,), view.batch)
    return replace(made, axes=((),) * (len(view.axes) - 1) + made.axes)


def _dense_along(mapper: Mapper, node: Node, view: View, arrays: dict[str, Array]) -> View:
    """Dense along the last axis of several: a convolution of one pixel."""
    seen = mapper.with_last(view, view.axes[-1])
    rest = seen.order[: len(seen.order) - len(view.axes[-1])]
    last = seen.order[len(rest) :]
    shape = mapper.builder.shapes[seen.source]
    is_picture = len(shape) == 3 and shape[2] == size_of(last)
    source = seen.source if is_picture else mapper.as_picture(seen, rest, (), last)
    units = arrays["kernel"].shape[1]
    layer = Conv2D(units, 1, use_bias="bias" in arrays)
    arrays["kernel"] = arrays["kernel"][None, None]
    name = mapper.add(node, layer, source, weights=node.inputs[1], **arrays)
    made = new_view(name, (1, 1, units), (2,), view.batch).axes[0]
    return View(name, (*rest, *made), (*view.axes[:-1], made), view.batch)


def batch_norm(mapper: Mapper, node: Node, view: View) -> View:
    """With fixed statistics."""
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
    layer = BatchNormalization(momentum, float(node.get("epsilon", 1e-5)))
    return seen.moved(mapper.add(node, layer, seen.source, weights=node.inputs[1], **arrays))


def layer_norm(mapper: Mapper, node: Node, view: View) -> View:
    """ONNX's own, and the one that was found in primitive nodes."""
    first = node.get("axis", -1) % view.rank
    axes = node.get("axes") or range(first, view.rank)
    own = sorted(view.own_axis(axis) for axis in axes)
    atoms = tuple(atom for axis in own for atom in view.axes[axis])
    sides = [size_of(axis) if i in own else 1 for i, axis in enumerate(view.axes)]
    rows = []
    for index, default in ((1, np.ones(1, np.float32)), (2, np.zeros(1, np.float32))):
        given = mapper.optional(node, index)
        array = default if given is None else finite(given)
        array = array.reshape(array.shape[max(array.ndim - len(sides), 0) :])  # (1, 1, c) -> (c,)
        rows.append(np.broadcast_to(array, sides).reshape(-1))
    return _normalized(mapper, node, view, atoms, (rows[0], rows[1]))


def _normalized(
    mapper: Mapper, node: Node, view: View, atoms: Axis, affine: tuple[Array, Array]
) -> View:
    """A LayerNormalization over ``atoms``, which become the channels."""
    seen = mapper.with_last(view, atoms)
    gamma, beta = (in_order(array, atoms, seen.order) for array in affine)
    layer = LayerNormalization(float(node.get("epsilon", 1e-5)))
    weights = node.inputs[1] if len(node.inputs) > 1 else ""
    return seen.moved(mapper.add(node, layer, seen.source, weights=weights, gamma=gamma, beta=beta))


def instance_norm(mapper: Mapper, node: Node, view: View) -> View:
    """Each channel by its own pixels, then a scale and a shift for each channel."""
    gamma, beta = (finite(mapper.constant(name)) for name in node.inputs[1:3])
    pixels = tuple(atom for axis in view.axes[1:] for atom in axis)
    plain = (np.ones(size_of(pixels)), np.zeros(size_of(pixels)))
    channels = view.axes[0]
    seen = mapper.with_last(_normalized(mapper, node, view, pixels, plain), channels)
    scale, offset = (in_order(array, channels, seen.order).tolist() for array in (gamma, beta))
    return mapper.append(Rescaling(scale, offset), seen)


def softmax(mapper: Mapper, node: Node, view: View) -> View:
    """Over one axis; before opset 13, over all from the named one on."""
    axis = node.get("axis", 1 if node.opset < 13 else -1) % view.rank
    chosen = range(axis, view.rank) if node.opset < 13 else [axis]
    atoms = tuple(atom for each in chosen for atom in view.axes[view.own_axis(each)])
    seen = mapper.with_last(view, atoms)
    layer = Softmax() if node.op == "Softmax" else Activation("log_softmax")
    return mapper.append(layer, seen)


LAYERS: dict[str, MapFunction] = {
    "AveragePool": pool,
    "BatchNormalization": batch_norm,
    "Conv": conv,
    "Gemm": dense,
    "GlobalAveragePool": reduce,
    "GlobalMaxPool": reduce,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    LAYER_NORM: layer_norm,
    "LogSoftmax": softmax,
    "MatMul": dense,
    "MaxPool": pool,
    "ReduceMax": reduce,
    "ReduceMean": reduce,
    "ReduceSum": reduce,
    "Softmax": softmax,
}
"""Their mappings, by ONNX's name."""
