"""Constants computed beforehand: weights that a graph reshapes, casts or transposes first."""

from __future__ import annotations

from tinymnist.interop.onnx.nodes import Network, Unmappable
from tinymnist.interop.onnx.operations import OPERATIONS
from tinymnist.interop.onnx.running import run_node

_AT_RANDOM = {"Dropout", "If", "Loop"}


def fold(network: Network) -> Network:
    """The same network, with every node that depends on constants alone replaced by its result.

    What cannot be computed stays; the mapping refuses it, if it is needed.
    """
    constants, left = dict(network.constants), []
    for node in network.nodes:
        known = all(name in constants for name in node.inputs if name)
        if known and node.op in OPERATIONS and node.op not in _AT_RANDOM:
            try:
                constants |= run_node(node, constants)
                continue
            except Unmappable:
                pass
        left.append(node)
    return Network(left, constants, network.inputs, network.outputs).needed_for(*network.outputs)
