"""The ``.keras`` file: a zip with a configuration, the weights in HDF5, and the version."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from os import PathLike

from tinymnist.errors import InputError
from tinymnist.interop.keras.hdf5 import MOST_BYTES

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_MOST_TEXT = 1 << 24
_MOST_ENTRIES = 10_000


@dataclass(frozen=True)
class Archive:
    """What such a file holds, still to be understood.

    Attributes:
        config, metadata: JSON.
        weights: the bytes of an HDF5 file.
    """

    config: str
    metadata: str
    weights: bytes


def read_archive(path: str | PathLike[str]) -> Archive:
    """Take the three parts out of a ``.keras`` file, into memory.

    Raises:
        InputError: when the zip is damaged, a part is missing, or one is absurdly large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if len(archive.infolist()) > _MOST_ENTRIES:
                raise InputError(f"{path} is a zip of more files than any model has")
            names = {name.replace("\\", "/"): name for name in archive.namelist()}
            if WEIGHTS not in names and any(name.endswith(".weights.json") for name in names):
                raise InputError(
                    f"{path} holds its weights in several pieces; expected one: save it anew "
                    "with `model.save(PATH)` in Keras"
                )
            if missing := [part for part in (CONFIG, WEIGHTS) if part not in names]:
                raise InputError(f"{path} is a zip without {missing[0]}, so no Keras model")
            config = _member(archive, names[CONFIG], _MOST_TEXT, path)
            metadata = b"{}"
            if METADATA in names:
                metadata = _member(archive, names[METADATA], _MOST_TEXT, path)
            weights = _member(archive, names[WEIGHTS], MOST_BYTES, path)
            return Archive(config.decode(), metadata.decode(), weights)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} has a configuration that is no text") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path} is a damaged .keras file: {error}") from None


def _member(archive: zipfile.ZipFile, name: str, most: int, path: str | PathLike[str]) -> bytes:
    """Read one file of the zip, trusting no size that the zip states."""
    with archive.open(name) as member:
        data = member.read(most + 1)
    if len(data) > most:
        raise InputError(f"{path} unpacks {name} to more than {most:,} bytes")
    return data
