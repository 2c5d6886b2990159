"""The file of a PyTorch model: a zip archive, or pickles followed by numbers; and its state_dict.

``torch.save`` has written zip archives since 1.6 (``data.pkl`` and one entry per storage); before,
it wrote five pickles and then the storages. TorchScript writes similar archives that hold code too.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from tinymnist.errors import InputError
from tinymnist.interop.pytorch.machine import Instance, Machine, Refused
from tinymnist.interop.pytorch.tensors import KNOWN, Storage, Tensor, storage_of
from tinymnist.nn.arrays import Array

MOST_BYTES = 1 << 30
"""Upper limit of a file, and of what it unpacks to; larger files are rejected."""
_MOST_PICKLE_BYTES = 1 << 24
_LEGACY_PROTOCOL = 1001
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError,
           ValueError, struct.error, OSError)  # fmt: skip


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
    try:
        if (size := Path(path).stat().st_size) > MOST_BYTES:
            raise Refused(f"it has {size:,} bytes; expected at most {MOST_BYTES:,}")
        with open(path, "rb") as file:
            zipped = file.read(2) == b"PK"
            file.seek(0)
            contents = _load_zip(file, size) if zipped else _load_legacy(file.read())
        tensors = _named_tensors(contents.root, contents.machine)
        return {name: contents.array(t) for name, t in tensors.items()}, contents.version
    except Refused as error:
        raise InputError(f"{path} cannot be read as a PyTorch file: {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except _DAMAGE as error:
        raise InputError(f"{path} is a damaged PyTorch file: {str(error)[:120]}") from None


def _load_zip(file: Any, size: int) -> _Contents:
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        total = sum(entry.file_size for entry in entries.values())
        if total > max(4 * size, 1 << 26) or total > MOST_BYTES:
            raise Refused(f"it has {size:,} bytes and unpacks to {total:,}")
        name = next((n for n in entries if n.rpartition("/")[2] == "data.pkl"), None)
        if name is None:
            raise Refused("it is an archive without data.pkl")
        folder = name.removesuffix("data.pkl")
        if (length := entries[name].file_size) > _MOST_PICKLE_BYTES:
            expected = f"expected at most {_MOST_PICKLE_BYTES:,}"
            raise Refused(f"its pickle has {length:,} bytes; {expected}")
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
        raise Refused(f"it has protocol {str(protocol)[:20]}; expected {_LEGACY_PROTOCOL}")
    system = machine.run(file)
    root = machine.run(file)
    keys = machine.run(file)
    little = isinstance(system, dict) and system.get("little_endian", True)
    order: Literal["<", ">"] = "<" if little else ">"
    if not isinstance(keys, list) or not {str(key) for key in keys} >= wanted.keys():
        raise Refused("it does not list all its storages")
    storages = {}
    for key in map(str, keys):
        if (storage := wanted.get(key)) is None:
            raise Refused(f"it holds a storage {key[:20]} that no tensor uses")
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
