"""ONNX's graph in plain Python: a :class:`Network` of nodes, each with named inputs and outputs.

Nothing here knows the library ``onnx``; ``loading`` fills these from a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array


class Unmappable(Exception):
    """Something that tinymnist has no counterpart for; the message says what it would need."""


class Contradiction(Unmappable):
    """Attributes and shapes that do not fit each other; the message is NumPy's, on one line."""

    def __init__(self, message: object) -> None:
        super().__init__(" ".join(str(message).split()))


DAMAGE = Exception
"""What Python and NumPy raise if a file contradicts itself: whatever an operation trips over."""


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        op: ONNX's name, with the domain if it is not ONNX's own: "com.microsoft.Gelu".
        inputs, outputs: names of tensors; an input that is left out has an empty name.
        attributes: numbers, tuples, strings, arrays, or a :class:`Network` for a branch.
        opset: the version of the rules for this node.
        name: as in the file, often empty.
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    opset: int = 17
    name: str = ""

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or the default."""
        return self.attributes.get(name, default)

    def option(self, name: str, arrays: Sequence[Array | None], index: int) -> Any:
        """An attribute in old versions that is input ``index`` in new ones; None without it."""
        if name in self.attributes:
            return self.attributes[name]
        given = arrays[index] if index < len(arrays) else None
        return None if given is None else given.tolist()

    def axes(self, arrays: Sequence[Array | None], index: int, rank: int) -> tuple[int, ...] | None:
        """The option "axes", counted from 0; None if none are given."""
        value = self.option("axes", arrays, index)
        if value is None:
            return None
        listed = [value] if isinstance(value, int) else list(value)
        if any(not -rank <= axis < rank for axis in listed):
            raise Unmappable(f"axes {listed} do not exist in {rank} dimensions")
        return tuple(axis % rank for axis in listed)

    def __str__(self) -> str:
        return f"{self.name or self.outputs[0]!r} ({self.op})"


@dataclass(frozen=True)
class Port:
    """An input of a network: its shape, None for each side left open, and its dtype."""

    name: str
    shape: tuple[int | None, ...] | None
    kind: str = "float32"


@dataclass
class Network:
    """A graph: nodes, each after its inputs, arrays by the names of tensors, and its interface."""

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
                fresh = set(taken_by(node)) - wanted
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
    """The tensors that a node takes, those that its branches take from outside included."""
    names = [name for name in node.inputs if name]
    for branch in node.attributes.values():
        if isinstance(branch, Network):
            inside = {*branch.producers, *branch.constants, *(p.name for p in branch.inputs)}
            taken = [name for inner in branch.nodes for name in taken_by(inner)]
            names += [name for name in (*taken, *branch.outputs) if name not in inside]
    return names


def sort(nodes: Iterable[Node], known: Iterable[str], where: str) -> list[Node]:
    """Bring nodes into an order in which each comes after its inputs; some files reverse them.

    An order in which that holds already is kept. ``known`` are the tensors that no node has to
    compute, ``where`` is the file. InputError if nodes wait for each other in a circle, an input is
    never computed, or two nodes compute the same tensor.
    """
    listed, there = list(nodes), set(known)
    made_by: dict[str, int] = {}
    for index, node in enumerate(listed):
        for name in filter(None, node.outputs):
            if made_by.setdefault(name, index) != index:
                raise InputError(f"{where} computes the tensor {name!r} twice")
    sources: list[list[int]] = []
    for node in listed:
        names = sorted(set(taken_by(node)) - there)
        if missing := [name for name in names if name not in made_by]:
            raise InputError(f"{where}: node {node} takes {missing[0]!r}, which nothing computes")
        sources.append(sorted({made_by[name] for name in names}, reverse=True))
    # Depth first: before each node, those that it takes its inputs from.
    order: dict[int, None] = {}
    opened: set[int] = set()
    stack = list(range(len(listed)))[::-1]
    while stack:
        index = stack[-1]
        waiting = [] if index in order else [s for s in sources[index] if s not in order]
        if not waiting:
            order[stack.pop()] = None
        elif index in opened:
            raise InputError(f"{where} has nodes that wait for each other in a circle")
        else:
            opened.add(index)
            stack += waiting
    return [listed[index] for index in order]
