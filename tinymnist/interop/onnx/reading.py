"""Reading ONNX files: ``read(path)`` makes a model of layers, or names the node that it cannot map.

The passes, in order: ``loading`` parses the file and sorts the graph, ``inputs_outputs`` finds the
scores and the picture, ``running`` computes constants, ``fusing`` finds layers that are written out
in primitive nodes, ``mapping`` walks through the graph and makes layers, tracking axes with
``views``. Last, ``verify_against_graph`` runs the graph itself beside the layers.
"""

from __future__ import annotations

import json
from dataclasses import replace
from os import PathLike
from typing import Any

from tinymnist.errors import InputError
from tinymnist.interop.onnx.building import Builder
from tinymnist.interop.onnx.fusing import fuse
from tinymnist.interop.onnx.inputs_outputs import (
    Beginning,
    Ending,
    beginnings,
    endings,
    picture_port,
    switched_off,
)
from tinymnist.interop.onnx.loading import Source, load
from tinymnist.interop.onnx.map_arithmetic import ARITHMETIC
from tinymnist.interop.onnx.map_layers import LAYERS
from tinymnist.interop.onnx.map_moves import MOVES
from tinymnist.interop.onnx.mapping import Mapper
from tinymnist.interop.onnx.nodes import Network, Port, Unmappable
from tinymnist.interop.onnx.running import fold
from tinymnist.interop.onnx.verify_against_graph import verify
from tinymnist.interop.onnx.views import View
from tinymnist.interop.onnx.writing import CARRIED, METADATA_KEY
from tinymnist.nn.layers import Activation
from tinymnist.nn.sequential import Sequential

MAPPINGS = {**ARITHMETIC, **LAYERS, **MOVES}
"""What makes layers of each operation, by ONNX's name."""
_MAX_METADATA_LENGTH = 1 << 16


def read(path: str | PathLike[str]) -> Sequential:
    """Make a model of an ONNX file.

    Args:
        path: the file; weights that it keeps outside must lie in its folder.

    Returns:
        The model, channels last. ``metadata["source"]`` states how the file wants its input,
        which output was taken, and the tensor that each layer's output corresponds to.

    Raises:
        InputError: if the file is damaged or hostile, or has something that cannot be mapped;
            the message names the node and what it would need.
    """
    network, source = load(path)
    reasons: list[Unmappable] = []
    for ending in endings(network):
        try:
            return _convert(network.needed_for(ending.tensor), ending, network, source)
        except Unmappable as reason:
            reasons.append(reason)
    raise InputError(f"{path}: {reasons[0]}")


def _convert(part: Network, ending: Ending, network: Network, source: Source) -> Sequential:
    """Make a model that ends with one tensor."""
    part = switched_off(part)
    port = picture_port(part)
    folded = fuse(fold(part))
    first: Unmappable | None = None
    for beginning in beginnings(port, part):
        try:
            builder, view = _layers(folded, port, beginning)
            model = builder.model(source.path.stem, view.source)
            verify(model, part, port, beginning, view)
        except Unmappable as reason:
            first = first or reason
            continue
        kept = {layer.name for layer in model.layers}
        about = {
            "format": "ONNX",
            "framework": source.producer,
            "opset": source.opset,
            "ir_version": source.ir_version,
            "file": source.path.name,
            "left_out": list(ending.left_out),
            "output": ending.output,
            "other_outputs": [name for name in network.outputs if name != ending.output],
            "input": _input(port, beginning),
            "tensors": {name: t for name, t in builder.tensors.items() if name in kept},
        }
        model.metadata = {"source": about} | _carried(source.metadata.get(METADATA_KEY, ""))
        return model
    raise first or Unmappable("its input cannot be understood")


def _layers(network: Network, port: Port, beginning: Beginning) -> tuple[Builder, View]:
    """Walk through the graph; the layers, and the scores over the last of them."""
    dtype = "float64" if port.kind == "float64" else "float32"
    builder = Builder(beginning.shape, dtype)
    mapper = Mapper(network, builder, {port.name: beginning.view}, MAPPINGS)
    mapper.walk(network.nodes)
    view = mapper.view(network.outputs[0])
    axes = [axis for axis in view.axes if axis]
    # Pictures stay as they lie, channels last; what was flattened gets the file's own order.
    axes.sort(key=lambda axis: view.order.index(axis[0]))
    last = builder.laid_out(view, axes)
    if not builder.layers:
        last = builder.add(Activation("linear"), last)
    order = tuple(atom for axis in axes for atom in axis)
    return builder, replace(view, source=last, order=order)


def _input(port: Port, beginning: Beginning) -> dict[str, Any]:
    """How the file wants its input: what to feed another framework with."""
    layout = "channels_last"
    sides = [axis for axis in beginning.view.axes if axis]
    if len(beginning.view.axes) == 3 and tuple(a for s in sides for a in s) != beginning.view.order:
        layout = "channels_first"
    if len(beginning.view.axes) == 3 and len(sides) == 2 and not beginning.view.axes[0]:
        layout = "channels_first"
    shape = list(port.shape) if port.shape is not None else None
    return {"name": port.name, "shape": shape, "layout": layout}


def _carried(text: str) -> dict[str, Any]:
    """What ``writing`` left in the metadata; anything else is ignored."""
    if len(text) > _MAX_METADATA_LENGTH:
        return {}
    try:
        stated = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(stated, dict):
        return {}
    return {key: stated[key] for key, kind in CARRIED.items() if isinstance(stated.get(key), kind)}
