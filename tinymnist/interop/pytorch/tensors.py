"""Tensors and storages as a PyTorch pickle describes them, before any number is read.

A tensor is a window (offset, size, stride) onto a storage, and a storage is a number of values
under a key, as ``torch._utils`` and ``torch.serialization`` write them. Everything here is checked
before memory is spent on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from tinymnist import limits
from tinymnist.interop.pytorch.machine import Known, Name, Refused, brief
from tinymnist.nn.arrays import Array

DTYPES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": "bf16",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip
"""PyTorch's classes of storages as NumPy's type codes; NumPy lacks bfloat16."""
MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class Storage:
    """A run of ``count`` values of one kind, kept in the file under ``key``."""

    key: str
    dtype: str
    count: int

    @property
    def nbytes(self) -> int:
        """Its size in the file."""
        return self.count * (2 if self.dtype == "bf16" else np.dtype(self.dtype).itemsize)


@dataclass(frozen=True)
class Tensor:
    """A window onto a storage: offset and strides count values, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, data: bytes, order: Literal["<", ">"] = "<") -> Array:
        """The array, given the bytes of the storage; a view of them unless values change."""
        dtype = "u2" if self.storage.dtype == "bf16" else self.storage.dtype
        flat = np.frombuffer(data, np.dtype(dtype).newbyteorder(order), self.storage.count)
        bytes_apart = [stride * flat.itemsize for stride in self.strides]
        if 0 in self.shape:
            return np.zeros(self.shape, np.float32 if self.storage.dtype == "bf16" else flat.dtype)
        found = np.lib.stride_tricks.as_strided(
            flat[self.offset :], self.shape, bytes_apart, writeable=False
        )
        if self.storage.dtype == "bf16":  # the upper half of a float32
            return (found.astype(np.uint32) << 16).view(np.float32)
        return found


def storage_of(identity: Any) -> Storage | Known | Name:
    """Make a storage of a persistent id, or the class of a ``("module", class, ...)``.

    Raises:
        Refused: when it is not what PyTorch writes.
    """
    match identity:
        case ("module", Known() | Name() as kind, *_):
            return kind
        case ("storage", Known(make=make), str() | int() as key, str(), int() as count, *rest):
            dtype = make()
            if not isinstance(dtype, str) or not 0 <= count < 1 << 40:
                raise Refused(f"it has a storage of {count} values of {brief(dtype)}")
            if rest and rest[0] is not None:
                raise Refused("it has a storage that is a view of another one")
            return Storage(str(key), dtype, count)
        case ("storage", Name() as kind, *_) if "Q" in kind.name:
            raise Refused(f"it holds quantised numbers ({kind}); expected floating-point weights")
    raise Refused(f"it refers to something other than a storage: {brief(identity)}")


def _rebuild(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """``torch._utils._rebuild_tensor``, with the checks that it leaves to the storage."""
    if not isinstance(storage, Storage):
        raise Refused("it has a tensor without a storage")
    numbers = (offset, *size, *stride)
    if not all(type(n) is int and 0 <= n < 1 << 40 for n in numbers) or len(size) != len(stride):
        raise Refused(f"it has a tensor of size {brief(size)} and stride {brief(stride)}")
    if len(size) > MOST_DIMENSIONS or math.prod(max(n, 1) for n in size) > 1 << 40:
        raise Refused(f"it has a tensor of size {brief(size)}")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 not in size and (last >= storage.count or math.prod(size) > storage.count):
        raise Refused(f"it has a tensor of size {size} on a storage of {storage.count} values")
    return Tensor(storage, offset, tuple(size), tuple(stride))


def _first(value: Any, *_: Any) -> Any:
    """A parameter is its tensor; a tagged list is the list."""
    return value


def _rebuild_subclass(function: Any, _: Any, arguments: Any, *__: Any) -> Any:
    if not isinstance(function, Known):
        raise Refused(f"it calls {brief(function)}")
    return function.make(*arguments)


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
    pairs = list(pairs.items()) if isinstance(pairs, dict) else pairs
    limits.work(len(pairs))  # a pickle can copy one list many times
    if any(not isinstance(key, (str, int, float)) for key, _ in pairs):
        raise Refused("it has a dict with keys that are neither names nor numbers")
    return dict(pairs)


def _sequence(items: Any = (), *_: Any) -> Any:
    """Sets and sizes stay lists, so that nothing from the file is hashed."""
    limits.work(len(items))
    return list(items)


def _refuse(kind: str, expected: str, *_: Any) -> Any:
    raise Refused(f"it holds {kind} tensors; expected {expected}")


def _nothing(*_: Any) -> None:
    """A device or a number of NumPy's, which weights do not need."""


KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    **{("collections", name): _ordered for name in ("OrderedDict", "Counter")},
    **{("torch._utils", f"_rebuild_tensor{version}"): _rebuild for version in ("", "_v2")},
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch._utils", "_rebuild_parameter_with_state"): _first,
    ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_subclass,
    ("torch._utils", "_rebuild_qtensor"): partial(_refuse, "quantised", "floating-point weights"),
    ("torch._utils", "_rebuild_sparse_tensor"): partial(_refuse, "sparse", "dense ones"),
    ("torch._utils", "_rebuild_sparse_csr_tensor"): partial(_refuse, "sparse", "dense ones"),
    ("torch", "Size"): _sequence,
    ("torch", "device"): _nothing,
    ("torch.nn.parameter", "Parameter"): _first,
    **dict.fromkeys((("__builtin__", "set"), ("builtins", "set")), _sequence),
    **{("torch.jit._pickle", f"build_{kind}list"): _sequence
       for kind in ("int", "bool", "double", "tensor")},
    ("torch.jit._pickle", "restore_type_tag"): _first,
    **{("numpy" + core, "scalar"): _nothing for core in (".core.multiarray", "._core.multiarray")},
    **dict.fromkeys((("numpy", "dtype"), ("_codecs", "encode")), _nothing),
    **{("torch", name): partial(_first, dtype) for name, dtype in DTYPES.items()},
    **{("torch", name): _nothing
       for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8",
                    "uint8", "bool", "strided", "contiguous_format", "preserve_format")},
}  # fmt: skip
"""All that a PyTorch file may call, and the function of this file that runs instead."""
