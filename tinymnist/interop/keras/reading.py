"""Keras files in: a ``.keras`` archive, a full ``.h5``, or an ``.h5`` of weights alone."""

from __future__ import annotations

import io
import zipfile
from os import PathLike
from pathlib import Path

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.files import read_bytes
from tinymnist.interop.bare.candidates import Candidates, defines_layers
from tinymnist.interop.keras.assembling import assemble, check_layers
from tinymnist.interop.keras.config import ModelConfig, model_config, parse
from tinymnist.interop.keras.hdf5 import Hdf5, opened
from tinymnist.interop.keras.weights import give_counted, give_listed, stored_layers
from tinymnist.interop.keras.weights_alone import (
    backend_by_names,
    counted_layers,
    from_weights,
    is_counted,
    keras_json,
    version_by_names,
)

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
"""The files in a ``.keras`` archive: layers, version and arrays."""
Architecture = str | PathLike[str] | None


def read(path: str | PathLike[str], architecture: Architecture = None) -> Candidates:
    """Read a Keras file: ``.keras``, a full ``.h5``, or an ``.h5`` of weights alone.

    Args:
        path: the file.
        architecture: for weights alone: a JSON file from ``model.to_json()``, a description as in
            :mod:`tinymnist.interop.bare.architecture`, or the name of a shipped architecture.

    Returns:
        The model, with Keras's outputs, or every plan that fits bare weights. It takes MNIST's
        pictures as (28, 28, 1) if Keras took them as 784 numbers, (28, 28) or (1, 28, 28).

    Raises:
        InputError: when the file is damaged, holds a layer that cannot be converted exactly, or the
            architecture does not fit it.
    """
    file = str(path)
    with limits.opening(path, "a Keras model"):
        data = read_bytes(path)
        if data[:2] == b"PK":
            if architecture is not None:
                raise defines_layers(file, "architecture")
            return _read_archive(data, file)
        with opened(data, file) as hdf5:
            return _read_hdf5(hdf5, file, architecture)


def _read_archive(data: bytes, path: str) -> Candidates:
    parts = unpacked(data, path)
    config, metadata = (parse(parts[name], path) for name in (CONFIG, METADATA))
    model = model_config(config, path)
    check_layers(model, path)
    with opened(parts[WEIGHTS], path) as file:
        give_counted(model, file)
    return _finished(model, path, str(metadata.get("keras_version") or "3"), None, ".keras")


def unpacked(data: bytes, path: str) -> dict[str, bytes]:
    """The three parts of an archive; zipfile reads no more than the sizes that it states."""
    parts = {METADATA: b"{}"}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        limits.work(10 * len(archive.infolist()), path)
        names = {name.replace("\\", "/"): name for name in archive.namelist()}
        if WEIGHTS not in names and any(name.endswith(".weights.json") for name in names):
            raise InputError(
                f"{path} holds its weights in several pieces; expected one: save it again "
                "with `model.save(PATH)` in Keras"
            )
        if missing := [part for part in (CONFIG, WEIGHTS) if part not in names]:
            raise InputError(f"{path} is a zip without {missing[0]}, so not a Keras model")
        for part in {CONFIG, METADATA, WEIGHTS} & names.keys():
            size = archive.getinfo(names[part]).file_size
            limits.charge(size, f"{part} in {path}")
            if part != WEIGHTS:
                limits.check_text(size, f"{part} in {path}")
            parts[part] = archive.read(names[part])
    return parts


def _read_hdf5(file: Hdf5, path: str, architecture: Architecture) -> Candidates:
    root = "model_weights" if "model_weights" in file.groups else ""
    version, backend = (
        file.text("", key) or file.text(root, key) for key in ("keras_version", "backend")
    )
    described = file.text("", "model_config")
    counted = described is None and is_counted(file)
    config, owner, form = None, path, ".h5"
    if described is not None:
        if architecture is not None:
            raise defines_layers(path, "architecture")
        config = parse(described, path)
    elif architecture is not None:
        config, owner = keras_json(architecture), str(architecture)
        form = f"weights and {Path(architecture).name}"
    model = None
    if config is not None:
        model = model_config(config, owner)
        check_layers(model, owner)
        version = version or str(config.get("keras_version") or "")
        if counted:
            give_counted(model, file)
            return _finished(model, path, version or "3", backend, form)
    if counted:
        stored = counted_layers(file)
    else:
        stored = stored_layers(file, "" if described is None else root)
        backend = backend or backend_by_names(stored)
    if described is None and not any(layer.arrays for layer in stored):
        raise InputError(f"{path} is an HDF5 file without a Keras model or its weights")
    if model is None:
        version = version or ("3" if counted else version_by_names(stored))
        named = not counted and version != "0"
        source = _source(version, path, "weights", backend)
        return from_weights(stored, path, source, architecture, backend, named=named)
    give_listed(model, stored, path)
    version = version or (version_by_names(stored) if described is None else "1")
    return _finished(model, path, version, backend, form)


def _finished(
    model: ModelConfig, path: str, version: str, backend: str | None, form: str
) -> Candidates:
    major = int(version[0]) if version[:1].isdecimal() else 3
    theano = backend == "theano" and major < 3
    result = assemble(model, path, major, theano, Path(path).stem)
    source = _source(version, path, form, backend)
    result.metadata = {"preprocessing": {"recipe": "mnist"}, "source": source}
    return Candidates(Path(path), result)


def _source(version: str, path: str, form: str, backend: str | None) -> str:
    """The format and the file. Theano is named, because its kernels were rotated."""
    on = " on Theano" if backend == "theano" else ""
    return f"Keras {version}{on} ({form}), {Path(path).name}"
