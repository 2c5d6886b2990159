"""Writing ONNX files: ``write(model, path)`` makes a graph for every runtime of opset 17."""

from __future__ import annotations

import json
import os
from os import PathLike
from typing import Any

from tinymnist import __version__
from tinymnist.files import whole_file
from tinymnist.interop.onnx.emit_layers import EMISSIONS
from tinymnist.interop.onnx.emitting import Emitter
from tinymnist.interop.onnx.loading import library
from tinymnist.nn.graph import INPUT
from tinymnist.nn.sequential import Sequential

OPSET = 17
IR_VERSION = 8
"""The container version of opset 17; onnxruntime has read it since 1.12."""
METADATA_KEY = "tinymnist"
"""The entry of ONNX's own metadata for what a model states about itself, as JSON."""
CARRIED: dict[str, type] = {"class_names": list, "preprocessing": dict, "metrics": dict}
"""The entries of a model's metadata that the file takes along, and their types."""


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
    e.set(INPUT, INPUT, first=channels_first)
    for layer in model.layers:
        EMISSIONS[type(layer)](e, layer, model.sources[layer.name])
    last = model.layers[-1].name if model.layers else INPUT
    output = e.last(last) if model.layers else e.node("Identity", [INPUT], "output")
    kind = helper.np_dtype_to_tensor_dtype(model.dtype)
    sides = model.input_shape[-1:] + model.input_shape[:-1] if channels_first else model.input_shape
    graph = helper.make_graph(
        e.nodes,
        model.name,
        [helper.make_tensor_value_info(INPUT, kind, ["batch", *sides])],
        [helper.make_tensor_value_info(output, kind, ["batch", *model.output_shape])],
        e.constants,
    )
    proto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="tinymnist",
        producer_version=__version__,
    )
    carried = {key: model.metadata[key] for key in CARRIED if key in model.metadata}
    if carried:
        helper.set_model_props(proto, {METADATA_KEY: json.dumps(carried)})
    return proto
