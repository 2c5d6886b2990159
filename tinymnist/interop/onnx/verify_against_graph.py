"""The layers beside the graph itself: both compute a few random pictures, and must agree.

A mapping that were wrong would not be noticed by shapes alone. So no model leaves the reader before
its graph was run, node by node and by ONNX's own rules, on the same pictures.
"""

from __future__ import annotations

import math

import numpy as np

from tinymnist.interop.onnx.inputs_outputs import Beginning
from tinymnist.interop.onnx.nodes import Network, Port, Unmappable
from tinymnist.interop.onnx.running import run
from tinymnist.interop.onnx.views import View
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

TOLERANCE = 1e-3
"""As a share of the largest output. Rounding stays far below, a wrong axis far above."""
_MOST_WORK = 2_000_000_000
_MOST_PIXELS = 1 << 24
_FEW = 3


def prove(
    model: Sequential, network: Network, port: Port, beginning: Beginning, ending: View
) -> None:
    """Compare a model's output with that of the graph that it was made of.

    Networks whose graph would take long to run are taken as they are.

    Raises:
        Unmappable: when the two differ, or the graph cannot be run.
    """
    batch = beginning.view.batch or 1
    fixed = port.shape is not None and port.shape[0] is not None
    count = batch if fixed or batch == 1 else _FEW
    work = sum(
        layer.multiply_adds(*(model.shapes[s] for s in model.sources[layer.name]))
        for layer in model.layers
    )
    if count * work > _MOST_WORK or count * math.prod(model.input_shape) > _MOST_PIXELS:
        return
    x = np.random.default_rng(0).random((count, *model.input_shape)).astype(model.dtype)
    fed = as_fed(x, beginning.view)
    if beginning.view.batch is None:
        fed = fed[0]
    tensor = run(network, {port.name: fed.astype(port.kind)})[network.outputs[0]]
    with np.errstate(all="ignore"):
        found = model.predict(x, workers=1)
    if deviation(found, as_laid(tensor, ending)) > TOLERANCE:
        raise Unmappable(
            "its layers would compute something else than its graph; please report the file"
        )


def as_fed(x: Array, view: View) -> Array:
    """Pictures (n, h, w, c) as the tensor that a graph wants."""
    pieces = x.reshape(len(x), *(atom.size for atom in view.order))
    wanted = [view.order.index(atom) + 1 for axis in view.axes for atom in axis]
    sides = [math.prod(atom.size for atom in axis) for axis in view.axes]
    return np.ascontiguousarray(pieces.transpose([0, *wanted]).reshape(len(x), *sides))


def as_laid(tensor: Array, view: View) -> Array:
    """A graph's tensor as the layer under it has its output, one example a row."""
    own = [atom for axis in view.axes for atom in axis]
    pieces = tensor.reshape(-1, *(atom.size for atom in own))
    return pieces.transpose([0, *(own.index(atom) + 1 for atom in view.order)])


def deviation(found: Array, expected: Array) -> float:
    """The largest difference, as a share of the largest number."""
    if expected.size != found.size:
        return math.inf
    expected = expected.reshape(found.shape)
    scale = float(np.abs(expected).max(initial=0.0)) or 1.0
    if not np.isfinite(expected).all():
        return 0.0 if np.array_equal(np.isnan(found), np.isnan(expected)) else math.inf
    return float(np.abs(found - expected).max(initial=0.0)) / scale
