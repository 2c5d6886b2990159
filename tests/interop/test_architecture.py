"""Descriptions: layers from a JSON file, weights from a state_dict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist import InputError
from tinymnist.interop.bare.architecture import Description, read_description
from tinymnist.interop.bare.assemble import assemble
from tinymnist.interop.bare.blocks import Block
from tinymnist.interop.pytorch.modules import blocks_of

RNG = np.random.default_rng(0)
STATE = {
    "a.weight": RNG.normal(size=(3, 1, 3, 3)).astype("f4"),
    "b.weight": RNG.normal(size=(3, 3, 1, 1)).astype("f4"),
    "n.running_mean": RNG.normal(size=3).astype("f4"),
    "n.running_var": RNG.uniform(1, 2, 3).astype("f4"),
    "fc.weight": RNG.normal(size=(2, 3 * 4 * 5)).astype("f4"),
    "fc.bias": RNG.normal(size=2).astype("f4"),
}
RESIDUAL: dict[str, Any] = {
    "input_shape": [4, 5, 1],
    "layers": [
        {"class": "Conv2D", "filters": 3, "kernel_size": 3, "padding": "same", "tensors": "a"},
        {"class": "Conv2D", "filters": 3, "kernel_size": 1, "tensors": "b"},
        {"class": "BatchNormalization", "tensors": "n"},
        {"class": "Add", "name": "sum"},
        {"class": "Flatten"},
        {"class": "Dense", "units": 2},
    ],
    "wiring": {"sum": ["a", "n"]},
}


def described(content: Any, tmp_path: Path) -> Any:
    path = tmp_path / "layers.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_description(path)


def by_hand(x: Any) -> Any:
    """The same in the layout of PyTorch, with loops for sums over kernels. x: (n, 1, h, w)."""
    padded = np.pad(x[:, 0], ((0, 0), (1, 1), (1, 1)))
    n, h, w = len(x), x.shape[2], x.shape[3]
    a = np.zeros((n, 3, h, w))
    for o in range(3):
        for i in range(3):
            for j in range(3):
                a[:, o] += padded[:, i : i + h, j : j + w] * STATE["a.weight"][o, 0, i, j]
    b = np.einsum("oc,nchw->nohw", STATE["b.weight"][:, :, 0, 0], a)
    mean, variance = (STATE[f"n.running_{k}"][:, None, None] for k in ("mean", "var"))
    y = a + (b - mean) / np.sqrt(variance + 1e-5)
    return y.reshape(n, -1) @ STATE["fc.weight"].T + STATE["fc.bias"]


def test_a_residual_network_with_channels_first(tmp_path: Path) -> None:
    model = assemble(
        described(RESIDUAL, tmp_path), blocks_of(STATE, "state.pt"), channels_first=True
    )
    x = RNG.random((3, 1, 4, 5))
    found = model.predict(x.transpose(0, 2, 3, 1))
    assert found == pytest.approx(by_hand(x), rel=1e-4, abs=1e-4)
    assert [layer.name for layer in model.layers] == ["a", "b", "n", "sum", "flatten", "fc"]


def test_a_norm_behind_the_flatten_is_reordered_too() -> None:
    rng = np.random.default_rng(1)
    arrays = {k: rng.uniform(1, 2, 12).astype("f4")
              for k in ("gamma", "beta", "moving_mean", "moving_variance")}  # fmt: skip
    kernel = rng.normal(size=(12, 2)).astype("f4")
    blocks = [Block("n", "norm", arrays), Block("d", "dense", {"kernel": kernel})]
    layers: list[dict[str, Any]] = [
        {"class": "Flatten"},
        {"class": "BatchNormalization", "epsilon": 0.0},
        {"class": "ReLU"},
        {"class": "Dense", "units": 2},
    ]
    model = assemble(Description((2, 2, 3), layers), blocks, channels_first=True)
    x = rng.random((4, 2, 2, 3)).astype("f4")
    flat = x.transpose(0, 3, 1, 2).reshape(4, -1)
    centred = (flat - arrays["moving_mean"]) / np.sqrt(arrays["moving_variance"])
    hidden = np.maximum(centred * arrays["gamma"] + arrays["beta"], 0)
    assert model.predict(x) == pytest.approx(hidden @ kernel, rel=1e-4, abs=1e-5)


def changed(**changes: Any) -> Any:
    return {**RESIDUAL, **changes}


def layer(number: Any, **changes: Any) -> Any:
    layers = [dict(each) for each in RESIDUAL["layers"]]
    layers[number].update(changes)
    return changed(layers=layers)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "JSON"),
        ("[" * 5000, "JSON"),
        ([], "expected an object with"),
        (changed(more=1), "expected an object with"),
        ({"class_name": "Sequential"}, "Keras's description"),
        (changed(input_shape=[28, 28.5]), "input_shape must be"),
        (changed(input_shape=[10**9]), "input_shape must be"),
        (changed(layers=[]), "layers must be a list"),
        (changed(layers=[{"class": "ConvLSTM2D"}]), "a layer must be an object with a class"),
        (changed(wiring={"sum": "a"}), "wiring must be like"),
    ],
)
def test_what_is_no_description_is_refused(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        described(content, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (layer(0, filters=4), "a takes .* and a holds"),
        (layer(0, tensors="z"), "no block 'z'"),
        (layer(0, padding=10**9), "more than|too large|outputs|must"),
        (layer(0, units=3), "cannot be made"),
        (layer(5, units=10**12), "takes .* holds"),
        (changed(layers=RESIDUAL["layers"][:5]), "no layer takes"),
        (changed(wiring={"sum": ["a", "later"]}), "later"),
    ],
)
def test_descriptions_that_do_not_fit(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        assemble(described(content, tmp_path), blocks_of(STATE, "state.pt"), channels_first=True)


def test_a_shipped_architecture_by_name() -> None:
    assert read_description("mlp").input_shape == (28, 28, 1)
    with pytest.raises(InputError, match=r"expected a JSON file or one of \['keras-cnn'"):
        read_description("nothing.json")
