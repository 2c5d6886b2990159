"""Running a network node by node by ONNX's own rules: to fold constants, and to verify layers.

Shapes alone would not reveal a wrong mapping. So no model leaves the reader before its graph was
run on a few random pictures, and gave what the layers give.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tinymnist import limits
from tinymnist.interop.onnx.nodes import DAMAGE, Contradiction, Network, Node, Port, Unmappable
from tinymnist.interop.onnx.views import View
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

TOLERANCE = 1e-3
"""As a share of the largest output: rounding stays far below, a wrong axis is far above."""
MAX_NUMBERS = 1 << 26
"""Limit of one array: four times the weights of the largest network for such pictures."""
_MAX_MULTIPLY_ADDS = 2_000_000_000
_MAX_INPUT_NUMBERS = 1 << 24
_EXAMPLES = 3
_NOT_FOLDED = {"Dropout", "If"}


class Operation(NamedTuple):
    """What tinymnist knows of one of ONNX's operations.

    Attributes:
        run: ``f(node, *arrays)`` computes it: an array, or a tuple of them. None makes an array of
            more than :data:`MAX_NUMBERS` numbers.
        map: ``f(mapper, node, view)`` appends its layers and returns the view of its first output.
            ``view`` is the first of its inputs that depends on the picture; all others are expected
            to be fixed unless the function looks at them itself.
    """

    run: Callable[..., Any] | None = None
    map: Callable[[Any, Node, View], View] | None = None


Operations: TypeAlias = Mapping[str, Operation]
"""Operations by ONNX's name."""


def bounded(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape itself; refuses one of more than :data:`MAX_NUMBERS` numbers."""
    sides = tuple(int(side) for side in shape)
    if any(side < 0 for side in sides) or math.prod(sides) > MAX_NUMBERS:
        raise Unmappable(f"array of shape {sides} too large (limit {MAX_NUMBERS:,} numbers)")
    limits.charge(4 * math.prod(sides), f"an array of the graph {sides}")
    return sides


def broadcast(*arrays: Array) -> tuple[int, ...]:
    """The shape to which arrays broadcast."""
    return bounded(np.broadcast_shapes(*(a.shape for a in arrays)))


def run(network: Network, fed: Mapping[str, Array], operations: Operations) -> dict[str, Array]:
    """Compute a network's outputs, by name, from an array for each of its inputs."""
    values: dict[str, Array] = {**network.constants, **fed}
    left = network.uses()
    for node in network.nodes:
        try:
            values |= run_node(node, values, operations)
        except Unmappable as reason:
            raise type(reason)(f"node {node}: {reason}") from None
        for name in {name for name in node.inputs if name}:
            left[name] -= node.inputs.count(name)
            if not left[name]:
                del values[name]  # intermediate tensors need not be held until the end
    return {name: values[name] for name in network.outputs}


def chosen_branch(node: Node, values: Mapping[str, Array]) -> Network:
    """The branch of an ``If`` that its condition takes."""
    chosen = "then_branch" if values[node.inputs[0]].reshape(-1)[0] else "else_branch"
    branch = node.get(chosen)
    if not isinstance(branch, Network):
        raise Unmappable(f"it has no {chosen}")
    return branch


def run_node(node: Node, values: Mapping[str, Array], operations: Operations) -> dict[str, Array]:
    """Compute the outputs of one node, by name; see :func:`run`."""
    if node.op == "If":
        branch = chosen_branch(node, values)
        found = run(branch, values, operations)
        return dict(zip(node.outputs, (found[name] for name in branch.outputs), strict=True))
    compute = operations.get(node.op, Operation()).run
    if compute is None:
        raise Unmappable(f"tinymnist has no operation {node.op}")
    arrays: list[Any] = [values[name] if name else None for name in node.inputs]
    while arrays and arrays[-1] is None:
        arrays.pop()
    try:
        with np.errstate(all="ignore"):
            result = compute(node, *arrays)
    except Unmappable:
        raise
    except DAMAGE as error:
        raise Contradiction(error) from None
    results = result if isinstance(result, tuple) else (result,)
    wanted = [name for name in node.outputs if name]
    if len(results) < len(wanted):
        raise Unmappable(f"only {len(results)} of its {len(wanted)} outputs can be computed")
    named = zip(node.outputs, results, strict=False)
    return {name: np.asarray(array) for name, array in named if name}


def fold(network: Network, operations: Operations) -> Network:
    """The same network, with every node that depends only on constants replaced by its result.

    What cannot be computed stays; the mapping refuses it if it is needed.
    """
    constants, left = dict(network.constants), []
    for node in network.nodes:
        known = all(name in constants for name in node.inputs if name)
        found = None
        if known and node.op not in _NOT_FOLDED:
            with contextlib.suppress(Unmappable):
                found = run_node(node, constants, operations)
        if found is None:
            left.append(node)
            continue
        limits.charge(sum(array.nbytes for array in found.values()), "its computed constants")
        constants |= found
    return Network(left, constants, network.inputs, network.outputs).needed_for(*network.outputs)


def verify(
    model: Sequential,
    network: Network,
    port: Port,
    views: tuple[View, View],
    operations: Operations,
) -> None:
    """Compare a model's output with that of the graph that it was made of.

    Networks whose graph would take long to run are not compared. ``views`` are the input and the
    output of the graph over those of the model. Unmappable if the two differ.
    """
    beginning, ending = views
    fixed = port.shape is not None and port.shape[0] is not None
    batch = beginning.batch or 1
    count = batch if fixed or batch == 1 else _EXAMPLES
    work = sum(
        layer.multiply_adds(*(model.shapes[s] for s in model.sources[layer.name]))
        for layer in model.layers
    )
    numbers = count * math.prod(model.input_shape)
    if count * work > _MAX_MULTIPLY_ADDS or numbers > _MAX_INPUT_NUMBERS:
        return
    x = np.random.default_rng(0).random((count, *model.input_shape)).astype(model.dtype)
    fed = beginning.tensor_of(x)
    fed = fed[0] if beginning.batch is None else fed
    tensor = run(network, {port.name: fed.astype(port.kind)}, operations)[network.outputs[0]]
    with np.errstate(all="ignore"):
        found = model.predict(x, workers=1)
    if _deviation(found, ending.memory_of(tensor)) > TOLERANCE:
        wrong = "its layers would compute something else than its graph"
        raise Unmappable(f"{wrong}; please report the file")


def _deviation(found: Array, expected: Array) -> float:
    """The largest difference, as a share of the largest number."""
    if expected.size != found.size:
        return math.inf
    expected = expected.reshape(found.shape)
    scale = float(np.abs(expected).max(initial=0.0)) or 1.0
    if not np.isfinite(expected).all():
        return 0.0 if np.array_equal(np.isnan(found), np.isnan(expected)) else math.inf
    return float(np.abs(found - expected).max(initial=0.0)) / scale
