"""Running a network node by node, as ONNX means it: no layers, no planning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinymnist.interop.onnx.nodes import Contradiction, Network, Node, Unmappable
from tinymnist.interop.onnx.run_arrays import Operation
from tinymnist.interop.onnx.run_layers import OPERATIONS
from tinymnist.nn.arrays import Array


def operation_of(node: Node) -> Operation:
    """The function of a node.

    Raises:
        Unmappable: when tinymnist has none.
    """
    if node.op not in OPERATIONS and node.op != "If":
        raise Unmappable(f"tinymnist has no operation {node.op}")
    return OPERATIONS.get(node.op, _no_operation)


def _no_operation(node: Node, *arrays: Array) -> Array:
    """Stands where the graph itself says what to do."""
    raise Unmappable(f"{node.op} is no function of arrays")


def run_node(node: Node, values: Mapping[str, Array]) -> dict[str, Array]:
    """Compute what one node gives.

    Raises:
        Unmappable: when the operation, or a setting of it, is not there.
    """
    if node.op == "If":
        return _branch(node, values)
    arrays: list[Any] = [values[name] if name else None for name in node.inputs]
    while arrays and arrays[-1] is None:
        arrays.pop()
    function = operation_of(node)
    try:
        with np.errstate(all="ignore"):
            found = function(node, *arrays)
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError, AttributeError) as error:
        raise Contradiction(" ".join(str(error).split())) from None
    results = found if isinstance(found, tuple) else (found,)
    wanted = [name for name in node.outputs if name]
    if len(results) < len(wanted):
        raise Unmappable(f"it has {len(wanted)} outputs, of which {len(results)} are computed")
    return {
        name: np.asarray(array) for name, array in zip(node.outputs, results, strict=False) if name
    }


def _branch(node: Node, values: Mapping[str, Array]) -> dict[str, Array]:
    """The results of one of two graphs, which see all that was computed before them."""
    chosen = "then_branch" if values[node.inputs[0]].reshape(-1)[0] else "else_branch"
    branch = node.settings.get(chosen)
    if not isinstance(branch, Network):
        raise Unmappable(f"it has no {chosen}")
    found = run(branch, values)
    return dict(zip(node.outputs, (found[name] for name in branch.outputs), strict=True))


def run(network: Network, fed: Mapping[str, Array], keep: bool = False) -> dict[str, Array]:
    """Compute a network's results.

    Args:
        network: its nodes in order.
        fed: an array for each of its inputs.
        keep: whether to give every tensor on the way, too.

    Raises:
        Unmappable: when an operation is not there; the message names the node.
    """
    values: dict[str, Array] = {**network.constants, **fed}
    left = network.uses()
    for node in network.nodes:
        try:
            values |= run_node(node, values)
        except Unmappable as reason:
            raise type(reason)(f"node {node}: {reason}") from None
        for name in {name for name in node.inputs if name} if not keep else ():
            left[name] -= node.inputs.count(name)
            if not left[name]:
                del values[name]
    return values if keep else {name: values[name] for name in network.outputs}
