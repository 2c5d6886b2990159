"""Metrics where Keras users look for them: ``compile(metrics=[metrics.CategoricalAccuracy()])``.

For figures of predictions that are there already see :mod:`tinymnist.nn.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinymnist.losses import (
    binary_crossentropy,
    categorical_crossentropy,
    mean_absolute_error,
    mean_squared_error,
    sparse_categorical_crossentropy,
)
from tinymnist.nn.training.metrics import METRICS, Metric


def _named(kind: str, *words: str) -> Callable[..., Metric]:
    """A function of Keras's arguments that gives the metric; ``name`` is its column."""

    def make(*args: Any, name: str | None = None, dtype: Any = None, **settings: Any) -> Metric:
        return METRICS[kind](name or kind, **dict(zip(words, args, strict=False)), **settings)

    make.__name__ = make.__qualname__ = kind
    make.__doc__ = f"The metric ``{kind}`` under a name of its own."
    return make


Accuracy = _named("accuracy")
BinaryAccuracy = _named("binary_accuracy")
CategoricalAccuracy = _named("categorical_accuracy")
SparseCategoricalAccuracy = _named("sparse_categorical_accuracy")
TopKCategoricalAccuracy = _named("top_k_categorical_accuracy", "k")
SparseTopKCategoricalAccuracy = _named("sparse_top_k_categorical_accuracy", "k")
MeanSquaredError = _named("mean_squared_error")
MeanAbsoluteError = _named("mean_absolute_error")
BinaryCrossentropy = _named("binary_crossentropy")
CategoricalCrossentropy = _named("categorical_crossentropy")
SparseCategoricalCrossentropy = _named("sparse_categorical_crossentropy")
Precision = _named("precision", "thresholds")
Recall = _named("recall", "thresholds")
AUC = _named("auc", "num_thresholds")
__all__ = ["BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy", "Accuracy"]
__all__ += ["TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy", "MeanSquaredError"]
__all__ += ["MeanAbsoluteError", "BinaryCrossentropy", "CategoricalCrossentropy", "Precision"]
__all__ += ["SparseCategoricalCrossentropy", "Recall", "AUC", "binary_crossentropy"]
__all__ += ["categorical_crossentropy", "sparse_categorical_crossentropy", "mean_squared_error"]
__all__ += ["mean_absolute_error", "categorical_accuracy", "binary_accuracy"]
__all__ += ["sparse_categorical_accuracy", "top_k_categorical_accuracy"]
categorical_accuracy, binary_accuracy = CategoricalAccuracy, BinaryAccuracy
sparse_categorical_accuracy = SparseCategoricalAccuracy
top_k_categorical_accuracy = TopKCategoricalAccuracy
