"""Training against Keras 3 (TensorFlow): callbacks, weights of examples, histories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.peers.tensorflow_keras import keras
from tinymnist.nn import layers as L
from tinymnist.nn.optimizers import SGD
from tinymnist.nn.sequential import Input, Sequential
from tinymnist.nn.training import callbacks as ours

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Keras runs elsewhere"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras's
]

K, theirs = keras.layers, keras.callbacks
RATE = 0.5
X = np.random.default_rng(0).random((24, 3, 3, 1), np.float32)
Y = np.random.default_rng(1).integers(0, 4, 24)
WEIGHTS = np.linspace(0.25, 2, 24).astype(np.float32)


def pair() -> Any:
    """A model of each kind with equal weights."""
    layers: list[Any] = [Input((3, 3, 1)), L.Flatten(), L.Dense(4, activation="softmax")]
    mine = Sequential(layers, rng=2)
    mine.compile(SGD(RATE), metrics=["accuracy"])
    other = keras.Sequential(
        [keras.Input((3, 3, 1)), K.Flatten(), K.Dense(4, activation="softmax")]
    )
    other.compile(
        keras.optimizers.SGD(RATE), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    other.set_weights(mine.get_weights())
    return mine, other


@pytest.fixture(scope="module")
def models() -> Any:
    """One pair for all tests that do not care for its numbers: Keras compiles for long."""
    mine, other = pair()
    other.fit(X, Y, verbose=0)  # Keras makes its metrics, by which mode="auto" decides, in fit
    return mine, other


# --- callbacks on prepared figures ------------------------------------------------------------


class Prepared(ours.Callback):
    """Writes prepared figures into the logs, and the epoch's number into the model."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows
        self.rates: list[float] = []

    def on_epoch_end(self, training: Any, logs: Any) -> None:
        epoch = training.position.epoch - 1
        self.rates.append(logs["learning_rate"])
        logs.update(self.rows[epoch])
        training.model.get_layer("dense").bias[:] = epoch


def found_and_expected(models: Any, rows: Any, name: Any, settings: Any) -> Any:
    """Of both: the rate of every epoch, and the number of the epoch whose model was kept.

    Keras's callback is called as its fit would, since that takes a tenth of a second an epoch.
    """
    mine, other = models
    mine.optimizer.learning_rate = other.optimizer.learning_rate = RATE
    note = Prepared(rows)
    callbacks = [note, getattr(ours, name)(**settings)]
    mine.fit(X, Y, 24, len(rows), 0, callbacks, validation_data=(X, Y))

    callback, rates = getattr(theirs, name)(**settings), []
    callback.set_model(other)
    other.stop_training = False
    callback.on_train_begin()
    for epoch, row in enumerate(rows):
        rates.append(float(other.optimizer.learning_rate.numpy()))
        kernel, bias = other.get_weights()
        other.set_weights([kernel, np.full_like(bias, epoch)])
        callback.on_epoch_end(epoch, dict(row))
        if other.stop_training:
            break
    callback.on_train_end()
    return (note.rates, mine.get_weights()[-1][0]), (rates, other.get_weights()[-1][0])


def prepared(seed: Any, epochs: int = 12) -> Any:
    """Figures in eighths, so that differences of just min_delta are exact and happen."""
    figures = np.random.default_rng(seed).integers(0, 9, (epochs, 4)) / 8
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    return [dict(zip(names, map(float, row), strict=True)) for row in figures]


STOPS = {
    "defaults": {},
    "patience": {"patience": 2},
    "min_delta": {"patience": 1, "min_delta": 0.125},
    "negative min_delta": {"patience": 1, "min_delta": -0.25},
    "loss": {"monitor": "loss", "patience": 3},
    "accuracy rises": {"monitor": "val_accuracy", "patience": 2},
    "accuracy rises by": {"monitor": "accuracy", "patience": 2, "min_delta": 0.25},
    "max": {"monitor": "val_loss", "mode": "max", "patience": 1},
    "min": {"monitor": "val_accuracy", "mode": "min", "patience": 1},
    "last kept": {"patience": 2, "restore_best_weights": False},
}


@pytest.mark.parametrize("settings", STOPS.values(), ids=STOPS)
def test_early_stopping_ends_after_the_same_epoch_with_the_same_model(
    models: Any, settings: Any
) -> None:
    lengths = set()
    for seed in range(5):
        rows, full = prepared(seed), {"restore_best_weights": True} | settings
        found, expected = found_and_expected(models, rows, "EarlyStopping", full)
        assert found == expected  # the rates are as many as the epochs
        lengths.add(len(found[0]))
    assert min(lengths) < 12


PLATEAUS = {
    "patience 0": {"patience": 0},
    "factor": {"factor": 0.25, "patience": 1},
    "min_delta": {"patience": 1, "min_delta": 0.125, "factor": 0.5},
    "cooldown": {"patience": 1, "cooldown": 2, "factor": 0.5},
    "cooldown 1": {"patience": 2, "cooldown": 1, "factor": 0.5},
    "min_lr": {"patience": 1, "min_lr": 0.1, "factor": 0.5},
    "accuracy rises": {"monitor": "val_accuracy", "patience": 2, "factor": 0.5},
    "max": {"monitor": "loss", "mode": "max", "patience": 1, "factor": 0.5},
}


@pytest.mark.parametrize("settings", PLATEAUS.values(), ids=PLATEAUS)
def test_reduce_on_plateau_gives_every_epoch_the_same_rate(models: Any, settings: Any) -> None:
    for seed in range(5):
        rows = prepared(seed)
        (rates, _), (expected, _) = found_and_expected(models, rows, "ReduceLROnPlateau", settings)
        assert rates == pytest.approx(expected, rel=1e-5)
        assert min(rates) < RATE


def test_a_scheduler_sets_the_same_rates_in_two_fits(models: Any) -> None:
    """The second fit goes on from the last rate, and the epochs' numbers begin anew."""
    mine, other = models
    mine.optimizer.learning_rate = other.optimizer.learning_rate = RATE
    my_calls: list[Any] = []
    their_calls: list[Any] = []

    def schedule(calls: Any) -> Any:
        def rate(epoch: Any, before: Any) -> Any:
            calls.append((epoch, before))
            return before * (0.5 if epoch else 0.75)

        return rate

    scheduler = ours.LearningRateScheduler(schedule(my_calls))
    their_scheduler = theirs.LearningRateScheduler(schedule(their_calls))
    for epochs in (3, 2):
        found = mine.fit(X, Y, epochs=epochs, verbose=0, callbacks=[scheduler]).history
        expected = other.fit(X, Y, epochs=epochs, verbose=0, callbacks=[their_scheduler]).history
        assert found["learning_rate"] == pytest.approx(expected["learning_rate"], rel=1e-5)
    assert np.allclose(my_calls, their_calls, rtol=1e-5)


# --- figures ----------------------------------------------------------------------------------


def test_evaluate_weighs_the_loss_and_not_the_accuracy() -> None:
    mine, other = pair()
    found = mine.evaluate(X, Y, sample_weight=WEIGHTS)
    assert found == pytest.approx(other.evaluate(X, Y, sample_weight=WEIGHTS, verbose=0), rel=1e-5)
    assert found[0] != pytest.approx(mine.evaluate(X, Y)[0], rel=1e-3)
    assert found[1] == mine.evaluate(X, Y)[1]


CLASSES = {0: 3.0, 2: 0.25}
VALIDATIONS = {
    "split": {"validation_split": 0.3},
    "split, weighted": {"validation_split": 0.3, "sample_weight": WEIGHTS},
    "split, classes": {"validation_split": 0.3, "class_weight": CLASSES},
    "data": {"validation_data": (X[:9], Y[:9]), "class_weight": CLASSES},
    "data, weighted": {"validation_data": (X[:9], Y[:9], WEIGHTS[:9]), "class_weight": CLASSES},
    "rest in the last batch": {"validation_data": (X, Y, WEIGHTS), "sample_weight": WEIGHTS},
}


@pytest.mark.parametrize("settings", VALIDATIONS.values(), ids=VALIDATIONS)
def test_an_epoch_reports_the_same_figures(settings: Any) -> None:
    mine, other = pair()
    plain = {"batch_size": 7, "shuffle": False, "verbose": 0}
    found = mine.fit(X, Y, **plain, **settings).history
    expected = other.fit(X, Y, **plain, **settings).history
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert found[name] == pytest.approx(expected[name], rel=1e-5), name
    for array, wanted in zip(mine.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(array, wanted, rtol=1e-5, atol=1e-6)


def test_the_history_numbers_epochs_from_the_initial_one(models: Any) -> None:
    mine, other = models
    settings = {"initial_epoch": 3, "epochs": 5, "verbose": 0}
    found, expected = (model.fit(X, Y, **settings) for model in (mine, other))
    assert found.epoch == expected.epoch == [3, 4]
    assert len(found.history["loss"]) == len(expected.history["loss"])


def test_lists_of_weights_have_the_same_order() -> None:
    """With statistics in the midst; each array tells by its numbers which it is."""
    mine = Sequential(
        [Input((6, 6, 1)), L.Conv2D(3, 3), L.BatchNormalization(), L.ReLU(), L.Flatten(),
         L.Dense(5), L.BatchNormalization(), L.Dense(4)]
    )  # fmt: skip
    other = keras.Sequential(
        [keras.Input((6, 6, 1)), K.Conv2D(3, 3), K.BatchNormalization(), K.ReLU(), K.Flatten(),
         K.Dense(5), K.BatchNormalization(), K.Dense(4)]
    )  # fmt: skip
    rng = np.random.default_rng(5)
    arrays = [rng.uniform(0.5, 1.5, a.shape).astype("float32") for a in other.get_weights()]
    other.set_weights(arrays)
    mine.set_weights(arrays)
    x = rng.random((5, 6, 6, 1), np.float32)
    np.testing.assert_allclose(mine.predict(x), other.predict(x, verbose=0), rtol=1e-5)
    for array, wanted in zip(mine.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(array, wanted)
    for layer, their_layer in zip(mine.layers, other.layers, strict=True):
        for array, wanted in zip(layer.get_weights(), their_layer.get_weights(), strict=True):
            np.testing.assert_array_equal(array, wanted)
