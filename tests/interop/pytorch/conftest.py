"""Files as PyTorch writes them, put together byte by byte, so that no test needs PyTorch."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

STORAGES = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage",
            "u2": "BFloat16Storage"}  # fmt: skip


@dataclass
class Raw:
    """Opcodes to be put in as they are."""

    code: bytes


def name(module: Any, attribute: Any) -> Any:
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def text(value: Any) -> Any:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def whole(value: Any) -> Any:
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x10" + value.to_bytes(16, "little", signed=True)


class Writer:
    """Pickles containers and arrays; every array becomes a tensor on a storage of its own."""

    def __init__(self, legacy: bool = False) -> None:
        self.legacy = legacy
        self.storages: dict[str, Any] = {}

    def dump(self, value: Any) -> Any:
        return b"\x80\x02" + self.code(value) + b"."

    def code(self, value: Any) -> Any:
        match value:
            case Raw(code):
                return code
            case None:
                return b"N"
            case bool():
                return b"\x88" if value else b"\x89"
            case int():
                return whole(value)
            case float():
                return b"G" + struct.pack(">d", value)
            case str():
                return text(value)
            case tuple():
                return b"(" + b"".join(map(self.code, value)) + b"t"
            case list():
                return b"](" + b"".join(map(self.code, value)) + b"e"
            case dict():
                pairs = b"".join(self.code(k) + self.code(v) for k, v in value.items())
                return b"}(" + pairs + b"u"
            case np.ndarray():
                return self.tensor(value)
        raise TypeError(type(value))

    def tensor(
        self, array: Any, offset: Any = 0, shape: Any = None, strides: Any = None, count: Any = None
    ) -> Any:
        key = str(len(self.storages))
        flat = np.ascontiguousarray(array).ravel()
        self.storages[key] = flat
        shape = array.shape if shape is None else shape
        if strides is None:
            strides = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
        kind = Raw(name("torch", STORAGES[array.dtype.str[1:]]))
        count = flat.size if count is None else count
        identity = ("storage", kind, key, "cpu", count, *((None,) if self.legacy else ()))
        storage = Raw(self.code(identity) + b"Q")
        arguments: Any = (storage, offset, tuple(shape), strides, False, {})
        return name("torch._utils", "_rebuild_tensor_v2") + self.code(arguments) + b"R"


def zip_of(
    pickle: Any, storages: Any, extra: Any = (), compression: Any = zipfile.ZIP_STORED
) -> Any:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickle)
        archive.writestr("archive/version", "3\n")
        for key, array in storages.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
        for entry, data in extra:
            archive.writestr(entry, data)
    return buffer.getvalue()


@pytest.fixture
def zipped() -> Any:
    """``zipped(value, extra=(), compression=...)``: the bytes of a file of today's PyTorch."""

    def make(value: Any, **settings: Any) -> Any:
        writer = Writer()
        return zip_of(writer.dump(value), writer.storages, **settings)

    return make


@pytest.fixture
def pickled() -> Any:
    """``pickled(state)``: the same arrays as people pickle them without PyTorch."""

    def make(state: Any) -> Any:
        names = ("W1", "b1", "W2", "b2")
        arrays = {name: array.T for name, array in zip(names, state.values(), strict=False)}
        return pickle.dumps(arrays, protocol=2)

    return make


@pytest.fixture
def legacy() -> Any:
    """``legacy(value)``: the bytes of a file of before 1.6."""

    def make(value: Any) -> Any:
        writer = Writer(legacy=True)
        magic = b"\x80\x02\x8a\x0a" + bytes.fromhex("6cfc9c46f9206aa85019") + b"."
        system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
        body = [magic, writer.dump(1001), writer.dump(system), writer.dump(value)]
        body.append(writer.dump(list(writer.storages)))
        for array in writer.storages.values():
            body.append(struct.pack("<q", array.size) + array.tobytes())
        return b"".join(body)

    return make


@pytest.fixture
def opcodes() -> Any:
    """The raw pieces: ``Raw``, ``Writer``, ``name`` and ``zip_of``."""
    return {"Raw": Raw, "Writer": Writer, "name": name, "zip_of": zip_of}


@pytest.fixture
def mlp() -> Any:
    """A state_dict 784 -> 16 -> 10."""
    rng = np.random.default_rng(0)
    shapes = {"fc1.weight": (16, 784), "fc1.bias": (16,), "fc2.weight": (10, 16), "fc2.bias": (10,)}
    return {k: (rng.normal(size=shape) / 8).astype("f4") for k, shape in shapes.items()}
