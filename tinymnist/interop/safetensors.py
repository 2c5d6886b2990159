"""safetensors: a header in JSON, then the numbers.

https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.files import whole_file
from tinymnist.interop.bare.architecture import checked
from tinymnist.interop.bare.assemble import TENSORS, Description
from tinymnist.interop.bare.blocks import associated, natural
from tinymnist.interop.bare.candidates import Candidates, from_blocks, from_description
from tinymnist.interop.pytorch.modules import Unmapped, blocks_of
from tinymnist.interop.pytorch.names import tensors_of
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
          "I16": "<i2", "I8": "i1", "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8",
          "BOOL": "?"}  # fmt: skip
"""The format's types as NumPy's; bfloat16 is the upper half of a float32."""
_MOST_HEADER = 100_000_000
_MOST_BYTES = 1 << 30
METADATA = "__metadata__"
DESCRIPTION = "tinymnist"
"""Under which name of the metadata tinymnist keeps the layers."""


def read(
    path: str | PathLike[str],
    *,
    architecture: str | PathLike[str] | None = None,
    plan: int | None = None,
) -> Sequential:
    """Read weights that are named and laid out as in PyTorch.

    The options, and what is refused, are those of :func:`tinymnist.interop.pytorch.read`.

    Raises:
        InputError: when the file is damaged, when it holds a layer that cannot be mapped, or when
            several architectures fit; the message lists them.
    """
    return candidates(path, architecture=architecture).choose(plan)


def candidates(
    path: str | PathLike[str], *, architecture: str | PathLike[str] | None = None
) -> Candidates:
    """Every model that the weights in a file may be.

    Raises:
        InputError: as :func:`read`, but not for several architectures.
    """
    tensors, metadata = read_tensors(path)
    told = _told(metadata.get(DESCRIPTION, ""), path) if architecture is None else None
    names = list(tensors) if told else sorted(tensors, key=natural)
    try:
        blocks = blocks_of({name: tensors[name] for name in names})
    except Unmapped as error:
        raise InputError(f"{path}: {error}") from None
    made_by = metadata.get("format", "")
    source = f"safetensors{f' ({made_by[:20]})' if made_by else ''}, {Path(path).name}"
    if told is None:
        return from_blocks(
            associated(blocks), path, source, architecture=architecture, channels_first=True
        )
    return from_description(told, blocks, path, source, channels_first=True)


def _told(text: str, path: Any) -> Description | None:
    """The layers that :func:`write` put into the metadata."""
    if not text:
        return None
    try:
        return checked(json.loads(text), Path(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} has damaged metadata: {str(error)[:100]}") from None


def _described(model: Sequential) -> dict[str, Any]:
    """The layers, each with the name of its tensors."""
    layers = [
        {**layer.config(), TENSORS: layer.name} if layer.weights else layer.config()
        for layer in model.layers
    ]
    return Description(model.input_shape, layers, model.wiring).as_json()


def read_tensors(path: str | PathLike[str]) -> tuple[dict[str, Array], dict[str, str]]:
    """The tensors of a file by name, and its metadata.

    Raises:
        InputError: when the file breaks any rule of the format.
    """
    try:
        if (size := Path(path).stat().st_size) > _MOST_BYTES:
            raise InputError(f"{path} is of {size:,} bytes; expected at most {_MOST_BYTES:,}")
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    try:
        return _parse(data)
    except (ValueError, struct.error, RecursionError) as error:
        raise InputError(f"{path} is a damaged safetensors file: {str(error)[:150]}") from None


def _parse(data: bytes) -> tuple[dict[str, Array], dict[str, str]]:
    (length,) = struct.unpack_from("<Q", data)
    if length > min(len(data) - 8, _MOST_HEADER):
        raise ValueError(f"its header is of {length:,} bytes, the file of {len(data):,}")
    header = json.loads(data[8 : 8 + length], object_pairs_hook=_without_twins)
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("its metadata are not texts by name")
    buffer = memoryview(data)[8 + length :]
    windows = sorted((_window(name, entry), name) for name, entry in header.items())
    end = 0
    for (begin, stop), name in windows:
        if begin != end:
            raise ValueError(f"{name[:60]} begins at {begin:,}, the one before ends at {end:,}")
        end = stop
    if end != len(buffer):
        raise ValueError(f"its tensors are of {end:,} bytes; it holds {len(buffer):,}")
    return {name: _tensor(entry, buffer) for name, entry in header.items()}, metadata


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a name stands twice in its header")
    return entries


def _window(name: str, entry: Any) -> tuple[int, int]:
    """Where a tensor begins and ends in the numbers; type, shape and size must agree."""
    match entry:
        case {"dtype": str() as dtype, "shape": list() as shape, "data_offsets": [begin, end]}:
            numbers = (*shape, begin, end)
            if len(entry) == 3 and all(type(n) is int and 0 <= n < 1 << 40 for n in numbers):
                if dtype not in DTYPES:
                    raise ValueError(f"{name[:60]} is of the type {dtype[:20]}, which is not read")
                if end - begin == math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize:
                    return begin, end
    raise ValueError(f"its entry of {name[:60]} is {str(entry)[:80]}")


def _tensor(entry: Mapping[str, Any], buffer: memoryview) -> Array:
    begin, end = entry["data_offsets"]
    flat = np.frombuffer(buffer[begin:end], DTYPES[entry["dtype"]])
    if entry["dtype"] == "BF16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.reshape(entry["shape"])


def write(model: Sequential, path: str | PathLike[str]) -> None:
    """Write a model, its tensors named and laid out as PyTorch's state_dicts are.

    The layers go into the metadata, so that :func:`read` gives back the same model.

    Raises:
        InputError: when the file cannot be written, or a layer has no counterpart in PyTorch.
    """
    tensors = tensors_of(model)
    metadata = {"format": "pt", DESCRIPTION: json.dumps(_described(model))}
    header: dict[str, Any] = {METADATA: metadata}
    end = 0
    for name, array in tensors.items():
        code = next(code for code, dtype in DTYPES.items() if np.dtype(dtype) == array.dtype)
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers begin at a multiple of eight
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).tobytes())
