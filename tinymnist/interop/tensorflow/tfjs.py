"""TensorFlow.js: a ``model.json`` with Keras's layers or a graph, and files of weights.

The manifest in the JSON names files beside it; their bytes, one after another, are the arrays it
lists, possibly as 8 or 16 bit numbers with a scale and a minimum. Format:
https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.files import read_bytes
from tinymnist.interop.keras.assembling import assemble, check_layers
from tinymnist.interop.keras.config import ModelConfig, model_config, parse
from tinymnist.interop.keras.weights import has_arrays
from tinymnist.interop.tensorflow.graph import translate
from tinymnist.interop.tensorflow.graphdef import from_json
from tinymnist.interop.tensorflow.savedmodel import rank
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

_DTYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "uint8": "u1", "uint16": "<u2",
           "bool": "?", "int64": "<i8"}  # fmt: skip


def read(path: Path) -> Sequential:
    """Read a layers model or a graph model.

    Raises:
        InputError: when a file is missing or damaged, or it computes something that no layer does.
        ValueError, KeyError, TypeError: when the description makes no sense.
    """
    described = parse(read_bytes(path), str(path))
    topology = described.get("modelTopology", described)
    groups = described.get("weightsManifest", [])
    arrays = [pair for group in groups for pair in _arrays(group, path)]
    if "node" in topology:
        graph = from_json(topology["node"], dict(arrays))
        signature = described.get("signature") or described["userDefinedMetadata"]["signature"]
        ends = [str(output["name"]) for output in signature["outputs"].values()]
        return translate(graph, path, ends, "TensorFlow.js (graph model)")
    model = model_config(topology.get("model_config", topology), str(path))
    check_layers(model, str(path))
    _give(model, arrays, path)
    version = str(topology.get("keras_version") or "2")
    major = int(version[0]) if version[:1].isdecimal() else 2
    result = assemble(model, str(path), major, theano=False, name=path.stem)
    source = f"Keras {version} (TensorFlow.js), {path.name}"
    result.metadata = {"preprocessing": {"recipe": "mnist"}, "source": source}
    return result


def _arrays(group: dict[str, Any], path: Path) -> Iterator[tuple[str, Array]]:
    """The arrays of a group of files, by name."""
    data = b"".join(_part(path, str(name)) for name in group["paths"])
    at = 0
    for entry in group["weights"]:
        coded = entry.get("quantization") or {}
        kind = str(coded.get("dtype") or entry["dtype"])
        if kind not in _DTYPES:
            raise InputError(f"{path} holds {entry['name']!r} of the type {kind!r}")
        dtype, shape = np.dtype(_DTYPES[kind]), tuple(int(side) for side in entry["shape"])
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=1) < 0 or at + size > len(data):
            raise InputError(f"{path}: its weights are cut off at {entry['name']!r}")
        limits.charge(4 * math.prod(shape), f"{entry['name']} in {path}")
        numbers = np.frombuffer(data, dtype, math.prod(shape), at).reshape(shape)
        at += size
        if "scale" in coded:
            scale, lowest = float(coded["scale"]), float(coded.get("min", 0.0))
            numbers = numbers * np.float32(scale) + np.float32(lowest)
        yield str(entry["name"]), numbers if numbers.dtype.kind == "i" else numbers.astype("f4")


def _part(path: Path, name: str) -> bytes:
    """A file that lies beside the description, and nowhere else."""
    if Path(name).name != name:
        raise InputError(f"{path} names weights in another folder: {name[:80]!r}")
    if not (path.parent / name).is_file():
        raise InputError(f"{path}: its weights {name[:80]!r} are not beside it")
    return read_bytes(path.parent / name)


def _give(model: ModelConfig, arrays: list[tuple[str, Array]], path: Path) -> None:
    """Give every layer the arrays with its name in theirs, as in ``conv2d_1/kernel``."""
    for leaf in filter(has_arrays, model.leaves()):
        own = [pair for pair in arrays if leaf.name in pair[0].split("/")[:-1]]
        leaf.arrays = [array for _, array in sorted(own, key=lambda pair: rank(pair[0]))]
        if not own:
            raise InputError(f"{path} holds no arrays for the layer {leaf.name!r}")
        arrays = [pair for pair in arrays if leaf.name not in pair[0].split("/")[:-1]]
    if arrays:
        names = [name for name, _ in arrays]
        raise InputError(f"{path} holds arrays for layers that do not exist: {names[:5]}")
