from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist import InputError, load_model
from tinymnist.interop import open_model
from tinymnist.interop.safetensors import read, read_tensors, write
from tinymnist.nn.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePooling2D,
    PReLU,
    ReLU,
    Rescaling,
    Reshape,
)
from tinymnist.nn.sequential import Input, Sequential


def packed(header: Any, numbers: Any = b"") -> Any:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    def save(data: Any) -> Any:
        (tmp_path / "weights").write_bytes(data)
        return tmp_path / "weights"

    return save


def shaken(model: Any) -> Any:
    """The same model with numbers in every array, so that nothing cancels out."""
    rng = np.random.default_rng(5)
    model.set_weights({k: rng.uniform(0.1, 1, a.shape) / 4 for k, a in model.weights.items()})
    return model


BRANCHES = shaken(
    Sequential(
        [
            Input((8, 8, 1)),
            Conv2D(4, 3, padding="same", name="a"),
            BatchNormalization(name="n"),
            PReLU([1, 2], name="p"),
            DepthwiseConv2D(3, padding="same", depth_multiplier=1, name="d"),
            Add(name="sum"),
            Flatten(),
            BatchNormalization(epsilon=1e-2, name="behind"),
            Dense(5, activation="softmax", use_bias=False),
        ],
        wiring={"sum": ["p", "d"]},
    )
)


@pytest.mark.parametrize(
    "model", [BRANCHES, *(load_model(n) for n in ("keras-cnn", "lenet5"))], ids=lambda m: m.name
)
def test_round_trip(model: Any, tmp_path: Path) -> None:
    write(model, tmp_path / "m.safetensors")
    again = open_model(tmp_path / "m.safetensors")
    x = np.random.default_rng(0).random((3, *model.input_shape)).astype("f4")
    outputs, expected = again.capture(x), model.capture(x)
    assert outputs.keys() == expected.keys()
    assert all(np.array_equal(outputs[name], expected[name]) for name in expected)


def test_tensors_are_laid_out_with_channels_first(tmp_path: Path) -> None:
    write(BRANCHES, tmp_path / "m")
    tensors, metadata = read_tensors(tmp_path / "m")
    assert metadata["format"] == "pt"
    assert tensors["a.weight"].shape == (4, 1, 3, 3)
    kernel = BRANCHES.get_layer("dense").kernel.reshape(8, 8, 4, 5)  # (h, w, c, out)
    rows = tensors["dense.weight"].reshape(5, 4, 8, 8)  # (out, c, h, w)
    assert np.array_equal(rows, kernel.transpose(3, 2, 0, 1))
    gamma = BRANCHES.get_layer("behind").gamma.reshape(8, 8, 4)
    assert np.array_equal(tensors["behind.weight"].reshape(4, 8, 8), gamma.transpose(2, 0, 1))


def test_layers_without_counterpart_are_refused(tmp_path: Path) -> None:
    mixed = Sequential([Input((4, 4, 2)), Reshape((32,)), Dense(3)])
    with pytest.raises(InputError, match="channels first: reshape reshapes pictures"):
        write(mixed, tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_library_is_read_by_shape(saved: Any) -> None:
    arrays = {f"net.{i}.weight": np.random.default_rng(i).normal(size=s).astype("f4")
              for i, s in ((10, (10, 32)), (2, (32, 784)))}  # fmt: skip
    header, numbers = {}, b""
    for name, array in arrays.items():
        window = [len(numbers), len(numbers) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": window}
        numbers += array.tobytes()
    model = open_model(saved(packed(header, numbers)))
    x = np.random.default_rng(0).random((2, 28, 28, 1)).astype("f4")
    hidden = np.maximum(x.reshape(2, -1) @ arrays["net.2.weight"].T, 0)
    assert model.predict(x) == pytest.approx(hidden @ arrays["net.10.weight"].T, rel=1e-4, abs=1e-3)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (struct.pack("<Q", 1 << 60) + b'{"', "header has"),
        (packed(b"[]"), "not a model|not an object"),
        (packed({"a": ENTRY | {"dtype": "F99"}}, bytes(8)), "F99"),
        (packed({"a": ENTRY | {"shape": [3]}}, bytes(8)), "its entry of a"),
        (packed({"a": ENTRY | {"shape": [-2]}}, bytes(8)), "its entry of a"),
        (packed({"a": ENTRY | {"shape": [1 << 39, 1 << 39]}}, bytes(8)), "its entry of a"),
        (packed({"a": ENTRY | {"data_offsets": [8, 16]}}, bytes(16)), "begins at 8"),
        (packed({"a": ENTRY, "b": ENTRY}, bytes(8)), "b begins at 0"),
        (packed({"a": ENTRY}, bytes(12)), "it holds 12"),
        (packed({"a": ENTRY}, bytes(4)), "it holds 4"),
        (packed(b'{"a": 1, "a": 2}'), "appears twice"),
        (packed({"__metadata__": {"x": 1}, "a": ENTRY}, bytes(8)), "metadata"),
        (
            packed({"__metadata__": {"tinymnist": "[1"}, "a.weight": ENTRY}, bytes(8)),
            "the description in",
        ),
        (packed(b'{"a":' + b"[" * 50_000), "nested too deeply"),
    ],
)
def test_every_rule_of_the_format_is_checked(data: Any, message: str, saved: Any) -> None:
    with pytest.raises(InputError, match=message):
        read(saved(data))


def test_truncated_at_every_hundredth(tmp_path: Path, saved: Any) -> None:
    write(
        Sequential([Input((4, 4, 1)), Flatten(), Dense(3), ReLU(), Rescaling(2.0)]), tmp_path / "m"
    )
    data = (tmp_path / "m").read_bytes()
    for percent in range(100):
        with pytest.raises(InputError):
            open_model(saved(data[: len(data) * percent // 100]))


def test_global_pooling_needs_no_reordering(tmp_path: Path) -> None:
    model = Sequential([Input((6, 6, 1)), Conv2D(3, 3), GlobalAveragePooling2D(), Dense(2)])
    write(model, tmp_path / "m")
    again = open_model(tmp_path / "m")
    assert np.array_equal(again.weights["dense/kernel"], model.weights["dense/kernel"])
