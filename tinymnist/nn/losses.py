"""Losses: cross-entropy on logits, with softmax fused in, and losses of single numbers.

Fused, neither e^1000 nor log 0 is ever computed, and the gradient is the plain difference
``softmax(logits) - target``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from tinymnist.errors import did_you_mean
from tinymnist.nn.arrays import Array, Eager
from tinymnist.nn.functional import log_softmax, sigmoid


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


EPSILON = 1e-7
"""Probabilities are kept this far from 0 and 1 before a logarithm, as in Keras."""


_KERAS_MEANS: dict[str, tuple[Any, ...]] = {
    "reduction": ("sum_over_batch_size", "mean", "auto"),
    "axis": (-1,),
    "dtype": (None, "float32"),
}
"""Keras's settings that have one meaning here, and the values that mean it."""


class _MadeAsInKeras(type):
    """Lets people give a loss all of Keras's settings."""

    if not TYPE_CHECKING:  # for whom a loss takes its fields

        def __call__(cls, *args: Any, **settings: Any) -> Any:
            settings.pop("name", None)
            for word in _KERAS_MEANS.keys() & settings.keys():
                if (value := settings.pop(word)) not in _KERAS_MEANS[word]:
                    rule = f"{word} must be one of {_KERAS_MEANS[word]} here"
                    raise ValueError(f"{rule}. Received: {word}={value!r}")
            return super().__call__(*args, **settings)


class Loss(metaclass=_MadeAsInKeras):
    """What training minimizes: a number for each example, and its gradient."""

    fuses_softmax: ClassVar[bool] = False
    """Whether a softmax at the end of the model is left out, as the loss contains it."""
    from_logits: bool = False

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """The mean over all examples."""
        return np.asarray(loss_values(self, y_true, y_pred).mean()).view(Eager)

    def targets(self, y: ArrayLike, classes: int, dtype: Any) -> Array:
        """Bring targets to the form of the outputs, (n, ...)."""
        return np.asarray(y).astype(dtype)

    def smooth(self, targets: Array) -> Array:
        """The targets as training sees them."""
        return targets

    def losses(self, outputs: Array, targets: Array) -> tuple[Array, Any]:
        """The loss of each example (n,), not averaged, and the cache."""
        raise NotImplementedError

    def backward(self, dlosses: Array, cache: Any) -> Array:
        """The gradient of the outputs, from that of the losses (n,)."""
        raise NotImplementedError

    def fitted_to(self, last_activation: str | None) -> Loss:
        """The loss for a model that ends so."""
        return self


@dataclass(frozen=True)
class CategoricalCrossentropy(Loss):
    """Cross-entropy against rows of probabilities, for instance one-hot.

    It works on logits: a softmax at the end of the model is left out and fused in. A sigmoid is
    undone, so that its inputs are the logits, as in Keras on TensorFlow; other outputs are logits.

    Attributes:
        from_logits: whether the model must end without softmax.
        label_smoothing: the share of every target, 0..1, that is spread evenly over all classes,
            against overconfidence (Szegedy et al., 2015, https://arxiv.org/abs/1512.00567).
    """

    fuses_softmax: ClassVar[bool] = True

    from_logits: bool = False
    label_smoothing: float = 0.0

    def losses(self, outputs: Array, targets: Array) -> tuple[Array, Any]:
        """:func:`cross_entropy` of logits."""
        return cross_entropy(outputs, targets)

    def backward(self, dlosses: Array, cache: Any) -> Array:
        """:func:`cross_entropy_backward`."""
        return cross_entropy_backward(dlosses, cache)

    def fitted_to(self, last_activation: str | None) -> Loss:
        """The loss for a model that ends so: a sigmoid is undone."""
        return OfProbabilities(self, True) if last_activation == "sigmoid" else self

    def of_probabilities(self) -> Loss:
        """The same loss for outputs that are probabilities, of any sum."""
        return OfProbabilities(self)

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


@dataclass(frozen=True)
class OfProbabilities(Loss):
    """Cross-entropy of positive numbers p: that of their logarithms, whose softmax is p / sum p.

    Attributes:
        loss: of logits.
        undoes_sigmoid: whether p are outputs of a sigmoid, whose inputs are the logits:
            ``log p - log(1 - p)``.
    """

    loss: CategoricalCrossentropy
    undoes_sigmoid: bool = False

    def targets(self, y: ArrayLike, classes: int, dtype: Any) -> Array:
        """As of the loss."""
        return self.loss.targets(y, classes, dtype)

    def smooth(self, targets: Array) -> Array:
        """As of the loss."""
        return self.loss.smooth(targets)

    def losses(self, outputs: Array, targets: Array) -> tuple[Array, Any]:
        """Cross-entropy of the logarithms, kept away from infinity by :data:`EPSILON`."""
        kept = np.clip(outputs, EPSILON, 1 - EPSILON)
        logits = np.log(kept) - np.log1p(-kept) if self.undoes_sigmoid else np.log(kept)
        losses, cache = cross_entropy(logits, targets)
        return losses, (cache, kept, outputs)

    def backward(self, dlosses: Array, cache: Any) -> Array:
        """``d log p = dp / p``, and ``-d log(1 - p) = dp / (1 - p)``; 0 where p was clipped."""
        inner, kept, outputs = cache
        slope = (kept == outputs) / (kept * (1 - kept) if self.undoes_sigmoid else kept)
        return cross_entropy_backward(dlosses, inner) * slope.astype(outputs.dtype)


@dataclass(frozen=True)
class _Elementwise(Loss):
    """The mean over an example's numbers of a function of output and target."""

    def value(self, y: Array, t: Array) -> Array:
        """The loss of each number."""
        raise NotImplementedError

    def slope(self, y: Array, t: Array) -> Array:
        """Its derivative by the output."""
        raise NotImplementedError

    def losses(self, outputs: Array, targets: Array) -> tuple[Array, Any]:
        """The mean over all numbers of each example."""
        values = self.value(outputs, targets).reshape(len(outputs), -1)
        return values.mean(axis=1), (outputs, targets)

    def backward(self, dlosses: Array, cache: Any) -> Array:
        """``slope / numbers``, times the gradient of each example's loss."""
        outputs, targets = cache
        share = dlosses / (outputs.size / max(len(outputs), 1))
        return self.slope(outputs, targets) * share.reshape(-1, *[1] * (outputs.ndim - 1))


@dataclass(frozen=True)
class MeanSquaredError(_Elementwise):
    """``(y - t)^2``."""

    def value(self, y: Array, t: Array) -> Array:
        return np.square(y - t)

    def slope(self, y: Array, t: Array) -> Array:
        return 2 * (y - t)


@dataclass(frozen=True)
class MeanAbsoluteError(_Elementwise):
    """``|y - t|``."""

    def value(self, y: Array, t: Array) -> Array:
        return np.abs(y - t)

    def slope(self, y: Array, t: Array) -> Array:
        return np.sign(y - t)


@dataclass(frozen=True)
class Huber(_Elementwise):
    """``(y - t)^2 / 2`` up to a distance of ``delta``, then a straight line."""

    delta: float = 1.0

    def value(self, y: Array, t: Array) -> Array:
        far = np.abs(y - t)
        near = np.minimum(far, self.delta)
        return near * (far - near / 2)

    def slope(self, y: Array, t: Array) -> Array:
        return np.clip(y - t, -self.delta, self.delta)


@dataclass(frozen=True)
class BinaryCrossentropy(_Elementwise):
    """``-t log y - (1 - t) log(1 - y)``, for every output by itself.

    Attributes:
        from_logits: whether the outputs are logits, to which a sigmoid is applied.
        label_smoothing: the share of every target that becomes 1/2.
    """

    from_logits: bool = False
    label_smoothing: float = 0.0

    def fitted_to(self, last_activation: str | None) -> Loss:
        """Behind a softmax, its inputs are the logits, as in Keras on TensorFlow."""
        if last_activation != "softmax":
            return self
        return BinaryCrossentropyOfSoftmax(True, self.label_smoothing)

    def smooth(self, targets: Array) -> Array:
        """Move targets towards 1/2."""
        return targets * (1 - self.label_smoothing) + self.label_smoothing / 2

    def value(self, y: Array, t: Array) -> Array:
        if self.from_logits:
            return np.maximum(y, 0) - y * t + np.log1p(np.exp(-np.abs(y)))
        p = np.clip(y, EPSILON, 1 - EPSILON)
        return -(t * np.log(p) + (1 - t) * np.log(1 - p))

    def slope(self, y: Array, t: Array) -> Array:
        if self.from_logits:
            return sigmoid(y)[0] - t
        p = np.clip(y, EPSILON, 1 - EPSILON)
        return (p - t) / (p * (1 - p)) * (p == y)


class BinaryCrossentropyOfSoftmax(BinaryCrossentropy):
    """The same on the logits of a softmax, which is left out."""

    fuses_softmax: ClassVar[bool] = True


LOSSES: dict[str, type[Loss]] = {
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "binary_crossentropy": BinaryCrossentropy,
    **dict.fromkeys(("mse", "mean_squared_error"), MeanSquaredError),
    **dict.fromkeys(("mae", "mean_absolute_error"), MeanAbsoluteError),
    "huber": Huber,
}


def get_loss(loss: Any) -> Loss:
    """Find a loss by Keras's name or function, or return one unchanged.

    Raises:
        ValueError: for any other name or type.
    """
    if isinstance(loss, Loss):
        return loss
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "")
    if (key := name.lower()) not in LOSSES:
        key = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    if key not in LOSSES:
        rule = f"loss must be one of {list(LOSSES)}. Received: loss={loss!r}"
        raise ValueError(f"{rule}{did_you_mean(key, LOSSES)}")
    return LOSSES[key]()


def loss_values(loss: Loss, y_true: Any, y_pred: Any) -> Array:
    """The loss of each example (n,), from targets and outputs."""
    outputs = np.asarray(y_pred)
    if isinstance(loss, CategoricalCrossentropy) and not loss.from_logits:
        loss = loss.of_probabilities()
    targets = loss.smooth(loss.targets(y_true, outputs.shape[-1], outputs.dtype))
    return loss.losses(outputs, targets)[0]


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
    classes: int | None = None,
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
        classes: how many there are, if that is known.

    Raises:
        ValueError: for a ``class_weight`` or ``sample_weight`` of another form, a class that does
            not exist, or a weight that is negative or not finite.
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
    for label, weight in weight_of.items():
        if not (0 <= label < (math.inf if classes is None else classes) and 0 <= weight < math.inf):
            known = "from 0" if classes is None else f"in 0..{classes - 1}"
            raise ValueError(
                f"class_weight must hold classes {known} and weights of at least 0. "
                f"Received: {label}: {weight!r}"
            )
    weights = np.ones(len(labels), dtype)
    if sample_weight is not None:
        given = np.asarray(sample_weight, dtype)
        if given.shape != weights.shape:
            raise ValueError(
                f"sample_weight must be of shape {weights.shape}. Received: shape={given.shape}"
            )
        if not np.isfinite(given).all():
            raise ValueError("sample_weight must be finite. Received: NaN or infinity in it")
        weights *= given
    for label, weight in weight_of.items():
        weights[labels == label] *= weight
    return weights
