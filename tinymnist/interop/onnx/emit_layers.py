"""Each layer of tinymnist as ONNX's operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.interop.onnx.emit_activations import activation, gelu, relu_pieces, simple
from tinymnist.interop.onnx.emitting import Emitter
from tinymnist.nn import layers as L
from tinymnist.nn.arrays import Array
from tinymnist.nn.shapes import Pads, as_pair, resolve_padding

Emission = Callable[[Emitter, Any, tuple[str, ...]], None]
EMISSIONS: dict[str, Emission] = {}
"""For each class of layers, by name: ``f(emitter, layer, sources)``."""


def emits(*layers: type[L.Layer]) -> Callable[[Emission], Emission]:
    """Register the emission of these layers."""

    def register(function: Emission) -> Emission:
        EMISSIONS.update({layer.__name__: function for layer in layers})
        return function

    return register


def finish(e: Emitter, layer: Any, x: str, op: str, inputs: list[str], first: bool,
           **settings: Any) -> None:  # fmt: skip
    """A product, then the layer's activation; the last node has the layer's name."""
    word = layer.activation
    e.give(layer.name)
    if word == "linear":
        e.set(layer.name, e.node(op, [x, *inputs], layer.name, **settings), first=first)
        return
    product = e.node(op, [x, *inputs], f"{layer.name}_{op.lower()}", **settings)
    made = activation(e, word, product, layer.name, 1 if first else -1)
    e.set(layer.name, made, first=first)


def elementwise(
    e: Emitter, layer: L.Layer, source: str, op: Callable[[str, str, int], str]
) -> None:
    """A function of single numbers, in whichever layout they are: ``op(tensor, name, axis)``."""
    x, first = e.either(source)
    e.give(layer.name)
    e.set(layer.name, op(x, layer.name, 1 if first else -1), first=first)


def by_channel(values: Array, first: bool) -> Array:
    """Numbers of each channel, so that they broadcast in a layout."""
    return values.reshape(-1, 1, 1) if first and values.size > 1 else values


def onnx_pads(pads: Pads) -> list[int]:
    """((top, bottom), (left, right)) in ONNX's order."""
    (top, bottom), (left, right) = pads
    return [top, left, bottom, right]


@emits(L.Dense)
def dense(e: Emitter, layer: L.Dense, sources: tuple[str, ...]) -> None:
    """``Gemm``."""
    weights = [e.constant(a, f"{layer.name}/{key}") for key, a in layer.weights.items()]
    finish(e, layer, e.last(sources[0]), "Gemm", weights, False)


@emits(L.Conv2D, L.DepthwiseConv2D)
def convolution(e: Emitter, layer: L.Conv2D, sources: tuple[str, ...]) -> None:
    """``Conv``, with padding in pixels."""
    h, w, channels = e.shapes[sources[0]]
    kernel, strides = as_pair(layer.kernel_size, "kernel_size"), as_pair(layer.strides, "strides")
    dilation = as_pair(layer.dilation_rate, "dilation_rate")
    pads = resolve_padding(layer.padding, (h, w), kernel, strides, dilation)
    # (kh, kw, in / groups, out) -> (out, in / groups, kh, kw)
    weights = [e.constant(layer.kernel.transpose(3, 2, 0, 1), f"{layer.name}/kernel")]
    weights += [] if layer.bias is None else [e.constant(layer.bias, f"{layer.name}/bias")]
    finish(
        e, layer, e.first(sources[0]), "Conv", weights, True,
        kernel_shape=kernel, strides=strides, dilations=dilation, pads=onnx_pads(pads),
        group=layer.groups_of(channels),
    )  # fmt: skip


@emits(L.MaxPooling2D, L.AveragePooling2D)
def pooling(e: Emitter, layer: Any, sources: tuple[str, ...]) -> None:
    """``MaxPool`` or ``AveragePool``, with padding in pixels."""
    h, w, _ = e.shapes[sources[0]]
    window = as_pair(layer.pool_size, "pool_size")
    strides = window if layer.strides is None else as_pair(layer.strides, "strides")
    settings: dict[str, Any] = {
        "kernel_shape": window,
        "strides": strides,
        "pads": onnx_pads(resolve_padding(layer.padding, (h, w), window, strides)),
    }
    if isinstance(layer, L.AveragePooling2D):
        settings["count_include_pad"] = int(layer.count_include_pad)
    op = "AveragePool" if isinstance(layer, L.AveragePooling2D) else "MaxPool"
    e.give(layer.name)
    e.set(layer.name, e.node(op, [e.first(sources[0])], layer.name, **settings), first=True)


@emits(L.GlobalAveragePooling2D, L.GlobalMaxPooling2D)
def global_pooling(e: Emitter, layer: L.Layer, sources: tuple[str, ...]) -> None:
    """One number a channel, then without the two axes of length 1."""
    kind = "Average" if isinstance(layer, L.GlobalAveragePooling2D) else "Max"
    pooled = e.node(f"Global{kind}Pool", [e.first(sources[0])], f"{layer.name}_pool")
    e.give(layer.name)
    e.set(layer.name, e.node("Flatten", [pooled], layer.name, axis=1))


@emits(L.BatchNormalization)
def batch_normalization(e: Emitter, layer: L.BatchNormalization, sources: tuple[str, ...]) -> None:
    """ONNX's own where channels are the second axis; else its two numbers for each channel."""
    source = sources[0]
    if len(e.shapes[source]) in (1, 3):
        picture = len(e.shapes[source]) == 3
        x = e.first(source) if picture else e.last(source)
        weights = [e.constant(a, f"{layer.name}/{key}") for key, a in layer.weights.items()]
        e.give(layer.name)
        made = e.node(
            "BatchNormalization", [x, *weights], layer.name,
            epsilon=layer.epsilon, momentum=layer.momentum,
        )  # fmt: skip
        e.set(layer.name, made, first=picture)
        return
    slope = layer.gamma / np.sqrt(layer.moving_variance + layer.epsilon)
    scaled_and_shifted(e, layer, source, slope, layer.beta - layer.moving_mean * slope)


@emits(L.LayerNormalization)
def layer_normalization(e: Emitter, layer: L.LayerNormalization, sources: tuple[str, ...]) -> None:
    """ONNX's own, over the last axis."""
    weights = [e.constant(a, f"{layer.name}/{key}") for key, a in layer.weights.items()]
    e.give(layer.name)
    inputs = [e.last(sources[0]), *weights]
    made = e.node("LayerNormalization", inputs, layer.name, axis=-1, epsilon=layer.epsilon)
    e.set(layer.name, made)


def scaled_and_shifted(e: Emitter, layer: L.Layer, source: str, scale: Array, shift: Array) -> None:
    """``x * scale + shift``."""
    x, first = e.either(source)
    factor = e.constant(by_channel(scale, first), f"{layer.name}/scale")
    product = e.node("Mul", [x, factor], f"{layer.name}_mul")
    e.give(layer.name)
    summand = e.constant(by_channel(shift, first), f"{layer.name}/offset")
    e.set(layer.name, e.node("Add", [product, summand], layer.name), first=first)


@emits(L.Rescaling)
def rescaling(e: Emitter, layer: L.Rescaling, sources: tuple[str, ...]) -> None:
    """A product and a sum."""
    scale, offset = np.asarray(layer.scale, float), np.asarray(layer.offset, float)
    scaled_and_shifted(e, layer, sources[0], scale, offset)


@emits(L.Normalization)
def normalization(e: Emitter, layer: L.Normalization, sources: tuple[str, ...]) -> None:
    """A difference and a product."""
    x, first = e.either(sources[0])
    mean = by_channel(np.asarray(layer.mean, float), first)
    scale = 1 / np.maximum(np.sqrt(np.asarray(layer.variance, float)), 1e-7)
    centred = e.node("Sub", [x, e.constant(mean, f"{layer.name}/mean")], f"{layer.name}_sub")
    e.give(layer.name)
    inputs = [centred, e.constant(by_channel(scale, first), f"{layer.name}/scale")]
    e.set(layer.name, e.node("Mul", inputs, layer.name), first=first)


@emits(L.Flatten, L.Reshape)
def reshape(e: Emitter, layer: L.Layer, sources: tuple[str, ...]) -> None:
    """Row-major, channels last; the batch axis stays what it is."""
    target = layer.output_shape(e.shapes[sources[0]])
    shape = e.constant([0, *target], dtype=np.int64)
    e.give(layer.name)
    e.set(layer.name, e.node("Reshape", [e.last(sources[0]), shape], layer.name))


@emits(L.Permute)
def permute(e: Emitter, layer: L.Permute, sources: tuple[str, ...]) -> None:
    """``Transpose``."""
    e.give(layer.name)
    made = e.node("Transpose", [e.last(sources[0])], layer.name, perm=[0, *layer.dims])
    e.set(layer.name, made)


@emits(L.ZeroPadding2D)
def zero_padding(e: Emitter, layer: L.ZeroPadding2D, sources: tuple[str, ...]) -> None:
    """``Pad``."""
    x, first = e.either(sources[0])
    (top, bottom), (left, right) = resolve_padding(layer.padding, (1, 1), (1, 1), (1, 1))
    before, after = ([0, 0, top, left], [0, 0, bottom, right]) if first else (
        [0, top, left, 0], [0, bottom, right, 0]
    )  # fmt: skip
    pads = e.constant([*before, *after], dtype=np.int64)
    e.give(layer.name)
    e.set(layer.name, e.node("Pad", [x, pads], layer.name, mode="constant"), first=first)


@emits(L.Dropout)
def dropout(e: Emitter, layer: L.Dropout, sources: tuple[str, ...]) -> None:
    """Nothing at inference, but kept, so that the graph can be trained on."""
    ratio = e.constant(layer.rate)
    elementwise(e, layer, sources[0], lambda x, name, axis: e.node("Dropout", [x, ratio], name))


@emits(L.Activation)
def named(e: Emitter, layer: L.Activation, sources: tuple[str, ...]) -> None:
    """Any activation by its word."""
    word = layer.activation
    if word == "linear":
        elementwise(e, layer, sources[0], lambda x, name, axis: e.node("Identity", [x], name))
        return
    elementwise(e, layer, sources[0], lambda x, name, axis: activation(e, word, x, name, axis))


@emits(L.Softmax)
def softmax(e: Emitter, layer: L.Softmax, sources: tuple[str, ...]) -> None:
    """Over the channels."""
    elementwise(e, layer, sources[0], lambda x, name, axis: activation(e, "softmax", x, name, axis))


@emits(L.ReLU)
def relu(e: Emitter, layer: L.ReLU, sources: tuple[str, ...]) -> None:
    """``Relu``, ``Clip``, or written out."""
    most, slope, edge = layer.max_value, layer.negative_slope, layer.threshold
    elementwise(
        e, layer, sources[0], lambda x, name, axis: relu_pieces(e, x, name, most, slope, edge)
    )


@emits(L.LeakyReLU)
def leaky_relu(e: Emitter, layer: L.LeakyReLU, sources: tuple[str, ...]) -> None:
    """``LeakyRelu``."""
    op = simple("LeakyRelu", alpha=layer.negative_slope)
    elementwise(e, layer, sources[0], lambda x, name, axis: op(e, x, name))


@emits(L.ELU)
def elu(e: Emitter, layer: L.ELU, sources: tuple[str, ...]) -> None:
    """``Elu``."""
    op = simple("Elu", alpha=layer.alpha)
    elementwise(e, layer, sources[0], lambda x, name, axis: op(e, x, name))


@emits(L.GELU)
def gelu_layer(e: Emitter, layer: L.GELU, sources: tuple[str, ...]) -> None:
    """Written out: ONNX has it from opset 20 on only."""
    rough = layer.approximate
    elementwise(e, layer, sources[0], lambda x, name, axis: gelu(e, x, name, rough))


@emits(L.PReLU)
def prelu(e: Emitter, layer: L.PReLU, sources: tuple[str, ...]) -> None:
    """``PRelu``; the slopes lie as the picture does."""
    x, first = e.either(sources[0])
    alpha = layer.alpha.transpose(2, 0, 1) if first else layer.alpha
    e.give(layer.name)
    made = e.node("PRelu", [x, e.constant(alpha, f"{layer.name}/alpha")], layer.name)
    e.set(layer.name, made, first=first)


@emits(L.Add, L.Multiply)
def merge(e: Emitter, layer: L.Layer, sources: tuple[str, ...]) -> None:
    """Number by number, in the layout that all have already, or channels last."""
    first = all(e.is_first(source) for source in sources)
    tensors = [e.first(source) if first else e.last(source) for source in sources]
    e.give(layer.name)
    if isinstance(layer, L.Add):
        e.set(layer.name, e.node("Sum", tensors, layer.name), first=first)
        return
    product = tensors[0]
    for i, tensor in enumerate(tensors[1:], 2):
        name = layer.name if i == len(tensors) else f"{layer.name}_{i}"
        product = e.node("Mul", [product, tensor], name)
    e.set(layer.name, product, first=first)


@emits(L.Concatenate)
def concatenate(e: Emitter, layer: L.Concatenate, sources: tuple[str, ...]) -> None:
    """Along the channels."""
    first = all(e.is_first(source) for source in sources)
    tensors = [e.first(source) if first else e.last(source) for source in sources]
    e.give(layer.name)
    made = e.node("Concat", tensors, layer.name, axis=1 if first else -1)
    e.set(layer.name, made, first=first)
