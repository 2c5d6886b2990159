"""A classifier for scikit-learn: in pipelines, grid searches and cross-validation.

It needs scikit-learn (``pip install 'tinymnist[sklearn]'``)::

    from sklearn.datasets import load_digits
    from sklearn.model_selection import cross_val_score
    from tinymnist.sklearn import DigitClassifier

    X, y = load_digits(return_X_y=True)
    print(cross_val_score(DigitClassifier(random_state=0), X, y).mean())
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets, unique_labels
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "tinymnist.sklearn needs scikit-learn 1.6 or later; pip install 'scikit-learn>=1.6'"
    ) from error

from tinymnist.imaging.digit.recipes import RECIPES, prepare_image
from tinymnist.nn.architectures import ARCHITECTURES
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import Dense, Layer
from tinymnist.nn.optimizers import Adam
from tinymnist.nn.parallel import single_threaded_blas
from tinymnist.nn.sequential import Sequential

SIDE = 28
"""Pixels on a side of the pictures that the shipped architectures take."""
_STEPS, _FEWEST_EPOCHS, _MOST_EPOCHS = 2000, 3, 100
"""Without ``epochs``: enough of them for this many steps of the optimizer, within these limits."""


class DigitClassifier(ClassifierMixin, BaseEstimator):
    """A network that is trained from scratch on arrays, with scikit-learn's interface.

    Rows of 784 numbers are pictures of 28x28 pixels, for a small convolutional network; of rows of
    any other length, each number is a feature, for a dense network, which is trained on one core.
    Arrays (n, 28, 28) and (n, 28, 28, 1) are taken too. float64 is computed in float64, everything
    else in float32, which is about twice as fast.

    Attributes:
        classes_: (classes,), the labels in ascending order: the columns of ``predict_proba``.
        n_features_in_: the length of a row.
        mean_, scale_: mean and standard deviation of all numbers in ``fit``; inputs are shifted and
            divided by them. Pixels thus come in any range. Features that differ in their units
            want a ``StandardScaler`` in front, as for scikit-learn's own networks.
        model_: the trained :class:`tinymnist.Sequential`.
    """

    def __init__(
        self,
        architecture: str = "auto",
        *,
        hidden_layer_sizes: tuple[int, ...] = (128,),
        recipe: str = "none",
        epochs: int | None = None,
        batch_size: int = 32,
        learning_rate: float = 0.001,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        """Note the settings; ``fit`` checks them, as is usual in scikit-learn.

        Args:
            architecture: ``"dense"``; or a name of :data:`tinymnist.nn.architectures.ARCHITECTURES`
                (``"mnist-cnn"``, ``"keras-cnn"``, ``"lenet5"``, ``"mlp"``), all of which take
                28x28 pixels; ``"auto"`` is ``"keras-cnn"`` for these and ``"dense"`` for others.
            hidden_layer_sizes: the units of each relu layer of ``"dense"``; () is a linear model.
            recipe: ``"none"`` takes the numbers as they are. ``"mnist"`` and ``"resize"`` take
                every row as a square picture of any size and bring it to 28x28, as for
                :func:`tinymnist.prepare_image`, in ``fit`` and in ``predict`` alike.
            epochs: how often ``fit`` goes through all examples; None takes as many as make 2,000
                steps, but at least 3 and at most 100.
            batch_size: examples per step.
            learning_rate: of Adam.
            random_state: a seed, a ``numpy.random.RandomState`` or None, as in scikit-learn.
            verbose: 1 shows progress on standard error.
        """
        self.architecture = architecture
        self.hidden_layer_sizes = hidden_layer_sizes
        self.recipe = recipe
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> DigitClassifier:
        """Train a new network.

        Args:
            X: (n, features), (n, h, w) or (n, h, w, 1), finite numbers.
            y: (n,) labels of any kind: numbers, strings, booleans.
            sample_weight: (n,), how much each example counts; None for 1.

        Raises:
            ValueError: for settings or arrays that do not fit.
        """
        X, y = validate_data(self, _as_rows(X), y, dtype=[np.float32, np.float64])
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        steps = -(-len(X) // max(1, self.batch_size))
        usual = min(max(math.ceil(_STEPS / steps), _FEWEST_EPOCHS), _MOST_EPOCHS)
        self._learn(X, codes, sample_weight, self.epochs or usual, is_new=True)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> DigitClassifier:
        """Go once through some more examples, with the network and optimizer as they are.

        ``mean_`` and ``scale_`` are those of the first examples, so let these be a fair sample.

        Args:
            X, y, sample_weight: as for :meth:`fit`.
            classes: all labels that will ever occur; needed by the first call.

        Raises:
            ValueError: as in :meth:`fit`; or for other classes than those of the first call.
        """
        is_new = not hasattr(self, "classes_")
        if is_new and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        X, y = validate_data(self, _as_rows(X), y, dtype=[np.float32, np.float64], reset=is_new)
        check_classification_targets(y)
        known = self.classes_ if classes is None else unique_labels(classes)
        if not is_new and not np.array_equal(known, self.classes_):
            raise ValueError(f"classes must stay {self.classes_}. Received: classes={classes}")
        if unknown := sorted(set(np.unique(y).tolist()) - set(known.tolist())):
            raise ValueError(f"y must be of the classes {known}. Received: {unknown}")
        self.classes_ = known
        self._learn(X, np.searchsorted(known, y), sample_weight, 1, is_new=is_new)
        return self

    def predict_proba(self, X: Any) -> Array:
        """The probabilities (n, classes) of the classes in :attr:`classes_`.

        Raises:
            NotFittedError: before ``fit``.
            ValueError: for rows of another length than in ``fit``.
        """
        check_is_fitted(self, "model_")
        X = validate_data(self, _as_rows(X), reset=False, dtype=[np.float32, np.float64])
        return self.model_.predict(self._inputs(X))

    def predict(self, X: Any) -> Any:
        """The most probable label of every example; errors as for :meth:`predict_proba`."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def _learn(
        self, X: Array, codes: Any, sample_weight: Any, epochs: int, *, is_new: bool
    ) -> None:
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        if is_new:
            self._start(X)
        # A batch of a small network is too little work to be shared by threads.
        is_dense = self.model_.name == "dense"
        with single_threaded_blas() if is_dense else nullcontext():
            self.model_.fit(
                self._inputs(X),
                codes,
                self.batch_size,
                epochs,
                self.verbose,
                sample_weight=sample_weight,
                rng=self._generator,
                micro_batch_size=self.batch_size if is_dense else None,
                workers=1 if is_dense else None,
            )

    def _start(self, X: Array) -> None:
        """Scales and a network with fresh kernels."""
        seed = int(check_random_state(self.random_state).randint(2**31))
        self._generator = np.random.default_rng(seed)
        name = self._architecture()
        images = self._images(X)
        self.mean_ = float(images.mean(dtype=np.float64))
        self.scale_ = float(images.std(dtype=np.float64)) or 1.0
        classes = len(self.classes_)
        if name == "dense":
            layers: list[Layer] = [Dense(n, activation="relu") for n in self.hidden_layer_sizes]
            layers.append(Dense(classes, activation="softmax"))
            shape = (images.shape[1],)
            model = Sequential(layers, input_shape=shape, dtype=X.dtype, rng=seed, name="dense")
        else:
            model = ARCHITECTURES[name](classes=classes, rng=seed)
            model = model.astype(X.dtype) if X.dtype != model.dtype else model
        model.compile(Adam(self.learning_rate), "sparse_categorical_crossentropy")
        self.model_ = model

    def _architecture(self) -> str:
        """The name of the network, after a check that the settings fit each other."""
        if self.recipe not in RECIPES:
            rule = f"recipe must be one of {', '.join(RECIPES)}"
            raise ValueError(f"{rule}. Received: recipe={self.recipe!r}")
        known = ("auto", "dense", *ARCHITECTURES)
        if self.architecture not in known:
            rule = f"architecture must be one of {', '.join(known)}"
            raise ValueError(f"{rule}. Received: architecture={self.architecture!r}")
        takes_pictures = self.recipe != "none" or self.n_features_in_ == SIDE**2
        if self.architecture == "auto":
            return "keras-cnn" if takes_pictures else "dense"
        if self.architecture != "dense" and not takes_pictures:
            rule = f"{self.architecture} takes rows of {SIDE**2} numbers, or a recipe"
            raise ValueError(f"{rule}. Received: X with {self.n_features_in_} features")
        return self.architecture

    def _images(self, X: Array) -> Array:
        """The rows after the recipe."""
        if self.recipe == "none":
            return X
        side = math.isqrt(X.shape[1])
        if side**2 != X.shape[1]:
            rule = f"recipe {self.recipe!r} takes rows that are square pictures"
            raise ValueError(f"{rule}. Received: X with {X.shape[1]} features")
        made = [prepare_image(row.reshape(side, side), self.recipe).ravel() for row in X]
        return np.stack(made).astype(X.dtype)

    def _inputs(self, X: Array) -> Array:
        """What goes into the network, at a mean of about 0 and a deviation of about 1."""
        scaled: Array = (self._images(X) - self.mean_) / self.scale_
        return scaled.astype(self.model_.dtype, copy=False)


def _as_rows(X: Any) -> Any:
    """Arrays of pictures as rows; everything else as it is, for scikit-learn to check."""
    if isinstance(X, np.ndarray) and X.ndim in (3, 4) and len(X):
        return X.reshape(len(X), -1)
    return X
