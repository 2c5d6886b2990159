"""Constants computed beforehand: weights that a graph reshapes, casts or transposes first."""

from __future__ import annotations

from tinymnist.interop.onnx.nodes import Network, Unmappable
from tinymnist.interop.onnx.run_layers import OPERATIONS
from tinymnist.interop.onnx.running import run_node

_MOST_MADE = 1 << 26
"""Numbers, in all constants that are computed together."""
_AT_RANDOM = {"Dropout", "If", "Loop"}


def fold(network: Network) -> Network:
    """The same network, with every node that depends on constants alone replaced by its result.

    What cannot be computed stays; the mapping refuses it, if it is needed.
    """
    constants, left, made = dict(network.constants), [], 0
    for node in network.nodes:
        known = all(name in constants for name in node.inputs if name)
        if known and node.op in OPERATIONS and node.op not in _AT_RANDOM:
            try:
                found = run_node(node, constants)
            except Unmappable:
                pass
            else:
                made += sum(array.size for array in found.values())
                if made > _MOST_MADE:
                    raise Unmappable("the constants that it makes are beyond all measure")
                constants |= found
                continue
        left.append(node)
    return Network(left, constants, network.inputs, network.outputs).needed_for(*network.outputs)
