"""Running a network node by node by ONNX's own rules, and folding what depends on constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinymnist.interop.onnx.nodes import Contradiction, Network, Node, Unmappable
from tinymnist.interop.onnx.run_arrays import Operation
from tinymnist.interop.onnx.run_layers import OPERATIONS
from tinymnist.nn.arrays import Array

_MAX_FOLDED_NUMBERS = 1 << 26
_NOT_FOLDED = {"Dropout", "If"}


def run(
    network: Network, fed: Mapping[str, Array], operations: Mapping[str, Operation] = OPERATIONS
) -> dict[str, Array]:
    """Compute a network's outputs, by name.

    Args:
        network: its nodes in order.
        fed: an array for each of its inputs.
        operations: what computes each operation.

    Raises:
        Unmappable: if an operation or a setting of it is missing; the message names the node.
    """
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


def run_node(
    node: Node, values: Mapping[str, Array], operations: Mapping[str, Operation] = OPERATIONS
) -> dict[str, Array]:
    """Compute the outputs of one node, by name; see :func:`run`."""
    if node.op == "If":
        chosen = "then_branch" if values[node.inputs[0]].reshape(-1)[0] else "else_branch"
        branch = node.get(chosen)
        if not isinstance(branch, Network):
            raise Unmappable(f"it has no {chosen}")
        found = run(branch, values, operations)
        return dict(zip(node.outputs, (found[name] for name in branch.outputs), strict=True))
    if node.op not in operations:
        raise Unmappable(f"tinymnist has no operation {node.op}")
    arrays: list[Any] = [values[name] if name else None for name in node.inputs]
    while arrays and arrays[-1] is None:
        arrays.pop()
    try:
        with np.errstate(all="ignore"):
            result = operations[node.op](node, *arrays)
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError, AttributeError) as error:
        raise Contradiction(" ".join(str(error).split())) from None
    results = result if isinstance(result, tuple) else (result,)
    wanted = [name for name in node.outputs if name]
    if len(results) < len(wanted):
        raise Unmappable(f"only {len(results)} of its {len(wanted)} outputs can be computed")
    return {
        name: np.asarray(array) for name, array in zip(node.outputs, results, strict=False) if name
    }


def fold(network: Network) -> Network:
    """The same network, with every node that depends only on constants replaced by its result.

    What cannot be computed stays; the mapping refuses it if it is needed.
    """
    constants, left, made = dict(network.constants), [], 0
    for node in network.nodes:
        known = all(name in constants for name in node.inputs if name)
        if known and node.op in OPERATIONS and node.op not in _NOT_FOLDED:
            try:
                found = run_node(node, constants)
            except Unmappable:
                pass
            else:
                made += sum(array.size for array in found.values())
                if made > _MAX_FOLDED_NUMBERS:
                    limit = f"limit {_MAX_FOLDED_NUMBERS:,} numbers"
                    raise Unmappable(f"its computed constants are too large ({limit})")
                constants |= found
                continue
        left.append(node)
    return Network(left, constants, network.inputs, network.outputs).needed_for(*network.outputs)
