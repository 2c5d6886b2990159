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
from pathlib import Path
from typing import Any

from tinymnist.errors import InputError
from tinymnist.interop.onnx.building import Builder
from tinymnist.interop.onnx.fusing import fuse
from tinymnist.interop.onnx.inputs_outputs import (
    Beginning,
    beginnings,
    endings,
    picture_port,
    switched_off,
)
from tinymnist.interop.onnx.loading import load
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
    network, origin, metadata = load(path)
    reasons: list[Unmappable] = []
    for ending in endings(network):
        try:
            model, about = _convert(network.needed_for(ending.tensor), Path(path).stem)
        except Unmappable as reason:
            reasons.append(reason)
            continue
        others = [name for name in network.outputs if name != ending.output]
        chosen = {"left_out": list(ending.left_out), "output": ending.output}
        source = origin | chosen | {"other_outputs": others} | about
        model.metadata = {"source": source} | _carried(metadata.get(METADATA_KEY, ""))
        return model
    raise InputError(f"{path}: {reasons[0]}")


def _convert(part: Network, name: str) -> tuple[Sequential, dict[str, Any]]:
    """A model of a graph with one output, how the file wants its input, and the tensors."""
    part = switched_off(part)
    port = picture_port(part)
    folded = fuse(fold(part))
    first: Unmappable | None = None
    for beginning in beginnings(port, part):
        try:
            builder, view = _layers(folded, port, beginning)
            model = builder.model(name, view.source)
            verify(model, part, port, beginning, view)
        except Unmappable as reason:
            first = first or reason
            continue
        kept = {layer.name for layer in model.layers}
        tensors = {layer: tensor for layer, tensor in builder.tensors.items() if layer in kept}
        return model, {"input": _input(port, beginning), "tensors": tensors}
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
    axes = beginning.view.axes
    sides = [axis for axis in axes if axis]
    moved = tuple(atom for axis in sides for atom in axis) != beginning.view.order
    in_front = len(axes) == 3 and (moved or (len(sides) == 2 and not axes[0]))
    shape = list(port.shape) if port.shape is not None else None
    layout = "channels_first" if in_front else "channels_last"
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
