"""Losses of single numbers, metrics by name, penalties: against formulas and differences."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from tinymnist import losses, regularizers
from tinymnist.constraints import MaxNorm
from tinymnist.layers import Activation, Dense, Flatten, Input
from tinymnist.metrics import AUC
from tinymnist.models import Sequential
from tinymnist.nn.losses import LOSSES, Loss, get_loss
from tinymnist.nn.training.metrics import METRICS
from tinymnist.optimizers import SGD

RNG = np.random.default_rng(0)
X = RNG.random((24, 5)).astype(np.float32)
Y = np.arange(24) % 3
ROWS = np.eye(3, dtype=np.float32)[Y]


@pytest.mark.parametrize("name", [n for n in LOSSES if not n.startswith("sparse")])
@pytest.mark.parametrize("logits", [False, True])
def test_a_loss_has_the_slope_of_its_differences(name: str, logits: bool) -> None:
    loss: Any = get_loss(name)
    if name == "categorical_crossentropy":
        loss = loss.fitted_to("sigmoid") if logits else loss.of_probabilities()
    elif name == "binary_crossentropy":
        loss = losses.BinaryCrossentropy(from_logits=logits)
    y, t, step = RNG.uniform(0.1, 0.9, (4, 3)), np.eye(3)[[0, 2, 1, 1]], 1e-6
    weights = np.array([1.0, 0.5, 2.0, 0.25])
    _, cache = loss.losses(y, t)
    slopes = loss.backward(weights, cache)
    for at in np.ndindex(y.shape):
        moved = y.copy()
        moved[at] += step
        found = ((loss.losses(moved, t)[0] - loss.losses(y, t)[0]) * weights).sum() / step
        assert found == pytest.approx(slopes[at], rel=1e-4, abs=1e-5)


def test_losses_by_name_function_and_instance_are_one() -> None:
    for same in ("mse", "MeanSquaredError", losses.mse, losses.MeanSquaredError()):
        assert get_loss(same) == losses.MeanSquaredError()
    probable = np.array([[0.2, 0.8], [0.5, 0.5]])
    expected = -np.log([0.8, 0.5])
    np.testing.assert_allclose(losses.sparse_categorical_crossentropy([1, 0], probable), expected)
    np.testing.assert_allclose(losses.mae([[1.0, 1.0]], [[0.5, 0.0]]), [0.75])


def test_an_autoencoder_learns() -> None:
    model = Sequential([Input((5,)), Dense(4, activation="relu"), Dense(5)], rng=0)
    model.compile("adam", "mse", metrics=["mae"])
    history = model.fit(X, X, epochs=30, verbose=0, validation_data=(X, X)).history
    assert {"loss", "mae", "val_loss", "val_mae"} < history.keys()
    assert history["val_loss"][-1] < history["val_loss"][0]
    loss, mae = model.evaluate(X, X)
    assert loss == pytest.approx(np.square(model.predict(X) - X).mean(), rel=1e-5)
    assert mae == pytest.approx(np.abs(model.predict(X) - X).mean(), rel=1e-5)
    model.compile("adam", "mse")
    assert model.evaluate(X, X) == pytest.approx(loss)
    with pytest.raises(ValueError, match=r"y must be of shape \(n, 5\)"):
        model.fit(X, Y, verbose=0)


def test_a_sigmoid_before_cross_entropy_is_undone() -> None:
    model = Sequential([Input((5,)), Dense(3, activation="sigmoid")], rng=0)
    model.compile("sgd", "categorical_crossentropy", ["accuracy", "categorical_crossentropy"])
    p = model.predict(X)
    logits = np.log(p / (1 - p))
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    of_softmax = -np.log(softmax[np.arange(24), Y]).mean()
    of_shares = -np.log((p / p.sum(axis=1, keepdims=True))[np.arange(24), Y]).mean()
    assert model.evaluate(X, ROWS)[0] == pytest.approx(of_softmax, rel=1e-5)
    assert model.evaluate(X, ROWS)[2] == pytest.approx(of_shares, rel=1e-5)


def test_a_softmax_before_binary_cross_entropy_is_left_out() -> None:
    model = Sequential([Input((5,)), Dense(3, activation="softmax")], rng=0)
    model.compile("sgd", "binary_crossentropy", ["mse"])
    z = model.predict(X, logits=True)
    p = 1 / (1 + np.exp(-z))
    expected = -(ROWS * np.log(p) + (1 - ROWS) * np.log(1 - p)).mean()
    loss, mse = model.evaluate(X, ROWS)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert mse == pytest.approx(np.square(model.predict(X) - ROWS).mean(), rel=1e-5)


def test_one_output_decides_by_its_side_of_a_half() -> None:
    model = Sequential([Input((5,)), Dense(1), Activation("sigmoid")], rng=0)
    model.compile("sgd", "binary_crossentropy", ["accuracy", "precision", "recall"])
    positive, true = model.predict(X)[:, 0] > 0.5, Y > 0
    _, accuracy, precision, recall = model.evaluate(X, true)
    assert accuracy == pytest.approx((positive == true).mean())
    assert precision == pytest.approx((positive & true).sum() / positive.sum())
    assert recall == pytest.approx((positive & true).sum() / true.sum())


def test_the_area_under_the_roc_curve_counts_pairs_in_order() -> None:
    """It is the share of pairs (positive, negative) in which the positive has the larger output."""
    model = Sequential([Input((5,)), Dense(1), Activation("sigmoid")], rng=0)
    model.compile("sgd", "binary_crossentropy", [AUC(num_thresholds=20_001)])
    outputs, true = model.predict(X)[:, 0], Y > 0
    pairs = outputs[true][:, None] - outputs[~true]
    expected = ((pairs > 0) + (pairs == 0) / 2).mean()
    assert model.evaluate(X, true)[1] == pytest.approx(expected, abs=1e-3)
    with pytest.raises(ValueError, match="num_thresholds must be at least 2"):
        AUC(num_thresholds=1)


def test_metrics_of_training_are_those_of_all_batches() -> None:
    model = Sequential([Input((5,)), Dense(3, activation="softmax")], rng=0)
    names = ["acc", "top_k_categorical_accuracy", "mse"]
    model.compile(SGD(0.0), "sparse_categorical_crossentropy", names)
    history = model.fit(X, Y, batch_size=7, verbose=0).history
    p = model.predict(X)
    assert history["acc"] == [pytest.approx((p.argmax(axis=1) == Y).mean())]
    assert history["mse"] == [pytest.approx(np.square(p - ROWS).mean(), rel=1e-5)]
    assert history["top_k_categorical_accuracy"] == [1.0]


def test_a_penalty_counts_in_the_loss_and_its_gradient() -> None:
    part: Any = {"kernel_regularizer": regularizers.l1_l2(l1=0.1, l2=0.2)}
    model = Sequential([Input((5,)), Dense(3, activation="softmax", **part)], rng=0)
    plain = Sequential([Input((5,)), Dense(3, activation="softmax")], rng=0)
    kernel = plain.get_weights()[0]
    model.set_weights(plain.get_weights())
    penalty = 0.1 * np.abs(kernel).sum() + 0.2 * np.square(kernel).sum()
    for one in (model, plain):
        one.compile(SGD(0.5))
    assert model.evaluate(X, Y)[0] == pytest.approx(plain.evaluate(X, Y)[0] + penalty, rel=1e-5)
    first, second = (one.fit(X, Y, 24, verbose=0).history["loss"][0] for one in (model, plain))
    assert first == pytest.approx(second + penalty, rel=1e-5)
    slope = 0.1 * np.sign(kernel) + 0.4 * kernel
    expected = plain.get_weights()[0] - 0.5 * slope
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-5, atol=1e-6)
    model.layers[0].trainable = False
    assert model.evaluate(X, Y)[0] == pytest.approx(first - penalty, abs=1.0)


def test_a_constraint_holds_after_every_step() -> None:
    part: Any = {"kernel_constraint": MaxNorm(0.5)}
    model = Sequential([Input((5,)), Dense(3, activation="softmax", **part)])
    model.compile(SGD(1.0))
    model.fit(X, Y, verbose=0)
    assert (np.linalg.norm(model.get_weights()[0], axis=0) < 0.5 + 1e-6).all()


def test_parts_of_layers_are_saved(tmp_path: Any) -> None:
    part: Any = {"kernel_regularizer": "l2", "kernel_constraint": MaxNorm(2)}
    model = Sequential([Input((5,)), Dense(3, kernel_initializer="lecun_normal", **part)])
    model.save(tmp_path / "m.npz")
    from tinymnist.models import load_model

    assert load_model(tmp_path / "m.npz").layers[0].config() == model.layers[0].config()


def test_a_batch_is_learned_as_fit_learns_it() -> None:
    def network() -> Sequential:
        model = Sequential([Flatten(), Dense(3, activation="softmax")], rng=1)
        model.build((None, 5))
        model.compile("adam", metrics=["accuracy"])
        return model

    one, other = network(), network()
    loss, accuracy = one.train_on_batch(X, Y)
    history = other.fit(X, Y, batch_size=24, verbose=0, shuffle=False).history
    assert [loss, accuracy] == pytest.approx([history["loss"][0], history["accuracy"][0]])
    np.testing.assert_allclose(one.get_weights()[0], other.get_weights()[0], rtol=1e-6)
    assert one.test_on_batch(X, Y, return_dict=True) == one.evaluate(X, Y, return_dict=True)
    np.testing.assert_array_equal(one.predict_on_batch(X), one.predict(X))


def test_numbers_that_are_none_are_refused() -> None:
    model = Sequential([Input((5,)), Dense(3)])
    model.compile("sgd")
    bad = X.copy()
    bad[3, 1] = np.nan
    with pytest.raises(ValueError, match="x must be finite"):
        model.fit(bad, Y, verbose=0)


def test_the_base_says_what_a_loss_lacks() -> None:
    with pytest.raises(NotImplementedError):
        Loss().losses(X, X)


@pytest.mark.parametrize("metric", METRICS)
def test_a_compiled_model_can_be_pickled_and_trained_further(metric: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((8, 5)), np.eye(3)[rng.integers(0, 3, 8)]
    model = Sequential([Input((5,)), Dense(3, activation="softmax")], rng=0)
    model.compile("adam", "categorical_crossentropy", [metric])
    model.fit(x, y, verbose=0, rng=0)
    twin = pickle.loads(pickle.dumps(model))
    for one in (model, twin):
        one.fit(x, y, verbose=0, rng=1)
    assert model.history is not None and model.history.history == twin.history.history
    assert (twin.predict(x) == model.predict(x)).all()
