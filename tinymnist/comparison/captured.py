"""Outputs captured elsewhere: an .npz file with one array for each layer.

Any program that runs a model can write such a file::

    outputs = {"input": x, "conv1": ..., "relu1": ..., "fc": ...}
    np.savez("captured.npz", **outputs)

- The arrays are in the order of execution, each named after its layer; the last one is the model's
  own output. You may capture some layers only: with more of them, the first layer that differs is
  known more exactly.
- ``input`` is what the model was run on; the other model is run on it, too. It can be left out if
  ``--inputs`` is given.
- Every array is (n, ...), with the same n examples. Pictures may be (n, h, w, c) or (n, c, h, w):
  the layout that matches the other side is used.
- Numbers are floats; float16 and integers are read as float32.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from tinymnist.comparison.outputs import INPUT_KIND, Output, kind_of
from tinymnist.errors import InputError
from tinymnist.nn.arrays import FLOATS, Array
from tinymnist.nn.weights import MANIFEST

INPUT_NAMES = ("input", "inputs", "x", "images")
_MAX_UNPACKED_BYTES = 1 << 32


def is_captured(path: str | PathLike[str]) -> bool:
    """Whether a file is an .npz of arrays and not a weights file of tinymnist."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False
    return MANIFEST not in names and bool(names) and all(name.endswith(".npy") for name in names)


def read_captured(path: str | PathLike[str]) -> tuple[Output, ...]:
    """Read a file of captured outputs.

    Raises:
        InputError: when it is damaged, holds anything except numbers, or its arrays differ in the
            number of examples.
    """
    return as_outputs(read_arrays(path), str(path))


def read_arrays(path: str | PathLike[str]) -> dict[str, Array]:
    """Every array of an .npz file, without unpickling anything.

    Raises:
        InputError: when the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if (size := sum(entry.file_size for entry in archive.infolist())) > _MAX_UNPACKED_BYTES:
                raise InputError(
                    f"{path} unpacks to {size:,} bytes; expected at most {_MAX_UNPACKED_BYTES:,}"
                )
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, MemoryError) as error:
        raise InputError(f"{path} is not an .npz of arrays, or is damaged: {error}") from None


def as_outputs(arrays: Mapping[str, Any], source: str) -> tuple[Output, ...]:
    """Arrays by name as the outputs of one side.

    Args:
        arrays: in the order of execution.
        source: where they come from, for messages.

    Raises:
        InputError: when an array does not hold numbers, or their first axes differ.
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
