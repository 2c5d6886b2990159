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
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tinymnist.errors import InputError, did_you_mean
from tinymnist.files import is_path
from tinymnist.nn.archive import MAX_UNPACKED_BYTES, read_archive, write_archive
from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import INPUT, Graph
from tinymnist.nn.layers import layer_from_config

if TYPE_CHECKING:  # its import takes time, and reading a shipped model does without
    from pathlib import Path

FORMAT = "tinymnist weights 1"
METADATA = ("class_names", "preprocessing", "source", "metrics", "parent")
"""What a manifest may say about a model beside its architecture."""
FOREIGN_ENDINGS = (".keras", ".h5", ".hdf5", ".onnx", ".safetensors", ".pt", ".pth", ".py")
"""Endings of other frameworks' files, which :mod:`tinymnist.interop` writes, or refuses."""
VERIFY_TOLERANCE = 1e-5
"""How far a layer's output may deviate, as a share of its largest number. Float32 rounding, summed
in another order by another processor, stays well below."""
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
    return _build(*_read_checked(path, proof=not is_shipped(model)), path, kind)


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


def _read_checked(path: str, *, proof: bool = True) -> tuple[dict[str, Any], dict[str, Array]]:
    """The manifest and the arrays; without ``proof`` the weights alone, and their hash is open."""
    prefix = "" if proof else "weights/"
    manifest, arrays = read_archive(path, MAX_UNPACKED_BYTES, prefix)
    if manifest.get("format") != FORMAT:
        raise InputError(
            f"{path} is not a weights file of this version; expected format {FORMAT!r}, "
            f"found {manifest.get('format')!r}"
        )
    if unknown := sorted(manifest.keys() - _KEYS - set(METADATA)):
        raise InputError(f"{path} has manifest entries that this version does not know: {unknown}")
    if missing := sorted(_KEYS - manifest.keys()):
        raise InputError(f"{path} lacks {missing} in its manifest")
    found = {n: [str(a.dtype), list(a.shape)] for n, a in arrays.items()}
    listed = {n: described for n, described in manifest["arrays"].items() if n.startswith(prefix)}
    if found != listed:
        odd = sorted(n for n in found.keys() | listed.keys() if found.get(n) != listed.get(n))
        raise InputError(f"{path} holds other arrays than its manifest lists: {odd[:5]}")
    stated = manifest.pop("content_hash")
    if proof and stated != _content_hash(manifest, arrays):
        raise InputError(f"{path} was changed after it was written: its content hash differs")
    return manifest, arrays


def fingerprint(model: Graph) -> str:
    """SHA-256 of a model's arrays: identifies a fine-tuned model's parent under any name."""
    return _content_hash({}, model.weights)


def _content_hash(manifest: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
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
