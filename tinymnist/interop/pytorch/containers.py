"""The file of a PyTorch model: a zip archive, or pickles followed by numbers; and its state_dict.

``torch.save`` has written zip archives since 1.6 (``data.pkl`` and one entry per storage); before,
it wrote five pickles and then the storages. TorchScript writes similar archives that hold code too.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal

from tinymnist import limits
from tinymnist.files import read_bytes
from tinymnist.interop.pytorch.machine import Instance, Machine, Refused, brief
from tinymnist.interop.pytorch.pickled import read_pickle
from tinymnist.interop.pytorch.tensors import KNOWN, Storage, Tensor, storage_of
from tinymnist.nn.arrays import Array

_LEGACY_PROTOCOL = 1001


PREFERRED = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module")
"""Keys under which checkpoints keep the weights, most specific first."""
_NEVER = ("optim", "sched", "scaler")
_MOST_NESTING = 16
_ADVICE = (
    "expected tensors and containers alone. If you trust the file, save the weights in PyTorch: "
    "torch.save(model.state_dict(), 'weights.pt')"
)


@dataclass(frozen=True)
class _Contents:
    """The value of a pickle, the machine that ran it, and the bytes of the storages by key."""

    root: Any
    machine: Machine
    storages: dict[str, bytes]
    order: Literal["<", ">"]
    version: str

    def array(self, tensor: Tensor) -> Array:
        """The numbers of a tensor."""
        data = self.storages.get(tensor.storage.key, b"")
        _check_size(tensor.storage, len(data))
        limits.charge(4 * math.prod(tensor.shape), "a tensor")
        return tensor.of(data, self.order)


def _check_size(storage: Storage, size: int) -> None:
    if size != storage.nbytes:
        raise Refused(
            f"storage {storage.key[:20]} should have {storage.nbytes:,} bytes; found {size:,}"
        )


def read_tensors(path: str | PathLike[str]) -> tuple[dict[str, Array], str]:
    """The tensors of a file by their names in the state_dict, and the version of its format.

    The file may be of any age; it is read without PyTorch, running no code of it.

    Raises:
        InputError: when it is damaged, too large, has no state_dict or several, or holds anything
            but containers, tensors and plain modules; the message names it.
    """
    with limits.opening(path, "a PyTorch file"):
        data = read_bytes(path)
        if data[:1] == b"\x80" and data[2:3] != b"\x8a":  # the legacy form begins with a number
            return read_pickle(data), "pickle of arrays"
        contents = _load_zip(data) if data[:2] == b"PK" else _load_legacy(data)
        tensors = _named_tensors(contents.root, contents.machine)
        version = f"PyTorch state_dict ({contents.version})"
        return {name: contents.array(t) for name, t in tensors.items()}, version


def _load_zip(data: bytes) -> _Contents:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        limits.work(10 * len(entries))
        limits.charge(sum(entry.file_size for entry in entries.values()), "its content")
        name = next((n for n in entries if n.rpartition("/")[2] == "data.pkl"), None)
        if name is None:
            raise Refused("it is an archive without data.pkl")
        folder = name.removesuffix("data.pkl")
        limits.check_text(entries[name].file_size, "its pickle")
        machine, wanted = _machine()
        root = machine.run(io.BytesIO(archive.read(name)))
        small = {part: archive.read(folder + part)[:20].decode("ascii", "replace").strip()
                 for part in ("byteorder", "version") if folder + part in entries}  # fmt: skip
        storages = {}
        for key, storage in wanted.items():
            if (entry := f"{folder}data/{key}") not in entries:
                raise Refused(f"it lacks the storage {key[:20]}")
            _check_size(storage, entries[entry].file_size)
            storages[key] = archive.read(entry)
    order: Literal["<", ">"] = ">" if small.get("byteorder") == "big" else "<"
    return _Contents(root, machine, storages, order, f"format {small.get('version', '?')}")


def _machine() -> tuple[Machine, dict[str, Storage]]:
    """A machine, and a dict that its pickle fills with the storages that it refers to."""
    wanted: dict[str, Storage] = {}

    def persistent(identity: Any) -> Any:
        storage = storage_of(identity)
        if not isinstance(storage, Storage):
            return storage
        if wanted.setdefault(storage.key, storage) != storage:
            raise Refused(f"it gives the storage {storage.key[:20]} two sizes")
        return storage

    return Machine(KNOWN, persistent), wanted


def _load_legacy(data: bytes) -> _Contents:
    file = io.BytesIO(data)
    machine, wanted = _machine()
    machine.run(file)  # the magic number
    if (protocol := machine.run(file)) != _LEGACY_PROTOCOL:
        raise Refused(f"it has protocol {brief(protocol)}; expected {_LEGACY_PROTOCOL}")
    system = machine.run(file)
    root = machine.run(file)
    keys = machine.run(file)
    little = isinstance(system, dict) and system.get("little_endian", True)
    order: Literal["<", ">"] = "<" if little else ">"
    if (
        not isinstance(keys, list)
        or not {key for key in keys if isinstance(key, str)} >= wanted.keys()
    ):
        raise Refused("it does not list all its storages")
    storages = {}
    for key in keys:
        if (storage := wanted.get(key)) is None:
            raise Refused(f"it holds a storage {brief(key)} that no tensor uses")
        (count,) = struct.unpack(f"{order}q", file.read(8))
        if count != storage.count:
            raise Refused(f"its storage {key[:20]} holds {count} values of {storage.count}")
        storages[key] = file.read(storage.nbytes)
        if len(storages[key]) < storage.nbytes:
            raise Refused("it is cut off among its numbers")
    return _Contents(root, machine, storages, order, "format of before 1.6")


def _named_tensors(root: Any, machine: Machine) -> dict[str, Tensor]:
    """The tensors of the model, by their names in the state_dict and in its order."""
    _refuse_strangers(machine)
    if not isinstance(root, (dict, Instance)):
        raise Refused(f"it holds a {type(root).__name__}; expected a state_dict")
    if isinstance(root, Instance) or _is_state(root):
        return dict(_walk(root))
    found = {key: dict(_walk(value)) for key, value in root.items()
             if isinstance(value, (dict, Instance))
             and not any(word in str(key).lower() for word in _NEVER)}  # fmt: skip
    found = {key: tensors for key, tensors in found.items() if tensors}
    chosen = next((key for key in PREFERRED if key in found), None)
    if chosen is None and len(found) == 1:
        chosen = next(iter(found))
    if chosen is None:
        several = f"several sets of tensors: {list(found)[:8]}"
        raise Refused(f"it holds {several if found else 'no tensors'}; expected one state_dict")
    return found[chosen]


def _is_state(root: dict[Any, Any]) -> bool:
    """Whether a dict is a state_dict itself: it has tensors, and not only numbers beside a dict.

    Checkpoints keep the epoch and the loss as tensors without axes.
    """
    tensors = [value for value in root.values() if isinstance(value, Tensor)]
    beside = any(isinstance(value, (dict, Instance)) for value in root.values())
    return bool(tensors) and (not beside or any(tensor.shape for tensor in tensors))


def _refuse_strangers(machine: Machine) -> None:
    """Refuse anything but modules and their tensors by name, even if it did nothing."""
    for instance in machine.instances:
        state = instance.state if isinstance(instance.state, dict) else {}
        scripted = instance.kind.module.split(".")[0] == "__torch__"
        if not scripted and not {"_parameters", "_modules"} <= set(state):
            raise Refused(f"it holds an object of {instance.kind}; {_ADVICE}")
    modules = {instance.kind for instance in machine.instances}
    for name in machine.strangers:
        if name not in modules and name.module.split(".")[0] != "torch":
            raise Refused(f"it names {name}; {_ADVICE}")


def _walk(value: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """All tensors, at any depth, by their dotted names."""
    if depth > _MOST_NESTING:
        raise Refused("its tensors are nested too deeply")
    for key, item in _items(value):
        limits.work(1)  # a dict may hold another one many times
        if isinstance(item, Tensor):
            yield f"{prefix}{key}", item
        elif isinstance(item, (dict, Instance)):
            yield from _walk(item, f"{prefix}{key}.", depth + 1)


def _items(value: dict[Any, Any] | Instance) -> Iterator[tuple[Any, Any]]:
    """The entries of a dict, or of a module: its parameters, its buffers, then its submodules."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(state := value.state, dict):
        parts = ("_parameters", "_buffers", "_modules")
        for inner in map(state.get, parts) if "_modules" in state else [state]:
            if isinstance(inner, dict):
                yield from inner.items()
