"""ONNX files read and written, against onnxruntime; other people's, against their manifest."""

from __future__ import annotations

import csv
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.nn.conftest import WRITTEN_CASES
from tinymnist.data.mnist import load_mnist
from tinymnist.interop.onnx import read, write
from tinymnist.nn.functional import softmax
from tinymnist.nn.layers import Conv2D, Dense, Flatten
from tinymnist.nn.layers.base import default_name
from tinymnist.nn.sequential import Sequential, load_model
from tinymnist.nn.weights import shipped

pytestmark = pytest.mark.peer
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    onnx = pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")


def session(model: Any) -> Any:
    """A model in onnxruntime, without its remarks about initializers."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def relative(found: Any, expected: Any) -> Any:
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))


# Written -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", WRITTEN_CASES, ids=str)
def test_every_layer(case: Any, tmp_path: Path) -> None:
    layer, first = case.built("float32"), case.input_shapes[0]
    picture = len(first) == 3
    fronts = [
        Conv2D(shape[-1], 3, padding="same", name=f"front_{i}")
        if picture
        else Dense(shape[0], name=f"front_{i}")
        for i, shape in enumerate(case.input_shapes)
    ]
    layer.name = default_name(layer)
    names = [front.name for front in fronts]
    model = Sequential(
        [*fronts, layer, Flatten(name="flat"), Dense(4, name="end")],
        input_shape=(*first[:-1], 3 if picture else 7),
        wiring={name: ["input"] for name in names} | {layer.name: names},
    )
    x = np.random.default_rng(5).normal(size=(3, *model.input_shape)).astype(np.float32)
    for channels_first in (False, True) if picture else (False,):
        write(model, tmp_path / "m.onnx", channels_first=channels_first)
        fed = np.moveaxis(x, -1, 1) if channels_first else x
        (found,) = session((tmp_path / "m.onnx").read_bytes()).run(None, {"input": fed})
        assert relative(model.predict(x, workers=1), found) < 1e-5


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_models(name: Any, tmp_path: Path) -> None:
    model = load_model(name)
    write(model, tmp_path / "m.onnx")
    x = np.random.default_rng(0).random((5, 28, 28, 1)).astype(np.float32)
    (found,) = session((tmp_path / "m.onnx").read_bytes()).run(None, {"input": x})
    assert np.abs(model.predict(x) - found).max() < 1e-5


# Read: other people's files ----------------------------------------------------------------------

SCALINGS = {
    "x/255": lambda x: x / 255,
    "raw": lambda x: x,
    "x/127.5-1": lambda x: x / 127.5 - 1,
    "norm(.1307,.3081)": lambda x: (x / 255 - 0.1307) / 0.3081,
}


def shared_rows() -> Any:
    """The lines of the manifest about ONNX files, if it is there."""
    folder = os.environ.get("TINYMNIST_TESTDATA")
    if not folder:
        return [pytest.param(None, id="none", marks=pytest.mark.skip("no TINYMNIST_TESTDATA"))]
    with open(Path(folder) / "models" / "manifest.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["format"] == "onnx"]
    return [pytest.param(row, id=Path(row["file"]).name[:40]) for row in rows]


def as_wanted(x: Any, shape: Any) -> Any:
    """Pictures in the size that a model takes: a frame around them, or the mean of their blocks."""
    side = shape[0]
    if side > 28:
        frame = (side - 28) // 2
        pads = ((0, 0), (frame, frame), (frame, frame), (0, 0))
        return np.pad(x, pads, constant_values=x.min())
    return x.reshape(len(x), side, 28 // side, side, 28 // side, 1).mean((2, 4))


@pytest.mark.parametrize("row", shared_rows())
def test_accuracy_of_the_manifest(row: Any, shared_folder: Path, mnist_folder: Path) -> None:
    """To 0.02 points. Where several scalings do, the manifest's figure is that of the best."""
    model = read(shared_folder / "models" / row["file"])
    pictures, labels = load_mnist("test", mnist_folder)
    raw = pictures.reshape(-1, 28, 28, 1).astype(np.float32)
    wanted, measured = float(row["accuracy"] or row["accuracy_ours"]), []
    for name in (row["scaling"], *(set(SCALINGS) - {row["scaling"]})):
        x = as_wanted(SCALINGS[name](raw), model.input_shape).astype(np.float32)
        scores = model.predict(x, batch_size=128)
        measured.append(float((scores.argmax(axis=1) == labels).mean()))
        if abs(measured[-1] - wanted) <= 2e-4:
            return
    pytest.fail(f"{measured}, and the manifest says {wanted}")


@pytest.mark.parametrize("row", shared_rows())
def test_outputs_of_every_layer(row: Any, shared_folder: Path) -> None:
    """Probabilities to 1e-5, and every layer's output to 1e-4 of its largest number."""
    if row["loads_in_own_framework"] != "ok":
        pytest.skip(f"onnxruntime does not run it: {row['loads_in_own_framework'][:80]}")
    path = shared_folder / "models" / row["file"]
    model = read(path)
    told = model.metadata["source"]
    proto = onnx.load(path)  # with its external data
    tensors = dict(told["tensors"])
    there = {output.name for output in proto.graph.output}
    for name in sorted(set(tensors.values()) - there):
        proto.graph.output.append(onnx.ValueInfoProto(name=name))
    graph = session(proto)
    port = next(i for i in graph.get_inputs() if i.name == told["input"]["name"])
    batch = port.shape[0] if isinstance(port.shape[0], int) else 4
    x = np.random.default_rng(3).random((batch, *model.input_shape)).astype(np.float32)
    sides = [side if isinstance(side, int) else batch for side in port.shape]
    if np.prod(sides) != x.size:  # rows of one picture, called a batch
        x = x[:1]
        sides = [-1, *sides[1:]]
    fed = {port.name: x.reshape(sides)}  # one channel: the order of axes does not matter
    fed |= {i.name: np.zeros((batch, 10), np.float32) for i in graph.get_inputs() if i is not port}
    found = dict(zip(tensors.values(), graph.run(list(tensors.values()), fed), strict=True))
    outputs = model.capture(x)
    for layer, tensor in tensors.items():
        expected = found[tensor]
        if expected.ndim == 4:
            expected = np.moveaxis(expected, 1, -1)
        assert relative(outputs[layer].reshape(expected.shape), expected) < 1e-4, layer
    last = list(tensors)[-1]
    ours, theirs = outputs[last], found[tensors[last]].reshape(outputs[last].shape)
    if ours.min() < 0 or ours.max() > 1:  # scores, of which probabilities are to be made
        ours, theirs = softmax(ours)[0], softmax(theirs)[0]
    assert np.abs(ours - theirs).max() < 1e-5


def test_the_broken_file_is_refused(shared_folder: Path) -> None:
    (broken,) = (shared_folder / "models" / "broken").glob("*.onnx")
    with pytest.raises(ValueError, match="ONNX model"):
        read(broken)
