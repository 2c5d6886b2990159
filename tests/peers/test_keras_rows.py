"""Keras's recurrent and growing layers: saved by Keras, read here, every output the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist.interop import open_model

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
pytest.importorskip("h5py")
pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
K = keras.layers

ROWS: dict[str, Any] = {
    "lstm": lambda: [K.LSTM(8)],
    "lstms": lambda: [
        K.LSTM(8, return_sequences=True, go_backwards=True),
        K.LSTM(5, activation="relu", recurrent_activation="hard_sigmoid"),
    ],
    "grus": lambda: [K.GRU(8, return_sequences=True), K.GRU(6, reset_after=False)],
    "no bias": lambda: [K.GRU(8, use_bias=False)],
    "rnn": lambda: [K.SimpleRNN(8, return_sequences=True), K.Dense(4, "relu"), K.Flatten()],
    **{
        f"bidirectional, {mode}, {whole}": lambda mode=mode, whole=whole: [
            K.Bidirectional(K.LSTM(4, return_sequences=whole), merge_mode=mode),
            *([K.GRU(3)] if whole else []),
        ]
        for mode in ("concat", "sum", "ave", "mul")
        for whole in (False, True)
    },
    "two kinds": lambda: [
        K.Bidirectional(
            K.GRU(4, return_sequences=True),
            backward_layer=K.LSTM(4, go_backwards=True, return_sequences=True),
        ),
        K.Flatten(),
    ],
}
PICTURES: dict[str, Any] = {
    f"transposed {k}, {stride}, {padding}": lambda k=k, stride=stride, padding=padding: [
        K.Conv2DTranspose(3, k, strides=stride, padding=padding, activation="relu"),
        K.UpSampling2D((2, 1)),
    ]
    for k in (1, 2, 3, 4)
    for stride in (1, 2, 3)
    for padding in ("same", "valid")
}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", [*ROWS, *PICTURES])
def test_the_same_outputs(name: str, suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shape, layers = ((9, 8), ROWS[name]()) if name in ROWS else ((7, 6, 2), PICTURES[name]())
    model = keras.Sequential([K.Input(shape), *layers])
    model.set_weights([rng.normal(0, 0.4, array.shape) for array in model.get_weights()])
    model.save(tmp_path / f"m{suffix}")
    x = rng.random((3, *shape), np.float32)
    expected = np.asarray(model.predict(x, verbose=0))
    ours = open_model(tmp_path / f"m{suffix}")
    found = ours.predict(x.reshape(3, *ours.input_shape)).reshape(expected.shape)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
def test_dense_layers_in_8_bits(tmp_path: Path) -> None:
    """Keras also rounds what goes into such a layer; here only the kernel was rounded."""
    layers = [K.Dense(16, "relu"), K.Dense(10, "softmax", use_bias=False)]
    model = keras.Sequential([K.Input((28, 28)), K.Flatten(), *layers])
    model.quantize("int8")
    model.save(tmp_path / "m.keras")
    x = np.random.default_rng(0).random((3, 28, 28), np.float32)
    found = open_model(tmp_path / "m.keras").predict(x[..., None])
    assert np.abs(found - model.predict(x, verbose=0)).max() < 0.01
