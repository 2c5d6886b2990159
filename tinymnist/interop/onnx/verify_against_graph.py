"""The layers beside the graph itself: both compute a few random pictures, and must agree.

Shapes alone would not reveal a wrong mapping. So no model leaves the reader before its graph was
run, node by node and by ONNX's own rules, on the same pictures.
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
"""As a share of the largest output: rounding stays far below, a wrong axis is far above."""
_MAX_MULTIPLY_ADDS = 2_000_000_000
_MAX_INPUT_NUMBERS = 1 << 24
_EXAMPLES = 3


def verify(
    model: Sequential, network: Network, port: Port, beginning: Beginning, ending: View
) -> None:
    """Compare a model's output with that of the graph that it was made of.

    Networks whose graph would take long to run are not compared.

    Args:
        model: the layers.
        network: the graph, as it was in the file.
        port, beginning: the input, and how the model's pictures lie in it.
        ending: the graph's output over that of the model.

    Raises:
        Unmappable: if the two differ, or the graph cannot be run.
    """
    batch = beginning.view.batch or 1
    fixed = port.shape is not None and port.shape[0] is not None
    count = batch if fixed or batch == 1 else _EXAMPLES
    work = sum(
        layer.multiply_adds(*(model.shapes[s] for s in model.sources[layer.name]))
        for layer in model.layers
    )
    numbers = count * math.prod(model.input_shape)
    if count * work > _MAX_MULTIPLY_ADDS or numbers > _MAX_INPUT_NUMBERS:
        return
    x = np.random.default_rng(0).random((count, *model.input_shape)).astype(model.dtype)
    fed = beginning.view.tensor_of(x)
    fed = fed[0] if beginning.view.batch is None else fed
    tensor = run(network, {port.name: fed.astype(port.kind)})[network.outputs[0]]
    with np.errstate(all="ignore"):
        found = model.predict(x, workers=1)
    if _deviation(found, ending.memory_of(tensor)) > TOLERANCE:
        raise Unmappable(
            "its layers would compute something else than its graph; please report the file"
        )


def _deviation(found: Array, expected: Array) -> float:
    """The largest difference, as a share of the largest number."""
    if expected.size != found.size:
        return math.inf
    expected = expected.reshape(found.shape)
    scale = float(np.abs(expected).max(initial=0.0)) or 1.0
    if not np.isfinite(expected).all():
        return 0.0 if np.array_equal(np.isnan(found), np.isnan(expected)) else math.inf
    return float(np.abs(found - expected).max(initial=0.0)) / scale
