"""A graph of TensorFlow's operations, from protobuf (``graph.proto``) or TensorFlow.js's JSON.

Functions are laid out where nodes call them, as a compiler inlines: one flat graph is left, whose
results are called ``node:0``, and whose nodes inside a function ``call/node``. If the data make no
sense, Damaged or any other exception is raised, for :func:`limits.opening` to report.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tinymnist import limits
from tinymnist.interop.onnx.nodes import Node
from tinymnist.interop.tensorflow.bundle import DTYPES, shape_of
from tinymnist.interop.wire import Damaged, message, text_of, varint
from tinymnist.nn.arrays import Array

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_SECOND = ("output_true", "batch_mean")
"""Names of results that are not an operation's first, although they are counted from 0."""
_MOST_NODES = 20_000
_MOST_NESTING = 20
_MOST_LETTERS, _MOST_STEPS = 2000, 1000
_TYPED = {1: 5, 2: 6, 3: 7, 4: 7, 5: 7, 6: 7, 9: 10, 10: 11}
"""In which field of a TensorProto the numbers of each type are, unless they are raw bytes."""

_Given = Mapping[str, str]
"""A function's arguments: what they are outside."""


class Graph:
    """Operations, those of functions included.

    Attributes:
        nodes: all but calls of functions; attributes are numbers, texts, lists, shapes and arrays.
        calls: of the outermost nodes: the function's name, and the results that it takes.
    """

    def __init__(self, nodes: Iterable[Node], functions: Mapping[str, bytes]) -> None:
        self.calls: list[tuple[str, list[str]]] = []
        self._functions, self._same, self._count = functions, dict[str, str](), 0
        self._flat: list[Node] = []
        self._add(nodes, "", {}, 0)
        used: dict[str, dict[str, None]] = {
            node.name: {f"{node.name}:0": None} for node in self._flat
        }
        given = [replace(n, inputs=tuple(map(self.source, n.inputs))) for n in self._flat]
        for name in (name for node in given for name in node.inputs):
            used.get(name.rpartition(":")[0], {})[name] = None
        self.nodes = [replace(node, outputs=tuple(used[node.name])) for node in given]

    def source(self, result: str) -> str:
        """The node's result that a result of a call is.

        Raises:
            Damaged: if calls are each other's results.
        """
        for _ in range(_MOST_STEPS):
            if result not in self._same:
                return result
            result = self._same[result]
        raise Damaged("functions whose results are their own inputs")

    def _add(self, nodes: Iterable[Node], inside: str, given: _Given, depth: int) -> None:
        for node in nodes:
            self._count += 1
            name = f"{inside}{node.name}"
            if max(self._count / _MOST_NODES, depth / _MOST_NESTING, len(name) / _MOST_LETTERS) > 1:
                raise Damaged(f"functions in functions, or more than {_MOST_NODES:,} nodes")
            taken = [text for text in node.inputs if not text.startswith("^")]  # ^: only the order
            inputs = [_full_name(text, inside, given) for text in taken]
            called = str(node.get("f") if node.op in _CALLS else node.op)
            if called not in self._functions:
                self._flat.append(replace(node, name=name, inputs=tuple(inputs)))
                continue
            if not inside:
                self.calls.append((called, inputs))
            self._lay_out(called, name, inputs, depth)

    def _lay_out(self, called: str, name: str, inputs: list[str], depth: int) -> None:
        limits.work(1 + len(self._functions[called]) // 1000, called)
        function = message(self._functions[called])
        signature = message(function[1][-1])
        arguments = [text_of(message(entry), 1) for entry in signature.get(2, [])]
        returned = {text_of(m, 1): text_of(m, 2) for m in map(message, function.get(4, []))}
        given = dict(zip(arguments, inputs, strict=False))
        self._add(map(_node, function.get(3, [])), f"{name}/", given, depth + 1)
        for number, entry in enumerate(signature.get(3, [])):
            result = returned[text_of(message(entry), 1)]
            self._same[f"{name}:{number}"] = _full_name(result, f"{name}/", given)


def _full_name(text: str, inside: str, given: _Given) -> str:
    """``name``, ``name:1`` or, in functions, ``name:output:0``; or an argument's name."""
    if text in given:
        return given[text]
    name, *port = text.split(":")
    second = len(port) == 2 and port[0] in _SECOND
    return f"{inside}{name}:{'1' if second else port[-1] if port else '0'}"


def from_protobuf(data: bytes) -> Graph:
    """Read a GraphDef."""
    found = message(data)
    library = message(found.get(2, [b""])[-1]).get(1, [])
    functions = {text_of(message(message(f)[1][-1]), 1): f for f in library}
    return Graph(map(_node, found.get(1, [])), functions)


def from_json(nodes: Iterable[Mapping[str, Any]], values: Mapping[str, Array]) -> Graph:
    """Read the nodes of TensorFlow.js, whose constants are in its files of weights."""

    def node(entry: Mapping[str, Any]) -> Node:
        name, settings = (
            str(entry["name"]),
            {k: _plain(v) for k, v in entry.get("attr", {}).items()},
        )
        settings |= {"value": values[name]} if name in values else {}
        return Node(
            str(entry["op"]), tuple(map(str, entry.get("input", []))), (), settings, name=name
        )

    return Graph(map(node, nodes), {})


def _plain(value: Mapping[str, Any]) -> Any:
    """A setting in JSON: ``{"i": "1"}``, ``{"s": BASE64}``, ``{"list": {"i": ["1"]}}`` ..."""
    for kind, held in value.items():
        if kind == "list":
            return [_plain({k: entry}) for k, entries in held.items() for entry in entries]
        if kind == "shape":
            return [int(dim.get("size", 0)) for dim in held.get("dim", [])]
        if kind == "s":
            return base64.b64decode(held).decode()
        return int(held) if kind == "i" else held
    return None


def _node(data: bytes) -> Node:
    found = message(data)
    entries = [message(entry) for entry in found.get(5, [])]
    settings = {text_of(entry, 1): _setting(entry[2][-1]) for entry in entries}
    inputs = tuple(bytes(text).decode() for text in found.get(3, []))
    return Node(text_of(found, 2), inputs, (), settings, name=text_of(found, 1))


def _setting(data: bytes) -> Any:
    """An AttrValue: of all the fields, the one that is set."""
    for field, values in message(data).items():
        last = values[-1]
        if field == 1:  # lists of texts, whole numbers, shapes
            listed = message(last)
            if 7 in listed:
                return [_dims(shape) for shape in listed[7]]
            return [bytes(text).decode() for text in listed.get(2, [])] or integers(listed.get(3))
        if field in (3, 5, 6):
            return last - (1 << 64) if last >> 63 else last
        if field in (2, 10):
            return (last if field == 2 else message(last)[1][-1]).decode("utf-8", "replace")
        if field == 4:
            return float(struct.unpack("<f", last)[0])
        if field in (7, 8):
            return _dims(last) if field == 7 else _tensor(last)
    return None


def _dims(data: bytes) -> list[int] | None:
    """A shape with -1 for an unknown side; None if not even their number is known."""
    found = message(data)
    sizes = [integers(message(dim).get(1, [0]))[-1] for dim in found.get(2, [])]
    return None if found.get(3) else sizes


def integers(values: Iterable[Any] | None) -> list[int]:
    """Whole numbers, one by one or packed, as they may be mixed in a message."""
    found: list[int] = []
    for value in values or ():
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = varint(value, at)
            found.append(number)
    return [number - (1 << 64) if number >> 63 else number for number in found]


def _tensor(data: bytes) -> Array | None:
    """A TensorProto; None if it holds texts, or numbers of an unknown type."""
    found = message(data)
    kind = integers(found.get(1, [0]))[-1]
    if kind not in DTYPES:
        return None
    dtype, shape = np.dtype(DTYPES[kind]), shape_of(found.get(2, [b""])[-1])
    count = math.prod(shape)
    limits.charge(8 * count, "a constant")
    if raw := found.get(4, [b""])[-1]:
        return np.frombuffer(raw, dtype).reshape(shape)
    values = found.get(_TYPED.get(kind, 0), [])
    given: Any = np.frombuffer(b"".join(values), dtype) if kind in (1, 2) else integers(values)
    numbers = np.full(count, given[-1] if len(given) else 0, dtype)  # the last one is repeated
    numbers[: len(given)] = given[:count]
    return numbers.reshape(shape)
