"""A script's ``model.save``, ``save_weights`` and ``ModelCheckpoint``: other formats included."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist.callbacks import ModelCheckpoint
from tinymnist.errors import InputError
from tinymnist.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Input,
    Normalization,
)
from tinymnist.models import Model, Sequential, load_model, model_from_json
from tinymnist.utils import set_random_seed

X = np.random.default_rng(0).random((12, 6, 6, 1), np.float32)
Y = np.arange(12) % 3


def network() -> Sequential:
    model = Sequential(
        [
            Input((6, 6, 1)),
            Conv2D(4, 3, activation="relu"),
            BatchNormalization(),
            DepthwiseConv2D(3),
            Flatten(),
            Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam")
    return model


@pytest.mark.parametrize("name", ["m.h5", "m.hdf5", "m.keras", "m.npz", "m"])
def test_a_model_is_saved_by_the_ending_of_its_name(tmp_path: Path, name: str) -> None:
    pytest.importorskip("h5py")
    model = network()
    model.save(tmp_path / name)
    np.testing.assert_array_equal(load_model(tmp_path / name).predict(X), model.predict(X))
    with pytest.raises(InputError, match="is there already"):
        model.save(tmp_path / name, overwrite=False)


@pytest.mark.parametrize("name", ["w.weights.h5", "w.h5", "w.npz", "w"])
def test_weights_alone_come_back(tmp_path: Path, name: str) -> None:
    pytest.importorskip("h5py")
    model, other = network(), network()
    model.fit(X, Y, verbose=0)
    model.save_weights(tmp_path / name)
    other.load_weights(tmp_path / name)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    odd = Sequential([Input((6, 6, 1)), Flatten(), Dense(3)])
    with pytest.raises(InputError, match=r"w\S* (holds arrays|cannot be read as weights)"):
        odd.load_weights(tmp_path / name)


@pytest.mark.parametrize("name", ["m.h5", "m.keras"])
def test_weights_come_from_whole_models(tmp_path: Path, name: str) -> None:
    pytest.importorskip("h5py")
    model, other = network(), network()
    model.save(tmp_path / name)
    other.load_weights(tmp_path / name)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


@pytest.mark.parametrize("settings", [{}, {"save_weights_only": True}])
def test_checkpoints_are_kerass(tmp_path: Path, settings: Any) -> None:
    pytest.importorskip("h5py")
    model, other = network(), network()
    save = ModelCheckpoint(str(tmp_path / "best.h5"), "loss", 0, True, **settings)
    model.fit(X, Y, verbose=0, callbacks=[save])
    other.load_weights(tmp_path / "best.h5")
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


def test_without_h5py_a_checkpoint_is_refused_before_and_a_model_kept_after_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match="pip install h5py"):
        ModelCheckpoint(tmp_path / "best.h5")
    model = network()
    (tmp_path / "m.npz").write_bytes(b"another")
    with pytest.raises(InputError, match=r"pip install h5py; the model is kept in .*m-1\.npz"):
        model.save(tmp_path / "m.h5")
    kept = load_model(tmp_path / "m-1.npz")
    np.testing.assert_array_equal(kept.predict(X), model.predict(X))
    assert (tmp_path / "m.npz").read_bytes() == b"another"


def test_models_in_a_row_differ_and_a_seed_repeats_them() -> None:
    def kernels() -> Any:
        return [network().get_weights()[0] for _ in range(2)]

    set_random_seed(3)
    first = kernels()
    set_random_seed(3)
    again = kernels()
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(*first)
    with pytest.raises(ValueError, match="seed must be a whole number"):
        set_random_seed(-1)


def test_layers_travel_as_json() -> None:
    model = network()
    again = model_from_json(model.to_json())
    assert [layer.name for layer in again] == [layer.name for layer in model]
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert model.get_config()["layers"][1]["config"]["filters"] == 4
    layer = model.layers[0]
    assert Conv2D.from_config(layer.get_config()).config() == layer.config()
    with pytest.raises(InputError, match="unknown kind Lambda"):
        model_from_json(model.to_json().replace('"DepthwiseConv2D"', '"Lambda"'))


def test_branches_travel_as_json() -> None:
    inputs = Input((6, 6, 1))
    x = Conv2D(2, 3, padding="same", activation="relu")(inputs)
    x = Add()([x, Conv2D(2, 3, padding="same")(x)])
    model = Model(inputs, Dense(3)(Flatten()(x)))
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_normalization_measures() -> None:
    layer = Normalization()
    np.testing.assert_array_equal(layer(X), X)
    layer.adapt(X)
    normalized = layer(X)
    assert abs(normalized.mean()) < 1e-5 and normalized.std() == pytest.approx(1, rel=1e-5)
