"""Kinds of model files: each format that tinymnist opens, from tiny models and from shared ones."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.mutations import graphs
from benchmarks.mutations.kinds import Kind, Mutator, Seed
from benchmarks.mutations.mutators import (
    BYTES,
    any_bytes,
    hdf5,
    inside_zip,
    json_value,
    npy,
    pickled,
    protobuf,
    replace_text,
    safetensors,
    swapped,
    zipped,
)
from tinymnist.errors import InputError

_MOST_SEED_BYTES = 300_000
_MOST_FOLDER_BYTES = 2_000_000
"""Larger models of other people are left out: their numbers would take most of the damage."""


def kinds() -> list[Kind]:
    """Every kind of model file."""
    return [
        _kind("npz", (*BYTES, inside_zip(_in_npz), proven, proven), lambda: _own("npz")),
        _kind("h5", (*BYTES, hdf5, hdf5, hdf5), lambda: [*_own("h5"), *_shared("h5")], "h5py"),
        _kind(
            "keras",
            (*BYTES, inside_zip(_in_keras), inside_zip(_in_keras)),
            lambda: [*_own("keras"), *_shared("keras")],
            "h5py",
        ),
        _kind("onnx", (*BYTES, *[protobuf] * 6), lambda: [*_own("onnx"), *_shared("onnx")], "onnx"),
        _kind("safetensors", (*BYTES, safetensors, safetensors), lambda: _own("safetensors")),
        _kind("pytorch", (*BYTES, *[inside_zip(_in_torch, 0)] * 4), _torch_seeds),
        _kind("savedmodel", (*BYTES, protobuf, protobuf), _saved_model_seeds),
        _kind("graphdef", (*BYTES, *[protobuf] * 6), lambda: [_graph_seed(), *_shared("pb")]),
        _kind("tflite", BYTES, lambda: _shared("tflite")),
        _kind("tfjs", (*BYTES, json_value, json_value), _tfjs_seeds),
        Kind("json", _json_seeds, (any_bytes, json_value, json_value, replace_text), _open_json),
        Kind("checkpoint", _checkpoints, (*BYTES, *[inside_zip(_in_npz)] * 3), _resume),
    ]


def _kind(
    name: str, mutators: Sequence[Mutator], seeds: Callable[[], Sequence[Seed]], needs: str = ""
) -> Kind:
    there = not needs or importlib.util.find_spec(needs) is not None
    return Kind(name, seeds if there else lambda: [], mutators, _open_model, _prepare)


def _prepare() -> None:
    """Import what opens models, by opening one of each kind."""
    import tinymnist
    from tinymnist.interop.formats import read

    tinymnist.Reader("mlp").predict(_DIGIT)
    for kind in kinds()[:10]:
        for seed in kind.seeds()[:1]:
            with tempfile.TemporaryDirectory() as folder:
                for name, content in seed.files.items():
                    (place := Path(folder, name)).parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(content)
                with contextlib.suppress(InputError):  # some of other people's are refused
                    read(place if len(seed.files) == 1 else folder)


_DIGIT = np.zeros((28, 28), np.float32)
_DIGIT[5:23, 13:16] = 1


def _open_model(path: Path) -> None:
    """Open a model, verify it if it has a proof, and read a picture with it."""
    import tinymnist
    from tinymnist.interop.formats import read

    found = read(path)
    model = found.choose(None if len(found.plans) == 1 or found.model else 1)
    model.summary(print_fn=str)
    if path.suffix == ".npz":
        tinymnist.verify(path)
    reader = tinymnist.Reader(model, recipe="none")
    prediction = reader.predict(_DIGIT)
    if not np.isfinite(prediction.probabilities).all():
        raise ArithmeticError(f"the answer is {prediction.probabilities}")


def _tiny() -> Any:
    """A model of a few kilobytes with layers of several kinds."""
    from tinymnist import Sequential
    from tinymnist.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D

    layers = [
        Conv2D(2, 5, activation="relu", strides=2),
        BatchNormalization(),
        MaxPooling2D(),
        Dropout(0.25),
        Flatten(),
        Dense(10, activation="softmax"),
    ]
    return Sequential(layers, input_shape=(28, 28, 1), rng=0)


def _own(suffix: str) -> list[Seed]:
    """The tiny model in a format, as tinymnist writes it."""
    from tinymnist.interop import export

    model = _tiny()
    model.metadata = {
        "class_names": list("0123456789"),
        "preprocessing": {
            "recipe": "mnist",
            "scaling": {"name": "x/255", "scale": 1.0, "offset": 0.0},
        },
        "source": "benchmarks.mutations",
        "metrics": {"mnist-test": {"n": 10000, "accuracy": 0.5}},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"tiny.{suffix}")
        if suffix == "npz":
            model.save(path)
        else:
            export(model, path)
        return [Seed(path.name, {path.name: path.read_bytes()})]


def _arrays() -> dict[str, Any]:
    """The arrays of a tiny graph of TensorFlow's operations."""
    rng = np.random.default_rng(0)
    shapes = {"conv/kernel": (5, 5, 1, 2), "conv/bias": (2,), "dense/kernel": (1152, 10)}
    return {name: rng.normal(0, 0.1, shape).astype("f4") for name, shape in shapes.items()}


def _graph_seed() -> Seed:
    return Seed("frozen.pb", {"frozen.pb": graphs.frozen(28, *_arrays().values())})


def _saved_model_seeds() -> list[Seed]:
    """A graph whose function takes variables, and other people's folders."""
    arrays = _arrays()
    objects = graphs.field(1, b"") + b"".join(map(graphs.leaf, arrays))
    files = graphs.checkpoint(arrays, objects)
    own = Seed("served", {"saved_model.pb": graphs.served(28, [1, 2, 3]), **files})
    return [own, *_shared_folders("savedmodel")]


def _tfjs_seeds() -> list[Seed]:
    """The tiny model as TensorFlow.js keeps it: Keras's description, and the arrays beside it."""
    from tinymnist.interop import to_json

    model, described, data = _tiny(), [], b""
    for name, array in model.weights.items():
        described.append({"name": name, "shape": list(array.shape), "dtype": "float32"})
        data += array.tobytes()
    content = {
        "format": "layers-model",
        "modelTopology": {"keras_version": "2.9.0", "model_config": json.loads(to_json(model))},
        "weightsManifest": [{"paths": ["w.bin"], "weights": described}],
    }
    own = Seed("tfjs", {"model.json": json.dumps(content).encode(), "w.bin": data})
    arrays = _arrays() | {"flat/shape": np.array([-1, 1152], "<i4")}
    listed = [
        {"name": name, "shape": list(array.shape), "dtype": "float32" if i < 3 else "int32"}
        for i, (name, array) in enumerate(arrays.items())
    ]
    graph = graphs.in_json(28, arrays)
    graph["weightsManifest"] = [{"paths": ["w.bin"], "weights": listed}]
    data = b"".join(array.tobytes() for array in arrays.values())
    other = Seed("graph", {"model.json": json.dumps(graph).encode(), "w.bin": data})
    return [own, other, *_shared_folders("tfjs")]


def _shared(folder: str) -> list[Seed]:
    """Small models of other people, if ``$TINYMNIST_TESTDATA`` names them."""
    return [
        Seed(path.name, {path.name: path.read_bytes()})
        for path in sorted(_models(folder).glob("*"))
        if path.is_file() and path.stat().st_size <= _MOST_SEED_BYTES
    ]


def _shared_folders(kind: str) -> list[Seed]:
    found = []
    for folder in sorted(_models(kind).glob("*")):
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        if files and sum(path.stat().st_size for path in files) <= _MOST_FOLDER_BYTES:
            named = {str(path.relative_to(folder)): path.read_bytes() for path in files}
            found.append(Seed(folder.name, named))
    return found


def _models(kind: str) -> Path:
    return Path(os.environ.get("TINYMNIST_TESTDATA", "/nowhere"), "models", kind)


def _in_npz(name: str) -> Mutator:
    return json_value if name.endswith(".json") else npy


def _in_keras(name: str) -> Mutator:
    return hdf5 if name.endswith(".h5") else json_value


def _in_torch(name: str) -> Mutator:
    return pickled if name.endswith(".pkl") else any_bytes


def proven(data: bytes, rng: Random) -> bytes:
    """Change a weights file's manifest or arrays, and give it the hash of the result."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        manifest = json.loads(parts.pop("manifest.json"))
        del manifest["content_hash"]
        arrays = {
            name.removesuffix(".npy"): np.load(io.BytesIO(part)) for name, part in parts.items()
        }
    except Exception:  # damaged before, in any way
        return any_bytes(data, rng)
    if rng.random() < 0.7 or not arrays:
        manifest = swapped(manifest, rng)
    else:
        name = rng.choice(sorted(arrays))
        odd = rng.choice((np.nan, np.inf, 1e38, 0.0, -1.0))
        arrays[name] = arrays[name] * np.float32(odd)
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    members = [("manifest.json", json.dumps(manifest).encode())]
    if isinstance(manifest, dict):
        full = manifest | {"content_hash": f"sha256:{digest.hexdigest()}"}
        members = [("manifest.json", json.dumps(full).encode())]
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        members.append((f"{name}.npy", buffer.getvalue()))
    return zipped(members)


def _torch_seeds() -> list[Seed]:
    """Small files of other people, and one made by torch if it is installed."""
    found = _shared("pt")
    if importlib.util.find_spec("torch") is not None:
        import torch

        layers = [torch.nn.Conv2d(1, 2, 5), torch.nn.Linear(288, 10)]
        state = {f"conv.{key}": value for key, value in layers[0].state_dict().items()}
        state |= {f"fc.{key}": value for key, value in layers[1].state_dict().items()}
        for legacy in (False, True):
            buffer = io.BytesIO()
            torch.save(state, buffer, _use_new_zipfile_serialization=not legacy)
            found.append(Seed(f"torch{legacy}.pt", {f"torch{legacy}.pt": buffer.getvalue()}))
    return found


def _json_seeds() -> list[Seed]:
    from tinymnist.interop import to_json

    own = to_json(_tiny()).encode()
    return [Seed("tiny.json", {"tiny.json": own}), *_shared("json")]


def _open_json(path: Path) -> None:
    """Make a model of Keras's JSON, as ``model_from_json`` does."""
    from tinymnist.models import model_from_json

    model_from_json(path.read_text("utf-8", "replace"))


def _train(callbacks: Sequence[Any] = (), resume: Path | None = None) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((8, 28, 28, 1), np.float32), np.arange(8) % 10
    model = _tiny()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=4, epochs=2, verbose=0, callbacks=list(callbacks), resume=resume)


def _checkpoints() -> list[Seed]:
    from tinymnist.nn.training.checkpoint import Checkpoint

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint.npz")
        _train([Checkpoint(path, every=1)])
        return [Seed("checkpoint.npz", {"checkpoint.npz": path.read_bytes()})]


def _resume(path: Path) -> None:
    from tinymnist.nn.training.checkpoint import Checkpoint

    copy = path.with_name("next.npz")
    _train([Checkpoint(copy, every=1)], resume=path)
