"""Each layer of tinymnist as ONNX's operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tinymnist.interop.onnx.emit_activations import (
    ACTIVATIONS,
    Emission,
    gelu,
    general_relu,
    simple,
)
from tinymnist.interop.onnx.emitting import Emitter
from tinymnist.nn import layers as L
from tinymnist.nn.arrays import Array
from tinymnist.nn.shapes import Pads, as_pair, resolve_padding

LayerEmission: TypeAlias = Callable[[Emitter, Any, tuple[str, ...]], None]
"""``f(emitter, layer, sources)`` appends the nodes of a layer that takes these layers' outputs."""


def elementwise(emission: Callable[[Any], Emission]) -> LayerEmission:
    """Layers that are one activation, in whichever layout their input has."""

    def emit(e: Emitter, layer: L.Layer, sources: tuple[str, ...]) -> None:
        (x,), first = e.either(sources[0])
        e.give(layer.name)
        made = emission(layer)(e, x, layer.name, 1 if first else -1)
        e.set(layer.name, made, first=first)

    return emit


def product(
    e: Emitter, layer: Any, x: str, op: str, first: bool = False, **attributes: Any
) -> None:
    """A product with the layer's weights, then its activation."""
    arrays = dict(layer.weights)
    if "kernel" in arrays and arrays["kernel"].ndim == 4:
        # (kh, kw, in / groups, out) -> (out, in / groups, kh, kw)
        arrays["kernel"] = arrays["kernel"].transpose(3, 2, 0, 1)
    inputs = [x, *(e.constant(a, f"{layer.name}/{key}") for key, a in arrays.items())]
    e.give(layer.name)
    if layer.activation == "linear":
        made = e.node(op, inputs, layer.name, **attributes)
    else:
        y = e.node(op, inputs, f"{layer.name}_{op.lower()}", **attributes)
        made = ACTIVATIONS[layer.activation](e, y, layer.name, 1 if first else -1)
    e.set(layer.name, made, first=first)


def by_channel(values: Any, first: bool) -> Array:
    """Numbers of each channel, so that they broadcast in a layout."""
    array = np.asarray(values, float) if not isinstance(values, np.ndarray) else values
    return array.reshape(-1, 1, 1) if first and array.size > 1 else array


def onnx_pads(pads: Pads) -> list[int]:
    """((top, bottom), (left, right)) in ONNX's order."""
    (top, bottom), (left, right) = pads
    return [top, left, bottom, right]


def dense(e: Emitter, layer: L.Dense, sources: tuple[str, ...]) -> None:
    """``Gemm``."""
    product(e, layer, e.last(sources[0]), "Gemm")


def convolution(e: Emitter, layer: L.Conv2D, sources: tuple[str, ...]) -> None:
    """``Conv``, with padding in pixels."""
    h, w, channels = e.shapes[sources[0]]
    kernel, strides = as_pair(layer.kernel_size, "kernel_size"), as_pair(layer.strides, "strides")
    dilation = as_pair(layer.dilation_rate, "dilation_rate")
    pads = resolve_padding(layer.padding, (h, w), kernel, strides, dilation)
    product(
        e, layer, e.first(sources[0]), "Conv", True,
        kernel_shape=kernel, strides=strides, dilations=dilation, pads=onnx_pads(pads),
        group=layer.groups_of(channels),
    )  # fmt: skip


def pooling(e: Emitter, layer: Any, sources: tuple[str, ...]) -> None:
    """``MaxPool`` or ``AveragePool``, with padding in pixels."""
    h, w, _ = e.shapes[sources[0]]
    window = as_pair(layer.pool_size, "pool_size")
    strides = window if layer.strides is None else as_pair(layer.strides, "strides")
    pads = onnx_pads(resolve_padding(layer.padding, (h, w), window, strides))
    attributes: dict[str, Any] = {"kernel_shape": window, "strides": strides, "pads": pads}
    op = "MaxPool"
    if isinstance(layer, L.AveragePooling2D):
        op, attributes["count_include_pad"] = "AveragePool", int(layer.count_include_pad)
    e.finish(layer.name, op, [e.first(sources[0])], True, **attributes)


def global_pooling(e: Emitter, layer: L.Layer, sources: tuple[str, ...]) -> None:
    """One number per channel, then without the two axes of length 1."""
    kind = "Average" if isinstance(layer, L.GlobalAveragePooling2D) else "Max"
    pooled = e.node(f"Global{kind}Pool", [e.first(sources[0])], f"{layer.name}_pool")
    e.finish(layer.name, "Flatten", [pooled], axis=1)


def batch_normalization(e: Emitter, layer: L.BatchNormalization, sources: tuple[str, ...]) -> None:
    """ONNX's own if channels are the second axis; else a scale and an offset per channel."""
    rank = len(e.shapes[sources[0]])
    if rank not in (1, 3):
        scale = layer.gamma / np.sqrt(layer.moving_variance + layer.epsilon)
        scaled(e, layer, sources[0], scale, layer.beta - layer.moving_mean * scale)
        return
    x = e.first(sources[0]) if rank == 3 else e.last(sources[0])
    weights = [e.constant(a, f"{layer.name}/{key}") for key, a in layer.weights.items()]
    e.finish(
        layer.name, "BatchNormalization", [x, *weights], rank == 3,
        epsilon=layer.epsilon, momentum=layer.momentum,
    )  # fmt: skip


def layer_normalization(e: Emitter, layer: L.LayerNormalization, sources: tuple[str, ...]) -> None:
    """ONNX's own, over the last axis."""
    weights = [e.constant(a, f"{layer.name}/{key}") for key, a in layer.weights.items()]
    inputs = [e.last(sources[0]), *weights]
    e.finish(layer.name, "LayerNormalization", inputs, axis=-1, epsilon=layer.epsilon)


def scaled(e: Emitter, layer: L.Layer, source: str, scale: Any, offset: Any) -> None:
    """``x * scale + offset``."""
    (x,), first = e.either(source)
    factor = e.constant(by_channel(scale, first), f"{layer.name}/scale")
    scaled_x = e.node("Mul", [x, factor], f"{layer.name}_mul")
    summand = e.constant(by_channel(offset, first), f"{layer.name}/offset")
    e.finish(layer.name, "Add", [scaled_x, summand], first)


def rescaling(e: Emitter, layer: L.Rescaling, sources: tuple[str, ...]) -> None:
    """A product and a sum."""
    scaled(e, layer, sources[0], layer.scale, layer.offset)


def normalization(e: Emitter, layer: L.Normalization, sources: tuple[str, ...]) -> None:
    """A difference and a product."""
    (x,), first = e.either(sources[0])
    mean = e.constant(by_channel(layer.mean, first), f"{layer.name}/mean")
    centred = e.node("Sub", [x, mean], f"{layer.name}_sub")
    scale = 1 / np.maximum(np.sqrt(np.asarray(layer.variance, float)), 1e-7)
    factor = e.constant(by_channel(scale, first), f"{layer.name}/scale")
    e.finish(layer.name, "Mul", [centred, factor], first)


def reshape(e: Emitter, layer: L.Layer, sources: tuple[str, ...]) -> None:
    """Row-major, channels last; the batch axis stays as it is."""
    target = layer.output_shape(e.shapes[sources[0]])
    shape = e.constant([0, *target], dtype=np.int64)
    e.finish(layer.name, "Reshape", [e.last(sources[0]), shape])


def permute(e: Emitter, layer: L.Permute, sources: tuple[str, ...]) -> None:
    """``Transpose``."""
    e.finish(layer.name, "Transpose", [e.last(sources[0])], perm=[0, *layer.dims])


def zero_padding(e: Emitter, layer: L.ZeroPadding2D, sources: tuple[str, ...]) -> None:
    """``Pad``."""
    (x,), first = e.either(sources[0])
    top, left, bottom, right = onnx_pads(resolve_padding(layer.padding, (1, 1), (1, 1), (1, 1)))
    last_pads = [0, top, left, 0, 0, bottom, right, 0]
    pads = [0, 0, top, left, 0, 0, bottom, right] if first else last_pads
    inputs = [x, e.constant(pads, dtype=np.int64)]
    e.finish(layer.name, "Pad", inputs, first, mode="constant")


def dropout(layer: L.Dropout) -> Emission:
    """Does nothing at inference, but is kept so that the graph can be trained on."""
    return lambda e, x, name, axis: e.node("Dropout", [x, e.constant(layer.rate)], name)


def prelu(e: Emitter, layer: L.PReLU, sources: tuple[str, ...]) -> None:
    """``PRelu``; the slopes lie as the picture does."""
    (x,), first = e.either(sources[0])
    alpha = layer.alpha.transpose(2, 0, 1) if first else layer.alpha
    e.finish(layer.name, "PRelu", [x, e.constant(alpha, f"{layer.name}/alpha")], first)


def merge(e: Emitter, layer: L.Layer, sources: tuple[str, ...]) -> None:
    """Number by number, in the layout that all have already, or channels last."""
    tensors, first = e.either(*sources)
    if isinstance(layer, L.Add):
        e.finish(layer.name, "Sum", tensors, first)
        return
    made = tensors[0]
    for i, tensor in enumerate(tensors[1:-1], 2):
        made = e.node("Mul", [made, tensor], f"{layer.name}_{i}")
    e.finish(layer.name, "Mul", [made, tensors[-1]], first)


def concatenate(e: Emitter, layer: L.Concatenate, sources: tuple[str, ...]) -> None:
    """Along the channels."""
    tensors, first = e.either(*sources)
    e.finish(layer.name, "Concat", tensors, first, axis=1 if first else -1)


EMISSIONS: dict[type[L.Layer], LayerEmission] = {
    L.Activation: elementwise(lambda layer: ACTIVATIONS[layer.activation]),
    L.Add: merge,
    L.AveragePooling2D: pooling,
    L.BatchNormalization: batch_normalization,
    L.Concatenate: concatenate,
    L.Conv2D: convolution,
    L.Dense: dense,
    L.DepthwiseConv2D: convolution,
    L.Dropout: elementwise(dropout),
    L.ELU: elementwise(lambda layer: simple("Elu", alpha=layer.alpha)),
    L.Flatten: reshape,
    L.GELU: elementwise(lambda layer: gelu(layer.approximate)),
    L.GlobalAveragePooling2D: global_pooling,
    L.GlobalMaxPooling2D: global_pooling,
    L.LayerNormalization: layer_normalization,
    L.LeakyReLU: elementwise(lambda layer: simple("LeakyRelu", alpha=layer.negative_slope)),
    L.MaxPooling2D: pooling,
    L.Multiply: merge,
    L.Normalization: normalization,
    L.PReLU: prelu,
    L.Permute: permute,
    L.ReLU: elementwise(
        lambda layer: general_relu(layer.max_value, layer.negative_slope, layer.threshold)
    ),
    L.Rescaling: rescaling,
    L.Reshape: reshape,
    L.Softmax: elementwise(lambda layer: ACTIVATIONS["softmax"]),
    L.ZeroPadding2D: zero_padding,
}
"""What emits each class of layers."""
