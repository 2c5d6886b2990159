"""HDF5 from strangers: this file alone decides what is read, and how much.

A file is opened from memory, so it cannot name other files. Links are not followed, external and
virtual datasets are refused, and so are arrays that claim to be far larger than the file.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array

_STEPS_PER_OBJECT = 100
_MOST_DEPTH = 64


class Hdf5:
    """An open file.

    Keras on Windows wrote backslashes into names; they are read as ``/``.

    Attributes:
        path: for messages.
        groups, datasets: by their paths, with ``/`` between names.
        members: the names directly below each place.
    """

    def __init__(self, file: Any, data: bytes, path: str) -> None:
        self.path = path
        self._data = data
        self.groups: dict[str, Any] = {"": file}
        self.datasets: dict[str, Any] = {}
        self.members: dict[str, set[str]] = {}
        self._walk(file)

    def _walk(self, root: Any) -> None:
        h5py = load_h5py()
        waiting, seen = [("", root)], {_address(root)}
        while waiting:
            prefix, group = waiting.pop()
            for name in group:
                if group.get(name, getclass=True, getlink=True) is not h5py.HardLink:
                    raise InputError(f"{self.path} has a link to elsewhere at {prefix + name!r}")
                member, place = group[name], prefix + name.replace("\\", "/")
                if isinstance(member, h5py.Dataset):
                    self.datasets[place] = member
                elif isinstance(member, h5py.Group) and _address(member) not in seen:
                    seen.add(_address(member))
                    self.groups[place] = member
                    waiting.append((f"{place}/", member))
                limits.work(_STEPS_PER_OBJECT, self.path)
                if place.count("/") > _MOST_DEPTH:
                    raise InputError(f"{self.path} nests groups too deeply")
        for place in (*self.groups, *self.datasets):
            names = place.split("/")  # a backslash may have split one
            for depth, name in enumerate(names if place else ()):
                self.members.setdefault("/".join(names[:depth]), set()).add(name)

    def array(self, place: str) -> Array:
        """Read a dataset of numbers.

        Raises:
            InputError: when it is missing, not numeric, stored elsewhere, or too large.
        """
        if (dataset := self.datasets.get(place)) is None:
            raise InputError(f"{self.path} lacks the array {place!r}, which it lists")
        size = math.prod(dataset.shape or ()) * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        if dataset.external or dataset.is_virtual:
            raise InputError(f"{self.path} keeps {place!r} in another file; expected it inside")
        if dataset.dtype.kind not in "fiub" or dataset.shape is None:
            found = f"something other than numbers at {place!r}: {dataset.dtype}"
            raise InputError(f"{self.path} holds {found}")
        # HDF5 unpacks whole chunks, and one chunk may be larger than the array.
        chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
        what = (
            f"the array {dataset.shape} at {place!r} in {self.path}, {stored:,} bytes in the file,"
        )
        limits.charge(max(size, chunk), what)
        numbers = np.asarray(dataset[()])
        if dataset.attrs.get("dtype") in ("bfloat16", b"bfloat16") and numbers.dtype.itemsize == 2:
            return (numbers.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        return numbers

    def texts(self, group: str, name: str) -> list[str] | None:
        """A list of texts among a group's attributes, or None.

        Lists too long for one attribute were cut into ``name0``, ``name1`` ...
        """
        pieces = [self._attribute(group, name)]
        if pieces[0] is None:
            pieces = []
            while (piece := self._attribute(group, f"{name}{len(pieces)}")) is not None:
                pieces.append(piece)
                limits.work(_STEPS_PER_OBJECT, self.path)
        texts = [text for piece in pieces for text in np.asarray(piece).ravel()]
        decoded = [t.decode("utf-8") if isinstance(t, bytes) else str(t) for t in texts]
        return decoded if pieces else None

    def text(self, group: str, name: str) -> str | None:
        """One text among a group's attributes, or None."""
        return next(iter(self.texts(group, name) or ()), None)

    def number(self, group: str, name: str) -> int | None:
        """One whole number among a group's attributes, or None."""
        value = self._attribute(group, name)
        return None if value is None else int(np.asarray(value).ravel()[0])

    def _attribute(self, group: str, name: str) -> Any:
        holder = self.groups[group]
        if name not in holder.attrs:
            return None
        h5py = load_h5py()
        attribute = h5py.h5a.open(holder.id, name.encode())
        count = math.prod(attribute.shape or ())
        limits.work(count, self.path)
        limits.charge(count * attribute.dtype.itemsize, f"{name} in {self.path}")
        text = h5py.check_string_dtype(attribute.dtype)
        if count > 1 and text is not None and text.length is None:
            # Texts are in a common heap, and many references may point to a huge one.
            found = re.finditer(rb"GCOL.{4}(.{8})", self._data, re.DOTALL)
            largest = max((int.from_bytes(heap[1], "little") for heap in found), default=0)
            limits.charge(count * min(largest, len(self._data)), f"{name} in {self.path}")
        return holder.attrs[name]


@contextmanager
def opened(data: bytes, path: str) -> Iterator[Hdf5]:
    """Open the bytes of an HDF5 file.

    Raises:
        InputError: when h5py is missing, or the file is damaged or does not keep to the limits.
    """
    h5py = load_h5py()
    with limits.opening(path, "an HDF5 file"), h5py.File(io.BytesIO(data), "r") as file:
        yield Hdf5(file, data, path)


def load_h5py() -> Any:
    """The package, imported on first use.

    Raises:
        InputError: when it is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise InputError("reading and writing Keras files needs h5py: pip install h5py") from None
    return h5py


def _address(thing: Any) -> Any:
    info = load_h5py().h5o.get_info(thing.id)
    return info.fileno, info.addr
