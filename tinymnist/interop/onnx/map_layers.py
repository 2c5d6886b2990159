"""Operations with weights or windows: convolution, pooling, Dense, normalization, softmax."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tinymnist.interop.onnx.fusing import LAYER_NORM
from tinymnist.interop.onnx.mapping import Mapper, finite, in_order, maps, new_view
from tinymnist.interop.onnx.nodes import Node, Unmappable
from tinymnist.interop.onnx.run_layers import as_pair, counts_padding, window_settings
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
    """The view (n, c, h, w) of a layer's (h, w, c); (n, c, length) where it was so before."""
    axes_from = (2, 0, 1) if len(view.axes) >= 3 else (2, 0)
    return new_view(source, mapper.builder.shapes[source], axes_from, view.batch or 1)


def padding_word(pads: Pads, size: Pair, kernel: Pair, strides: Pair, dilation: Pair) -> Padding:
    """Padding in the word that people know, where one says the same."""
    if pads == ((0, 0), (0, 0)):
        return "valid"
    if strides == (1, 1) and pads == resolve_padding("same", size, kernel, strides, dilation):
        return "same"
    return [list(pads[0]), list(pads[1])]


@maps("Conv")
def conv(mapper: Mapper, node: Node) -> View:
    """A convolution, or one of each channel by itself."""
    view, weights = mapper.view(node.inputs[0]), finite(mapper.constant(node.inputs[1]))
    if weights.ndim not in (3, 4):
        raise Unmappable(f"it would need {weights.ndim - 2}-dimensional pictures")
    weights = weights if weights.ndim == 4 else weights[..., None]
    bias = mapper.optional(node, 2)
    source, size = picture(mapper, view)
    kernel = as_pair(weights.shape[2:], "kernel")
    strides, dilation, pads = window_settings(node, size, kernel)
    padding = padding_word(pads, size, kernel, strides, dilation)
    channels, groups = mapper.builder.shapes[source][2], node.settings.get("group", 1)
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


@maps("MaxPool", "AveragePool")
def pool(mapper: Mapper, node: Node) -> View:
    """A window over pictures; rounding up is more padding behind."""
    if len(node.outputs) > 1 and mapper.uses.get(node.outputs[1]):
        raise Unmappable("it would need the places of the maxima")
    view = mapper.view(node.inputs[0])
    source, size = picture(mapper, view)
    kernel = as_pair(node.settings.get("kernel_shape") or (), "kernel_shape")
    strides, dilation, pads = window_settings(node, size, kernel)
    if dilation != (1, 1):
        raise Unmappable("it would need pooling windows with gaps")
    if any(max(sides) >= k for sides, k in zip(pads, kernel, strict=True)):
        raise Unmappable(f"it would need padding as wide as its window, {pads}")
    padding = padding_word(pads, size, kernel, strides, dilation)
    layer = (
        MaxPooling2D(list(kernel), list(strides), padding)
        if node.op == "MaxPool"
        else AveragePooling2D(
            list(kernel), list(strides), padding, count_include_pad=counts_padding(node, pads)
        )
    )
    return picture_view(mapper, mapper.builder.add(layer, source), view)


@maps("GlobalAveragePool", "GlobalMaxPool")
def global_pool(mapper: Mapper, node: Node) -> View:
    """A window as large as the picture."""
    view = mapper.view(node.inputs[0])
    axes = list(range(2, view.rank))
    kind = GlobalAveragePooling2D if node.op == "GlobalAveragePool" else GlobalMaxPooling2D
    return reduced(mapper, view, axes, kind(), keep=True)


@maps("ReduceMean", "ReduceMax", "ReduceSum")
def reduce(mapper: Mapper, node: Node) -> View:
    """A mean or maximum over whole axes, which is global pooling once these stand in front."""
    view = mapper.view(node.inputs[0])
    axes = mapper.numbers(node, "axes", 1)
    if axes is None:
        raise Unmappable("it would need to work across the examples of a batch")
    layer = GlobalMaxPooling2D() if node.op == "ReduceMax" else GlobalAveragePooling2D()
    result = reduced(mapper, view, axes, layer, bool(node.settings.get("keepdims", 1)))
    if node.op != "ReduceSum":
        return result
    count = math.prod(view.shape[axis] for axis in axes)
    return result.moved(mapper.builder.add(Rescaling(float(count)), result.source))


def reduced(mapper: Mapper, view: View, axes: list[int], layer: Layer, keep: bool) -> View:
    """Pool over some axes; the others are the channels."""
    own = sorted({view.own_axis(axis) for axis in axes})
    gone = [view.axes[axis] for axis in own]
    rest = tuple(a for i, axis in enumerate(view.axes) if i not in own for a in axis)
    high = gone[0] if gone else ()
    wide = tuple(atom for axis in gone[1:] for atom in axis)
    if not rest and len(view.order) and not gone:
        raise Unmappable("it has no axes to work on")
    source = mapper.builder.add(layer, mapper.as_picture(view, high, wide, rest))
    left = [() if i in own else axis for i, axis in enumerate(view.axes) if keep or i not in own]
    return View(source, rest, tuple(left), view.batch)


@maps("Gemm", "MatMul")
def dense(mapper: Mapper, node: Node) -> View:
    """The rows of the kernel take the order in which memory has the features."""
    view = mapper.view(node.inputs[0])
    if node.settings.get("transA"):
        raise Unmappable("it would need the batch as columns")
    kernel = finite(mapper.constant(node.inputs[1]))
    kernel = kernel.reshape(kernel.shape[-2:]) if kernel.size == math.prod(kernel.shape[-2:]) else (
        kernel
    )  # fmt: skip
    if kernel.ndim != 2 or not view.axes:
        raise Unmappable(f"it would need a product with an array of shape {kernel.shape}")
    kernel = (kernel.T if node.settings.get("transB") else kernel) * kernel.dtype.type(
        node.settings.get("alpha", 1)
    )
    features = view.axes[-1]
    if kernel.shape[0] != size_of(features):
        raise Unmappable(f"it takes {kernel.shape[0]} features, and gets {size_of(features)}")
    bias = _bias(mapper, node, kernel.shape[1])
    arrays = {"kernel": kernel[in_order(np.arange(len(kernel)), features, view.order)]}
    arrays |= {} if bias is None else {"bias": finite(bias)}
    if set(features) == set(view.order):
        return _dense(mapper, node, view, arrays)
    return _dense_along(mapper, node, view, arrays)


def _bias(mapper: Mapper, node: Node, units: int) -> Array | None:
    bias = mapper.optional(node, 2)
    beta = node.settings.get("beta", 1)
    if bias is None or beta == 0:
        return None
    if bias.size not in (1, units):
        raise Unmappable(f"it would need a bias of shape {bias.shape} for {units} units")
    scaled: Array = np.broadcast_to(bias.reshape(-1), (units,)) * bias.dtype.type(beta)
    return scaled


def _dense(mapper: Mapper, node: Node, view: View, arrays: dict[str, Array]) -> View:
    """All that one example has are the features."""
    units = arrays["kernel"].shape[1]
    source = mapper.builder.laid_out(view, [view.order])
    layer = Dense(units, use_bias="bias" in arrays)
    name = mapper.add(node, layer, source, weights=node.inputs[1], **arrays)
    made = new_view(name, (units,), (0,), view.batch)
    return replace(made, axes=((),) * (len(view.axes) - 1) + made.axes)


def _dense_along(mapper: Mapper, node: Node, view: View, arrays: dict[str, Array]) -> View:
    """Along the last axis of several: a convolution of one pixel."""
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


@maps("BatchNormalization")
def batch_norm(mapper: Mapper, node: Node) -> View:
    """With fixed statistics."""
    if node.settings.get("training_mode") or node.settings.get("spatial", 1) == 0:
        raise Unmappable("it would normalize by its own batch; export it for inference")
    view = mapper.view(node.inputs[0])
    channels = view.axes[view.own_axis(1)] if view.rank > 1 else ()
    seen = mapper.with_last(view, channels)
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    arrays = {
        key: in_order(finite(mapper.constant(name)), channels, seen.order)
        for key, name in zip(names, node.inputs[1:5], strict=True)
    }
    layer = BatchNormalization(
        round(float(node.settings.get("momentum", 0.9)), 6),
        float(node.settings.get("epsilon", 1e-5)),
    )
    return seen.moved(mapper.add(node, layer, seen.source, weights=node.inputs[1], **arrays))


@maps("LayerNormalization", LAYER_NORM)
def layer_norm(mapper: Mapper, node: Node) -> View:
    """ONNX's own, and the one that was found in primitive nodes."""
    if any(mapper.uses.get(name) for name in node.outputs[1:]):
        raise Unmappable("it would need its mean and deviation as outputs")
    view = mapper.view(node.inputs[0])
    first = node.settings.get("axis", -1) % view.rank
    axes = node.settings.get("axes") or range(first, view.rank)
    own = sorted(view.own_axis(axis) for axis in axes)
    atoms = tuple(atom for axis in own for atom in view.axes[axis])
    sides = [size_of(axis) if i in own else 1 for i, axis in enumerate(view.axes)]
    affine = [mapper.optional(node, 1), mapper.optional(node, 2)]
    gamma, beta = (
        np.broadcast_to(value if array is None else _cut(finite(array), sides), sides).reshape(-1)
        for value, array in zip((np.float32(1), np.float32(0)), affine, strict=True)
    )
    epsilon = float(node.settings.get("epsilon", 1e-5))
    return _normalized(mapper, node, view, atoms, (gamma, beta), epsilon)


def _cut(array: Array, sides: list[int]) -> Array:
    """An array without the leading axes of length 1 that are more than there are sides."""
    extra = max(array.ndim - len(sides), 0)
    return array.reshape(array.shape[extra:])


def _normalized(mapper: Mapper, node: Node, view: View, atoms: Axis, affine: tuple[Array, Array],
                epsilon: float) -> View:  # fmt: skip
    seen = mapper.with_last(view, atoms)
    gamma, beta = (in_order(array, atoms, seen.order) for array in affine)
    layer = LayerNormalization(epsilon)
    weights = node.inputs[1] if len(node.inputs) > 1 else ""
    return seen.moved(mapper.add(node, layer, seen.source, weights=weights, gamma=gamma, beta=beta))


@maps("InstanceNormalization")
def instance_norm(mapper: Mapper, node: Node) -> View:
    """Each channel by its own pixels, then a scale and a shift for each channel."""
    view = mapper.view(node.inputs[0])
    gamma, beta = (finite(mapper.constant(name)) for name in node.inputs[1:3])
    pixels = tuple(atom for axis in view.axes[1:] for atom in axis)
    plain = (np.ones(size_of(pixels)), np.zeros(size_of(pixels)))
    epsilon = float(node.settings.get("epsilon", 1e-5))
    seen = _normalized(mapper, node, view, pixels, plain, epsilon)
    channels = view.axes[0]
    seen = mapper.with_last(seen, channels)
    scale, offset = (in_order(array, channels, seen.order).tolist() for array in (gamma, beta))
    return seen.moved(mapper.builder.add(Rescaling(scale, offset), seen.source))


@maps("Softmax", "LogSoftmax")
def softmax(mapper: Mapper, node: Node) -> View:
    """Over one axis; before opset 13, over all from the named one on."""
    view = mapper.view(node.inputs[0])
    axis = node.settings.get("axis", 1 if node.opset < 13 else -1) % view.rank
    chosen = range(axis, view.rank) if node.opset < 13 else [axis]
    atoms = tuple(atom for each in chosen for atom in view.axes[view.own_axis(each)])
    seen = mapper.with_last(view, atoms)
    layer = Softmax() if node.op == "Softmax" else Activation("log_softmax")
    return seen.moved(mapper.builder.add(layer, seen.source))
