"""Cross-entropy on logits, with softmax fused in.

Fused, neither e^1000 nor log 0 is ever computed, and the gradient is the plain difference
``softmax(logits) - target``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tinymnist.nn.arrays import Array
from tinymnist.nn.functional import log_softmax


def cross_entropy(logits: Array, targets: Array) -> tuple[Array, tuple[Array, Array]]:
    """The cross-entropy of each example: ``-sum over k of target_k * log softmax(logits)_k``.

    Args:
        logits: (n, classes). Log-probabilities are logits too, since the softmax of log p is p.
        targets: (n, classes), each row a distribution.

    Returns:
        The losses (n,), not averaged, and the cache.
    """
    log_p, _ = log_softmax(logits)
    return -(targets * log_p).sum(axis=-1), (log_p, targets)


def cross_entropy_backward(dlosses: Array, cache: tuple[Array, Array]) -> Array:
    """Gradient of :func:`cross_entropy` with respect to the logits.

    For one example with logits z, targets t and ``p = softmax(z)``:

    1. ``log p_k = z_k - log S`` with ``S = sum over i of e^z_i``.
    2. ``d log S / dz_j = e^z_j / S = p_j``, so ``d log p_k / dz_j = 1[j=k] - p_j``.
    3. ``loss = -sum over k of t_k log p_k`` gives
       ``dloss/dz_j = -sum over k of t_k (1[j=k] - p_j) = p_j sum(t) - t_j``.
    4. A distribution sums to 1, which leaves ``p - t``.

    >>> p = np.array([[0.1, 0.2, 0.7]])
    >>> _, cache = cross_entropy(np.log(p), np.array([[0.0, 1.0, 0.0]]))
    >>> cross_entropy_backward(np.ones(1), cache).round(6)
    array([[ 0.1, -0.8,  0.7]])

    Args:
        dlosses: (n,), the gradient of the total with respect to each loss: its weight.
        cache: from :func:`cross_entropy`.

    Returns:
        dlogits (n, classes).
    """
    log_p, targets = cache
    total = targets.sum(axis=-1, keepdims=True)  # (n, 1)
    return (np.exp(log_p) * total - targets) * dlosses[:, None]


def one_hot(labels: ArrayLike, classes: int, dtype: Any = np.float32) -> Array:
    """Turn class numbers (n,) or (n, 1) into rows with a single 1: (n, classes).

    Raises:
        ValueError: for labels other than whole numbers in 0..classes-1.
    """
    given = np.asarray(labels)
    numbers = given[:, 0] if given.ndim == 2 and given.shape[1] == 1 else given
    if numbers.dtype.kind == "f" and (np.isfinite(numbers) & (numbers == np.rint(numbers))).all():
        numbers = numbers.astype(np.int64)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise ValueError(
            "labels must be whole numbers of shape (n,). "
            f"Received: shape={given.shape}, dtype={given.dtype}"
        )
    if numbers.size and (numbers.min() < 0 or numbers.max() >= classes):
        raise ValueError(
            f"labels must lie in 0..{classes - 1}. Received: {numbers.min()}..{numbers.max()}"
        )
    rows = np.zeros((len(numbers), classes), dtype)
    rows[np.arange(len(numbers)), numbers] = 1
    return rows


def to_categorical(labels: ArrayLike, num_classes: int | None = None) -> Array:
    """Keras's :func:`one_hot`, for labels of any shape: (...) or (..., 1) to (..., classes).

    By default, the largest label is the last class.
    """
    given = np.asarray(labels)
    if given.ndim > 1 and given.shape[-1] == 1:
        given = given[..., 0]
    if num_classes is None:  # in Python's integers: a small dtype cannot hold its largest plus 1
        num_classes = int(given.max()) + 1 if given.size else 0
    return one_hot(given.ravel(), num_classes).reshape(*given.shape, num_classes)


@dataclass(frozen=True)
class CategoricalCrossentropy:
    """Cross-entropy against rows of probabilities, for instance one-hot.

    It always works on logits: a softmax at the end of the model is left out and fused in, and any
    other output counts as logits.

    Attributes:
        from_logits: whether the model must end without softmax.
        label_smoothing: the share of every target, 0..1, that is spread evenly over all classes,
            against overconfidence (Szegedy et al., 2015, https://arxiv.org/abs/1512.00567).
    """

    from_logits: bool = False
    label_smoothing: float = 0.0

    def targets(self, y: ArrayLike, classes: int, dtype: Any) -> Array:
        """Bring targets to (n, classes) in ``dtype``, without smoothing.

        Raises:
            ValueError: if ``y`` does not have that form.
        """
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
        return targets * (1 - share) + share / targets.shape[1]


@dataclass(frozen=True)
class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """Cross-entropy against class numbers (n,); the attributes are the same."""

    def targets(self, y: ArrayLike, classes: int, dtype: Any) -> Array:
        """One-hot rows."""
        return one_hot(y, classes, dtype)


LOSSES = {
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}


def get_loss(loss: str | CategoricalCrossentropy) -> CategoricalCrossentropy:
    """Find a loss by Keras's name, or return one unchanged.

    Raises:
        ValueError: for any other name or type.
    """
    if isinstance(loss, CategoricalCrossentropy):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(f"loss must be one of {list(LOSSES)}. Received: loss={loss!r}")
    return LOSSES[loss]()


def balanced_class_weights(labels: Array) -> dict[int, float]:
    """Weights that give every class the same influence, however many examples it has.

    ``n / (classes * examples of the class)``, counting only classes that occur: scikit-learn's
    "balanced". Over all examples the weights sum to n.
    """
    found, counts = np.unique(labels, return_counts=True)
    return {
        int(label): len(labels) / (len(found) * int(count))
        for label, count in zip(found, counts, strict=True)
    }


def example_weights(
    labels: Array,
    class_weight: Mapping[int, float] | str | None = None,
    sample_weight: ArrayLike | None = None,
    dtype: Any = np.float32,
) -> Array:
    """The weight of each example (n,): its sample weight times the weight of its class.

    As in Keras, a batch's loss is the weighted sum divided by the number of examples (PyTorch
    divides by the sum of the weights).

    Args:
        labels: (n,) class numbers.
        class_weight: weights by class, 1 for missing ones; or "balanced", see
            :func:`balanced_class_weights`.
        sample_weight: (n,).
        dtype: of the result.

    Raises:
        ValueError: for a ``class_weight`` or ``sample_weight`` of another form.
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
