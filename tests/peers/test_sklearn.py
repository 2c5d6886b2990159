"""The classifier keeps scikit-learn's own rules, and works inside its tools."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymnist
from tests.test_imports import imported_by

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from tinymnist.sklearn import DigitClassifier

EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "batches are drawn from examples: one of weight 2 is another batch than two of weight 1, "
        "as for scikit-learn's own SGDClassifier"
    ),
}


def keep(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


CHECKS = parametrize_with_checks(
    [DigitClassifier(hidden_layer_sizes=(32,), epochs=20, learning_rate=0.01)],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
# Older versions pass a generator, which pytest 9 deprecates.
test_scikit_learns_checks: Any = pytest.mark.parametrize(
    CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs
)(keep)


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    """600 of the digits that come with scikit-learn, 8x8 pixels of 0..16."""
    X, y = load_digits(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(X))[:600]  # they come writer by writer
    return X[chosen].astype(np.float32), y[chosen]


@pytest.fixture(scope="module")
def fitted(digits: tuple[Any, Any]) -> Any:
    X, y = digits
    return DigitClassifier(epochs=10, learning_rate=0.01, random_state=0).fit(X[:400], y[:400])


def test_it_learns_digits(fitted: Any, digits: tuple[Any, Any]) -> None:
    X, y = digits
    assert fitted.score(X[400:], y[400:]) > 0.93
    probabilities = fitted.predict_proba(X[400:])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (fitted.classes_[probabilities.argmax(axis=1)] == fitted.predict(X[400:])).all()


def test_it_survives_pickle_and_goes_on_learning(fitted: Any, digits: tuple[Any, Any]) -> None:
    X, y = digits
    twin = pickle.loads(pickle.dumps(fitted))
    assert (twin.predict_proba(X) == fitted.predict_proba(X)).all()
    other = pickle.loads(pickle.dumps(fitted))
    for one in (twin, other):
        one.partial_fit(X[:100], y[:100])
    assert (twin.predict_proba(X) == other.predict_proba(X)).all()
    assert (twin.predict_proba(X) != fitted.predict_proba(X)).any()


def test_grids_cross_validation_and_pipelines(digits: tuple[Any, Any]) -> None:
    X, y = digits
    names = np.array([f"digit {number}" for number in range(10)])[y]
    quick = DigitClassifier(epochs=5, learning_rate=0.01, random_state=0)
    piped = make_pipeline(MinMaxScaler(), quick)
    assert cross_val_score(piped, X, names, cv=2, n_jobs=2).min() > 0.85  # in other processes
    grid = {"digitclassifier__hidden_layer_sizes": [(), (64,)]}
    search = GridSearchCV(piped, grid, cv=2, error_score="raise").fit(X, names)
    assert search.best_score_ > 0.85 and set(search.predict(X)) <= set(names)
    assert (clone(search.best_estimator_).fit(X, names).predict(X) == search.predict(X)).all()


def test_pieces_teach_as_much_as_the_whole(digits: tuple[Any, Any]) -> None:
    X, y = digits
    learner = DigitClassifier(learning_rate=0.01, random_state=0)
    for _ in range(5):
        for part in range(0, 400, 100):
            learner.partial_fit(X[part : part + 100], y[part : part + 100], classes=range(10))
    assert learner.score(X[400:], y[400:]) > 0.9
    with pytest.raises(ValueError, match=r"must stay .*classes=\[0, 1\]"):
        learner.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="11"):
        learner.partial_fit(X[:1], [11])
    with pytest.raises(ValueError, match="first call"):
        DigitClassifier().partial_fit(X, y)


@pytest.mark.parametrize("architecture", ["auto", "lenet5", "mlp", "dense"])
def test_pictures_go_through_the_shipped_networks(architecture: str) -> None:
    pictures = tinymnist.load_set("mnist-sample")
    X, y = np.asarray(pictures.images[:64]), pictures.labels[:64]
    learner = DigitClassifier(architecture, epochs=2, random_state=0).fit(X, y)
    assert learner.n_features_in_ == 784 and learner.model_.dtype == np.float32
    flat = learner.predict_proba(X.reshape(64, 784))
    assert (flat == learner.predict_proba(X[..., None])).all()
    assert learner.model_.name == {"auto": "keras-cnn"}.get(architecture, architecture)
    wide = DigitClassifier(architecture, epochs=1).fit(X.astype(np.float64), y)
    assert wide.model_.dtype == np.float64


def test_the_recipe_brings_pictures_to_mnists_form() -> None:
    """Black on white, 40x40: after the recipe they are what the classifier learned from."""
    pictures = tinymnist.load_set("mnist-sample")
    white, y = np.asarray(pictures.images[:40]), pictures.labels[:40]
    black = np.pad(255 - white, ((0, 0), (6, 6), (6, 6)), constant_values=255)
    learner = DigitClassifier("mlp", recipe="mnist", epochs=60, random_state=0).fit(black, y)
    assert learner.model_.input_shape == (28, 28, 1) and learner.n_features_in_ == 1600
    assert learner.score(black, y) > 0.95
    inverted = 255 - black
    assert (learner.predict(inverted) == learner.predict(black)).mean() > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architecture": "resnet"}, r"one of auto, dense, mnist-cnn.*'resnet'"),
        ({"architecture": "lenet5"}, r"lenet5 takes rows of 784.*64 features"),
        ({"recipe": "mist"}, r"recipe must be one of .*'mist'"),
        ({"batch_size": 0}, "batch_size"),
        ({"epochs": -1}, "epochs"),
    ],
)
def test_settings_that_do_not_fit(
    settings: dict[str, Any], message: str, digits: tuple[Any, Any]
) -> None:
    with pytest.raises(ValueError, match=message):
        DigitClassifier(**settings).fit(*digits)
    with pytest.raises(ValueError, match=r"square pictures.*63 features"):
        DigitClassifier(recipe="mnist").fit(digits[0][:, :63], digits[1])
    with pytest.raises(NotFittedError):
        DigitClassifier().predict(digits[0])


def test_nothing_else_imports_scikit_learn() -> None:
    assert "sklearn" not in imported_by("import tinymnist.api, tinymnist.cli")
