"""The metrics of ``compile``, by Keras's names: sums over examples, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinymnist.errors import did_you_mean
from tinymnist.nn.arrays import Array
from tinymnist.nn.functional import softmax
from tinymnist.nn.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
)

Sums = Callable[[Array, Array], "Sequence[float]"]
"""``f(outputs, targets)``: sums over the examples, both (n, ...)."""


def _mean_of_sum(sums: Sequence[float], n: int) -> float:
    return sums[0] / max(n, 1)


def _ratio_of_sums(sums: Sequence[float], n: int) -> float:
    return sums[0] / sums[1] if sums[1] else 0.0


@dataclass(frozen=True)
class Metric:
    """A figure that ``fit`` and ``evaluate`` report beside the loss.

    Its functions are a module's own, so that a compiled model can be pickled.

    Attributes:
        name: its column in the history.
        sums: of a batch; they are added up over the batches of an epoch.
        result: the figure, from the sums and the number of examples.
        is_accuracy: whether its one sum is the number of hits.
        count: how many sums it has.
    """

    name: str
    sums: Sums
    result: Callable[[Sequence[float], int], float] = _mean_of_sum
    is_accuracy: bool = False
    count: int = 1


def hits(outputs: Array, targets: Array) -> Any:
    """Which examples are right, (n,): the largest output; of a single one, its side of 1/2.

    Of outputs with more axes, the share of them that is right.
    """
    if outputs.shape[-1] == 1:
        right = (outputs[..., 0] > 0.5) == (targets[..., 0] > 0.5)
    else:
        right = outputs.argmax(axis=-1) == targets.argmax(axis=-1)
    return right if right.ndim == 1 else right.reshape(len(right), -1).mean(axis=1)


def _accuracy(name: str) -> Metric:
    return Metric(name, _hits, is_accuracy=True)


def _hits(y: Array, t: Array) -> list[float]:
    return [float(hits(y, t).sum())]


def _top(name: str, k: int) -> Metric:
    return Metric(name, partial(_top_hits, k))


def _top_hits(k: int, y: Array, t: Array) -> list[float]:
    own = np.take_along_axis(y, t.argmax(axis=1)[:, None], axis=1)
    return [float(((y > own).sum(axis=1) < k).sum())]


def _mean(name: str, loss: Loss) -> Metric:
    return Metric(name, partial(_losses, loss))


def _losses(loss: Loss, y: Array, t: Array) -> list[float]:
    return [float(loss.losses(y, t)[0].sum())]


def _thresholded(name: str, of_predicted: bool, thresholds: float = 0.5) -> Metric:
    """Precision, or recall: right positives of the predicted, or of the true ones."""
    return Metric(name, partial(_positives, of_predicted, thresholds), _ratio_of_sums, count=2)


def _positives(of_predicted: bool, threshold: float, y: Array, t: Array) -> list[float]:
    found, true = y > threshold, t > 0.5
    whole = found if of_predicted else true
    return [float((found & true).sum()), float(whole.sum())]


def _auc(name: str, num_thresholds: int = 200) -> Metric:
    """The area under the ROC curve, by Keras's trapezoids between evenly spaced thresholds.

    Outputs with several columns are taken as one list of yes or no answers, as Keras does.
    """
    if num_thresholds < 2:
        raise ValueError(f"num_thresholds must be at least 2. Received: {num_thresholds=}")
    count = 2 * num_thresholds
    return Metric(name, partial(_above_thresholds, num_thresholds), _area, count=count)


def _above_thresholds(count: int, y: Array, t: Array) -> list[float]:
    """True and then false positives at each threshold, from below 0 to above 1."""
    levels = np.linspace(0, 1, count)
    levels[[0, -1]] = -1e-7, 1 + 1e-7
    is_true = t.ravel() > 0.5

    def above(values: Array) -> Array:
        return np.asarray(values.size - np.searchsorted(np.sort(values), levels, "right"))

    return [*above(y.ravel()[is_true]).tolist(), *above(y.ravel()[~is_true]).tolist()]


def _area(sums: Sequence[float], n: int) -> float:
    true, false = np.reshape(sums, (2, -1))
    true, false = true / max(true[0], 1), false / max(false[0], 1)
    return float(((false[:-1] - false[1:]) * (true[:-1] + true[1:])).sum()) / 2


def _cross_entropy(name: str) -> Metric:
    return _mean(name, CategoricalCrossentropy().of_probabilities())


METRICS: dict[str, Callable[..., Metric]] = {
    **dict.fromkeys(
        (
            *("accuracy", "acc", "binary_accuracy"),
            *("categorical_accuracy", "sparse_categorical_accuracy"),
        ),
        _accuracy,
    ),
    **dict.fromkeys(
        ("top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy"),
        lambda name, k=5: _top(name, k),
    ),
    **dict.fromkeys(("mse", "mean_squared_error"), lambda name: _mean(name, MeanSquaredError())),
    **dict.fromkeys(("mae", "mean_absolute_error"), lambda name: _mean(name, MeanAbsoluteError())),
    "binary_crossentropy": lambda name: _mean(name, BinaryCrossentropy()),
    **dict.fromkeys(
        ("categorical_crossentropy", "sparse_categorical_crossentropy"), _cross_entropy
    ),
    "precision": lambda name, thresholds=0.5: _thresholded(name, True, thresholds),
    "recall": lambda name, thresholds=0.5: _thresholded(name, False, thresholds),
    "auc": _auc,
}
"""By name, ``f(name, **settings)``."""


def get_metrics(asked: Any, loss: Loss) -> list[Metric]:
    """The metrics that ``compile`` was given.

    Without any, a classifier's is "accuracy", and other losses have none.

    Raises:
        ValueError: for an unknown one; the message lists the names.
    """
    given = [asked] if isinstance(asked, (str, Metric)) or callable(asked) else list(asked or ())
    if not given or (tuple(given) == ("accuracy",) and isinstance(asked, tuple)):
        given = ["accuracy"] if isinstance(loss, CategoricalCrossentropy) else []
    return [_get(metric) for metric in given]


def _get(metric: Any) -> Metric:
    if isinstance(metric, Metric):
        return metric
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", str(metric))
    if name.lower() not in METRICS:
        raise ValueError(
            f"metrics in fit are {list(METRICS)}; see tinymnist.nn.metrics for others, to be used "
            f"on predictions. Received: {name!r}{did_you_mean(name, METRICS)}"
        )
    return METRICS[name.lower()](name)


def sums_of(
    metrics: Sequence[Metric], outputs: Array, targets: Array, are_logits: bool
) -> list[float]:
    """The sums of several metrics, one after the other, of probabilities or logits."""
    if are_logits and not all(metric.is_accuracy for metric in metrics):
        outputs = softmax(outputs)[0]
    return [number for metric in metrics for number in metric.sums(outputs, targets)]


def results_of(metrics: Iterable[Metric], sums: Sequence[float], n: int) -> dict[str, float]:
    """The figures, by name, from all sums over ``n`` examples."""
    found, at = {}, 0
    for metric in metrics:
        found[metric.name] = float(metric.result(sums[at : at + metric.count], n))
        at += metric.count
    return found
