"""A manifest and arrays in one .npz: written the same bytes for the same content, read in one go.

It is a zip archive, which ``numpy.load`` opens as well. It is read without ``zipfile``, whose
import takes longer than the reading: a directory at the end of the file says where each entry lies,
packed by deflate or not at all (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT).
Reading never unpickles, and charges every stated size to :mod:`tinymnist.limits` before unpacking.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from collections.abc import Collection, Mapping
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.files import read_bytes, regular_size, whole_file
from tinymnist.nn.arrays import Array

MANIFEST = "manifest.json"
_TIME = (1980, 1, 1, 0, 0, 0)
_END = struct.Struct("<4x4x2xH4xL")  # of the archive: number of entries, start of the directory
_ENTRY = struct.Struct("<4s6xH4x3L3H8xL")  # in it: mark, method, CRC, sizes, lengths, start
_LOCAL = struct.Struct("<26x2H")  # before an entry's data: lengths of its name and of an extra
_STORED, _DEFLATED = 0, 8
_DESCRIPTIONS = {"float32": "<f4", "float64": "<f8"}


def write_archive(
    path: str | PathLike[str], manifest: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Write the file completely or not at all: to a temporary neighbour, then renamed.

    ``numpy.savez`` stamps every entry with the time of day; here the stamps are fixed.

    Raises:
        InputError: if the file cannot be written.
    """
    import zipfile

    entries = {MANIFEST: json.dumps(manifest, indent=1).encode()}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
        entries[f"{name}.npy"] = buffer.getvalue()
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in entries.items():
                archive.writestr(zipfile.ZipInfo(name, _TIME), data, zipfile.ZIP_DEFLATED)
        file.flush()
        os.fsync(file.fileno())


def read_archive(
    path: str | PathLike[str], prefix: str = ""
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read what :func:`write_archive` wrote.

    Args:
        path: the file.
        prefix: which arrays to read: those whose names begin so.

    Raises:
        InputError: if the file is missing, not such an archive, damaged, or too large.
    """
    with limits.opening(path, "a weights file of tinymnist"):
        data = read_bytes(path)
        entries = _directory(data)
        limits.work(10 * len(entries), str(path))
        limits.charge(sum(entry.size for entry in entries.values()), f"the content of {path}")
        if MANIFEST in entries:
            limits.check_text(entries[MANIFEST].size, f"{MANIFEST} in {path}")
        return _read(data, entries, prefix, path)


def read_trusted(path: str, prefix: str = "") -> tuple[dict[str, Any], dict[str, Array]]:
    """:func:`read_archive` for files that come with the package: quicker, without guard and limits.

    Any exception may be raised.
    """
    with open(path, "rb") as file:
        data = file.read()
    return _read(data, _directory(data), prefix, path)


def _read(
    data: bytes, entries: Mapping[str, _Entry], prefix: str, path: Any
) -> tuple[dict[str, Any], dict[str, Array]]:
    if MANIFEST not in entries:
        raise InputError(
            f"{path} is an archive without {MANIFEST}; expected a file that tinymnist saved"
        )
    wanted = {n: entry for n, entry in entries.items() if n == MANIFEST or n.startswith(prefix)}
    contents = _unpack(data, wanted)
    manifest = json.loads(contents.pop(MANIFEST))
    if not isinstance(manifest, dict):
        raise InputError(f"{path} has a {MANIFEST} that is not an object")
    return manifest, _arrays(contents, manifest.get("arrays"), path)


def read_npz(
    path: str | PathLike[str], names: Collection[str] | None = None
) -> dict[str, NDArray[Any]]:
    """Read an .npz that anybody wrote; objects, which would have to be unpickled, are refused.

    Args:
        path: the file.
        names: which of its arrays to read, if they are there; None for all.

    Raises:
        InputError: if the file is missing, not such an archive, damaged, or too large.
    """
    import zipfile

    with limits.opening(path, "an .npz of arrays"):
        size = regular_size(path)
        limits.enter(path, size)
        with zipfile.ZipFile(path) as archive:
            entries = {e.filename.removesuffix(".npy"): e for e in archive.infolist()}
            limits.work(10 * len(entries), str(path))
            arrays = {}
            for name in entries if names is None else entries.keys() & names:
                limits.charge(entries[name].file_size, f"{name} in {path}")
                with archive.open(entries[name]) as file:
                    arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
        return arrays


class _Damaged(ValueError):
    """The bytes are not those of an archive that can be read."""


class _Entry(NamedTuple):
    method: int
    crc: int
    packed: int
    size: int
    start: int


def _directory(data: bytes) -> dict[str, _Entry]:
    """Where each entry lies, by its name, in the order of the directory."""
    if (end := data.rfind(b"PK\5\6")) < 0:
        raise _Damaged("it has no directory")
    count, place = _END.unpack_from(data, end)
    entries = {}
    for _ in range(count):
        mark, method, crc, packed, size, *lengths, start = _ENTRY.unpack_from(data, place)
        if mark != b"PK\1\2":
            raise _Damaged("its directory is cut off")
        place += _ENTRY.size
        name = data[place : place + lengths[0]].decode("utf-8", "replace")
        entries[name] = _Entry(method, crc, packed, size, start)
        place += sum(lengths)
    return entries


def _unpack(data: bytes, entries: Mapping[str, _Entry]) -> dict[str, bytes]:
    """The content of each entry, of the size and with the checksum that the directory states."""
    contents = {}
    for name, (method, crc, packed, size, place) in entries.items():
        start = place + _LOCAL.size + sum(_LOCAL.unpack_from(data, place))
        content = data[start : start + packed]
        if method == _DEFLATED:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, size + 1)
        elif method != _STORED:
            raise _Damaged(f"{name} is packed by method {method}; expected deflate")
        if len(content) != size or zlib.crc32(content) != crc:
            raise _Damaged(f"{name} has another size or checksum than the directory states")
        contents[name] = content
    return contents


def _arrays(contents: Mapping[str, bytes], listed: Any, path: Any) -> dict[str, Array]:
    """Arrays from .npy files, at once if their headers are those of what the manifest lists."""
    arrays = {}
    for file, content in contents.items():
        name = file.removesuffix(".npy")
        try:
            dtype, shape = listed[name]
            described = f"'descr': '{_DESCRIPTIONS[dtype]}', 'fortran_order': False, 'shape': "
            start = 10 + int.from_bytes(content[8:10], "little")
            expected = f"{{{described}{tuple(shape)}, }}".encode()
            if content[:8] == b"\x93NUMPY\1\0" and content[10:start].rstrip() == expected:
                arrays[name] = np.frombuffer(content, dtype, offset=start).reshape(shape).copy()
                continue
        except (KeyError, TypeError, ValueError):
            pass  # NumPy says what is wrong
        with limits.opening(f"{name} in {path}", "an array"):
            arrays[name] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return arrays
