"""From a file to a :class:`~tinymnist.interop.onnx.nodes.Network`, trusting nothing it states.

Sizes are compared with the bytes that are really there before anything is allocated, external data
must lie in the model's own folder, and only the container is parsed: nothing is computed yet.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.interop.onnx.library import library
from tinymnist.interop.onnx.nodes import Network, Node, Port, sort
from tinymnist.interop.onnx.skimming import check_size_of_messages
from tinymnist.nn.arrays import Array

MOST_BYTES = 1 << 30
_DEEPEST = 8  # branches within branches
_MOST_NODES = 100_000


@dataclass(frozen=True)
class Source:
    """What a file tells beside its graph."""

    path: Path
    producer: str
    opset: int
    ir_version: int
    metadata: dict[str, str]


def load(path: str | PathLike[str]) -> tuple[Network, Source]:
    """Parse an ONNX file.

    Raises:
        InputError: when the file is missing, damaged, hostile or of a kind that is not known.
    """
    place = Path(path)
    data = _read(place)
    check_size_of_messages(data, str(place))
    onnx = library()
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError, which its versions hide in other places
        raise InputError(
            f"{place} is no ONNX model, or is damaged: {_one_line(error)}; get the file again"
        ) from None
    if not model.HasField("graph") or not model.graph.node:
        raise InputError(f"{place} holds no ONNX graph; expected a trained model")
    return network_of(model, place), source_of(model, place)


def source_of(model: Any, path: Path) -> Source:
    """Who wrote the model, and by which rules."""
    return Source(
        path,
        f"{model.producer_name} {model.producer_version}".strip() or "unknown",
        opsets_of(model, path)[""],
        model.ir_version,
        {entry.key: entry.value for entry in model.metadata_props},
    )


def network_of(model: Any, path: Path) -> Network:
    """The graph of a parsed model, local functions unfolded."""
    opsets = opsets_of(model, path)
    if model.functions:
        model = _unfolded(model, path)
    try:
        return _Loader(path, opsets).network(model.graph, frozenset(), 0)
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged: {_one_line(error)}") from None


def opsets_of(model: Any, path: Path) -> dict[str, int]:
    """The version of the rules for each domain of operations; ONNX's own is ""."""
    versions = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}
    if "" not in versions and model.ir_version >= 3:
        raise InputError(
            f"{path} does not tell its opset; the file is cut off or of no use, get it again"
        )
    return {"": 1} | versions


def _read(path: Path) -> bytes:
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise InputError(f"{path} has {size:,} bytes; expected at most {MOST_BYTES:,}")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None


def _unfolded(model: Any, path: Path) -> Any:
    """Local functions put in where they are called, unless that would make a bomb."""
    bodies = {(f.domain, f.name): f for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(key: tuple[str, str], callers: tuple[tuple[str, str], ...]) -> int:
        if key in callers or len(callers) > 64:
            raise InputError(f"{path} has functions that call each other in a circle")
        if key not in sizes:
            inner = [(n.domain, n.op_type) for n in bodies[key].node]
            sizes[key] = sum(size(k, (*callers, key)) if k in bodies else 1 for k in inner)
        return sizes[key]

    called = [(n.domain, n.op_type) for n in model.graph.node]
    if sum(size(k, ()) if k in bodies else 1 for k in called) > _MOST_NODES:
        raise InputError(f"{path} unfolds to more than {_MOST_NODES:,} nodes")
    try:
        from onnx.inliner import inline_local_functions
    except ImportError:
        raise InputError(f"{path} has local functions; `pip install 'onnx>=1.15'`") from None
    try:
        return inline_local_functions(model)
    except Exception as error:  # the library's own, from C++
        raise InputError(f"{path} is damaged: {_one_line(error)}") from None


class _Loader:
    """Turns protobuf messages into plain objects."""

    def __init__(self, path: Path, opsets: dict[str, int]) -> None:
        self.path, self.opsets, self.onnx = path, opsets, library()

    def network(self, graph: Any, outside: frozenset[str], depth: int) -> Network:
        """A graph, or the branch of a node within one, which sees the tensors ``outside``."""
        if depth > _DEEPEST or len(graph.node) > _MOST_NODES:
            raise InputError(f"{self.path} has a graph beyond all measure; expected a small one")
        if graph.sparse_initializer:
            raise InputError(f"{self.path} holds sparse weights, which tinymnist does not read")
        constants = {t.name: self.array(t) for t in graph.initializer}
        ports = [self.port(i) for i in graph.input if i.name not in constants]
        known = outside | constants.keys() | {port.name for port in ports}
        computed = {name for node in graph.node for name in node.output}
        nodes = [self.node(n, frozenset(known | computed), depth) for n in graph.node]
        outputs = [o.name for o in graph.output]
        if not outputs or (lost := [n for n in outputs if n not in known | computed]):
            what = repr(lost[0]) if outputs else "anything"
            raise InputError(f"{self.path} does not compute {what} that it promises")
        return Network(sort(nodes, known, str(self.path)), constants, ports, outputs)

    def node(self, proto: Any, outside: frozenset[str], depth: int) -> Node:
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        settings = {a.name: self.setting(a, outside, depth) for a in proto.attribute}
        return Node(
            f"{domain}.{proto.op_type}" if domain else proto.op_type,
            tuple(proto.input),
            tuple(proto.output),
            settings,
            self.opsets.get(domain, 1),
            proto.name,
        )

    def setting(self, attribute: Any, outside: frozenset[str], depth: int) -> Any:
        kinds = self.onnx.AttributeProto
        if attribute.type == kinds.TENSOR:
            return self.array(attribute.t)
        if attribute.type == kinds.GRAPH:
            return self.network(attribute.g, outside, depth + 1)
        if attribute.type in (kinds.FLOAT, kinds.INT, kinds.FLOATS, kinds.INTS):
            value = self.onnx.helper.get_attribute_value(attribute)
            return value if isinstance(value, int | float) else tuple(value)
        if attribute.type == kinds.STRING:
            return attribute.s.decode("utf-8", "replace")
        if attribute.type == kinds.STRINGS:
            return tuple(s.decode("utf-8", "replace") for s in attribute.strings)
        if attribute.type == 0 and attribute.ints:  # ONNX before 1.0 wrote no types
            return tuple(attribute.ints)
        return None  # kinds that no operation here reads

    def port(self, value: Any) -> Port:
        tensor = value.type.tensor_type
        kind = self.dtype(tensor.elem_type)
        if not tensor.HasField("shape"):
            return Port(value.name, None, kind)
        sides = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
        return Port(value.name, tuple(s if s is None or s > 0 else None for s in sides), kind)

    def dtype(self, number: int) -> str:
        try:
            return str(self.onnx.helper.tensor_dtype_to_np_dtype(number))
        except (KeyError, ValueError, TypeError):
            return "unknown"

    def array(self, tensor: Any) -> Array:
        """The numbers of a tensor, after its stated size was compared with what is there."""
        name = tensor.name or "a constant"
        count = math.prod(tensor.dims)
        if any(side < 0 for side in tensor.dims) or count > MOST_BYTES // 4:
            raise InputError(f"{self.path}: {name} is of shape {list(tensor.dims)}, beyond measure")
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            return self._external(tensor, count)
        there = len(tensor.raw_data) or max(
            len(getattr(tensor, field))
            for field in ("float_data", "int32_data", "int64_data", "double_data",
                          "uint64_data", "string_data")
        )  # fmt: skip
        if count > 16 * max(there, 1):  # the smallest type has four bits
            raise InputError(
                f"{self.path}: {name} states {count:,} numbers, and there are bytes for {there:,}"
            )
        array: Array = self.onnx.numpy_helper.to_array(tensor)
        return array

    def _external(self, tensor: Any, count: int) -> Array:
        """Numbers that lie in another file, which must lie in the folder of the model."""
        told = {entry.key: entry.value for entry in tensor.external_data}
        dtype = np.dtype(self.dtype(tensor.data_type))
        place = inside(self.path, told.get("location", ""))
        try:
            offset = int(told.get("offset") or 0)
            with open(place, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                length = int(told.get("length") or count * dtype.itemsize)
                if offset < 0 or length != count * dtype.itemsize or offset + length > size:
                    raise InputError(
                        f"{self.path}: {tensor.name} wants {length:,} bytes from {offset:,} of "
                        f"{place.name}, which has {size:,}"
                    )
                file.seek(offset)
                data = file.read(length)
        except OSError as error:
            raise InputError(
                f"{self.path} keeps its weights in {place.name}, which must lie beside it: "
                f"{error.strerror or error}"
            ) from None
        return np.frombuffer(data, dtype.newbyteorder("<")).reshape(tensor.dims).astype(dtype)


def inside(model: Path, location: str) -> Path:
    """The file of external data, if it is a plain file in or below the model's folder.

    Raises:
        InputError: when it points elsewhere, by ``..``, an absolute path or a link.
    """
    folder = model.resolve().parent
    wanted = folder / location.replace("\\", "/")
    place = wanted.resolve()
    if not location or folder not in place.parents or (wanted.exists() and not wanted.is_file()):
        raise InputError(
            f"{model} points to data outside its own folder, {location!r}; expected a file beside "
            "it, nothing was read"
        )
    return place


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
