"""TensorFlow's files, written by hand byte by byte; and damaged in every way."""

from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.mutations.graphs import checkpoint, field, frozen, in_json, leaf, served
from tinymnist.errors import InputError
from tinymnist.interop import open_model
from tinymnist.interop.remembered import convert_once

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(3, 3, 1, 2)).astype("f4")
BIAS = RNG.normal(size=2).astype("f4")
DENSE = RNG.normal(size=(4 * 4 * 2, 3)).astype("f4")
X = RNG.random((2, 6, 6, 1), np.float32)
CONFIG = {
    "class_name": "Sequential",
    "config": {
        "name": "m",
        "layers": [
            {"class_name": "Conv2D", "config": {
                "name": "conv", "batch_input_shape": [None, 6, 6, 1], "filters": 2,
                "kernel_size": [3, 3], "activation": "relu"}},
            {"class_name": "Flatten", "config": {"name": "flatten"}},
            {"class_name": "Dense", "config": {"name": "dense", "units": 3, "use_bias": False}},
        ],
    },
}  # fmt: skip


def expected() -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(X[..., 0], (3, 3), axis=(1, 2))
    y = np.einsum("nijab,abc->nijc", windows, KERNEL[:, :, 0]) + BIAS
    return np.maximum(y, 0).reshape(2, -1) @ DENSE


def saved_model(folder: Path) -> Path:
    """A SavedModel of TensorFlow 2.4: Keras's layers in the graph of objects."""
    (folder / "variables").mkdir(parents=True)
    root = field(1, "_tf_keras_sequential") + field(3, json.dumps(CONFIG))
    graph = field(7, field(1, field(4, root)))
    (folder / "saved_model.pb").write_bytes(field(1, 1) + field(2, graph))

    def child(name: str, node: int) -> bytes:
        return field(1, field(1, node) + field(2, name))

    nodes = field(1, child("layer_with_weights-0", 1) + child("layer_with_weights-1", 2))
    nodes += field(1, child("bias", 4) + child("kernel", 3)) + field(1, child("kernel", 5))
    nodes += leaf("a/kernel") + leaf("a/bias") + leaf("b/kernel")
    arrays = {"a/bias": BIAS, "a/kernel": KERNEL, "b/kernel": DENSE}
    for name, content in checkpoint(arrays, nodes).items():
        (folder / name).write_bytes(content)
    return folder


def served_model(folder: Path) -> Path:
    """A SavedModel of an operation graph alone, whose function takes the same variables."""
    path = saved_model(folder) / "saved_model.pb"
    path.write_bytes(served(6, [3, 4, 5]))
    return folder


def frozen_graph(path: Path) -> Path:
    path.write_bytes(frozen(6, KERNEL, BIAS, DENSE))
    return path


ARRAYS = {"conv/kernel": KERNEL, "conv/bias": BIAS, "dense/kernel": DENSE}


def graph_js(folder: Path) -> Path:
    path = tensorflow_js(folder, arrays=ARRAYS | {"flat/shape": np.array([-1, 32], "<i4")})
    weights = json.loads(path.read_text())["weightsManifest"]
    described = in_json(6, dict.fromkeys((*ARRAYS, "flat/shape")))
    path.write_text(json.dumps(described | {"weightsManifest": weights}))
    return path


def tensorflow_js(folder: Path, coded: bool = False, arrays: Any = None) -> Path:
    folder.mkdir()
    weights, data = [], b""
    for name, array in (arrays or ARRAYS).items():
        kind = "float32" if array.dtype == "f4" else "int32"
        entry: dict[str, Any] = {"name": name, "shape": list(array.shape), "dtype": kind}
        if coded:
            scale, lowest = float(np.ptp(array)) / 65535, float(array.min())
            entry["quantization"] = {"dtype": "uint16", "scale": scale, "min": lowest}
            data += np.round((array - lowest) / scale).astype("<u2").tobytes()
        else:
            data += array.tobytes()
        weights.append(entry)
    (folder / "w.bin").write_bytes(data)
    manifest = [{"paths": ["w.bin"], "weights": weights}]
    topology = {"keras_version": "2.9.0", "model_config": CONFIG}
    described = {"format": "layers-model", "modelTopology": topology, "weightsManifest": manifest}
    (folder / "model.json").write_text(json.dumps(described))
    return folder / "model.json"


Write = Callable[[bytearray], None]


def vector(array: Any, dtype: str = "<i4") -> Write:
    numbers = np.asarray(array, dtype)

    def write(out: bytearray) -> None:
        out += struct.pack("<I", numbers.size) + numbers.tobytes()
        out += bytes(-len(out) % 8)

    return write


def tables(*entries: Write) -> Write:
    def write(out: bytearray) -> None:
        out += struct.pack("<I", len(entries))
        start = len(out)
        out += bytes(4 * len(entries))
        for i, entry in enumerate(entries):
            refer(out, start + 4 * i, entry)

    return write


def refer(out: bytearray, place: int, entry: Write) -> None:
    out += bytes(-len(out) % 8)
    before = len(out)
    entry(out)
    start = getattr(entry, "start", before)
    struct.pack_into("<I", out, place, start - place)


def record(fields: dict[int, Any]) -> Write:
    """A FlatBuffers table: numbers lie in it, everything else behind it."""

    def write(out: bytearray) -> None:
        top = max(fields, default=-1) + 1
        listed = [4 + 8 * sorted(fields).index(i) if i in fields else 0 for i in range(top)]
        vtable = len(out)
        out += struct.pack(f"<HH{top}H", 4 + 2 * top, 4 + 8 * len(fields), *listed)
        write.start = at = len(out)  # type: ignore[attr-defined]
        out += struct.pack("<i", at - vtable) + bytes(8 * len(fields))
        for number, value in fields.items():
            place = at + listed[number]
            if isinstance(value, int):
                struct.pack_into("<i", out, place, value)
            else:
                refer(out, place, value)

    return write


def lite(path: Path, bits: int = 32) -> Path:
    """Conv2D with a fused ReLU, Reshape, FullyConnected; kernels in 16, 8 or 4 bits."""
    kernel, buffers, tensors = KERNEL.transpose(3, 0, 1, 2), [record({})], []

    def tensor(shape: Any, data: Any = None, dtype: str = "<f4", kind: int = 0, **more: Any) -> int:
        fields = {0: vector(shape), 1: kind, 3: vector(list(b"t"), "u1")}
        if data is not None:
            fields[2] = len(buffers)
            buffers.append(record({0: vector(list(np.asarray(data, dtype).tobytes()), "u1")}))
        tensors.append(record(fields | more.get("scales", {})))
        return len(tensors) - 1

    x = tensor([1, 6, 6, 1])
    scales: Any = {}
    widening = []
    if bits < 16:
        scale = np.abs(kernel).max(axis=(1, 2, 3)) / (2 ** (bits - 1) - 1)
        scales = {4: record({2: vector(scale, "<f4"), 3: vector([0, 0], "<i8"), 6: 0})}
        coded = np.round(kernel / scale[:, None, None, None]).astype("i1")
        if bits == 4:  # two in a byte, the lower first
            pairs = coded.reshape(-1, 2) & 15
            k = tensor(kernel.shape, pairs[:, 0] | pairs[:, 1] << 4, "i1", 17, scales=scales)
        else:
            k = tensor(kernel.shape, coded, "i1", 9, scales=scales)
    elif bits == 16:
        narrow, k = tensor(kernel.shape, kernel, "<f2", 1), tensor(kernel.shape)
        widening = [record({0: 3, 1: vector([narrow]), 2: vector([k])})]
    else:
        k = tensor(kernel.shape, kernel)
    b, y = tensor([2], BIAS), tensor([1, 4, 4, 2])
    shape, flat = tensor([2], [1, 32], "<i4", 2), tensor([1, 32])
    d, z = tensor([3, 32], DENSE.T), tensor([1, 3])
    convolution = record({0: 1, 1: 1, 2: 1, 3: 1})
    operators = tables(
        *widening,
        record({0: 0, 1: vector([x, k, b]), 2: vector([y]), 4: convolution}),
        record({0: 1, 1: vector([y, shape]), 2: vector([flat])}),
        record({0: 2, 1: vector([flat, d, -1]), 2: vector([z]), 4: record({0: 0})}),
    )
    graph = record({0: tables(*tensors), 1: vector([x]), 2: vector([z]), 3: operators})
    codes = tables(record({0: 3}), record({0: 22}), record({0: 9}), record({0: 6}))
    out = bytearray(b"\0\0\0\0TFL3")
    refer(out, 0, record({0: 3, 1: codes, 2: tables(graph), 4: tables(*buffers)}))
    path.write_bytes(out)
    return path


MAKERS: dict[str, Callable[[Path], Path]] = {
    "savedmodel": saved_model,
    "savedmodel, graph": served_model,
    "frozen graph": frozen_graph,
    "tfjs": tensorflow_js,
    "tfjs, 16 bits": lambda place: tensorflow_js(place, coded=True),
    "tfjs, graph": graph_js,
    "tflite": lite,
    "tflite, 16 bits": lambda place: lite(place, 16),
    "tflite, 8 bits": lambda place: lite(place, 8),
    "tflite, 4 bits": lambda place: lite(place, 4),
}


@pytest.mark.parametrize("form", MAKERS)
def test_the_same_model_in_every_format(form: str, tmp_path: Path) -> None:
    model = open_model(MAKERS[form](tmp_path / "m"))
    kinds = [type(layer).__name__ for layer in model.layers]
    assert [kind for kind in kinds if kind != "ReLU"] == ["Conv2D", "Flatten", "Dense"]
    tolerance = {"tflite, 4 bits": 0.3, "tflite, 8 bits": 0.05}.get(
        form, 1e-3 if "bits" in form else 1e-5
    )
    assert np.abs(model.predict(X) - expected()).max() < tolerance * np.abs(expected()).max()
    source = str(model.metadata["source"]).replace("TensorFlow.js", "TensorFlow ")
    assert source.startswith(("Keras 2", "TensorFlow "))


def test_a_path_inside_a_folder_opens_it(tmp_path: Path) -> None:
    folder = saved_model(tmp_path / "m")
    assert np.allclose(open_model(folder / "saved_model.pb").predict(X), expected(), atol=1e-4)
    folder = tensorflow_js(tmp_path / "js").parent
    assert np.allclose(open_model(folder).predict(X), expected(), atol=1e-4)


def test_what_is_kept_of_a_folder_depends_on_its_variables(tmp_path: Path) -> None:
    """Models with the same layers and other weights have the same saved_model.pb."""
    first, _ = convert_once(saved_model(tmp_path / "1" / "m") / "saved_model.pb")
    folder = saved_model(tmp_path / "2" / "m")
    place = folder / "variables" / "variables.data-00000-of-00001"
    place.write_bytes(place.read_bytes().replace(BIAS.tobytes(), (BIAS + 1).tobytes()))
    second, _ = convert_once(folder / "saved_model.pb")
    assert not np.allclose(first.predict(X), second.predict(X))


def test_keras_metadata_beside_the_graph_is_preferred(tmp_path: Path) -> None:
    folder = saved_model(tmp_path / "m")
    node = field(3, "root") + field(4, "_tf_keras_sequential") + field(5, json.dumps(CONFIG))
    (folder / "keras_metadata.pb").write_bytes(field(1, node))
    (folder / "saved_model.pb").write_bytes(field(1, 1) + field(2, b""))
    assert np.allclose(open_model(folder).predict(X), expected(), atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "variables" / "variables.index").unlink(), "cannot read"),
        (lambda f: (f / "variables" / "variables.data-00000-of-00001").unlink(), "cannot read"),
        (
            lambda f: (f / "saved_model.pb").write_bytes(field(1, 1) + field(2, b"")),
            "no function to be served",
        ),
    ],
)
def test_a_saved_model_that_lacks_something(change: Any, message: str, tmp_path: Path) -> None:
    folder = saved_model(tmp_path / "m")
    change(folder)
    with pytest.raises(InputError, match=message):
        open_model(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weightsManifest": [{"paths": ["../w.bin"], "weights": []}]}, "in another folder"),
        ({"weightsManifest": [{"paths": ["no.bin"], "weights": []}]}, "are not beside it"),
        ({"weightsManifest": []}, "no arrays for the layer 'conv'"),
        ({"modelTopology": 3}, "cannot be read as"),
    ],
)
def test_a_description_in_json_that_is_wrong(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tensorflow_js(tmp_path / "m")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(InputError, match=message):
        open_model(path)


def _files(form: str, tmp_path: Path) -> tuple[Path, list[Path]]:
    path = MAKERS[form](tmp_path / "m")
    return path, [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())


@pytest.mark.parametrize("form", [form for form in MAKERS if "bits" not in form])
def test_any_damage_is_one_line(form: str, tmp_path: Path) -> None:
    """Bytes changed and files cut: a model or an InputError, never another exception."""
    path, files = _files(form, tmp_path)
    rng = np.random.default_rng(0)
    refused = 0
    for trial in range(60):
        file = files[trial % len(files)]
        whole = file.read_bytes()
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 4)):
            damaged[place] = rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))])
        file.write_bytes(damaged[: rng.integers(len(whole))] if trial % 5 == 0 else damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # huge weights
            try:
                open_model(path)
            except InputError as error:
                assert "\n" not in str(error)
                refused += 1
        file.write_bytes(whole)
    assert refused > 10
