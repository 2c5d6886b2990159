"""Losses, weights of examples, and metrics, on numbers that can be checked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinymnist.nn.losses import (
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    balanced_class_weights,
    cross_entropy,
    example_weights,
    get_loss,
    one_hot,
    to_categorical,
)
from tinymnist.nn.metrics import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    precision_recall,
    review_share,
    top_k_accuracy,
)

LABELS = np.array([0, 1, 2, 2])
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7], [0.6, 0.1, 0.3]])


def test_the_loss_is_the_surprise() -> None:
    losses, _ = cross_entropy(np.log(PROBABILITIES), one_hot(LABELS, 3, np.float64))
    assert np.allclose(losses, -np.log([0.7, 0.4, 0.7, 0.3]))


def test_label_smoothing_spreads_a_share_over_all_classes() -> None:
    smooth = SparseCategoricalCrossentropy(label_smoothing=0.3)
    targets = smooth.smooth(smooth.targets([1], 3, np.float64))
    assert np.allclose(targets, [[0.1, 0.8, 0.1]])
    plain = SparseCategoricalCrossentropy()
    assert np.array_equal(plain.smooth(plain.targets([1], 3, np.float64)), [[0, 1, 0]])


def test_the_two_losses_differ_in_the_form_of_labels() -> None:
    rows = one_hot(LABELS, 3)
    assert np.array_equal(CategoricalCrossentropy().targets(rows, 3, np.float32), rows)
    assert np.array_equal(SparseCategoricalCrossentropy().targets(LABELS, 3, np.float32), rows)


def test_class_and_sample_weights_multiply() -> None:
    weights = example_weights(LABELS, {2: 0.5}, [1, 2, 3, 4])
    assert np.array_equal(weights, [1, 2, 1.5, 2])
    assert np.array_equal(example_weights(LABELS), [1, 1, 1, 1])


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: one_hot(np.array([0, 3]), 3), r"labels must lie in 0..2. Received: 0..3"),
        (lambda: one_hot(np.array([-1]), 3), r"labels must lie in 0..2"),
        (lambda: one_hot(np.array([0.5]), 3), r"whole numbers .*dtype=float64"),
        (lambda: CategoricalCrossentropy().targets(LABELS, 3, "float32"), "for class numbers use"),
        (lambda: example_weights(LABELS, None, [1]), r"sample_weight must be of shape \(4,\)"),
        (lambda: get_loss("auc"), r"loss must be one of \['categorical_crossentropy'"),
    ],
)
def test_labels_that_cannot_be_are_refused(refused: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        refused()


def test_accuracy_and_top_k() -> None:
    assert accuracy(LABELS, PROBABILITIES) == 0.5
    assert top_k_accuracy(LABELS, PROBABILITIES, 2) == 1.0
    assert math.isnan(accuracy(np.zeros(0, int), np.zeros((0, 3))))


def test_of_equals_the_lower_class_is_first() -> None:
    tie = np.full((1, 3), 1 / 3)
    assert [top_k_accuracy(np.array([c]), tie, 1) for c in range(3)] == [1, 0, 0]
    assert [top_k_accuracy(np.array([c]), tie, 2) for c in range(3)] == [1, 1, 0]


def test_confusion_precision_and_recall() -> None:
    confusion = confusion_matrix(LABELS, PROBABILITIES.argmax(1), 4)
    assert confusion.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    precision, recall = precision_recall(confusion)
    assert np.array_equal(precision, [1 / 3, np.nan, 1, np.nan], equal_nan=True)
    assert np.array_equal(recall, [1, 0, 0.5, np.nan], equal_nan=True)


def test_expected_calibration_error() -> None:
    """Two at 0.7 (both right), one at 0.5 and one at 0.6 (both wrong), each in a bin of ten."""
    error = expected_calibration_error(LABELS, PROBABILITIES, bins=10)
    assert error == pytest.approx(2 / 4 * 0.3 + 1 / 4 * 0.5 + 1 / 4 * 0.6)


def test_share_to_check() -> None:
    """Of 2,000 predictions the 1,000th is wrong, and so are all that are less sure than 0.6."""
    confidence = np.linspace(1, 0.5, 2000)
    right = confidence >= 0.6
    right[999] = False
    share, least = review_share(confidence, right)
    assert share == pytest.approx(0.2, abs=1e-3)
    assert least == pytest.approx(0.6, abs=1e-3)
    assert review_share(confidence, right, wanted=1.0)[0] == pytest.approx(1 - 999 / 2000)
    assert review_share(np.ones(10), np.arange(10) > 0) == (1.0, np.inf)  # equally sure: all


def test_certainty_that_is_always_right_is_calibrated() -> None:
    assert expected_calibration_error(LABELS, one_hot(LABELS, 3)) == 0


def test_balanced_weights_make_classes_count_alike() -> None:
    labels = np.array([0, 0, 0, 2])
    assert balanced_class_weights(labels) == pytest.approx({0: 4 / 6, 2: 2.0})
    found = example_weights(labels, "balanced")
    assert found.sum() == pytest.approx(4)
    assert found[:3].sum() == pytest.approx(found[3])
    with pytest.raises(ValueError, match=r'must be a dict .* "balanced" or None. Received: .*fair'):
        example_weights(labels, "fair")


def test_to_categorical_is_keras_name_for_one_hot() -> None:
    assert np.array_equal(to_categorical([1, 0]), [[0, 1], [1, 0]])
    assert to_categorical(np.array([1, 0]), 3).shape == (2, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64, np.float32])
def test_to_categorical_of_any_dtype_and_shape(dtype: Any) -> None:
    """MNIST's labels are unsigned bytes, in which the largest label plus 1 may not fit."""
    labels = np.array([[2, 0], [1, 2]], dtype)
    expected = np.eye(3)[labels.astype(int)]
    assert np.array_equal(to_categorical(labels), expected)
    assert np.array_equal(to_categorical(labels[..., None]), expected)
    largest = to_categorical(np.array([127, 0], dtype))
    assert largest.shape == (2, 128) and largest[0, 127] == 1
    assert to_categorical(np.array([], dtype)).shape == (0, 0)
