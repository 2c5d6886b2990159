"""Outputs captured elsewhere: an .npz file with one array for each layer.

Whoever runs a model anywhere can write such a file::

    outputs = {"input": x, "conv1": ..., "relu1": ..., "fc": ...}
    np.savez("captured.npz", **outputs)

- The arrays stand in the order of execution, each named after its layer; the last one is the
  model's own output. How much was captured is up to you: the more, the more exactly the first
  layer that parts is known.
- ``input`` is what the model was given; the other model is run on it. It can be left out if the
  comparison is told ``--inputs``.
- Every array is (n, ...), with the same n examples. Pictures are (n, h, w, c) or (n, c, h, w):
  which of the two, is found out from what fits.
- Numbers are floats; float16 and integers are read as float32.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from tinymnist.compare.outputs import INPUT_KIND, Output, kind_of
from tinymnist.errors import InputError
from tinymnist.nn.archive import MANIFEST
from tinymnist.nn.arrays import FLOATS, Array

INPUT_NAMES = ("input", "inputs", "x", "images")
_LIMIT = 1 << 32


def is_captured(path: str | PathLike[str]) -> bool:
    """Whether a file is an .npz of arrays, and no weights file of tinymnist."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False
    return MANIFEST not in names and bool(names) and all(name.endswith(".npy") for name in names)


def read_captured(path: str | PathLike[str]) -> tuple[Output, ...]:
    """Read a file of captured outputs.

    Raises:
        InputError: when it is damaged, holds other things than numbers, or its arrays are not
            of one number of examples.
    """
    return as_outputs(read_arrays(path), str(path))


def read_arrays(path: str | PathLike[str]) -> dict[str, Array]:
    """Every array of an .npz file, without unpickling anything.

    Raises:
        InputError: when the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if (size := sum(entry.file_size for entry in archive.infolist())) > _LIMIT:
                raise InputError(f"{path} unpacks to {size:,} bytes; expected at most {_LIMIT:,}")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, MemoryError) as error:
        raise InputError(f"{path} is no .npz of arrays, or is damaged: {error}") from None


def as_outputs(arrays: Mapping[str, Any], source: str) -> tuple[Output, ...]:
    """Arrays by name as the outputs of one side.

    Args:
        arrays: in the order of execution.
        source: for messages.

    Raises:
        InputError: when an array is none of numbers, or their first axes differ.
    """
    outputs = []
    for name, value in arrays.items():
        array = np.asarray(value)
        if array.dtype.kind not in "fiub" or array.ndim < 1:
            raise InputError(
                f"{source}: {name} is {array.dtype} of shape {array.shape}; expected numbers "
                "(n, ...)"
            )
        array = array if array.dtype in FLOATS else array.astype(np.float32)
        kind = INPUT_KIND if name in INPUT_NAMES else kind_of(name)
        outputs.append(Output(name, kind, array, guessed=True))
    counts = {len(output.values) for output in outputs}
    if len(counts) > 1:
        raise InputError(f"{source}: arrays of {sorted(counts)} examples; expected one number")
    return tuple(outputs)
