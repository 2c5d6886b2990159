"""Cross-entropy on logits, with softmax fused in.

Fused means that neither e^1000 nor log 0 is ever computed, and that the gradient is the plain
difference ``softmax(logits) - target``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.functional import log_softmax


class CrossEntropyCache(NamedTuple):
    """What :func:`cross_entropy_backward` needs."""

    log_probabilities: Array
    targets: Array


def cross_entropy(logits: Array, targets: Array) -> tuple[Array, CrossEntropyCache]:
    """The surprise of each example: ``-sum over k of target_k * log softmax(logits)_k``.

    Args:
        logits: (n, classes). Log-probabilities are logits too: their softmax is themselves.
        targets: (n, classes), each row a distribution.

    Returns:
        The losses (n,), not averaged, and the cache.
    """
    log_p, _ = log_softmax(logits)
    return -(targets * log_p).sum(axis=-1), CrossEntropyCache(log_p, targets)


def cross_entropy_backward(dlosses: Array, cache: CrossEntropyCache) -> Array:
    """Gradient of :func:`cross_entropy` with respect to the logits.

    With ``p = softmax(z)``, ``d log p_k / dz_j = 1[j=k] - p_j``, so
    ``dz = p * sum(target) - target``; the targets of a row sum to 1.

    Args:
        dlosses: (n,), the weight of each example in the total.
        cache: from the forward pass.
    """
    log_p, targets = cache
    total = targets.sum(axis=-1, keepdims=True)  # (n, 1)
    dlogits: Array = (np.exp(log_p) * total - targets) * dlosses[:, None]
    return dlogits


def one_hot(labels: Array, classes: int, dtype: Any = np.float32) -> Array:
    """Class numbers (n,) or (n, 1) as rows with a single 1: (n, classes).

    Raises:
        ValueError: for labels that are not whole numbers in 0..classes-1.
    """
    given = np.asarray(labels)
    labels = given[:, 0] if given.ndim == 2 and given.shape[1] == 1 else given
    if labels.dtype.kind == "f" and (np.isfinite(labels) & (labels == np.rint(labels))).all():
        labels = labels.astype(np.int64)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            "labels must be whole numbers of shape (n,). "
            f"Received: shape={given.shape}, dtype={given.dtype}"
        )
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(
            f"labels must lie in 0..{classes - 1}. Received: {labels.min()}..{labels.max()}"
        )
    rows = np.zeros((len(labels), classes), dtype)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def to_categorical(labels: Array, num_classes: int | None = None) -> Array:
    """Keras's name for :func:`one_hot`; without a number, as many classes as the labels need."""
    labels = np.asarray(labels)
    needed = int(labels.max(initial=-1)) + 1
    return one_hot(labels, needed if num_classes is None else num_classes)


@dataclass(frozen=True)
class CategoricalCrossentropy:
    """Cross-entropy against rows of probabilities, for instance one-hot.

    It always works on logits: a softmax at the model's end is left out and fused in, and any other
    output counts as logits.

    Attributes:
        from_logits: whether the model must end without softmax.
        label_smoothing: this share of every target is spread evenly over all classes
            (Szegedy et al., 2015), so the network is not pushed towards certainty.
    """

    from_logits: bool = False
    label_smoothing: float = 0.0

    def targets(self, y: Array, classes: int, dtype: Any) -> Array:
        """What the network is compared with: (n, classes) in ``dtype``, unsmoothed."""
        y = np.asarray(y)
        if y.ndim != 2 or y.shape[1] != classes:
            raise ValueError(
                f"categorical_crossentropy takes targets (n, {classes}); for class numbers use "
                f"sparse_categorical_crossentropy. Received: y.shape={y.shape}"
            )
        return y.astype(dtype)

    def smooth(self, targets: Array) -> Array:
        """Spread ``label_smoothing`` over all classes."""
        if not self.label_smoothing:
            return targets
        share = self.label_smoothing
        smoothed: Array = targets * (1 - share) + share / targets.shape[1]
        return smoothed


@dataclass(frozen=True)
class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """Cross-entropy against class numbers (n,)."""

    def targets(self, y: Array, classes: int, dtype: Any) -> Array:
        """One-hot rows."""
        return one_hot(y, classes, dtype)


LOSSES = {
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}


def get_loss(loss: str | CategoricalCrossentropy) -> CategoricalCrossentropy:
    """Find a loss by Keras's name, or take one as it is."""
    if isinstance(loss, CategoricalCrossentropy):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(f"loss must be one of {list(LOSSES)}. Received: loss={loss!r}")
    return LOSSES[loss]()


def balanced_class_weights(labels: Array) -> dict[int, float]:
    """Weights that make every class count alike, however many examples it has.

    ``n / (classes * examples of the class)``, over the classes that occur: scikit-learn's
    "balanced". The weights of all examples add up to their number.
    """
    found, counts = np.unique(labels, return_counts=True)
    return {
        int(label): len(labels) / (len(found) * int(count))
        for label, count in zip(found, counts, strict=True)
    }


def example_weights(
    labels: Array,
    class_weight: Mapping[int, float] | str | None = None,
    sample_weight: Array | None = None,
    dtype: Any = np.float32,
) -> Array:
    """How much each example counts: its sample weight times the weight of its class, (n,).

    As in Keras, a batch's loss is the weighted sum divided by the number of examples (PyTorch
    divides by the sum of the weights). ``class_weight="balanced"`` weighs classes by
    :func:`balanced_class_weights`.
    """
    if isinstance(class_weight, str) and class_weight == "balanced":
        class_weight = balanced_class_weights(labels)
    weight_of = {} if class_weight is None else class_weight
    if not isinstance(weight_of, Mapping) or not all(
        isinstance(label, (int, np.integer)) for label in weight_of
    ):
        raise ValueError(
            'class_weight must be a dict from class numbers to weights, "balanced" or None. '
            f"Received: class_weight={class_weight!r}"
        )
    weights = np.ones(len(labels), dtype)
    if sample_weight is not None:
        given = np.asarray(sample_weight, dtype)
        if given.shape != weights.shape:
            raise ValueError(
                f"sample_weight must be of shape {weights.shape}. Received: shape={given.shape}"
            )
        weights *= given
    for label, weight in weight_of.items():
        weights[labels == label] *= weight
    return weights
