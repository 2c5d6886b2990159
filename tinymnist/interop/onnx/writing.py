"""Writing ONNX files: ``write(model, path)`` makes a graph for every runtime of opset 17."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from os import PathLike
from typing import Any, TypeAlias

import numpy as np

from tinymnist import __version__
from tinymnist.errors import InputError
from tinymnist.files import whole_file
from tinymnist.interop.onnx.emitting import (
    ACTIVATIONS,
    Emission,
    Emitter,
    gelu,
    general_relu,
    simple,
)
from tinymnist.interop.onnx.loading import library
from tinymnist.nn import layers as L
from tinymnist.nn.arrays import Array, Pads, Windows
from tinymnist.nn.graph import INPUT
from tinymnist.nn.sequential import Sequential

OPSET = 17
IR_VERSION = 8
"""The container version of opset 17; onnxruntime has read it since 1.12."""
METADATA_KEY = "tinymnist"
"""The entry of ONNX's own metadata for what a model states about itself, as JSON."""
CARRIED: dict[str, type] = {"class_names": list, "preprocessing": dict, "metrics": dict}
"""The entries of a model's metadata that the file takes along, and their types."""

LayerEmission: TypeAlias = Callable[..., None]
"""``f(emitter, layer, *sources)`` appends the nodes of a layer that takes these layers' outputs."""


def write(model: Sequential, path: str | PathLike[str], *, channels_first: bool = False) -> None:
    """Write a model as an ONNX file, completely or not at all.

    Every layer's output is a tensor with the layer's name; the batch may be of any size. Inside,
    pictures have channels in front. Classes, preprocessing and metrics of the model go into the
    metadata, and come back when tinymnist reads the file.

    Args:
        model: any model.
        path: where to write.
        channels_first: whether the input is (n, c, h, w), as in PyTorch, instead of (n, h, w, c),
            as in tinymnist and Keras.

    Raises:
        InputError: if the package ``onnx`` is missing, or the file cannot be written.
        ValueError: if ``channels_first`` is asked of a model that does not take pictures.
    """
    onnx = library()
    proto = _graph_of(model, channels_first)
    onnx.checker.check_model(proto, full_check=True)
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        file.write(proto.SerializeToString(deterministic=True))
        file.flush()
        os.fsync(file.fileno())


def _graph_of(model: Sequential, channels_first: bool) -> Any:
    """The ONNX model as a protobuf message."""
    if channels_first and len(model.input_shape) != 3:
        raise ValueError(
            "channels_first is for models that take pictures (h, w, c). "
            f"Received: input_shape={model.input_shape}"
        )
    helper = library().helper
    e = Emitter(dict(model.shapes), model.dtype)
    e.tensors[INPUT, channels_first] = INPUT
    for layer in model.layers:
        emitted = L.Dropout if isinstance(layer, L.Dropout) else type(layer)
        if emitted not in EMISSIONS:
            raise InputError(f"{layer.name} is a {type(layer).__name__}, not written as ONNX here")
        EMISSIONS[emitted](e, layer, *model.sources[layer.name])
    output = e.get(model.layers[-1].name) if model.layers else e.node("Identity", [INPUT], "output")
    kind = helper.np_dtype_to_tensor_dtype(model.dtype)
    sides = model.input_shape[-1:] + model.input_shape[:-1] if channels_first else model.input_shape
    ports = [
        [helper.make_tensor_value_info(name, kind, ["batch", *shape])]
        for name, shape in ((INPUT, sides), (output, model.output_shape))
    ]
    proto = helper.make_model(
        helper.make_graph(e.nodes, model.name, *ports, e.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="tinymnist",
        producer_version=__version__,
    )
    carried = {key: model.metadata[key] for key in CARRIED if key in model.metadata}
    if carried:
        helper.set_model_props(proto, {METADATA_KEY: json.dumps(carried)})
    return proto


# Layers -------------------------------------------------------------------------------------------


def _elementwise(emission: Callable[[Any], Emission]) -> LayerEmission:
    """Layers that are one activation, in whichever layout their input has."""

    def emit(e: Emitter, layer: L.Layer, source: str) -> None:
        (x,), first = e.either(source)
        e.activate(layer.name, emission(layer), x, first)

    return emit


def _product(e: Emitter, layer: Any, source: str, op: str, **attributes: Any) -> None:
    """A product with the layer's weights, then its activation."""
    first = op == "Conv"
    inputs = [e.get(source, first=first), *e.weights(layer)]
    if layer.activation == "linear":
        e.finish(layer.name, op, inputs, first, **attributes)
        return
    y = e.node(op, inputs, f"{layer.name}_{op.lower()}", **attributes)
    e.activate(layer.name, ACTIVATIONS[layer.activation], y, first)


def _onnx_pads(pads: Pads) -> list[int]:
    """((top, bottom), (left, right)) in ONNX's order."""
    (top, bottom), (left, right) = pads
    return [top, left, bottom, right]


def _window_attributes(windows: Windows) -> dict[str, Any]:
    pads = _onnx_pads(windows.pads)
    return {"kernel_shape": windows.kernel, "strides": windows.strides, "pads": pads}


def _convolution(e: Emitter, layer: L.Conv2D, source: str) -> None:
    windows = layer.windows(e.shapes[source])
    attributes = _window_attributes(windows) | {"dilations": windows.dilation}
    _product(e, layer, source, "Conv", **attributes, group=layer.groups_of(e.shapes[source][2]))


def _pooling(e: Emitter, layer: Any, source: str) -> None:
    attributes = _window_attributes(layer.windows(e.shapes[source]))
    op = "MaxPool"
    if isinstance(layer, L.AveragePooling2D):
        op, attributes["count_include_pad"] = "AveragePool", int(layer.count_include_pad)
    e.finish(layer.name, op, [e.get(source, first=True)], True, **attributes)


def _global_pooling(e: Emitter, layer: L.Layer, source: str) -> None:
    """One number per channel, then without the two axes of length 1."""
    kind = "Average" if isinstance(layer, L.GlobalAveragePooling2D) else "Max"
    pooled = e.node(f"Global{kind}Pool", [e.get(source, first=True)], f"{layer.name}_pool")
    e.finish(layer.name, "Flatten", [pooled], axis=1)


def _batch_normalization(e: Emitter, layer: L.BatchNormalization, source: str) -> None:
    """ONNX's own if channels are the second axis; else a scale and an offset per channel."""
    rank = len(e.shapes[source])
    if rank not in (1, 3):
        scale = layer.inference_scale
        _affine(e, layer, source, Mul=scale, Add=layer.beta - layer.moving_mean * scale)
        return
    inputs = [e.get(source, first=rank == 3), *e.weights(layer)]
    settings = {"epsilon": layer.epsilon, "momentum": layer.momentum}
    e.finish(layer.name, "BatchNormalization", inputs, rank == 3, **settings)


def _layer_normalization(e: Emitter, layer: L.LayerNormalization, source: str) -> None:
    inputs = [e.get(source), *e.weights(layer)]
    e.finish(layer.name, "LayerNormalization", inputs, axis=-1, epsilon=layer.epsilon)


def _affine(e: Emitter, layer: L.Layer, source: str, **steps: Any) -> None:
    """Two operations with one number, or one for each channel: ``Sub``, ``Mul`` or ``Add``."""
    (x,), first = e.either(source)
    last = list(steps)[-1]
    for op, numbers in steps.items():
        array: Array = np.asarray(numbers, None if isinstance(numbers, np.ndarray) else float)
        array = array.reshape(-1, 1, 1) if first and array.size > 1 else array
        name = {"Sub": "mean", "Mul": "scale", "Add": "offset"}[op]
        inputs = [x, e.constant(array, f"{layer.name}/{name}")]
        if op != last:
            x = e.node(op, inputs, f"{layer.name}_{op.lower()}")
    e.finish(layer.name, last, inputs, first)


def _normalization(e: Emitter, layer: L.Normalization, source: str) -> None:
    root = np.maximum(np.sqrt(np.asarray(layer.variance, float)), 1e-7)
    _affine(e, layer, source, Sub=layer.mean, Mul=1 / root)


def _reshape(e: Emitter, layer: L.Layer, source: str) -> None:
    """Row-major, channels last; the batch axis stays as it is."""
    shape = e.constant([0, *layer.output_shape(e.shapes[source])], dtype=np.int64)
    e.finish(layer.name, "Reshape", [e.get(source), shape])


def _zero_padding(e: Emitter, layer: L.ZeroPadding2D, source: str) -> None:
    (x,), first = e.either(source)
    top, left, bottom, right = _onnx_pads(layer.pads())
    last_pads = [0, top, left, 0, 0, bottom, right, 0]
    pads = [0, 0, top, left, 0, 0, bottom, right] if first else last_pads
    inputs = [x, e.constant(pads, dtype=np.int64)]
    e.finish(layer.name, "Pad", inputs, first, mode="constant")


def _dropout(layer: L.Dropout) -> Emission:
    """Does nothing at inference, but is kept so that the graph can be trained on."""
    return lambda e, x, name, axis: e.node("Dropout", [x, e.constant(layer.rate)], name)


def _prelu(e: Emitter, layer: L.PReLU, source: str) -> None:
    """The slopes lie as the picture does."""
    (x,), first = e.either(source)
    alpha = layer.alpha.transpose(2, 0, 1) if first else layer.alpha
    e.finish(layer.name, "PRelu", [x, e.constant(alpha, f"{layer.name}/alpha")], first)


def _merge(e: Emitter, layer: L.Layer, *sources: str) -> None:
    """Number by number, or channel beside channel; in the layout of all, or channels last."""
    tensors, first = e.either(*sources)
    op = {"Add": "Sum", "Multiply": "Mul", "Concatenate": "Concat"}[type(layer).__name__]
    for i in range(2, len(tensors) if op == "Mul" else 0):  # which takes two tensors
        tensors[:2] = [e.node(op, tensors[:2], f"{layer.name}_{i}")]
    attributes = {"axis": 1 if first else -1} if op == "Concat" else {}
    e.finish(layer.name, op, tensors, first, **attributes)


EMISSIONS: dict[type[L.Layer], LayerEmission] = {
    **dict.fromkeys((L.Add, L.Concatenate, L.Multiply), _merge),
    **dict.fromkeys((L.AveragePooling2D, L.MaxPooling2D), _pooling),
    **dict.fromkeys((L.Conv2D, L.DepthwiseConv2D), _convolution),
    **dict.fromkeys((L.GlobalAveragePooling2D, L.GlobalMaxPooling2D), _global_pooling),
    **dict.fromkeys((L.Flatten, L.Reshape), _reshape),
    L.Activation: _elementwise(lambda layer: ACTIVATIONS[layer.activation]),
    L.BatchNormalization: _batch_normalization,
    L.Dense: lambda e, layer, x: _product(e, layer, x, "Gemm"),
    L.Dropout: _elementwise(_dropout),
    L.ELU: _elementwise(lambda layer: simple("Elu", alpha=layer.alpha)),
    L.GELU: _elementwise(lambda layer: gelu(layer.approximate)),
    L.LayerNormalization: _layer_normalization,
    L.LeakyReLU: _elementwise(lambda layer: simple("LeakyRelu", alpha=layer.negative_slope)),
    L.Normalization: _normalization,
    L.PReLU: _prelu,
    L.Permute: lambda e, layer, x: e.finish(
        layer.name, "Transpose", [e.get(x)], perm=[0, *layer.dims]
    ),
    L.ReLU: _elementwise(
        lambda layer: general_relu(layer.max_value, layer.negative_slope, layer.threshold)
    ),
    L.Rescaling: lambda e, layer, x: _affine(e, layer, x, Mul=layer.scale, Add=layer.offset),
    L.Softmax: _elementwise(lambda layer: ACTIVATIONS["softmax"]),
    L.ZeroPadding2D: _zero_padding,
}
"""What emits each class of layers."""
