"""Sequential: what users call. The numbers are computed in ``graph``, learning in ``training``."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymnist.nn.arrays import Array, float_dtype
from tinymnist.nn.graph import Graph, Input, cast_copy
from tinymnist.nn.layers import Dense, Flatten
from tinymnist.nn.summary import summarize
from tinymnist.nn.training.batches import gathered, is_source
from tinymnist.nn.training.parallel import Workers, pieces, single_threaded_blas

if TYPE_CHECKING:
    from os import PathLike

    from tinymnist.nn.losses import CategoricalCrossentropy
    from tinymnist.nn.optimizers import Optimizer
    from tinymnist.nn.training.loop import History

__all__ = ["Input", "Sequential"]

ACCURACY = {"accuracy", "acc", "categorical_accuracy", "sparse_categorical_accuracy"}
"""Keras's names for it."""


class Sequential(Graph):
    """A neural network to be trained, measured, saved, and built upon.

    It is made like a :class:`~tinymnist.nn.graph.Graph`::

        model = Sequential([Input((28, 28, 1)), Flatten(), Dense(10, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(images, labels, epochs=5)

    Attributes:
        optimizer, loss: what ``compile`` chose.
    """

    optimizer: Optimizer | None = None
    loss: CategoricalCrossentropy | None = None

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = 0,
        steps: int | None = None,
        *,
        workers: int | None = None,
        logits: bool = False,
    ) -> Array:
        """Run the model on examples, piece by piece, on all cores, keeping no caches.

        Args:
            x: (n, *input_shape), or (n, h, w) where the model wants one channel; integers are
                cast, not scaled: divide by 255 first. Or a generator of batches, labelled or not.
            batch_size: how many examples one thread carries through the layers at a time; None
                is 32.
            verbose: for Keras's sake; nothing is shown.
            steps: batches of the generator; None takes one round.
            workers: threads; None takes every core.
            logits: leave out a softmax at the very end.

        Returns:
            (n, *output_shape) in the model's dtype.

        Raises:
            ValueError: when the examples have another shape than the model was built for.
        """
        batch_size = 32 if batch_size is None else batch_size
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {batch_size=}")
        images: Array = self.cast(gathered(x, steps)[0] if is_source(x) else x)
        # One picture is too little work for the threads of BLAS, which cost more than they bring.
        with Workers(workers) as threads, single_threaded_blas():
            parts = threads.map(
                lambda piece: self.run(images[piece], logits=logits),
                pieces(len(images), batch_size) or [slice(0, 0)],
            )
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def __call__(self, x: Any) -> Array:
        """The same as :meth:`predict`."""
        return self.predict(x)

    def compile(
        self,
        optimizer: str | Optimizer = "adam",
        loss: str | CategoricalCrossentropy = "sparse_categorical_crossentropy",
        metrics: str | Sequence[str] | None = ("accuracy",),
    ) -> None:
        """Choose how to train. Accuracy is always measured, and is the only metric of ``fit``."""
        importlib.import_module("tinymnist.nn.training.fit")  # start-up, so that fit learns at once
        from tinymnist.nn.losses import get_loss
        from tinymnist.nn.optimizers import get_optimizer

        asked = [metrics] if isinstance(metrics, str) else metrics or ()
        if unknown := sorted(set(map(str, asked)) - ACCURACY):
            raise ValueError(
                'metrics in fit are ["accuracy"]; see tinymnist.nn.metrics for others, to be used '
                f"on predictions. Received: {unknown}"
            )
        chosen, chosen_loss = get_optimizer(optimizer), get_loss(loss)
        if chosen.owner not in (None, self):
            raise ValueError(
                "an optimizer keeps moments of one model's arrays; make a new one. "
                f"Received: {chosen}, which another model uses"
            )
        chosen.owner = self
        self.optimizer, self.loss = chosen, chosen_loss

    def fit(self, x: Any, y: Array | None = None, *more: Any, **settings: Any) -> History:
        """Train on arrays or batches; see :func:`tinymnist.nn.training.fit.fit` for the settings."""
        from tinymnist.nn.training.fit import fit

        return fit(self, x, y, *more, **settings)

    def evaluate(self, x: Any, y: Array | None = None, *more: Any, **settings: Any) -> Any:
        """``[loss, accuracy]`` on examples; see :func:`tinymnist.nn.training.evaluation.evaluate`."""
        from tinymnist.nn.training.evaluation import evaluate

        return evaluate(self, x, y, *more, **settings)

    def summary(self, print_fn: Callable[[str], object] = print) -> None:
        """Print a table of layers, output shapes, parameters and multiply-adds."""
        print_fn(summarize(self))

    def save(self, path: str | PathLike[str]) -> None:
        """Write a weights file, an .npz; see :func:`tinymnist.nn.weights.save`.

        ``tinymnist.export(model, path)`` writes those of other frameworks.
        """
        from tinymnist.nn.weights import save

        save(self, path)

    def astype(self, dtype: Any) -> Sequential:
        """A copy that computes in another dtype: ``model.astype("float64")`` is the reference."""
        layers = [cast_copy(layer, float_dtype(dtype)) for layer in self.layers]
        twin = Sequential(
            layers,
            input_shape=self.input_shape,
            wiring=self.wiring,
            dtype=dtype,
            name=self.name,
        )
        twin.metadata = copy.deepcopy(self.metadata)
        return twin

    def freeze(self, until: str | None = None) -> None:
        """Freeze every layer up to and including ``until``; without a name, all of them."""
        if until is not None:
            self.get_layer(until)
        for layer in self.layers:
            layer.trainable = False
            if layer.name == until:
                return

    def unfreeze(self, last: int | None = None, *, normalization: bool = True) -> None:
        """Let the last ``last`` layers that have parameters learn again; without a number, all.

        Args:
            last: how many, counted from the end.
            normalization: False leaves batch normalization as it is, and does not count it. Its
                statistics come from many pictures; a few new ones would only spoil them.
        """
        learners = [
            layer
            for layer in self.layers
            if layer.parameters and (normalization or not layer.mixes_batch)
        ]
        for layer in learners if last is None else learners[max(len(learners) - last, 0) :]:
            layer.trainable = True

    def replace_head(
        self,
        classes: int,
        hidden: int | None = None,
        *,
        until: str | None = None,
        rng: np.random.Generator | int = 0,
    ) -> Sequential:
        """A new model on this one's features: its layers up to ``until``, then new Dense layers.

        The old layers are shared with this model, not copied. Freeze them before training if
        they should stay as they are.

        Args:
            classes: how many classes the new model tells apart.
            hidden: units of a relu layer in front of the new output; None for no such layer.
            until: the last layer to keep; None cuts before the last Dense layer.
            rng: a generator or a seed for the new kernels.
        """
        kept = self.layers[: self._head_start() if until is None else self._after(until)]
        wiring = {layer.name: self.sources[layer.name] for layer in kept}
        model = Sequential(
            kept, input_shape=self.input_shape, wiring=wiring, dtype=self.dtype, rng=rng
        )
        if len(model.output_shape) > 1:
            model.add(Flatten(name=model._free_name("head_flatten")))
        if hidden is not None:
            model.add(Dense(hidden, activation="relu", name=model._free_name("head_hidden")))
        model.add(Dense(classes, activation="softmax", name=model._free_name("head")))
        return model

    def _head_start(self) -> int:
        """Where the head begins: at the last Dense layer."""
        dense = [i for i, layer in enumerate(self.layers) if isinstance(layer, Dense)]
        if not dense:
            raise ValueError("replace_head needs a Dense layer to replace, or until=NAME.")
        return dense[-1]

    def _after(self, name: str) -> int:
        return self.layers.index(self.get_layer(name)) + 1
