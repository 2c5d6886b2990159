"""The weights file: a model with its proof.

An .npz archive with a manifest (architecture, class names, preprocessing, source, metrics, a hash
of everything) and the arrays, and beside them one sample input with every layer's output.
:func:`verify` runs the sample again: the file itself shows whether the model still computes what
it computed when it was written.

How the file is written and read is in :mod:`tinymnist.nn.archive`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tinymnist import limits
from tinymnist.errors import InputError, did_you_mean
from tinymnist.files import is_path
from tinymnist.nn.archive import read_archive, read_trusted, write_archive
from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import INPUT, Graph
from tinymnist.nn.layers import layer_from_config
from tinymnist.nn.metadata import METADATA, check_model

if TYPE_CHECKING:  # its import takes time, and reading a shipped model does without
    from pathlib import Path

FORMAT = "tinymnist weights 1"
FOREIGN_ENDINGS = (".keras", ".h5", ".hdf5", ".onnx", ".safetensors", ".pt", ".pth", ".py")
"""Endings of other frameworks' files, which :mod:`tinymnist.interop` writes, or refuses."""
VERIFY_TOLERANCE = 1e-5
"""How far a layer's output may deviate, as a share of its largest number. Float32 rounding, summed
in another order by another processor, stays well below."""
_KEYS = {"format", "name", "dtype", "input_shape", "layers", "wiring", "arrays", "content_hash"}

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
        "arrays": describe_arrays(arrays),
        **model.metadata,
    }
    write_archive(path, manifest | {"content_hash": content_hash(manifest, arrays)}, arrays)


def is_foreign(path: str | PathLike[str]) -> bool:
    """Whether a name promises another framework's file: see :data:`FOREIGN_ENDINGS`."""
    return os.path.splitext(path)[1].lower() in FOREIGN_ENDINGS


def read(model: str | PathLike[str], kind: type[Model]) -> Model:
    """Read a model; every name, shape and dtype is checked, and the hash of the whole.

    The hash of a shipped file, and the proof in it, are left to :func:`verify`: an installer has
    compared the file with its own hash, and every entry still has its checksum.

    Args:
        model: the name of a shipped model, or a weights file.
        kind: the class to make of it.

    Raises:
        InputError: if anything is missing, unknown, damaged or does not fit.
    """
    path = _find(model)
    if is_shipped(model):
        with suppress(Exception):  # below, somebody says what is wrong
            manifest, arrays = read_trusted(path, "weights/")
            return _build(manifest, arrays, path, kind)
    with limits.opening(path, "a weights file of tinymnist"):
        manifest, arrays = _read_checked(path)
        found = _build(manifest, arrays, path, kind)
        check_model(found, path)
        return found


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
    path = _find(model)
    with limits.opening(path, "a weights file of tinymnist"):
        return _verify(path)


def _verify(path: str) -> dict[str, float]:
    manifest, arrays = _read_checked(path)
    network = _build(manifest, arrays, path, Graph)
    check_model(network, path)
    names = (INPUT, *(layer.name for layer in network.layers))
    if missing := [name for name in names if f"sample/{name}" not in arrays]:
        raise InputError(f"{path} has no sample output of {missing}; expected one of every layer")
    deviations = {}
    for name, found in network.capture(arrays[f"sample/{INPUT}"]).items():
        expected = arrays[f"sample/{name}"]
        deviations[name] = math.inf
        if found.shape == expected.shape and np.isfinite(found).all():
            scale = float(np.abs(expected).max(initial=0.0)) or 1.0
            deviations[name] = float(np.abs(found - expected).max(initial=0.0)) / scale
    return deviations


def _read_checked(path: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """The manifest and the arrays of a file, after all checks that its text alone allows."""
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
    for key, (is_right, rule) in _RULES.items():
        if not is_right(manifest[key]):
            raise InputError(f"{path}: {key} must be {rule}. Received: {manifest[key]!r:.80}")
    check_listed(arrays, manifest["arrays"], path)
    check_hash(manifest.pop("content_hash"), manifest, arrays, path)
    return manifest, arrays


def describe_arrays(arrays: Mapping[str, Array]) -> dict[str, list[Any]]:
    """The entry ``arrays`` of a manifest: dtype and shape of each by its name."""
    return {name: [str(array.dtype), list(array.shape)] for name, array in arrays.items()}


def check_listed(arrays: Mapping[str, Array], listed: Mapping[str, Any], path: Any) -> None:
    """Raise an InputError if a file holds other arrays than its manifest lists."""
    if (found := describe_arrays(arrays)) != listed:
        odd = sorted(n for n in found.keys() | listed.keys() if found.get(n) != listed.get(n))
        raise InputError(f"{path} holds other arrays than its manifest lists: {odd[:5]}")


def check_hash(
    stated: object, manifest: Mapping[str, Any], arrays: Mapping[str, Array], path: Any
) -> None:
    """Raise an InputError if a file does not have the content hash that its manifest states."""
    if stated != content_hash(manifest, arrays):
        raise InputError(f"{path} was changed after it was written: its content hash differs")


def fingerprint(model: Graph) -> str:
    """SHA-256 of a model's arrays: identifies a fine-tuned model's parent under any name."""
    return content_hash({}, model.weights)


def content_hash(manifest: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """SHA-256 over the manifest and every array, in the order of their names."""
    import hashlib  # loads OpenSSL, which reading a shipped model does without

    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return f"sha256:{digest.hexdigest()}"


def _build(
    manifest: dict[str, Any], arrays: dict[str, Array], path: Any, kind: type[Model]
) -> Model:
    """Make the model and give it its arrays, never allocating more than the file holds."""
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
    if extra := sorted(n for n in arrays if n.startswith("weights/") and n not in taken):
        raise InputError(f"{path} holds arrays that no layer takes: {extra}")
    model.metadata = {key: manifest[key] for key in METADATA if key in manifest}
    return model


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(type(entry) is kind for entry in value)


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (lambda value: isinstance(value, str), "a text"),
    "dtype": (lambda value: value in ("float32", "float64"), "float32 or float64"),
    "input_shape": (lambda value: _is_list(value, int), "a list of sizes"),
    "layers": (lambda value: _is_list(value, dict), "a list of objects"),
    "wiring": (
        lambda value: isinstance(value, dict) and all(_is_list(v, str) for v in value.values()),
        "an object of lists of names",
    ),
    "arrays": (lambda value: isinstance(value, dict), "an object"),
}
"""What the entries of a manifest must be."""


_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WEIGHTS_FOLDERS = (
    os.path.join(_PACKAGE, "weights"),
    os.path.join(os.path.dirname(_PACKAGE), "weights"),
)
"""Where the shipped files lie: in the installed package, or at the top of a checkout."""


def is_shipped(model: str | PathLike[str]) -> bool:
    """Whether this is the name of a model that comes with tinymnist."""
    return str(model) in _shipped()


def shipped() -> dict[str, Path]:
    """The weights files that come with tinymnist, by name."""
    from pathlib import Path

    return {name: Path(file) for name, file in _shipped().items()}


def _shipped() -> dict[str, str]:
    found = {}
    for folder in filter(os.path.isdir, reversed(WEIGHTS_FOLDERS)):
        for file in os.listdir(folder):
            stem, ending = os.path.splitext(file)
            if ending == ".npz":
                found[stem] = os.path.join(folder, file)
    return found


def find(model: str | PathLike[str]) -> Path:
    """The file of a shipped model's name, or the path of a file.

    Raises:
        InputError: if there is neither; the message lists the names.
    """
    from pathlib import Path

    return Path(_find(model))


def _find(model: str | PathLike[str]) -> str:
    files = _shipped()
    path = files.get(name := str(model), name)
    if not os.path.exists(path):
        known = f"expected a weights file, or one of {sorted(files)}{did_you_mean(name, files)}"
        if is_path(name):
            raise InputError(f"{name}: no such file; {known}")
        raise InputError(f"there is no model {name!r}; {known}")
    return path
