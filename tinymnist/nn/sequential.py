"""Sequential: the model that users build, train, measure and save, in Keras's words.

The numbers are computed in ``graph``, learning happens in ``training``, files are read and written
in ``weights``.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.lazy import upper_room
from tinymnist.nn.arrays import Array, Eager, float_dtype
from tinymnist.nn.graph import INPUT, Graph, Input, cast_copy
from tinymnist.nn.layers import Dense, Flatten, Layer
from tinymnist.nn.layers.base import Tensor, default_name, free_name
from tinymnist.nn.weights import is_foreign, read, save

if TYPE_CHECKING:  # what only a training needs is imported when one begins
    from os import PathLike

    from tinymnist.nn.losses import Loss
    from tinymnist.nn.optimizers import Optimizer
    from tinymnist.nn.training.fit import Progress
    from tinymnist.nn.training.metrics import Metric
    from tinymnist.nn.training.state import Augment, Callback, History

__all__ = ["Input", "Sequential", "load_model"]


class Sequential(Graph):
    """A neural network to train, measure, save, and build upon.

    It is made like a :class:`~tinymnist.nn.graph.Graph`::

        model = Sequential([Input((28, 28, 1)), Flatten(), Dense(10, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(images, labels, epochs=5)

    Attributes:
        optimizer, loss, metrics: what ``compile`` chose; None before, and no metrics.
        stop_training: set by a callback to end the training, as in Keras.
        history: what the last ``fit`` returned.
    """

    optimizer: Optimizer | None = None
    loss: Loss | None = None
    metrics: Sequence[Metric] = ()
    stop_training: bool = False
    history: History | None = None

    def _wait(self, layer: Layer | Input | Graph) -> None:
        """Keep a layer until the first examples say what the input is, as Keras does."""
        if self._wiring or not isinstance(layer, Layer):
            super()._wait(layer)
            return
        layer.name = layer.name or free_name(default_name(layer), [la.name for la in self.layers])
        self.layers.append(layer)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Build a model that does not know its input yet; another stays as it is.

        Args:
            input_shape: that of a batch, as in Keras: (None, 28, 28, 1).

        Raises:
            ValueError: if the layers cannot take it.
        """
        if self.shapes or not self.layers:
            return
        shape = Input(batch_shape=input_shape).shape
        waiting, self.layers = self.layers, []
        self.shapes[INPUT] = shape
        for layer in waiting:
            self.add(layer)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = 0,
        steps: int | None = None,
        callbacks: None = None,
        *,
        workers: int | None = None,
        logits: bool = False,
        plain: bool = False,
    ) -> Array:
        """Run the model on examples, block by block, on all cores, keeping no caches.

        In float32 an inference plan does it (:mod:`tinymnist.nn.inference`), which agrees with the
        layers' own functions up to rounding.

        Args:
            x: (n, *input_shape), or (n, h, w) if the model takes one channel; integers are cast,
                not scaled: divide by 255 first. Or a generator of batches, with labels or not.
            batch_size: how many examples one thread carries through the layers at a time without a
                plan; None is 32. A plan chooses blocks by itself.
            verbose, callbacks: accepted as in Keras; nothing is shown or called.
            steps: how many batches of the generator to read; None reads one round.
            workers: threads; None takes every core.
            logits: leave out a softmax at the very end.
            plain: run the layers' own functions, without a plan, as float64 always does.

        Returns:
            (n, *output_shape) in the model's dtype.

        Raises:
            ValueError: if the examples have another shape than the model was built for.
        """
        if not isinstance(x, np.ndarray):
            from tinymnist.nn.training.batches import is_source, read_round

            x = read_round(x, steps)[0] if is_source(x) else x
        return super().predict(x, batch_size, workers=workers, logits=logits, plain=plain)

    def __call__(self, x: Any, training: bool = False) -> Any:
        """The same as :meth:`predict`; on a tensor, continue from it with all layers."""
        if not isinstance(x, Tensor):
            found = self.predict(x)
            return found.view(Eager) if isinstance(found, np.ndarray) else found
        tensors = {INPUT: x}
        for layer in self.layers:
            sources = tuple(tensors[source] for source in self.sources[layer.name])
            shape = layer.output_shape(*(source.shape for source in sources))
            tensors[layer.name] = Tensor(shape, layer, sources)
        return tensors[self.layers[-1].name]

    def compile(
        self,
        optimizer: str | Optimizer = "adam",
        loss: Any = "sparse_categorical_crossentropy",
        metrics: Any = ("accuracy",),
        *,
        loss_weights: None = None,
        weighted_metrics: None = None,
        run_eagerly: bool = False,
        jit_compile: Any = "auto",
        steps_per_execution: int = 1,
        auto_scale_loss: bool = True,
    ) -> None:
        """Choose how to train.

        Args:
            optimizer: "sgd", "rmsprop", "adam" ..., or an instance; each serves one model.
            loss: "sparse_categorical_crossentropy" for class numbers, "categorical_crossentropy"
                for rows of probabilities, "mse", "mae", "binary_crossentropy" ..., or an instance.
            metrics: "accuracy", "top_k_categorical_accuracy", "mse" ..., which appear in the
                history under the name that is given here. Without any, a classifier has
                "accuracy". For others see :mod:`tinymnist.nn.metrics`.
            loss_weights, weighted_metrics: None, as there is one output.
            run_eagerly, jit_compile, steps_per_execution, auto_scale_loss: accepted as in Keras.

        Raises:
            ValueError: for anything else; or if another model uses the optimizer.
        """
        if loss_weights or weighted_metrics:
            found = f"{loss_weights=}, {weighted_metrics=}"
            raise ValueError(f"loss_weights and weighted_metrics must be None. Received: {found}")
        from tinymnist.nn.losses import get_loss
        from tinymnist.nn.more_optimizers import get_optimizer
        from tinymnist.nn.training.metrics import get_metrics

        chosen, chosen_loss = get_optimizer(optimizer), get_loss(loss)
        measured = get_metrics(metrics, chosen_loss)
        if chosen.owner not in (None, self):
            raise ValueError(
                "an optimizer keeps moments of one model's arrays; make a new one. "
                f"Received: {chosen}, which another model uses"
            )
        chosen.owner = self
        self.optimizer, self.loss, self.metrics = chosen, chosen_loss, measured

    @property
    def metrics_names(self) -> list[str]:
        """What :meth:`evaluate` returns, in this order."""
        return ["loss", *(metric.name for metric in self.metrics)]

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int | Progress = "auto",
        callbacks: Callback | Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | str | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        *,
        augment: Augment | None = None,
        rng: np.random.Generator | int | None = None,
        micro_batch_size: int | None = None,
        keep_frozen: bool = True,
        workers: int | None = None,
        resume: str | PathLike[str] | None = None,
    ) -> History:
        """Train the model after ``compile``; the arguments up to ``*`` are Keras's.

        Ctrl-C ends the training after the batch and keeps the model; a second one ends at once.

        Args:
            x: examples (n, *input_shape); or, without ``y``, a generator of batches (x, y) or
                (x, y, sample_weight): see :mod:`tinymnist.nn.training.batches`.
            y: class numbers (n,), or rows of probabilities (n, classes), as the loss takes them.
            batch_size: examples per step of the optimizer, if ``x`` is an array; None is 32.
            epochs: how often to go through all examples; with ``initial_epoch``, the number of
                the epoch to end before.
            verbose: "auto", 0 (silent), 1 (a moving line) or 2 (a line per epoch), on standard
                error.
            callbacks: one or several; see :mod:`tinymnist.nn.training.callbacks`.
            validation_split: a share of the examples, taken from the end, that is measured after
                every epoch and never trained on.
            validation_data: (x, y) or (x, y, sample_weight) to measure instead; or a generator,
                one round of which is kept in memory.
            shuffle: whether each epoch has a new order.
            class_weight: how much each class counts, by its number; 1 if it is not named.
                "balanced" makes all classes count alike, however many examples each has.
            sample_weight: (n,), how much each example counts.
            initial_epoch: how many epochs an earlier training has done already.
            steps_per_epoch: batches of the generator per epoch; None takes its length.
            validation_steps: batches of the validating generator; None takes its length.
            validation_batch_size, validation_freq: accepted as in Keras; every epoch is validated.
            augment: ``augment(images, rng) -> images``, called in the worker threads, one piece at
                a time.
            rng: a generator or a seed. Order, dropout and augmentation follow from it; a generator
                of batches has its own seed. None draws from the model's own: every ``fit`` gets
                other random numbers, the same in every run of the program.
            micro_batch_size: how many examples a thread carries through the network at a time.
                None takes half a batch, within 16 to 64; the whole batch if a layer mixes the
                examples (batch normalization); and a batch of up to 32 if the gradients are most
                of the work (Dense layers on many features). A number for a model with batch
                normalization gives "ghost" batch normalization (Hoffer et al., 2017,
                https://arxiv.org/abs/1705.08741): each piece is normalized by itself.
            keep_frozen: whether the output of the frozen part at the bottom is computed once and
                kept for all epochs, if nothing augments below it and memory allows it. Otherwise
                it is computed in every step, without a backward pass.
            workers: threads; None takes every core. The result does not depend on it, unless a
                batch is a single piece.
            resume: a file that :class:`~tinymnist.nn.training.callbacks.Checkpoint` wrote, to
                continue from.

        Returns:
            The history: loss, accuracy, val_loss, val_accuracy and learning_rate per epoch.

        Raises:
            ValueError: if the model is not compiled, or examples and labels do not fit it.
            InputError: if the checkpoint is unusable.
        """
        from tinymnist.nn.training.batches import first_shape
        from tinymnist.nn.training.fit import Settings, fit

        if not self.shapes:
            self.build(first_shape(x))
        settings = Settings(
            x=x, y=y, batch_size=batch_size, epochs=epochs, verbose=verbose, callbacks=callbacks,
            validation_split=validation_split, validation_data=validation_data, shuffle=shuffle,
            class_weight=class_weight, sample_weight=sample_weight, initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch, validation_steps=validation_steps, augment=augment,
            rng=rng, micro_batch_size=micro_batch_size, keep_frozen=keep_frozen, workers=workers,
            resume=resume,
        )  # fmt: skip
        self.stop_training = False
        self.history = fit(self, self.optimizer, self.loss, [*self.metrics], settings)
        return self.history

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: None = None,
        return_dict: bool = False,
        *,
        workers: int | None = None,
    ) -> Any:
        """Measure loss and accuracy on examples; the arguments up to ``*`` are Keras's.

        Args:
            x: examples (n, *input_shape); or, without ``y``, a generator of batches.
            y: class numbers (n,), or rows of probabilities. A model that is not compiled takes
                either.
            batch_size, workers: as for :meth:`predict`.
            verbose, callbacks: accepted as in Keras; nothing is shown or called.
            sample_weight: (n,), how much each example counts in the loss.
            steps: how many batches of the generator to read; None reads one round.
            return_dict: whether to name the figures.

        Returns:
            ``[loss, accuracy]``, or what the metrics are; ``{"loss": ..., "accuracy": ...}``; or,
            without metrics, the loss alone. Labels are not smoothed.

        Raises:
            ValueError: if examples and labels do not fit the model, or there are none.
        """
        from tinymnist.nn.losses import get_loss
        from tinymnist.nn.training.batches import examples_of, is_source, measure, read_round
        from tinymnist.nn.training.metrics import get_metrics

        if is_source(x):
            x, y, sample_weight = read_round(x, steps)
        loss, metrics = self.loss, self.metrics
        if loss is None:  # labels of either form
            is_sparse = np.shape(np.asarray(y))[1:] in ((), (1,))
            loss = get_loss(f"{'sparse_' * is_sparse}categorical_crossentropy")
            metrics = get_metrics(None, loss)
        loss = loss.fitted_to(self.last_activation)
        examples = examples_of(self, loss, x, y, sample_weight)
        figures = measure(self, examples, workers, batch_size, loss=loss, metrics=metrics)
        if return_dict:
            return figures
        return [*figures.values()] if metrics else figures["loss"]

    def train_on_batch(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Make one step of the optimizer on these examples.

        Returns:
            Loss and metrics of this batch before the step, in the form of :meth:`evaluate`.

        Raises:
            ValueError: as :meth:`fit`.
        """
        self.stop_training = False
        whole: Any = {"batch_size": len(x), "verbose": 0, "shuffle": False, "keep_frozen": False}
        weights: Any = {"sample_weight": sample_weight, "class_weight": class_weight}
        history = self.fit(x, y, **whole, **weights, micro_batch_size=len(x)).history
        figures = {name: history[name][-1] for name in self.metrics_names}
        if return_dict:
            return figures
        return [*figures.values()] if self.metrics else figures["loss"]

    def test_on_batch(
        self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """:meth:`evaluate` on these examples."""
        return self.evaluate(x, y, sample_weight=sample_weight, return_dict=return_dict)

    def predict_on_batch(self, x: Any) -> Array:
        """:meth:`predict` on these examples."""
        return self.predict(x)

    def predict_classes(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> Array:
        """Class numbers (n,) of examples, as Keras had it until 2020."""
        return np.asarray(self.predict(x, batch_size).argmax(axis=-1))

    def fit_generator(self, generator: Any, steps_per_epoch: int | None = None, **fit: Any) -> Any:
        """:meth:`fit` on a generator, as Keras had it until 2020.

        What concerns its queue and workers is left out; ``nb_epoch`` is Keras 1's word.
        """
        for word in ("workers", "use_multiprocessing", "max_queue_size"):
            fit.pop(word, None)
        if "nb_epoch" in fit:
            fit["epochs"] = fit.pop("nb_epoch")
        return self.fit(generator, steps_per_epoch=steps_per_epoch, **fit)

    def evaluate_generator(self, generator: Any, steps: int | None = None, **_: Any) -> Any:
        """:meth:`evaluate` on a generator, as Keras had it until 2020."""
        return self.evaluate(generator, steps=steps)

    def predict_generator(self, generator: Any, steps: int | None = None, **_: Any) -> Array:
        """:meth:`predict` on a generator, as Keras had it until 2020."""
        return self.predict(generator, steps=steps)

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], object] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
    ) -> None:
        """Print a table of layers, output shapes, parameters and multiply-adds.

        Inputs are named if they are not the layer above. ``print_fn`` takes the text; the other
        arguments are accepted as in Keras.
        """
        from tinymnist.reporting.text import table

        rows = [("layer", "class", "output", "parameters", "multiply-adds")]
        size, total = " x ".join(map(str, self.input_shape)), 0
        for layer in self.layers:
            sources = self.sources[layer.name]
            work = layer.multiply_adds(*(self.shapes[s] for s in sources))
            total += work
            kind = type(layer).__name__
            activation = getattr(layer, "activation", "linear")
            if activation != "linear" and kind != "Activation":
                kind += f" ({activation})"
            if layer.name in self.wiring:
                kind += " of " + ", ".join(sources)
            shape = " x ".join(map(str, self.shapes[layer.name]))
            numbers = f"{layer.count_parameters:,}" + ("" if layer.trainable else " frozen")
            rows.append((layer.name, kind, shape, numbers, f"{work:,}"))
        headings, *lines = table(rows, left=3).splitlines()
        learning = sum(array.size for array in self.trainable_weights.values())
        title = f"{self.name}: {size} in, {self.dtype}"
        totals = (
            f"{self.count_params():,} parameters, {learning:,} trainable; "
            f"{total:,} multiply-adds per picture"
        )
        (print_fn or print)("\n".join((title, headings, "-" * len(headings), *lines, totals)))

    def _repr_html_(self) -> str | None:
        """The summary, in a notebook."""
        from html import escape

        tables: list[str] = []
        if self.layers:
            self.summary(print_fn=tables.append)
        return f"<pre>{escape(tables[0])}</pre>" if tables else None

    def save(
        self,
        filepath: str | PathLike[str],
        overwrite: bool = True,
        include_optimizer: bool = True,
        save_format: str | None = None,
    ) -> None:
        """Write the model; the ending of the name chooses the format.

        Args:
            filepath: ``.keras``, ``.h5``, ``.onnx``, ``.safetensors`` or ``.py`` for that format;
                any other name gets tinymnist's own, an .npz with its proof.
            overwrite: False refuses to replace a file.
            include_optimizer, save_format: accepted as in Keras; an optimizer is not saved.

        Raises:
            InputError: if the format cannot hold the model, a package is missing, or the file
                cannot be written. A trained model is not lost: it is kept beside, as an .npz.
        """
        if not overwrite and os.path.exists(filepath):
            raise InputError(f"{filepath} is there already; expected a new name, or overwrite=True")
        if not is_foreign(filepath):
            save(self, filepath)
            return
        try:
            upper_room("interop").export(self, filepath)
        except InputError as error:
            kept = _free_path(os.path.splitext(filepath)[0])
            try:
                save(self, kept)
            except InputError:  # neither can be written there
                raise error from None
            advice = f"the model is kept in {kept}: `tinymnist export {kept} {filepath}`"
            raise InputError(f"{error}; {advice}") from None

    def save_weights(self, filepath: str | PathLike[str], overwrite: bool = True) -> None:
        """Write the arrays alone for Keras (``.h5``, ``.weights.h5``), or else the whole model.

        Raises:
            InputError: if the file cannot be written.
        """
        if os.path.splitext(filepath)[1].lower() in (".h5", ".hdf5"):
            upper_room("interop").save_weights(self, filepath)
        else:
            self.save(filepath, overwrite)

    def load_weights(self, filepath: str | PathLike[str]) -> None:
        """Set all arrays from a file of tinymnist or Keras that holds the same layers.

        Raises:
            InputError: if the file cannot be read, or does not fit this model.
        """
        upper_room("interop").load_weights(self, filepath)

    def to_json(self) -> str:
        """The layers in Keras's JSON, without weights; see ``tinymnist.models.model_from_json``."""
        text: str = upper_room("interop").to_json(self)
        return text

    def get_config(self) -> dict[str, Any]:
        """The layers in Keras's words, ready for JSON."""
        from json import loads

        config: dict[str, Any] = loads(self.to_json())["config"]
        return config

    def astype(self, dtype: Any) -> Sequential:
        """A copy that computes in another dtype: ``model.astype("float64")`` is the reference."""
        layers = [cast_copy(layer, float_dtype(dtype)) for layer in self.layers]
        same: dict[str, Any] = {
            "input_shape": self.input_shape,
            "wiring": self.wiring,
            "rng": self._seed,
        }
        twin = Sequential(layers, **same, dtype=dtype, name=self.name)
        twin.metadata = copy.deepcopy(self.metadata)
        return twin

    def freeze(self, until: str | None = None) -> None:
        """Freeze every layer up to and including ``until``; without a name, all of them.

        Raises:
            ValueError: if no layer has this name.
        """
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
            normalization: False skips batch normalization. Its statistics come from many pictures,
                and training on a few new ones would only spoil them.
        """
        learners = [layer for layer in self.layers if layer.parameters]
        if not normalization:
            learners = [layer for layer in learners if not layer.mixes_batch]
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
            classes: how many classes the new model distinguishes.
            hidden: units of a relu layer in front of the new output; None for no such layer.
            until: the last layer to keep; None cuts before the last Dense layer.
            rng: a generator or a seed for the new kernels.

        Raises:
            ValueError: if there is no Dense layer to replace, or no layer of that name.
        """
        if until is not None:
            end = self.layers.index(self.get_layer(until)) + 1
        else:
            dense = [i for i, layer in enumerate(self.layers) if isinstance(layer, Dense)]
            if not dense:
                raise ValueError("replace_head needs a Dense layer to replace, or until=NAME.")
            end = dense[-1]
        kept = self.layers[:end]
        wiring = {layer.name: self.sources[layer.name] for layer in kept}
        model = Sequential(
            kept, input_shape=self.input_shape, wiring=wiring, dtype=self.dtype, rng=rng
        )
        if len(model.output_shape) > 1:
            model.add(Flatten(name=free_name("head_flatten", model.shapes)))
        if hidden is not None:
            model.add(Dense(hidden, activation="relu", name=free_name("head_hidden", model.shapes)))
        model.add(Dense(classes, activation="softmax", name=free_name("head", model.shapes)))
        return model


def _free_path(stem: str) -> str:
    """The path of an .npz with this stem, or with a number if a file is there."""
    number, free = 0, f"{stem}.npz"
    while os.path.exists(free):
        number += 1
        free = f"{stem}-{number}.npz"
    return free


def load_model(model: str | PathLike[str]) -> Sequential:
    """Read a weights file, or a shipped model by name; see :func:`tinymnist.nn.weights.read`."""
    return read(model, Sequential)
