"""From a file to a model: which of Keras's forms it has, and where its architecture comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from tinymnist.errors import InputError
from tinymnist.interop.bare.candidates import Candidates
from tinymnist.interop.keras.archive import read_archive
from tinymnist.interop.keras.bare import (
    backend_by_names,
    counted_layers,
    from_weights,
    is_counted,
    keras_json,
    version_by_names,
)
from tinymnist.interop.keras.check_layers import assemble, check_layers
from tinymnist.interop.keras.config import ModelConfig, model_config, parse
from tinymnist.interop.keras.hdf5 import MOST_BYTES, Hdf5, opened
from tinymnist.interop.keras.weights import StoredLayer, give_counted, give_listed, stored_layers
from tinymnist.nn.sequential import Sequential


def read(
    path: str | PathLike[str],
    *,
    architecture: str | PathLike[str] | None = None,
    plan: int | None = None,
) -> Sequential:
    """Read a Keras file: ``.keras``, a full ``.h5``, or an ``.h5`` of weights alone.

    Args:
        path: the file.
        architecture: for weights alone: a JSON file that ``model.to_json()`` gave, a description as
            in :mod:`tinymnist.interop.bare.architecture`, or the name of a shipped architecture.
        plan: for weights alone: which of the architectures that fit the shapes, counted from 1.

    Returns:
        The model, whose outputs are those in Keras. It takes MNIST's pictures (28, 28, 1) where
        Keras's took them as 784 numbers, (28, 28) or (1, 28, 28).

    Raises:
        InputError: when the file is damaged, holds a layer that cannot be mapped exactly, the
            architecture does not fit it, or several do; the message lists them.
    """
    found = candidates(path, architecture=architecture)
    if isinstance(found, Sequential):
        if plan is not None:
            raise InputError(f"{path} tells its layers itself; leave out the plan")
        return found
    return found.choose(plan)


def candidates(
    path: str | PathLike[str], *, architecture: str | PathLike[str] | None = None
) -> Sequential | Candidates:
    """The model in a file, or every model that the bare weights in it may be.

    Raises:
        InputError: as :func:`read`, but not for several architectures.
    """
    file = str(path)
    with _refusing(file):
        if _begins_as_zip(path):
            _refuse_architecture(file, architecture)
            return _read_archive(file)
        with opened(_bytes(path), file) as hdf5:
            return _read_hdf5(hdf5, file, architecture)


def _begins_as_zip(path: str | PathLike[str]) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"PK"
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None


def _bytes(path: str | PathLike[str]) -> bytes:
    if (size := Path(path).stat().st_size) > MOST_BYTES:
        raise InputError(f"{path} has {size:,} bytes; expected at most {MOST_BYTES:,}")
    return Path(path).read_bytes()


@contextmanager
def _refusing(path: str) -> Iterator[None]:
    """Whatever a hostile description makes the layers say is the file's fault, not a bug."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise InputError(f"{path} does not describe a model: {error}") from None
    except (OverflowError, MemoryError, RecursionError) as error:
        raise InputError(f"{path} describes an absurd model: {type(error).__name__}") from None


def _refuse_architecture(path: str, architecture: Any) -> None:
    if architecture is not None:
        raise InputError(f"{path} tells its layers itself; leave out the architecture")


def _read_archive(path: str) -> Sequential:
    archive = read_archive(path)
    config, metadata = parse(archive.config, path), parse(archive.metadata, path)
    model = model_config(config, path)
    check_layers(model, path)
    with opened(archive.weights, path) as file:
        give_counted(model, file)
    version = str(metadata.get("keras_version") or "3")
    return _finished(model, path, version, None, ".keras")


def _read_hdf5(
    file: Hdf5, path: str, architecture: str | PathLike[str] | None
) -> Sequential | Candidates:
    root = "model_weights" if "model_weights" in file.groups else ""
    version = file.text("", "keras_version") or file.text(root, "keras_version")
    backend = file.text("", "backend") or file.text(root, "backend")
    if (described := file.text("", "model_config")) is None:
        return _read_weights(file, path, architecture, version, backend)
    _refuse_architecture(path, architecture)
    config = parse(described, path)
    model = model_config(config, path)
    check_layers(model, path)
    stored = stored_layers(file, root)
    give_listed(model, stored, path)
    version = version or str(config.get("keras_version") or "1")
    return _finished(model, path, version, backend or backend_by_names(stored), ".h5")


def _read_weights(
    file: Hdf5,
    path: str,
    architecture: str | PathLike[str] | None,
    version: str | None,
    backend: str | None,
) -> Sequential | Candidates:
    counted = is_counted(file)
    config = None if architecture is None else keras_json(architecture)
    if config is None:
        stored = counted_layers(file) if counted else stored_layers(file, "")
        _insist_on_arrays(stored, path)
        if not counted:
            backend = backend or backend_by_names(stored)
        told = version or ("3" if counted else version_by_names(stored))
        source = _source(told, path, "weights", backend)
        named = not counted and told != "0"
        return from_weights(stored, path, source, architecture, backend, named=named)
    model = model_config(config, str(architecture))
    check_layers(model, str(architecture))
    version = version or str(config.get("keras_version") or "")
    if counted:
        give_counted(model, file)
        version = version or "3"
    else:
        stored = stored_layers(file, "")
        _insist_on_arrays(stored, path)
        give_listed(model, stored, path)
        version, backend = version or version_by_names(stored), backend or backend_by_names(stored)
    return _finished(model, path, version, backend, f"weights and {Path(architecture or '').name}")


def _insist_on_arrays(stored: Sequence[StoredLayer], path: str) -> None:
    if not any(layer.arrays for layer in stored):
        raise InputError(f"{path} is an HDF5 file without a Keras model or its weights")


def _finished(
    model: ModelConfig, path: str, version: str, backend: str | None, form: str
) -> Sequential:
    major = int(version[0]) if version[:1].isdecimal() else 3
    theano = backend == "theano" and major < 3
    result = assemble(model, path, major, theano, Path(path).stem)
    result.metadata = {
        "preprocessing": {"recipe": "mnist"},
        "source": _source(version, path, form, backend),
    }
    return result


def _source(version: str, path: str, form: str, backend: str | None) -> str:
    """What the file is. Theano is named, told or inferred, because its kernels were turned."""
    on = " on Theano" if backend == "theano" else ""
    return f"Keras {version}{on} ({form}), {Path(path).name}"
