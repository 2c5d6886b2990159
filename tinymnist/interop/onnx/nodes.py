"""ONNX's graph in plain Python: what the passes of the reader hand to each other.

A :class:`Node` is an operation with named inputs and outputs, a :class:`Network` the list of them.
Nothing here knows the library ``onnx``; ``loading`` fills these from a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array


class Unmappable(Exception):
    """Something that tinymnist has no counterpart for; the message says what it would need."""


class Contradiction(Unmappable):
    """Settings and shapes that do not fit each other; the message is NumPy's."""


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        op: ONNX's name of it, with its domain where that is another one, "com.microsoft.Gelu".
        inputs, outputs: names of tensors; an empty name is an input that was left out.
        settings: ONNX's attributes.
        opset: the version of the rules that the settings follow.
        name: as the file has it, often empty.
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    opset: int = 17
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name or self.outputs[0]!r} ({self.op})"


@dataclass(frozen=True)
class Port:
    """An input of a network: its sizes, None where the file leaves one open, and its type."""

    name: str
    shape: tuple[int | None, ...] | None
    kind: str = "float32"


@dataclass
class Network:
    """A graph: nodes in an order in which each comes after what it takes.

    Attributes:
        nodes: the operations.
        constants: arrays by the names of their tensors.
        inputs: what has to be fed.
        outputs: the names of the results.
    """

    nodes: list[Node]
    constants: dict[str, Array]
    inputs: list[Port]
    outputs: list[str]

    @property
    def producers(self) -> dict[str, Node]:
        """The node behind every computed tensor."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    def needed_for(self, *outputs: str) -> Network:
        """The part of the network that these tensors depend on."""
        producers, wanted, queue = self.producers, set(outputs), list(outputs)
        while queue:
            if (node := producers.get(queue.pop())) is not None:
                fresh = {name for name in taken_by(node) if name not in wanted}
                wanted |= fresh
                queue += fresh
        return Network(
            [node for node in self.nodes if wanted.intersection(node.outputs)],
            {name: array for name, array in self.constants.items() if name in wanted},
            [port for port in self.inputs if port.name in wanted],
            list(outputs),
        )

    def uses(self) -> dict[str, int]:
        """How often each tensor is taken, by nodes and as a result."""
        counts = dict.fromkeys(self.outputs, 1)
        for node in self.nodes:
            for name in taken_by(node):
                counts[name] = counts.get(name, 0) + 1
        return counts


def taken_by(node: Node) -> list[str]:
    """The tensors that a node takes; those that its branches take from outside are among them."""
    names = [name for name in node.inputs if name]
    for branch in node.settings.values():
        if isinstance(branch, Network):
            inside = {*branch.producers, *branch.constants, *(p.name for p in branch.inputs)}
            taken = [name for inner in branch.nodes for name in taken_by(inner)]
            names += [name for name in (*taken, *branch.outputs) if name not in inside]
    return names


def sort(nodes: Iterable[Node], known: Iterable[str], where: str) -> list[Node]:
    """Bring nodes into an order in which each comes after what it takes; some files reverse them.

    Args:
        nodes: in any order.
        known: tensors that no node has to make.
        where: what to call the file in errors.

    Raises:
        InputError: when nodes wait for each other in a circle, take what nobody makes, or when
            two make the same tensor.
    """
    listed = list(nodes)
    made_by: dict[str, int] = {}
    for index, node in enumerate(listed):
        for name in filter(None, node.outputs):
            if made_by.setdefault(name, index) != index:
                raise InputError(f"{where} computes the tensor {name!r} twice")
    there = set(known)
    waiting = [{n for n in taken_by(node) if n not in there} for node in listed]
    for node, names in zip(listed, waiting, strict=True):
        if missing := sorted(names - made_by.keys()):
            raise InputError(f"{where}: node {node} takes {missing[0]!r}, which nothing computes")
    return [listed[index] for index in _order(waiting, made_by, where)]


def _order(waiting: list[set[str]], made_by: dict[str, int], where: str) -> list[int]:
    """Kahn's algorithm; among the nodes that could come next, the first in the file does."""
    import heapq

    left = [{made_by[name] for name in names} for names in waiting]
    followers: dict[int, list[int]] = {}
    for index, sources in enumerate(left):
        for source in sources:
            followers.setdefault(source, []).append(index)
    ready = [index for index, sources in enumerate(left) if not sources]
    order: list[int] = []
    heapq.heapify(ready)
    while ready:
        order.append(done := heapq.heappop(ready))
        for index in followers.get(done, ()):
            left[index].discard(done)
            if not left[index]:
                heapq.heappush(ready, index)
    if len(order) < len(waiting):
        raise InputError(f"{where} has nodes that wait for each other in a circle; expected a tree")
    return order
