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

from tinymnist import limits
from tinymnist.files import parse_json, read_bytes, whole_file
from tinymnist.interop.bare.architecture import TENSORS, Description, checked
from tinymnist.interop.bare.blocks import associated, natural
from tinymnist.interop.bare.candidates import Candidates, from_blocks
from tinymnist.interop.pytorch.modules import blocks_of, tensors_of
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
          "I16": "<i2", "I8": "i1", "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8",
          "BOOL": "?"}  # fmt: skip
"""The format's types as NumPy's; bfloat16 is the upper half of a float32."""
METADATA = "__metadata__"
DESCRIPTION = "tinymnist"
"""The key of the metadata under which tinymnist keeps the layers."""


def read(path: str | PathLike[str], architecture: str | PathLike[str] | None = None) -> Candidates:
    """Read weights that are named and laid out as in PyTorch.

    Args:
        path: the file.
        architecture: instead of the layers in the metadata: a JSON file that describes them (see
            :mod:`tinymnist.interop.bare.architecture`), or the name of a shipped architecture.

    Raises:
        InputError: when the file is damaged, or holds a layer that cannot be mapped.
    """
    tensors, metadata = read_tensors(path)
    description = None if architecture else _description(metadata.get(DESCRIPTION, ""), path)
    if description is None:  # other libraries sort tensors by name
        tensors = {name: tensors[name] for name in sorted(tensors, key=natural)}
    blocks = blocks_of(tensors, path)
    if description is None:
        blocks = associated(blocks)
    made_by = metadata.get("format", "")
    source = f"safetensors{f' ({made_by[:20]})' if made_by else ''}, {Path(path).name}"
    return from_blocks(
        blocks, path, source, architecture=architecture or description, channels_first=True
    )


def _description(text: str, path: Any) -> Description | None:
    """The layers, if :func:`write` put them into the metadata."""
    if not text:
        return None
    return checked(parse_json(text, f"the description in {path}"), Path(path))


def read_tensors(path: str | PathLike[str]) -> tuple[dict[str, Array], dict[str, str]]:
    """The tensors of a file by name, and its metadata.

    Raises:
        InputError: when the file breaks any rule of the format.
    """
    with limits.opening(path, "a safetensors file"):
        return _parse(read_bytes(path))


def _parse(data: bytes) -> tuple[dict[str, Array], dict[str, str]]:
    (length,) = struct.unpack_from("<Q", data)
    if length > len(data) - 8:
        raise ValueError(f"its header has {length:,} bytes, the file {len(data):,}")
    limits.check_text(length, "its header")
    header = json.loads(data[8 : 8 + length], object_pairs_hook=_without_twins)
    if not isinstance(header, dict):
        raise ValueError("its header is not an object")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("its metadata do not map names to texts")
    buffer = memoryview(data)[8 + length :]
    end = 0
    for (begin, stop), name in sorted((_window(*item), item[0]) for item in header.items()):
        if begin != end:
            raise ValueError(f"{name[:60]} begins at {begin:,}, the one before ends at {end:,}")
        end = stop
    if end != len(buffer):
        raise ValueError(f"its tensors have {end:,} bytes; it holds {len(buffer):,}")
    return {name: _tensor(entry, buffer) for name, entry in header.items()}, metadata


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(entries := dict(pairs)) != len(pairs):
        raise ValueError("a name appears twice in its header")
    return entries


def _window(name: str, entry: Any) -> tuple[int, int]:
    """Where a tensor begins and ends; type, shape and size must agree."""
    match entry:
        case {"dtype": str() as dtype, "shape": list() as shape, "data_offsets": [begin, end]}:
            numbers = (*shape, begin, end)
            if len(entry) == 3 and all(type(n) is int and 0 <= n < 1 << 40 for n in numbers):
                if dtype not in DTYPES:
                    expected = f"expected one of {sorted(DTYPES)}"
                    raise ValueError(f"{name[:60]} has the type {dtype[:20]}; {expected}")
                if end - begin == math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize:
                    return begin, end
    raise ValueError(f"its entry of {name[:60]} is {str(entry)[:80]}")


def _tensor(entry: Mapping[str, Any], buffer: memoryview) -> Array:
    begin, end = entry["data_offsets"]
    limits.charge(2 * (end - begin), "a tensor")
    flat = np.frombuffer(buffer[begin:end], DTYPES[entry["dtype"]])
    if entry["dtype"] == "BF16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.reshape(entry["shape"])


def write(model: Sequential, path: str | PathLike[str]) -> None:
    """Write a model, with tensors named and laid out as in PyTorch's state_dicts.

    The layers go into the metadata, so that :func:`read` returns the same model.

    Raises:
        InputError: when the file cannot be written, or a layer has no counterpart in PyTorch.
    """
    tensors = tensors_of(model)
    layers = [
        layer.config() | ({TENSORS: layer.name} if layer.weights else {}) for layer in model.layers
    ]
    description = Description(model.input_shape, layers, model.wiring)
    metadata = {"format": "pt", DESCRIPTION: json.dumps(description.as_json())}
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
