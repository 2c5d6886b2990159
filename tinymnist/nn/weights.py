"""The weights file: a model with its proof.

An .npz archive with a manifest (architecture, class names, preprocessing, source, metrics, a hash
of everything) and the arrays, and beside them one sample input with every layer's output.
:func:`verify` runs the sample again, so a file tells by itself whether it still computes what it
computed when it was written.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.nn.archive import read_archive, write_archive
from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import Layer, layer_from_config
from tinymnist.nn.sequential import Sequential

FORMAT = "tinymnist weights 1"
METADATA = ("class_names", "preprocessing", "source", "metrics", "parent")
"""What a manifest may tell of a model beside its architecture."""
FOREIGN = (".keras", ".h5", ".hdf5", ".onnx", ".safetensors", ".pt", ".pth", ".py")
"""Endings by which people would take a weights file for something else."""
VERIFY_TOLERANCE = 1e-5
"""How far a layer's output may be off, as a share of its largest number. Float32 rounding, summed
in another order by another processor, stays well below."""
_KEYS = {"format", "name", "dtype", "input_shape", "layers", "wiring", "arrays", "content_hash"}
_MOST_ACTIVATIONS = 1 << 26
"""Numbers in one layer's output for one picture; beyond, a file is broken or hostile."""


def save(model: Sequential, path: str | PathLike[str], sample: Array | None = None) -> None:
    """Write a model with its ``metadata`` and its proof, completely or not at all.

    Args:
        model: any model; what is in ``model.metadata`` goes into the manifest.
        path: where to write.
        sample: one input (1, *input_shape) for the proof; None takes fixed random numbers.

    Raises:
        InputError: when the file cannot be written, or its name ends like another framework's.
        ValueError: when ``metadata`` has keys that the format does not know.
    """
    check_ending(path)
    if unknown := sorted(model.metadata.keys() - set(METADATA)):
        raise ValueError(f"metadata may tell {METADATA}. Received: {unknown}")
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


def check_ending(path: str | PathLike[str]) -> None:
    """Refuse a name that promises another framework's file.

    Raises:
        InputError: for an ending in :data:`FOREIGN`.
    """
    if Path(path).suffix.lower() in FOREIGN:
        raise InputError(
            f"{path} is named like another framework's file; expected .npz, which `tinymnist "
            "export` and tinymnist.export(model, path) turn into others"
        )


def load_model(model: str | PathLike[str]) -> Sequential:
    """Read a model; every name, shape and dtype and the hash of the whole are checked.

    Args:
        model: the name of a shipped model, or a weights file.

    Raises:
        InputError: when anything is missing, unknown, damaged or does not fit.
    """
    path = find(model)
    return _rebuild(*_read_checked(path), path)


def verify(model: str | PathLike[str]) -> dict[str, float]:
    """Run the sample in a weights file again.

    Args:
        model: the name of a shipped model, or a weights file.

    Returns:
        For every layer, the largest deviation from the output on file, as a share of the largest
        number in it. At most :data:`VERIFY_TOLERANCE` is sound.

    Raises:
        InputError: as :func:`load_model`.
    """
    path = find(model)
    manifest, arrays = _read_checked(path)
    network = _rebuild(manifest, arrays, path)
    names = (INPUT, *(layer.name for layer in network.layers))
    expected = {name: arrays.get(f"sample/{name}") for name in names}
    if missing := [name for name, array in expected.items() if array is None]:
        raise InputError(
            f"{path} carries no sample output of {missing}; expected one of every layer"
        )
    outputs = network.capture(arrays[f"sample/{INPUT}"])
    return {name: _deviation(outputs[name], arrays[f"sample/{name}"]) for name in expected}


def _deviation(found: Array, expected: Array) -> float:
    if found.shape != expected.shape:
        return math.inf
    scale = float(np.abs(expected).max(initial=0.0)) or 1.0
    return float(np.abs(found - expected).max(initial=0.0)) / scale


def _read_checked(path: str | PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
    manifest, arrays = read_archive(path)
    if manifest.get("format") != FORMAT:
        raise InputError(
            f"{path} is no weights file of this version; expected format {FORMAT!r}, "
            f"found {manifest.get('format')!r}"
        )
    if unknown := sorted(manifest.keys() - _KEYS - set(METADATA)):
        raise InputError(f"{path} tells what this version does not know: {unknown}")
    if missing := sorted(_KEYS - manifest.keys()):
        raise InputError(f"{path} lacks {missing} in its manifest")
    listed = {n: [str(a.dtype), list(a.shape)] for n, a in arrays.items()}
    if listed != manifest["arrays"]:
        odd = sorted(n for n in listed.keys() | manifest["arrays"].keys()
                     if listed.get(n) != manifest["arrays"].get(n))  # fmt: skip
        raise InputError(f"{path} holds other arrays than its manifest lists: {odd[:5]}")
    stated = manifest.pop("content_hash")
    if stated != _content_hash(manifest, arrays):
        raise InputError(
            f"{path} was changed after it was written: its content hash does not match"
        )
    return manifest, arrays


def fingerprint(model: Sequential) -> str:
    """SHA-256 of a model's arrays: tells a fine-tuned model's parent, whatever it is called."""
    return _content_hash({}, model.weights)


def _content_hash(manifest: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """SHA-256 over the manifest and every array, in the order of their names."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return f"sha256:{digest.hexdigest()}"


def _rebuild(manifest: dict[str, Any], arrays: dict[str, Array], path: Any) -> Sequential:
    """Make the model and give it its arrays, never allocating more than the file holds."""
    try:
        layers = [layer_from_config(config) for config in manifest["layers"]]
        for layer in layers:
            _give_arrays(layer, arrays)
        model = Sequential(
            layers,
            input_shape=manifest["input_shape"],
            wiring=manifest["wiring"],
            dtype=manifest["dtype"],
            name=manifest["name"],
        )
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f"{path} does not describe a model: {error}") from None
    extra = {n for n in arrays if n.startswith("weights/")} - {
        f"weights/{n}" for n in model.weights
    }
    if extra:
        raise InputError(f"{path} holds arrays that no layer takes: {sorted(extra)}")
    if any(math.prod(shape) > _MOST_ACTIVATIONS for shape in model.shapes.values()):
        raise InputError(f"{path} describes layers with more than {_MOST_ACTIVATIONS:,} outputs")
    model.metadata = {key: manifest[key] for key in METADATA if key in manifest}
    return model


def _give_arrays(layer: Layer, arrays: Mapping[str, Array]) -> None:
    prefix = f"weights/{layer.name}/"
    for key in (*layer.parameters, *layer.statistics):
        if prefix + key in arrays:
            setattr(layer, key, arrays[prefix + key])
    if not layer.is_built:
        raise ValueError(f"{layer.name} has no {list(layer.parameters)} in the file")


WEIGHTS_FOLDERS = (Path(__file__).parents[1] / "weights", Path(__file__).parents[2] / "weights")
"""Where the shipped files lie: in the installed package, or at the top of a checkout."""


def shipped() -> dict[str, Path]:
    """The weights files that come with tinymnist, by name."""
    return {
        file.stem: file for folder in reversed(WEIGHTS_FOLDERS) for file in folder.glob("*.npz")
    }


def find(model: str | PathLike[str]) -> Path:
    """The file of a shipped model's name, or the path of a file.

    Raises:
        InputError: when there is neither; the message lists the names.
    """
    if (named := shipped().get(str(model))) is not None:
        return named
    if Path(model).exists():
        return Path(model)
    raise InputError(
        f"there is no model {str(model)!r}; expected a weights file, or one of {sorted(shipped())}"
    )
