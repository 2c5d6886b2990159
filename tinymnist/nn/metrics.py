"""How good predictions are. Plain functions of labels and probabilities."""

from __future__ import annotations

import numpy as np

from tinymnist.nn.arrays import Array


def accuracy(labels: Array, probabilities: Array) -> float:
    """The share of examples whose most probable class is the right one.

    Args:
        labels: (n,) class numbers.
        probabilities: (n, classes); logits serve as well.
    """
    return top_k_accuracy(labels, probabilities, 1)


def top_k_accuracy(labels: Array, probabilities: Array, k: int = 5) -> float:
    """The share of examples whose right class is among the ``k`` most probable ones.

    Of equally probable classes the one with the lower number comes first, as with argmax. No
    examples give NaN.
    """
    if not len(labels):
        return float("nan")
    ranked = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((ranked == np.asarray(labels)[:, None]).any(axis=1).mean())


def confusion_matrix(labels: Array, predictions: Array, classes: int) -> Array:
    """How often class ``i`` was taken for class ``j``: an integer array (classes, classes)."""
    pairs = np.asarray(labels) * classes + np.asarray(predictions)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def precision_recall(confusion: Array) -> tuple[Array, Array]:
    """Precision and recall of each class from a confusion matrix; NaN where there is nothing.

    Precision: of what was called ``j``, how much was ``j``. Recall: of what was ``i``, how much was
    found.
    """
    hits = np.diag(confusion).astype(float)
    with np.errstate(invalid="ignore"):
        return hits / confusion.sum(axis=0), hits / confusion.sum(axis=1)


def expected_calibration_error(labels: Array, probabilities: Array, bins: int = 15) -> float:
    """How far confidence and accuracy part, on average: of predictions (n, classes)."""
    right = probabilities.argmax(axis=1) == np.asarray(labels)
    return calibration_error(probabilities.max(axis=1), right, bins)


def calibration_error(confidence: Array, right: Array, bins: int = 15) -> float:
    """How far confidence and accuracy part, on average (Guo et al., 2017).

    The examples are sorted into ``bins`` equal ranges of confidence; each range adds the distance
    between its mean confidence and its accuracy, weighted by its share of the examples.

    Args:
        confidence: (n,) in 0..1.
        right: (n,), whether what was said with it is true.
        bins: how many ranges.
    """
    ranges = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[inside].mean() - right[inside].mean()) * inside.mean()
        for inside in (ranges == b for b in range(bins))
        if inside.any()
    ]
    return float(sum(gaps))
