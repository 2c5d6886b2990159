"""Labelled examples brought to the form of a network, and how well it does on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import Graph
from tinymnist.nn.losses import CategoricalCrossentropy, cross_entropy, example_weights, get_loss
from tinymnist.nn.training.batches import Examples


def examples_of(
    model: Graph,
    loss: CategoricalCrossentropy,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | str | None = None,
) -> Examples:
    """Check examples, labels and weights, and convert them to the model's shape and dtype.

    Raises:
        ValueError: if they do not fit the model or each other, or if there are none.
    """
    if y is None:
        raise ValueError("expected examples with labels (x, y). Received: x alone")
    x, targets = model.cast(x), loss.targets(y, model.output_shape[-1], model.dtype)
    if len(x) != len(targets) or not len(x):
        raise ValueError(
            f"x and y must have the same length, not 0. Received: {len(x)} and {len(targets)}"
        )
    weights = example_weights(targets.argmax(axis=1), class_weight, sample_weight, model.dtype)
    return Examples(x, targets, weights)


def loss_for(y: Any) -> CategoricalCrossentropy:
    """The cross-entropy that takes such labels: class numbers, or rows of probabilities."""
    is_sparse = np.shape(np.asarray(y))[1:] in ((), (1,))
    return get_loss(f"{'sparse_' if is_sparse else ''}categorical_crossentropy")


def measure(
    model: Graph, examples: Examples, workers: int | None, batch_size: int | None = None
) -> tuple[float, float]:
    """The loss, in which examples count by their weights, and the accuracy, as in Keras."""
    logits: Array = model.predict(examples.x, batch_size=batch_size, workers=workers, logits=True)
    losses, _ = cross_entropy(logits, examples.targets)
    hits = logits.argmax(axis=1) == examples.targets.argmax(axis=1)
    return float((losses * examples.weights).mean()), float(hits.mean())
