"""Reading ONNX files: ``read(path)`` makes a model of layers, or names the node that it cannot map.

The passes, in order: ``loading`` parses the file and sorts the graph, ``running`` computes
constants, ``fusing`` finds layers that are written out in primitive nodes, ``mapping`` walks
through the graph and makes layers, tracking axes with ``views``. Last, ``running`` runs the graph
itself beside the layers. What each operation computes, and which layers it becomes, is in
``moves``, ``windows``, ``normalization``, ``activations`` and ``arithmetic``.

Graphs end in more than scores (classes, accuracies, dictionaries), begin with more than pictures
(labels, flags), and leave sizes open. Which output holds the scores, which input the pictures and
what one example is, is guessed here; each guess is tried, and kept only if all layers fit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.interop.onnx.activations import ACTIVATIONS
from tinymnist.interop.onnx.arithmetic import ARITHMETIC
from tinymnist.interop.onnx.fusing import fuse
from tinymnist.interop.onnx.loading import load
from tinymnist.interop.onnx.mapping import Mapper
from tinymnist.interop.onnx.moves import MOVES
from tinymnist.interop.onnx.nodes import Network, Port, Unmappable, taken_by
from tinymnist.interop.onnx.normalization import NORMALIZATION
from tinymnist.interop.onnx.running import Operation, fold, verify
from tinymnist.interop.onnx.views import Atom, View, fresh, joined
from tinymnist.interop.onnx.windows import WINDOWS
from tinymnist.interop.onnx.writing import CARRIED, METADATA_KEY
from tinymnist.nn.arrays import Shape
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import Activation
from tinymnist.nn.sequential import Sequential

OPERATIONS: dict[str, Operation] = ACTIVATIONS | ARITHMETIC | MOVES | NORMALIZATION | WINDOWS
"""Every operation that can be run, mapped to layers, or both, by ONNX's name."""
_MAX_METADATA_LENGTH = 1 << 16
_DECISIONS = {
    "ArgMax", "TopK", "Hardmax", "ai.onnx.ml.ZipMap", "ai.onnx.ml.ArrayFeatureExtractor",
    "ai.onnx.ml.LabelEncoder",
}  # fmt: skip
"""Operations that turn scores into classes; what follows them is not part of the network."""
_OPEN_BATCH = 97
"""Stands for a batch of open size: a prime, so that no other axis is taken for it."""
_SIDE = 28
_NOT_NUMBERS = ("object", "unknown")
"""What ``loading`` calls the types of inputs that hold texts, or are not known."""
_MAX_PIXELS = 1 << 20
_MAX_EXAMPLES = 1 << 17


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
    with limits.opening(path, "an ONNX model"):
        return _read(path)


def _read(path: str | PathLike[str]) -> Sequential:
    network, origin, metadata = load(path)
    model, about = model_of(network, path)
    model.metadata = {"source": origin | about} | _carried(metadata.get(METADATA_KEY, ""))
    return model


def model_of(network: Network, path: str | PathLike[str]) -> tuple[Sequential, dict[str, Any]]:
    """A model of a graph, and what was chosen: its output, and how it wants its input.

    Raises:
        InputError: if it has something that cannot be mapped; the message names the node.
    """
    reasons: list[Unmappable] = []
    for scores, left_out, output in _endings(network):
        try:
            model, about = _convert(network.needed_for(scores), Path(path).stem)
        except Unmappable as reason:
            reasons.append(reason)
            continue
        others = [name for name in network.outputs if name != output]
        return model, {"left_out": left_out, "output": output, "other_outputs": others, **about}
    raise InputError(f"{path}: {reasons[0]}")


def _convert(part: Network, name: str) -> tuple[Sequential, dict[str, Any]]:
    """A model of a graph with one output, how the file wants its input, and the tensors."""
    part = _with_one_input(part)
    (port,) = part.inputs
    folded = fuse(fold(part, OPERATIONS))
    first: Unmappable | None = None
    for shape, beginning in _beginnings(port, part):
        try:
            mapper, ending = _layers(folded, port, shape, beginning)
            model = mapper.model(name, ending.source)
            verify(model, part, port, (beginning, ending), OPERATIONS)
        except Unmappable as reason:
            first = first or reason
            continue
        kept = {layer.name for layer in model.layers}
        tensors = {layer: tensor for layer, tensor in mapper.origins.items() if layer in kept}
        return model, {"input": _wanted_input(port, beginning), "tensors": tensors}
    raise first or Unmappable("its input cannot be understood")


def _layers(network: Network, port: Port, shape: Shape, beginning: View) -> tuple[Mapper, View]:
    """The layers of the graph, and the scores over the last of them."""
    mapper = Mapper(network, port, shape, beginning, OPERATIONS)
    mapper.walk(network.nodes)
    view = mapper.view(network.outputs[0])
    # Pictures stay as they lie, channels last; what was flattened gets the file's own order.
    axes = sorted((axis for axis in view.axes if axis), key=lambda axis: view.order.index(axis[0]))
    last = mapper.laid_out(view, axes)
    if not mapper.layers:
        last = mapper.add(Activation("linear"), last)
    return mapper, replace(view, source=last, order=joined(axes))


def _wanted_input(port: Port, view: View) -> dict[str, Any]:
    """How the file wants its input: what to feed another framework with."""
    sides = [axis for axis in view.axes if axis]
    in_front = len(view.axes) == 3 and (
        joined(sides) != view.order or (len(sides) == 2 and not view.axes[0])
    )
    shape = list(port.shape) if port.shape is not None else None
    layout = "channels_first" if in_front else "channels_last"
    return {"name": port.name, "shape": shape, "layout": layout}


def _carried(text: str) -> dict[str, Any]:
    """What ``writing`` left in the metadata; anything else is ignored."""
    try:
        stated = json.loads(text) if len(text) <= _MAX_METADATA_LENGTH else None
    except (ValueError, RecursionError):
        return {}
    if not isinstance(stated, dict):
        return {}
    return {key: stated[key] for key, kind in CARRIED.items() if isinstance(stated.get(key), kind)}


def _endings(network: Network) -> list[tuple[str, list[str], str]]:
    """The tensors that may be the scores, the most likely first; see :func:`_cut`."""
    found = sorted((_cut(network, output) for output in network.outputs), key=lambda e: bool(e[1]))
    return list({ending[0]: ending for ending in reversed(found)}.values())[::-1]


def _cut(network: Network, output: str) -> tuple[str, list[str], str]:
    """The output itself, or the input of the first decision before it; the nodes left out."""
    part = network.needed_for(output)
    producers, depends = part.producers, {port.name for port in part.inputs}
    for node in part.nodes:
        if depends.intersection(taken_by(node)):
            depends.update(node.outputs)
    for node in part.nodes:
        scores = [name for name in node.inputs if name in depends and name in producers]
        if node.op in _DECISIONS and scores:
            kept = {name for n in part.needed_for(scores[0]).nodes for name in n.outputs}
            left = [str(n) for n in part.nodes if not kept.intersection(n.outputs)]
            return scores[0], left, output
    return output, [], output


def _with_one_input(network: Network) -> Network:
    """Flags such as ``is_training`` set to False; what is left must be one input, the pictures."""
    flags = [port for port in network.inputs if port.kind == "bool"]
    rest = [port for port in network.inputs if port.kind != "bool"]
    if len(rest) != 1:
        names = [port.name for port in rest]
        raise Unmappable(f"it would need one input with pictures, and has {names}")
    if rest[0].kind in _NOT_NUMBERS:
        raise Unmappable("its input holds texts or an unknown type; it would need numbers")
    off = {port.name: np.zeros((1,) * len(port.shape or ()), bool) for port in flags}
    return Network(network.nodes, network.constants | off, rest, network.outputs)


def _beginnings(port: Port, network: Network) -> Iterator[tuple[Shape, View]]:
    """Every way to understand an input, the most likely first: the model's shape, and its view."""
    transposed = any(n.op == "Transpose" and port.name in n.inputs for n in network.nodes)
    shapes: list[tuple[int | None, ...]]
    if port.shape is None:
        shapes = [(None, 1, _SIDE, _SIDE), (None, _SIDE * _SIDE), (None, _SIDE, _SIDE, 1)]
    elif len(port.shape) == 4 and port.shape[1] is port.shape[3] is None:
        shapes = [port.shape, (*port.shape[:3], 1)]
    else:
        shapes = [port.shape]
    for open_shape in shapes:
        shape = _completed(open_shape)
        pixels, examples = math.prod(side or 1 for side in shape[1:]), (shape or (1,))[0] or 1
        if pixels > _MAX_PIXELS or examples > _MAX_EXAMPLES:
            limits = f"limit {_MAX_EXAMPLES:,} examples of {_MAX_PIXELS:,} numbers"
            raise Unmappable(f"input of shape {list(shape)} too large ({limits})")
        if not shape:
            raise Unmappable("its input is a single number, not a picture")
        if len(shape) > 1:
            yield _input_view(shape[1:], shape[0] or _OPEN_BATCH, transposed)
            if shape[0] is None:
                yield _input_view(shape[1:], 1, transposed)
        # One picture without a batch axis, or one whose rows are called a batch.
        first = shape[0] if shape[0] is not None else shape[-1]
        if first is not None and len(shape) <= 3:
            yield _input_view((first, *shape[1:]), None, transposed)


def _completed(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The shape, with open sides as pictures of digits have them."""
    if len(shape) == 4:
        n, a, b, c = shape
        last = c in (1, 3) and a not in (1, 3)
        return (n, a or _SIDE, b or _SIDE, c) if last else (n, a or 1, b or _SIDE, c or _SIDE)
    usual = _SIDE if len(shape) == 3 else _SIDE * _SIDE
    return (*shape[:1], *(side or usual for side in shape[1:]))


def _input_view(
    open_sides: tuple[int | None, ...], batch: int | None, transposed: bool
) -> tuple[Shape, View]:
    """The input shape, the atoms in memory, and the axes of the tensor.

    A row of a square number of features, such as 784, is a square picture. If the sizes do not
    show which axis holds the channels, a graph that transposes its input takes channels last.
    """
    sides = tuple(side or 1 for side in open_sides)
    axes = fresh(sides)
    long = [i for i, side in enumerate(sides) if side != 1]
    moved, shape = [axes[i] for i in long], tuple(sides[i] for i in long) or (1,)
    last = sides[-1] in (1, 3) or (transposed and sides[0] not in (1, 3))
    if len(sides) == len(long) == 3 and not last:  # channels in front
        moved, shape = [*axes[1:], axes[0]], (*sides[1:], sides[0])
    elif len(long) == 2:
        shape = (*shape, 1)
    elif len(long) == 1 and (root := math.isqrt(shape[0])) ** 2 == shape[0] >= 16:
        axes[long[0]] = (Atom(root), Atom(root))
        moved, shape = [axes[long[0]]], (root, root, 1)
    return shape, View(INPUT, joined(moved), tuple(axes), batch)
