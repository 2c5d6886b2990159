"""The variables of a SavedModel or a checkpoint: ``variables.index`` and ``variables.data-*``.

The index is a table of LevelDB (https://github.com/google/leveldb/blob/main/doc/table_format.md):
blocks of sorted keys, each key after the first with only what differs from the one before, and a
footer that says where the list of blocks is. Its values are protobuf messages (TensorFlow's
``tensor_bundle.proto``) that say where the numbers are in the data files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.files import read_bytes
from tinymnist.interop.wire import Damaged, message, varint
from tinymnist.nn.arrays import Array

DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "<u1", 5: "<i2", 6: "<i1", 9: "<i8", 10: "?", 19: "<f2"}
"""TensorFlow's numbers of types."""
_BFLOAT16 = 14
_MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
_FOOTER, _TRAILER = 48, 5
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The key of the graph of objects, whose leaves are variables."""


class Bundle:
    """Named tensors on disk.

    Attributes:
        names: of all tensors.
    """

    def __init__(self, prefix: Path) -> None:
        """Open ``PREFIX.index``.

        Raises:
            InputError: when it is missing or damaged.
        """
        self.path = prefix.with_name(f"{prefix.name}.index")
        self._prefix, self._files = prefix, dict[int, bytes]()
        data = read_bytes(self.path)
        with limits.opening(self.path, "an index of variables"):
            self._entries = {key.decode(): message(value) for key, value in _pairs(data)}
            self._shards = self._number(self._entries.pop("", {1: [1]}), 1)
            self.names = list(self._entries)

    def array(self, name: str) -> Array:
        """A tensor of numbers.

        Raises:
            InputError: when it is missing, not of numbers, or its data are cut off.
        """
        entry = self._entries.get(name)
        kind = self._number(entry or {}, 1)
        dtype = np.dtype("<u2" if kind == _BFLOAT16 else DTYPES.get(kind, "V1"))
        if entry is None or dtype.kind == "V":
            found = "a tensor of unknown type" if entry else "no tensor"
            raise InputError(f"{self.path} has {found} {name[:80]!r}; expected numbers")
        shape = shape_of(_bytes(entry, 2))
        data = self._data(entry, name)
        if len(data) != math.prod(shape) * dtype.itemsize:
            raise InputError(f"{self.path} states a wrong size of {name[:80]!r}")
        limits.charge(4 * math.prod(shape), f"{name} in {self.path}")
        numbers = np.frombuffer(data, dtype).reshape(shape)
        if kind == _BFLOAT16:
            return (numbers.astype(np.uint32) << 16).view(np.float32)
        return numbers

    def text(self, name: str) -> bytes:
        """A tensor of one text: its length, a checksum of that, its bytes.

        Raises:
            InputError: when it is missing or damaged.
        """
        data = self._data(self._entries.get(name, {}), name)
        length, at = varint(data, 0)
        return data[at + 4 : at + 4 + length]

    def _data(self, entry: dict[int, list[object]], name: str) -> bytes:
        shard, start, size = (self._number(entry, field) for field in (3, 4, 5))
        if 7 in entry:
            raise InputError(f"{self.path} cuts {name[:80]!r} into slices; expected whole tensors")
        if shard not in self._files:
            if not 0 <= shard < self._shards < 10_000:
                raise InputError(f"{self.path} refers to part {shard} of {self._shards}")
            file = f"{self._prefix.name}.data-{shard:05}-of-{self._shards:05}"
            self._files[shard] = read_bytes(self._prefix.with_name(file))
        data = self._files[shard][start : start + size]
        if len(data) != size:
            raise InputError(f"{self.path}: the data of {name[:80]!r} are cut off")
        return data

    def _number(self, entry: dict[int, list[object]], field: int) -> int:
        value = entry.get(field, [0])[-1]
        if not isinstance(value, int):
            raise InputError(f"{self.path} is a damaged index of variables: field {field}")
        return value


def shape_of(data: bytes) -> tuple[int, ...]:
    """TensorFlow's TensorShapeProto: a list of dimensions, each with its size.

    Raises:
        Damaged: if it is not one, or has a negative size.
    """
    sizes = [message(dim).get(1, [0])[0] for dim in message(data).get(2, [])]
    if any(not isinstance(size, int) or size >= 1 << 40 for size in sizes):
        raise Damaged("a shape without numbers")
    return tuple(sizes)


def _bytes(found: dict[int, list[object]], field: int) -> bytes:
    value = found.get(field, [b""])[-1]
    if not isinstance(value, bytes):
        raise Damaged(f"field {field} is not a message")
    return value


def _pairs(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """All keys and values of a table."""
    if len(table) < _FOOTER or table[-8:] != _MAGIC:
        raise Damaged("it does not end like a table of LevelDB")
    at = len(table) - _FOOTER
    _, at = varint(table, at)  # an index of filters, which is empty
    _, at = varint(table, at)
    for _, handle in _entries_of(_block(table, table[at:])):
        yield from _entries_of(_block(table, handle))


def _block(table: bytes, handle: bytes) -> bytes:
    """The block that a handle points at, which is its position and its size."""
    start, at = varint(handle, 0)
    size, _ = varint(handle, at)
    block = table[start : start + size + _TRAILER]
    if len(block) != size + _TRAILER or size < 4:
        raise Damaged("a block beyond the end of the file")
    if block[size]:
        raise Damaged("a compressed block")
    restarts = int.from_bytes(block[size - 4 : size], "little")
    return block[: max(size - 4 * (restarts + 1), 0)]


def _entries_of(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    key, at = b"", 0
    while at < len(block):
        shared, at = varint(block, at)
        own, at = varint(block, at)
        size, at = varint(block, at)
        if shared > len(key) or at + own + size > len(block):
            raise Damaged("an entry beyond the end of its block")
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + size]
        at += own + size
