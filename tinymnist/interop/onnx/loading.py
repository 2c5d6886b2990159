"""From a file to a :class:`~tinymnist.interop.onnx.nodes.Network`, trusting nothing it states.

Stated sizes are compared with the bytes that are there before anything is allocated, external data
must lie in the model's own folder, and only the container is parsed: nothing is computed yet.
"""

from __future__ import annotations

import math
import os
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.files import read_bytes, real_path
from tinymnist.interop.onnx.nodes import Network, Node, Port, sort
from tinymnist.interop.wire import count_fields
from tinymnist.nn.arrays import Array

_STEPS_PER_FIELD = 4
"""A message of two bytes becomes an object of a hundred, so fields are counted before parsing."""
_STEPS_PER_NODE = 20
_MAX_BRANCH_DEPTH = 8
_NESTED: dict[str, dict[int, str]] = {
    "model": {7: "graph", 14: "leaf", 20: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "leaf", 11: "value", 12: "value", 13: "value"},
    "node": {5: "attribute"},
    "attribute": {5: "leaf", 6: "graph", 10: "leaf", 11: "graph"},
    "value": {2: "type"}, "type": {1: "tensor type"}, "tensor type": {2: "shape"},
    "shape": {}, "leaf": {},
}  # fmt: skip
"""The fields that are messages with fields to count, by the kind of the message around them."""


def library() -> Any:
    """The package ``onnx``, imported when it is first needed; InputError if it is missing."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError:
        raise InputError("ONNX files need the package onnx; `pip install onnx`") from None
    return onnx


def load(path: str | PathLike[str]) -> tuple[Network, dict[str, Any], dict[str, str]]:
    """Parse an ONNX file.

    Returns:
        The graph, what is known of its origin, and the metadata that the file carries along.

    Raises:
        InputError: if the file is missing, damaged, hostile or of an unknown kind.
    """
    place = Path(path)
    data = read_bytes(place)
    with limits.opening(path, "an ONNX model"):
        limits.work(_STEPS_PER_FIELD * count_fields(data, _NESTED, "model"), str(path))
        model = library().ModelProto()
        model.ParseFromString(data)
    if not model.HasField("graph") or not model.graph.node:
        raise InputError(f"{place} holds no ONNX graph; expected a trained model")
    origin = {
        "format": "ONNX",
        "framework": f"{model.producer_name} {model.producer_version}".strip() or "unknown",
        "opset": _opsets(model, place)[""],
        "ir_version": model.ir_version,
        "file": place.name,
    }
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return network_of(model, place), origin, metadata


def network_of(model: Any, path: Path) -> Network:
    """The graph of a parsed ``ModelProto``, local functions inlined; errors as :func:`load`."""
    opsets = _opsets(model, path)
    if model.functions:
        model = _inlined(model, path)
    with limits.opening(path, "an ONNX model"):
        return _Loader(path, opsets).network(model.graph, frozenset(), 0)


def _opsets(model: Any, path: Path) -> dict[str, int]:
    """The version of the rules for each domain of operations; ONNX's own is ""."""
    versions = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}
    if "" not in versions and model.ir_version >= 3:
        raise InputError(f"{path} does not state its opset, so it may be cut off; get it again")
    return {"": 1} | versions


def _inlined(model: Any, path: Path) -> Any:
    """Local functions put in where they are called, unless the result would be too large."""
    bodies = {(f.domain, f.name): f for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def total(nodes: Any, depth: int = 0) -> int:
        if depth > 64:
            raise InputError(f"{path} has functions that call each other in a circle")
        count = 0
        for node in nodes:
            key = node.domain, node.op_type
            if key in bodies and key not in sizes:
                sizes[key] = total(bodies[key].node, depth + 1)
            branches = (graph for a in node.attribute for graph in (a.g, *a.graphs) if graph.node)
            count += sizes.get(key, 1) + sum(total(graph.node, depth + 1) for graph in branches)
        return count

    limits.work(_STEPS_PER_NODE * total(model.graph.node), f"{path}, unfolded,")
    try:
        from onnx.inliner import inline_local_functions
    except ImportError:
        raise InputError(f"{path} has local functions; `pip install 'onnx>=1.15'`") from None
    with limits.opening(path, "an ONNX model"):
        return inline_local_functions(model)


class _Loader:
    """Turns protobuf messages into plain objects."""

    def __init__(self, path: Path, opsets: dict[str, int]) -> None:
        self.path, self.opsets, self.onnx = path, opsets, library()

    def network(self, graph: Any, outside: frozenset[str], depth: int) -> Network:
        """A graph, or a branch of a node, which sees the tensors ``outside``."""
        limits.work(_STEPS_PER_NODE * len(graph.node), str(self.path))
        if depth > _MAX_BRANCH_DEPTH:
            raise InputError(f"{self.path} nests branches more than {_MAX_BRANCH_DEPTH} deep")
        if graph.sparse_initializer:
            raise InputError(f"{self.path} holds sparse weights, which tinymnist does not read")
        constants = {t.name: self.array(t) for t in graph.initializer}
        ports = [self.port(i) for i in graph.input if i.name not in constants]
        known = outside | constants.keys() | {port.name for port in ports}
        computed = {name for node in graph.node for name in node.output}
        nodes = [self.node(n, frozenset(known | computed), depth) for n in graph.node]
        outputs = [o.name for o in graph.output]
        if not outputs or (lost := [n for n in outputs if n not in known | computed]):
            what = f"its output {lost[0]!r}" if outputs else "any output"
            raise InputError(f"{self.path} does not compute {what}")
        return Network(sort(nodes, known, str(self.path)), constants, ports, outputs)

    def node(self, proto: Any, outside: frozenset[str], depth: int) -> Node:
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        op, opset = f"{domain}.{proto.op_type}".lstrip("."), self.opsets.get(domain, 1)
        attributes = {a.name: self.attribute(a, outside, depth) for a in proto.attribute}
        return Node(op, tuple(proto.input), tuple(proto.output), attributes, opset, proto.name)

    def attribute(self, proto: Any, outside: frozenset[str], depth: int) -> Any:
        kinds = self.onnx.AttributeProto
        if proto.type == kinds.TENSOR:
            return self.array(proto.t)
        if proto.type == kinds.GRAPH:
            return self.network(proto.g, outside, depth + 1)
        if proto.type in (kinds.FLOAT, kinds.INT):
            return self.onnx.helper.get_attribute_value(proto)
        if proto.type == kinds.STRING:
            return proto.s.decode("utf-8", "replace")
        if proto.type == kinds.STRINGS:
            return tuple(s.decode("utf-8", "replace") for s in proto.strings)
        # ONNX before 1.0 wrote no types; no operation here reads other kinds.
        numbers = {kinds.FLOATS: proto.floats, kinds.INTS: proto.ints, 0: proto.ints or None}
        return None if (found := numbers.get(proto.type)) is None else tuple(found)

    def port(self, value: Any) -> Port:
        tensor = value.type.tensor_type
        sides = (d.dim_value if d.HasField("dim_value") else 0 for d in tensor.shape.dim)
        shape = tuple(side if side > 0 else None for side in sides)
        stated = tensor.HasField("shape")
        return Port(value.name, shape if stated else None, self.dtype(tensor.elem_type))

    def dtype(self, number: int) -> str:
        try:
            return str(self.onnx.helper.tensor_dtype_to_np_dtype(number))
        except (KeyError, ValueError, TypeError):
            return "unknown"

    def array(self, tensor: Any) -> Array:
        """The numbers of a tensor, after its stated size was compared with the bytes there."""
        name, count = tensor.name or "a constant", math.prod(tensor.dims)
        if any(side < 0 for side in tensor.dims):
            raise InputError(f"{self.path}: {name} has the shape {list(tensor.dims)[:8]}")
        limits.charge(4 * count, f"{name} in {self.path}")
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            return self._external(tensor, count)
        there = len(tensor.raw_data) or max(
            len(getattr(tensor, f"{kind}_data"))
            for kind in ("float", "int32", "int64", "double", "uint64", "string")
        )
        if count > 16 * max(there, 1):  # the smallest type has four bits
            wrong = f"states {count:,} numbers, and there are bytes for {there:,}"
            raise InputError(f"{self.path}: {name} {wrong}")
        return self.onnx.numpy_helper.to_array(tensor)

    def _external(self, tensor: Any, count: int) -> Array:
        """Numbers in another file, which must lie in the folder of the model."""
        stated = {entry.key: entry.value for entry in tensor.external_data}
        dtype = np.dtype(self.dtype(tensor.data_type))
        place = _inside(self.path, stated.get("location", ""))
        try:
            offset = int(stated.get("offset") or 0)
            with open(place, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                length = int(stated.get("length") or count * dtype.itemsize)
                if offset < 0 or length != count * dtype.itemsize or offset + length > size:
                    wants = f"wants {length:,} bytes from {offset:,} of {place.name}"
                    raise InputError(f"{self.path}: {tensor.name} {wants}, which has {size:,}")
                file.seek(offset)
                data = file.read(length)
        except OSError as error:
            rule = f"keeps its weights in {place.name}, which must lie beside it"
            raise InputError(f"{self.path} {rule}: {error.strerror or error}") from None
        return np.frombuffer(data, dtype.newbyteorder("<")).reshape(tensor.dims).astype(dtype)


def _inside(model: Path, location: str) -> Path:
    """The file of external data; refused if ``..``, an absolute path or a link leads outside."""
    folder = real_path(model).parent
    wanted = folder / location.replace("\\", "/")
    place = real_path(wanted)
    if not location or folder not in place.parents or (wanted.exists() and not wanted.is_file()):
        rule = "expected a file beside it, nothing was read"
        raise InputError(f"{model} points to data outside its own folder, {location!r}; {rule}")
    return place
