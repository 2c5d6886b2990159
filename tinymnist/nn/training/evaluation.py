"""How well a network does on labelled examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.losses import CategoricalCrossentropy, cross_entropy, example_weights, get_loss
from tinymnist.nn.training.batches import Batch, gathered, is_source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinymnist.nn.sequential import Sequential


def evaluate(
    model: Sequential,
    x: Any,
    y: Array | None = None,
    batch_size: int | None = None,
    verbose: str | int = "auto",
    sample_weight: Array | None = None,
    steps: int | None = None,
    callbacks: None = None,
    return_dict: bool = False,
    *,
    workers: int | None = None,
) -> list[float] | dict[str, float]:
    """Loss and accuracy on examples; the order of the arguments is Keras's.

    Args:
        model: a model; without ``compile``, the loss is cross-entropy, by what ``y`` looks like.
        x: examples (n, *input_shape); or, without ``y``, a generator of batches.
        y: labels as the loss wants them.
        batch_size, workers: as for :meth:`Sequential.predict`.
        verbose, callbacks: for Keras's sake; nothing is shown, and nobody is called.
        sample_weight: (n,), how much each example counts in the loss.
        steps: batches of the generator; None takes one round.
        return_dict: whether to name the figures.

    Returns:
        ``[loss, accuracy]``, or ``{"loss": ..., "accuracy": ...}``; label smoothing does not count
        here.

    Raises:
        ValueError: when examples and labels do not fit the model, or there are none.
    """
    if is_source(x):
        x, y, sample_weight = gathered(x, steps)
    is_sparse = np.shape(np.asarray(y))[1:] in ((), (1,))
    kind = "sparse_categorical" if is_sparse else "categorical"
    loss = model.loss or get_loss(f"{kind}_crossentropy")
    given = examples_of(model, loss, x, y, sample_weight)
    figures = measure(model, given.x, given.targets, given.weights, workers, batch_size)
    return dict(zip(("loss", "accuracy"), figures, strict=True)) if return_dict else list(figures)


def examples_of(
    model: Sequential,
    loss: CategoricalCrossentropy,
    x: Any,
    y: Any,
    sample_weight: Array | None,
    class_weight: Mapping[int, float] | str | None = None,
) -> Batch:
    """Examples as the network wants them, all of them one batch."""
    if y is None:
        raise ValueError("expected examples with labels (x, y). Received: x alone")
    x, targets = model.cast(x), loss.targets(y, model.output_shape[-1], model.dtype)
    if len(x) != len(targets) or not len(x):
        raise ValueError(
            f"x and y must have the same length, not 0. Received: {len(x)} and {len(targets)}"
        )
    weights = example_weights(targets.argmax(axis=1), class_weight, sample_weight, model.dtype)
    return Batch(x, targets, weights, np.arange(len(x)))


def measure(
    model: Sequential,
    x: Array,
    targets: Array,
    weights: Array,
    workers: int | None,
    batch_size: int | None = None,
) -> tuple[float, float]:
    """The loss, in which examples count by their weights, and the accuracy, as in Keras."""
    logits = model.predict(x, batch_size=batch_size, workers=workers, logits=True)
    losses, _ = cross_entropy(logits, targets)
    hits = logits.argmax(axis=1) == targets.argmax(axis=1)
    return float((losses * weights).mean()), float(hits.mean())
