"""Models written as ONNX: the checker takes them, and they come back with the same outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.nn.conftest import LAYER_CASES, ONLY_READ, WRITTEN_CASES
from tinymnist.nn.arrays import Array

pytest.importorskip("onnx")

from tinymnist.errors import InputError
from tinymnist.interop import ENDINGS, export
from tinymnist.interop.onnx import read, write
from tinymnist.nn.layers import ACTIVATIONS, LAYERS, Activation, Conv2D, Dense, Flatten, ReLU
from tinymnist.nn.layers.base import default_name
from tinymnist.nn.sequential import Input, Sequential, load_model
from tinymnist.nn.weights import shipped


def in_a_model(case: Any, dtype: str = "float32") -> tuple[Sequential, Array]:
    """The layer behind a layer of its own for each input, and before a Dense layer."""
    layer, first = case.built(dtype), case.input_shapes[0]
    fronts = [
        Conv2D(shape[-1], 3, padding="same", name=f"front_{i}")
        if len(first) == 3
        else Dense(shape[0], name=f"front_{i}")
        for i, shape in enumerate(case.input_shapes)
    ]
    layer.name = default_name(layer)
    names = [front.name for front in fronts]
    model = Sequential(
        [*fronts, layer, Flatten(name="flat"), Dense(4, name="end")],
        input_shape=(*first[:-1], 3 if len(first) == 3 else 17),
        wiring={name: ["input"] for name in names} | {layer.name: names},
        dtype=dtype,
    )
    return model, np.random.default_rng(5).normal(size=(3, *model.input_shape)).astype(dtype)


def same(found: Array, expected: Any, tolerance: float = 1e-5) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_the_cases_hold_every_layer() -> None:
    assert {type(case.built()).__name__ for case in LAYER_CASES} == LAYERS.keys()


@pytest.mark.parametrize("word", sorted(ACTIVATIONS))
def test_every_activation_comes_back(word: str, tmp_path: Path) -> None:
    model = Sequential([Input((5,)), Dense(6, activation=word), Activation(word)])
    write(model, tmp_path / "m.onnx")
    x = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    same(read(tmp_path / "m.onnx").predict(x), model.predict(x))


@pytest.mark.parametrize("case", WRITTEN_CASES, ids=str)
def test_round_trip(case: Any, tmp_path: Path) -> None:
    """Through the file and back: the same outputs, in the model's own type."""
    model, x = in_a_model(case)
    write(model, tmp_path / "m.onnx")
    same(read(tmp_path / "m.onnx").predict(x, workers=1), model.predict(x, workers=1))


@pytest.mark.parametrize("suffix", sorted({*ENDINGS} - {".safetensors", ".c"}))  # C: test_c99
@pytest.mark.parametrize("kind", sorted(ONLY_READ))
def test_what_is_only_read_is_refused_by_name(kind: str, suffix: str, tmp_path: Path) -> None:
    case = next(one for one in LAYER_CASES if type(one.make()).__name__ == kind)
    layer = case.make()
    layer.name = "it"
    model = Sequential([layer], input_shape=case.input_shapes[0], rng=0)
    with pytest.raises(InputError, match=f"^it.*{kind}"):
        export(model, tmp_path / f"m{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_models_come_back_with_their_metadata(name: str, tmp_path: Path) -> None:
    model = load_model(name)
    write(model, tmp_path / "m.onnx")
    again = read(tmp_path / "m.onnx")
    x = np.random.default_rng(0).random((4, 28, 28, 1)).astype(np.float32)
    same(again.predict(x), model.predict(x))
    for key in ("class_names", "preprocessing", "metrics"):
        assert again.metadata[key] == model.metadata[key]
    assert again.metadata["source"]["framework"].startswith("tinymnist")


def small(**settings: Any) -> Sequential:
    layers: list[Any] = [
        Input((6, 5, 3)),
        Conv2D(4, 3),
        ReLU(),
        Flatten(),
        Dense(2, activation="softmax"),
    ]
    return Sequential(layers, **{"rng": 0} | settings)


def test_double_precision_stays_so(tmp_path: Path) -> None:
    model = small(dtype="float64")
    write(model, tmp_path / "m.onnx")
    x = np.random.default_rng(0).random((2, 6, 5, 3))
    again = read(tmp_path / "m.onnx")
    assert again.dtype == np.float64
    same(again.predict(x), model.predict(x), 1e-14)


def test_channels_in_front_where_that_is_asked_for(tmp_path: Path) -> None:
    import onnx

    write(small(), tmp_path / "m.onnx", channels_first=True)
    proto = onnx.load(tmp_path / "m.onnx")
    sides = [d.dim_value or d.dim_param for d in proto.graph.input[0].type.tensor_type.shape.dim]
    assert sides == ["batch", 3, 6, 5]
    assert proto.graph.node[0].op_type == "Conv"  # no Transpose in front
    x = np.random.default_rng(0).random((2, 6, 5, 3)).astype(np.float32)
    same(read(tmp_path / "m.onnx").predict(x), small().predict(x))


def test_channels_in_front_need_pictures(tmp_path: Path) -> None:
    model = Sequential([Input((5,)), Dense(2)])
    with pytest.raises(ValueError, match=r"takes? pictures.*Received: input_shape=\(5,\)"):
        write(model, tmp_path / "m.onnx", channels_first=True)
    assert not (tmp_path / "m.onnx").exists()


def test_pictures_are_transposed_once_and_not_between_convolutions(tmp_path: Path) -> None:
    import onnx

    layers = [Conv2D(2, 3), ReLU(), Conv2D(2, 3), Flatten(), Dense(2)]
    write(Sequential([Input((8, 8, 1)), *layers]), tmp_path / "m.onnx")
    nodes = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert nodes == ["Transpose", "Conv", "Relu", "Conv", "Transpose", "Reshape", "Gemm"]


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write(small(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        write(small(), tmp_path / "none" / "m.onnx")
