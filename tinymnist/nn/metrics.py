"""How good predictions are: plain functions of labels and probabilities."""

from __future__ import annotations

import numpy as np

from tinymnist.nn.arrays import Array


def accuracy(labels: Array, probabilities: Array) -> float:
    """The share of examples whose most probable class is correct, 0..1.

    Args:
        labels: (n,) class numbers.
        probabilities: (n, classes), or logits.
    """
    return top_k_accuracy(labels, probabilities, 1)


def top_k_accuracy(labels: Array, probabilities: Array, k: int = 5) -> float:
    """The share of examples whose correct class is among the ``k`` most probable ones.

    Of equally probable classes, the one with the lower number ranks first, as with argmax. Without
    examples the result is NaN.
    """
    if not len(labels):
        return float("nan")
    ranked = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((ranked == np.asarray(labels)[:, None]).any(axis=1).mean())


def confusion_matrix(labels: Array, predictions: Array, classes: int) -> Array:
    """How often class ``i`` was predicted as class ``j``: an integer array (classes, classes)."""
    pairs = np.asarray(labels) * classes + np.asarray(predictions)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def precision_recall(confusion: Array) -> tuple[Array, Array]:
    """Precision and recall of each class, from a confusion matrix.

    Returns:
        Precision: of the predictions ``j``, the share that is correct. Recall: of the examples of
        class ``i``, the share that is found. Both (classes,); NaN without any.
    """
    hits = np.diag(confusion).astype(float)
    with np.errstate(invalid="ignore"):
        return hits / confusion.sum(axis=0), hits / confusion.sum(axis=1)


def expected_calibration_error(labels: Array, probabilities: Array, bins: int = 15) -> float:
    """:func:`calibration_error` of predictions (n, classes) against labels (n,)."""
    right = probabilities.argmax(axis=1) == np.asarray(labels)
    return calibration_error(probabilities.max(axis=1), right, bins)


def calibration_error(confidence: Array, right: Array, bins: int = 15) -> float:
    """The average distance between confidence and accuracy, 0..1.

    The examples are sorted into ``bins`` equal ranges of confidence. Each range adds the distance
    between its mean confidence and its accuracy, weighted by its share of the examples (Guo et al.,
    2017, https://arxiv.org/abs/1706.04599).

    Args:
        confidence: (n,) in 0..1.
        right: (n,), whether each prediction is correct.
        bins: how many ranges.
    """
    ranges = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[inside].mean() - right[inside].mean()) * inside.mean()
        for inside in (ranges == b for b in range(bins))
        if inside.any()
    ]
    return float(sum(gaps))


def review_share(confidence: Array, right: Array, wanted: float = 0.999) -> tuple[float, float]:
    """How many of the least confident predictions a person must check for the others to be right.

    Args:
        confidence: (n,) in 0..1.
        right: (n,), whether each prediction is correct.
        wanted: the share of the others that is to be right.

    Returns:
        The smallest such share, 0..1, and the least confidence of the predictions that nobody has
        to check; infinity if all must be checked.
    """
    order = np.argsort(-np.asarray(confidence), kind="stable")
    ranked, hits = np.asarray(confidence)[order], np.asarray(right)[order].cumsum()
    taken = np.arange(1, len(order) + 1)
    is_last = np.append(ranked[1:] < ranked[:-1], True)[: len(order)]  # of those equally confident
    good = np.flatnonzero(is_last & (hits >= wanted * taken))
    if not good.size:
        return 1.0, float("inf")
    return 1 - float(taken[good[-1]]) / len(order), float(ranked[good[-1]])
