"""A script's ``model.save``, ``save_weights`` and ``ModelCheckpoint``: other formats included."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist.callbacks import ModelCheckpoint
from tinymnist.errors import InputError
from tinymnist.layers import BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Flatten, Input
from tinymnist.models import Sequential, load_model
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
    with pytest.raises(InputError, match=r"w\S* (holds arrays|does not fit)"):
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
