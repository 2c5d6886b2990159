"""The weights file: a model with its proof.

An .npz archive with a manifest (architecture, class names, preprocessing, source, metrics, a hash
of everything) and the arrays, and beside them one sample input with every layer's output.
:func:`verify` runs the sample again: the file itself shows whether the model still computes what
it computed when it was written.

Archives are the same bytes for the same content: ``numpy.savez`` stamps every entry with the time
of day, and here the stamps are fixed. Reading never unpickles, and checks every stated size before
unpacking.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tinymnist.errors import InputError
from tinymnist.files import whole_file
from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import INPUT, Graph
from tinymnist.nn.layers import layer_from_config

FORMAT = "tinymnist weights 1"
METADATA = ("class_names", "preprocessing", "source", "metrics", "parent")
"""What a manifest may say about a model beside its architecture."""
FOREIGN_ENDINGS = (".keras", ".h5", ".hdf5", ".onnx", ".safetensors", ".pt", ".pth", ".py")
"""Endings of other frameworks' files, which :mod:`tinymnist.interop` writes, or refuses."""
VERIFY_TOLERANCE = 1e-5
"""How far a layer's output may deviate, as a share of its largest number. Float32 rounding, summed
in another order by another processor, stays well below."""
MANIFEST = "manifest.json"
MAX_UNPACKED_BYTES = 1 << 30
"""Upper limit, far above any digit reader and far below a machine's memory."""
MAX_MANIFEST_BYTES = 1 << 24
_TIME = (1980, 1, 1, 0, 0, 0)
_KEYS = {"format", "name", "dtype", "input_shape", "layers", "wiring", "arrays", "content_hash"}
_MAX_OUTPUTS_PER_LAYER = 1 << 26
"""Upper limit for the numbers in one layer's output for one picture; larger files are rejected."""

Model = TypeVar("Model", bound=Graph)


def save(model: Graph, path: str | PathLike[str], sample: Array | None = None) -> None:
    """Write a model with its ``metadata`` and its proof, completely or not at all.

    Args:
        model: any model; its ``metadata`` go into the manifest.
        path: where to write.
        sample: one input (1, *input_shape) for the proof; None takes fixed random numbers.

    Raises:
        InputError: if the file cannot be written, or its name ends like another framework's.
        ValueError: if ``metadata`` has keys that the format does not know.
    """
    if is_foreign(path):
        raise InputError(
            f"{path} is named like another framework's file; expected .npz, which `tinymnist "
            "export` and tinymnist.export(model, path) turn into others"
        )
    if unknown := sorted(model.metadata.keys() - set(METADATA)):
        raise ValueError(f"metadata may have the keys {METADATA}. Received: {unknown}")
    if sample is None:
        shape = (1, *model.input_shape)
        sample = np.random.default_rng(0).random(shape).astype(model.dtype)
    arrays = {f"weights/{name}": array for name, array in model.weights.items()}
    arrays |= {f"sample/{name}": output for name, output in model.capture(sample).items()}
    manifest = {
        "format": FORMAT,
        "name": model.name,
        "dtype": str(model.dtype),
        "input_shape": list(model.input_shape),
        "layers": [layer.config() for layer in model.layers],
        "wiring": {name: list(sources) for name, sources in model.wiring.items()},
        "arrays": {n: [str(a.dtype), list(a.shape)] for n, a in arrays.items()},
        **model.metadata,
    }
    write_archive(path, manifest | {"content_hash": _content_hash(manifest, arrays)}, arrays)


def is_foreign(path: str | PathLike[str]) -> bool:
    """Whether a name promises another framework's file: see :data:`FOREIGN_ENDINGS`."""
    return Path(path).suffix.lower() in FOREIGN_ENDINGS


def read(model: str | PathLike[str], kind: type[Model]) -> Model:
    """Read a model; every name, shape and dtype and the hash of the whole are checked.

    Args:
        model: the name of a shipped model, or a weights file.
        kind: the class to make of it.

    Raises:
        InputError: if anything is missing, unknown, damaged or does not fit.
    """
    path = find(model)
    return _build(*_read_checked(path), path, kind)


def verify(model: str | PathLike[str]) -> dict[str, float]:
    """Run the sample in a weights file again.

    Args:
        model: the name of a shipped model, or a weights file.

    Returns:
        For every layer, the largest deviation from the stored output, as a share of the largest
        number in it. A sound file has at most :data:`VERIFY_TOLERANCE`.

    Raises:
        InputError: as :func:`read`.
    """
    path = find(model)
    manifest, arrays = _read_checked(path)
    network = _build(manifest, arrays, path, Graph)
    names = (INPUT, *(layer.name for layer in network.layers))
    if missing := [name for name in names if f"sample/{name}" not in arrays]:
        raise InputError(f"{path} has no sample output of {missing}; expected one of every layer")
    deviations = {}
    for name, found in network.capture(arrays[f"sample/{INPUT}"]).items():
        expected = arrays[f"sample/{name}"]
        deviations[name] = math.inf
        if found.shape == expected.shape:
            scale = float(np.abs(expected).max(initial=0.0)) or 1.0
            share = float(np.abs(found - expected).max(initial=0.0)) / scale
            deviations[name] = share if math.isfinite(share) else math.inf  # NaN is not sound
    return deviations


def _read_checked(path: str | PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
    manifest, arrays = read_archive(path)
    if manifest.get("format") != FORMAT:
        raise InputError(
            f"{path} is not a weights file of this version; expected format {FORMAT!r}, "
            f"found {manifest.get('format')!r}"
        )
    if unknown := sorted(manifest.keys() - _KEYS - set(METADATA)):
        raise InputError(f"{path} has manifest entries that this version does not know: {unknown}")
    if missing := sorted(_KEYS - manifest.keys()):
        raise InputError(f"{path} lacks {missing} in its manifest")
    listed = {n: [str(a.dtype), list(a.shape)] for n, a in arrays.items()}
    if listed != manifest["arrays"]:
        odd = sorted(n for n in listed.keys() | manifest["arrays"].keys()
                     if listed.get(n) != manifest["arrays"].get(n))  # fmt: skip
        raise InputError(f"{path} holds other arrays than its manifest lists: {odd[:5]}")
    if manifest.pop("content_hash") != _content_hash(manifest, arrays):
        raise InputError(f"{path} was changed after it was written: its content hash differs")
    return manifest, arrays


def fingerprint(model: Graph) -> str:
    """SHA-256 of a model's arrays: identifies a fine-tuned model's parent under any name."""
    return _content_hash({}, model.weights)


def _content_hash(manifest: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """SHA-256 over the manifest and every array, in the order of their names."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return f"sha256:{digest.hexdigest()}"


def _build(
    manifest: dict[str, Any], arrays: dict[str, Array], path: Any, kind: type[Model]
) -> Model:
    """Make the model and give it its arrays, never allocating more than the file holds."""
    try:
        layers, taken = [], set()
        for config in manifest["layers"]:
            layer = layer_from_config(config)
            for key in (*layer.parameters, *layer.statistics):
                name = f"weights/{layer.name}/{key}"
                if name in arrays:
                    setattr(layer, key, arrays[name])
                    taken.add(name)
                elif not hasattr(layer, key):
                    raise ValueError(f"{layer.name} has no {key} in the file")
            layers.append(layer)
        settings = {key: manifest[key] for key in ("input_shape", "wiring", "dtype", "name")}
        model = kind(layers, **settings)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f"{path} has an invalid model configuration: {error}") from None
    if extra := sorted(n for n in arrays if n.startswith("weights/") and n not in taken):
        raise InputError(f"{path} holds arrays that no layer takes: {extra}")
    if max(map(math.prod, model.shapes.values())) > _MAX_OUTPUTS_PER_LAYER:
        limit = f"layers with more than {_MAX_OUTPUTS_PER_LAYER:,} outputs"
        raise InputError(f"{path} has an invalid model configuration: {limit}")
    model.metadata = {key: manifest[key] for key in METADATA if key in manifest}
    return model


WEIGHTS_FOLDERS = (Path(__file__).parents[1] / "weights", Path(__file__).parents[2] / "weights")
"""Where the shipped files lie: in the installed package, or at the top of a checkout."""


def shipped() -> dict[str, Path]:
    """The weights files that come with tinymnist, by name."""
    found = [file for folder in reversed(WEIGHTS_FOLDERS) for file in folder.glob("*.npz")]
    return {file.stem: file for file in found}


def find(model: str | PathLike[str]) -> Path:
    """The file of a shipped model's name, or the path of a file.

    Raises:
        InputError: if there is neither; the message lists the names.
    """
    files = shipped()
    path = files.get(str(model), Path(model))
    if not path.exists():
        known = f"expected a weights file, or one of {sorted(files)}"
        raise InputError(f"there is no model {str(model)!r}; {known}")
    return path


def write_archive(
    path: str | PathLike[str], manifest: Mapping[str, Any], arrays: Mapping[str, Array]
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


def read_archive(path: str | PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
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
            f"{path} is an archive without {MANIFEST}; expected a file that tinymnist saved"
        )
    whole = sum([entry.file_size for entry in archive.infolist()])
    for what, size, limit in (
        (path, whole, MAX_UNPACKED_BYTES),
        (f"{MANIFEST} in {path}", archive.getinfo(MANIFEST).file_size, MAX_MANIFEST_BYTES),
    ):
        if size > limit:
            raise InputError(f"{what} unpacks to {size:,} bytes; expected at most {limit:,}")
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
