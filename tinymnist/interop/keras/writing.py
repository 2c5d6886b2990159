"""Keras files out: ``.keras`` in the layout of Keras 3, ``.h5`` in the older one.

The same model gives the same bytes, because no file contains the time of writing.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.files import whole_file
from tinymnist.interop.keras.exporting import KerasLayer, keras_layers
from tinymnist.interop.keras.hdf5 import load_h5py
from tinymnist.interop.keras.reading import CONFIG, METADATA, WEIGHTS
from tinymnist.interop.keras.weights import snake_case
from tinymnist.nn.sequential import Sequential

VERSION = "3.15.0"
"""The version of Keras whose layout is written."""
_VERSION = {"backend": "tensorflow", "keras_version": VERSION}
_TIME = (1980, 1, 1, 0, 0, 0)


def write(model: Sequential, path: str | PathLike[str]) -> None:
    """Write a model for Keras 3; the suffix of the path decides: ``.keras``, or ``.h5``.

    ``.hdf5`` is another ending of the latter.

    Raises:
        InputError: when h5py is missing, the suffix is not one of these, Keras lacks a counterpart
            of a layer, or the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".h5", ".hdf5", ".keras"):
        raise InputError(f"{path} ends in {suffix!r}; expected one of ['.h5', '.keras']")
    layers = keras_layers(model)
    if suffix == ".keras":
        content = _archive(model, layers)
    else:
        content = in_hdf5(lambda file: _listed(file, model, layers))
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def model_json(model: Sequential, layers: list[KerasLayer]) -> dict[str, Any]:
    """Keras 3's description of a model: Sequential, or Functional if there are branches."""
    name = "".join(c if c.isalnum() or c in "_-." else "_" for c in model.name) or "model"
    dtype = str(model.dtype)
    entries = [_layer_json(layer, dtype) for layer in layers]
    settings: dict[str, Any] = {"name": name, "trainable": True, "layers": entries}
    kind, module = "Sequential", "keras"
    if model.wiring:
        kind, module = "Functional", "keras.src.models.functional"
        for entry, layer in zip(entries, layers, strict=True):
            entry |= {"name": layer.name, "inbound_nodes": _nodes(layer, dtype)}
        settings["input_layers"] = [[layers[0].name, 0, 0]]
        settings["output_layers"] = [[layers[-1].name, 0, 0]]
    return {"module": module, "class_name": kind, "config": settings, "registered_name": kind}


def _layer_json(layer: KerasLayer, dtype: str) -> dict[str, Any]:
    settings = {"name": layer.name, "trainable": layer.trainable, "dtype": dtype, **layer.settings}
    if layer.kind == "InputLayer":
        shape = settings.pop("shape")
        settings = {"name": layer.name, "dtype": dtype, "batch_shape": [None, *shape]}
    entry = {"module": "keras.layers", "class_name": layer.kind, "config": settings}
    return {**entry, "registered_name": None}


def _nodes(layer: KerasLayer, dtype: str) -> list[dict[str, Any]]:
    """The one call of a layer, with its inputs."""
    tensors = []
    for source, shape in zip(layer.sources, layer.input_shapes, strict=False):
        config = {"shape": [None, *shape], "dtype": dtype, "keras_history": [source, 0, 0]}
        tensors.append({"class_name": "__keras_tensor__", "config": config})
    merges = layer.kind in ("Add", "Multiply", "Concatenate")
    return [{"args": [tensors] if merges else tensors, "kwargs": {}}] if tensors else []


def _archive(model: Sequential, layers: list[KerasLayer]) -> bytes:
    """An uncompressed zip of configuration, version and weights, as Keras writes it."""
    parts: dict[str, str | bytes] = {
        METADATA: json.dumps({"keras_version": VERSION, "date_saved": "1980-01-01@00:00:00"}),
        CONFIG: json.dumps(model_json(model, layers)),
        WEIGHTS: in_hdf5(lambda file: write_counted(file, model, layers)),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _TIME), content)
    return buffer.getvalue()


def write_counted(file: Any, model: Sequential, layers: list[KerasLayer]) -> None:
    """Keras 3's layout: the second Dense layer's arrays are in ``layers/dense_1/vars``."""
    counts: Counter[str] = Counter()
    for layer in layers:
        if layer.kind == "InputLayer" and not model.wiring:
            continue  # not among the layers of a Sequential
        stem = snake_case(layer.kind)
        name = f"{stem}_{counts[stem]}" if counts[stem] else stem
        counts[stem] += 1
        group = file.create_group(f"layers/{name}/vars")
        group.attrs["name"] = layer.name
        for number, (_, array) in enumerate(layer.arrays):
            group[str(number)] = np.ascontiguousarray(array)
    file.create_group("vars")


def _listed(file: Any, model: Sequential, layers: list[KerasLayer]) -> None:
    """The layout of Keras 1 to 3's .h5: a group per layer, with the names of its arrays."""
    file.attrs.update(_VERSION | {"model_config": json.dumps(model_json(model, layers))})
    write_layer_groups(file.create_group("model_weights"), model, layers)


def write_layer_groups(root: Any, model: Sequential, layers: list[KerasLayer]) -> None:
    """The arrays of that layout: the whole of an .h5 of weights alone."""
    root.attrs.update(_VERSION)
    kept = [layer for layer in layers if model.wiring or layer.kind != "InputLayer"]
    root.attrs["layer_names"] = [layer.name.encode() for layer in kept]
    for layer in kept:
        group = root.create_group(layer.name)
        names = [f"{layer.name}/{name}" for name, _ in layer.arrays]
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name, (_, array) in zip(names, layer.arrays, strict=True):
            group[name] = np.ascontiguousarray(array)
    root.create_group("top_level_model_weights").attrs["weight_names"] = []


def in_hdf5(fill: Callable[[Any], None]) -> bytes:
    """The bytes of an HDF5 file that a function fills."""
    buffer = io.BytesIO()
    with load_h5py().File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()
