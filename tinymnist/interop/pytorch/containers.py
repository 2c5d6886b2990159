"""The two containers of a PyTorch file: a zip archive, or pickles followed by numbers.

``torch.save`` has written zip archives since 1.6 (``data.pkl`` and one entry per storage); before,
it wrote five pickles and then the storages. TorchScript writes similar archives that hold code too.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from tinymnist.errors import InputError
from tinymnist.interop.pytorch.machine import Machine, Refused
from tinymnist.interop.pytorch.tensors import KNOWN, Storage, Tensor, storage_of
from tinymnist.nn.arrays import Array

MOST_BYTES = 1 << 30
"""Upper limit of a file, and of what it unpacks to; larger files are rejected."""
_MOST_PICKLE_BYTES = 1 << 24
_LEGACY_PROTOCOL = 1001
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError,
           ValueError, struct.error, OSError)  # fmt: skip


@dataclass(frozen=True)
class Contents:
    """The value of a file's pickle, and the bytes of the storages that it refers to.

    Attributes:
        root: dicts, lists, instances and :class:`Tensor` windows.
        machine: the machine that ran the pickle, with the names that it did not know.
        storages: bytes by key.
        order: "<" or ">", the byte order of the numbers.
        version: of the format.
    """

    root: Any
    machine: Machine
    storages: dict[str, bytes]
    order: Literal["<", ">"]
    version: str

    def array(self, tensor: Tensor) -> Array:
        """The numbers of a tensor.

        Raises:
            Refused: when some are missing from the file.
        """
        data = self.storages.get(tensor.storage.key, b"")
        _check_size(tensor.storage, len(data))
        return tensor.of(data, self.order)


def _check_size(storage: Storage, size: int) -> None:
    if size != storage.nbytes:
        raise Refused(
            f"storage {storage.key[:20]} should have {storage.nbytes:,} bytes; found {size:,}"
        )


def load(path: str | PathLike[str]) -> Contents:
    """Read a PyTorch file of any age without PyTorch, running no code of it.

    Raises:
        InputError: when it is damaged, too large, or holds anything but containers, tensors and
            plain modules; the message names it.
    """
    try:
        if (size := Path(path).stat().st_size) > MOST_BYTES:
            raise Refused(f"it has {size:,} bytes; expected at most {MOST_BYTES:,}")
        with open(path, "rb") as file:
            zipped = file.read(2) == b"PK"
            file.seek(0)
            return _load_zip(file, size) if zipped else _load_legacy(file.read())
    except Refused as error:
        raise InputError(f"{path} cannot be read as a PyTorch file: {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except _DAMAGE as error:
        raise InputError(f"{path} is a damaged PyTorch file: {str(error)[:120]}") from None


def _load_zip(file: Any, size: int) -> Contents:
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        total = sum(entry.file_size for entry in entries.values())
        if total > max(4 * size, 1 << 26) or total > MOST_BYTES:
            raise Refused(f"it has {size:,} bytes and unpacks to {total:,}")
        name = next((n for n in entries if n.rpartition("/")[2] == "data.pkl"), None)
        if name is None:
            raise Refused("it is an archive without data.pkl")
        folder = name.removesuffix("data.pkl")
        if entries[name].file_size > _MOST_PICKLE_BYTES:
            raise Refused(
                f"its pickle has {entries[name].file_size:,} bytes; expected at most "
                f"{_MOST_PICKLE_BYTES:,}"
            )
        machine, wanted = _machine()
        root = machine.run(io.BytesIO(archive.read(name)))
        small = {part: archive.read(folder + part)[:20].decode("ascii", "replace").strip()
                 for part in ("byteorder", "version") if folder + part in entries}  # fmt: skip
        storages = {key: _entry(archive, entries, folder + "data/" + key, storage)
                    for key, storage in wanted.items()}  # fmt: skip
    order: Literal["<", ">"] = ">" if small.get("byteorder") == "big" else "<"
    return Contents(root, machine, storages, order, f"format {small.get('version', '?')}")


def _entry(
    archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], name: str, storage: Storage
) -> bytes:
    if name not in entries:
        raise Refused(f"it lacks the storage {storage.key[:20]}")
    _check_size(storage, entries[name].file_size)
    return archive.read(name)


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


def _load_legacy(data: bytes) -> Contents:
    file = io.BytesIO(data)
    machine, wanted = _machine()
    machine.run(file)  # the magic number
    if (protocol := machine.run(file)) != _LEGACY_PROTOCOL:
        raise Refused(f"it has protocol {str(protocol)[:20]}; expected {_LEGACY_PROTOCOL}")
    system = machine.run(file)
    root = machine.run(file)
    keys = machine.run(file)
    order: Literal["<", ">"] = (
        "<" if isinstance(system, dict) and system.get("little_endian", True) else ">"
    )
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
    return Contents(root, machine, storages, order, "format of before 1.6")
