"""Losses where Keras users look for them: ``tinymnist.losses.CategoricalCrossentropy``.

The functions, as Keras's, compute the loss of each example from targets and probabilities.
"""

from __future__ import annotations

from typing import Any

from tinymnist.nn.arrays import Array
from tinymnist.nn.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
    loss_values,
)
from tinymnist.nn.losses import get_loss as get

__all__ = ["BinaryCrossentropy", "CategoricalCrossentropy", "Huber", "Loss", "MeanAbsoluteError"]
__all__ += ["MeanSquaredError", "SparseCategoricalCrossentropy", "binary_crossentropy"]
__all__ += ["categorical_crossentropy", "mae", "mean_absolute_error", "mean_squared_error", "mse"]
__all__ += ["get", "sparse_categorical_crossentropy"]


def categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False) -> Array:
    """Against rows of probabilities."""
    return loss_values(CategoricalCrossentropy(from_logits), y_true, y_pred)


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False) -> Array:
    """Against class numbers."""
    return loss_values(SparseCategoricalCrossentropy(from_logits), y_true, y_pred)


def binary_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False) -> Array:
    """Of every output by itself; the mean of each example."""
    return loss_values(BinaryCrossentropy(from_logits), y_true, y_pred)


def mean_squared_error(y_true: Any, y_pred: Any) -> Array:
    """The mean of ``(y_pred - y_true)^2``."""
    return loss_values(MeanSquaredError(), y_true, y_pred)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Array:
    """The mean of ``|y_pred - y_true|``."""
    return loss_values(MeanAbsoluteError(), y_true, y_pred)


mse, mae = mean_squared_error, mean_absolute_error
