"""What is written can be read again, and computes the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tinymnist.errors import InputError
from tinymnist.interop import keras, open_model
from tinymnist.nn import layers as L
from tinymnist.nn.architectures import ARCHITECTURES
from tinymnist.nn.sequential import Input, Sequential

X = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)


def filled(model: Sequential) -> Sequential:
    """The model with arrays that are neither all 0 nor all 1."""
    rng = np.random.default_rng(1)
    for layer in model.layers:
        layer.set_weights({k: rng.uniform(0.1, 0.9, a.shape) for k, a in layer.weights.items()})
    return model


def chain(*layers: L.Layer) -> Sequential:
    return filled(Sequential([Input((28, 28, 1)), *layers]))


def shipped(name: str) -> Sequential:
    return filled(ARCHITECTURES[name]())


MODELS: dict[str, Callable[[], Sequential]] = {
    **{name: partial(shipped, name) for name in ARCHITECTURES},
    "explicit padding": lambda: chain(
        L.Conv2D(2, 3, 2, ((1, 0), (2, 1)), activation="selu"),
        L.DepthwiseConv2D(3, padding=1, depth_multiplier=2),
        L.Conv2D(4, 3, padding="same", groups=2, dilation_rate=2, activation="relu"),
        L.MaxPooling2D(3, 2, 1),
        L.AveragePooling2D(2, 2, 1, count_include_pad=True),
        L.AveragePooling2D(2, 1, "same"),
        L.MaxPooling2D(2, padding="same"),
    ),
    "activations": lambda: chain(
        *(L.Activation(name) for name in ("silu", "hard_sigmoid", "softplus", "log_softmax")),
        L.LeakyReLU(0.1), L.ELU(0.7), L.GELU(), L.ReLU(0.6, 0.1), L.PReLU((1, 2)), L.Softmax(),
    ),
    "fixed arithmetic": lambda: chain(
        L.Rescaling(2.0, -1.0), L.Rescaling([0.5], [0.1]), L.Normalization(0.1, 0.2),
        L.Normalization([0.3], 2.0), L.BatchNormalization(momentum=0.9, epsilon=0.01),
        L.LayerNormalization(epsilon=1e-5),
    ),
    "shapes": lambda: chain(
        L.ZeroPadding2D((1, 2)), L.Permute((3, 1, 2)), L.Reshape((-1, 4)), L.Flatten(),
        L.Dropout(0.3), L.Dense(3, use_bias=False),
    ),
    "branches": lambda: filled(
        Sequential(
            [Input((28, 28, 1)), L.Conv2D(2, 3, padding=1, name="a/b"), L.Conv2D(2, 1, name="c"),
             L.Add(), L.Multiply(), L.Concatenate(name="d"), L.GlobalMaxPooling2D()],
            wiring={"add": ["a/b", "c"], "multiply": ["add", "c"], "d": ["multiply", "a/b"]},
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", MODELS)
def test_a_round_trip_computes_the_same(name: str, suffix: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    model.layers[0].trainable = False
    keras.write(model, tmp_path / f"m{suffix}")
    again = open_model(tmp_path / f"m{suffix}")
    assert np.allclose(again.predict(X), model.predict(X), rtol=1e-6, atol=1e-6)
    assert not again.layers[0].trainable
    assert {layer.name.replace("/", "_") for layer in model.layers} <= {la.name for la in again}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_same_model_gives_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        keras.write(MODELS["branches"](), tmp_path / f"{name}{suffix}")
    one, two = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (L.GELU(approximate=True), "GELU by the tanh formula"),
        (L.MaxPooling2D(3, 2, 1), r"pads by .*which Keras's pooling cannot"),
        (L.AveragePooling2D(3, 2, 1), r"pads by .*which Keras's pooling cannot"),
    ],
)
def test_what_keras_does_not_have_is_refused(layer: L.Layer, message: str, tmp_path: Path) -> None:
    layer.name = "it"
    with pytest.raises(InputError, match=f"it .*{message}"):
        keras.write(chain(L.Activation("tanh"), layer), tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_other_suffixes_and_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in '\.bin'; expected one of \['\.h5', '\.keras'\]"):
        keras.write(MODELS["shapes"](), tmp_path / "m.bin")
    with pytest.raises(InputError, match="cannot write"):
        keras.write(MODELS["shapes"](), tmp_path / "no" / "m.h5")
