"""Named arrays and a JSON manifest in one .npz file, the same bytes for the same content.

``numpy.savez`` stamps every entry with the time of day, so equal models give unequal files. Here
the stamps are fixed. Reading never unpickles, and checks every stated size before unpacking.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.files import whole_file
from tinymnist.nn.arrays import Array

MANIFEST = "manifest.json"
_TIME = (1980, 1, 1, 0, 0, 0)
MAX_UNPACKED_BYTES = 1 << 30
"""Upper limit, far above any digit reader and far below a machine's memory."""
MAX_MANIFEST_BYTES = 1 << 24


def write_archive(
    path: str | os.PathLike[str], manifest: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Write the file completely or not at all: to a temporary neighbour, then renamed.

    Raises:
        InputError: if the file cannot be written.
    """
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


def read_archive(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read what :func:`write_archive` wrote.

    Raises:
        InputError: if the file is missing, not such an archive, damaged, or too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_entries(archive, str(path))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            f"{path} is not a weights file of tinymnist, or is damaged: {error}"
        ) from None


def _read_entries(archive: zipfile.ZipFile, path: str) -> tuple[dict[str, Any], dict[str, Array]]:
    names = archive.namelist()
    if MANIFEST not in names:
        raise InputError(
            f"{path} is an archive without {MANIFEST}, so not a weights file of tinymnist; "
            "expected a file that tinymnist saved"
        )
    if (size := sum([entry.file_size for entry in archive.infolist()])) > MAX_UNPACKED_BYTES:
        raise InputError(
            f"{path} unpacks to {size:,} bytes; expected at most {MAX_UNPACKED_BYTES:,}"
        )
    if (size := archive.getinfo(MANIFEST).file_size) > MAX_MANIFEST_BYTES:
        raise InputError(
            f"{path} has a {MANIFEST} that unpacks to {size:,} bytes; expected at most "
            f"{MAX_MANIFEST_BYTES:,}"
        )
    try:
        manifest = json.loads(archive.read(MANIFEST))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} has a damaged {MANIFEST}: {error}") from None
    if not isinstance(manifest, dict):
        raise InputError(f"{path} has a {MANIFEST} that is not an object")
    arrays: dict[str, Array] = {}
    for name in names:
        if name == MANIFEST:
            continue
        data = io.BytesIO(archive.read(name))
        try:
            array = np.lib.format.read_array(data, allow_pickle=False)
        except (ValueError, EOFError, MemoryError) as error:
            raise InputError(f"{path} has a damaged array {name}: {error}") from None
        arrays[name.removesuffix(".npy")] = array
    return manifest, arrays
