"""The training loop: cut a batch into pieces, sum their gradients, step, and tell the callbacks.

Everything random follows from one key and the position in the training, so neither the number of
threads nor an interruption changes a single bit of the result.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinymnist.memory import reuse_freed_memory
from tinymnist.nn.arrays import Array
from tinymnist.nn.batches import Batch, Source, gathered, is_source, unpack
from tinymnist.nn.callbacks import Callback
from tinymnist.nn.checkpoint import load_checkpoint
from tinymnist.nn.frozen import features_fit, split_frozen
from tinymnist.nn.losses import (
    CategoricalCrossentropy,
    cross_entropy,
    cross_entropy_backward,
    example_weights,
)
from tinymnist.nn.optimizers import Optimizer
from tinymnist.nn.parallel import Workers, pieces, single_threaded_blas
from tinymnist.nn.progress import Progress

if TYPE_CHECKING:
    from tinymnist.nn.model import Sequential

Augment = Callable[[Array, np.random.Generator], Array]
"""``augment(images, rng) -> images``: draws a new variant of every picture."""

PIECE_SIZES = (16, 32)
"""Examples that a thread carries through the network at a time: as many as stay in its cache, but
no fewer than keep Python's own share of the work small."""


class History:
    """What ``fit`` returns: ``history["loss"]`` and the like, one number an epoch."""

    def __init__(self) -> None:
        """Start empty."""
        self.history: dict[str, list[float]] = {}

    def append(self, logs: dict[str, float]) -> None:
        """Add the figures of one epoch."""
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)


@dataclass
class Position:
    """Where a training stands. ``batch`` and the sums are within the epoch; all start at 0."""

    key: int
    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    hits: int = 0
    examples: int = 0
    finished: bool = False

    @property
    def mean_loss(self) -> float:
        """The loss of this epoch so far, by example."""
        return self.loss / max(self.examples, 1)

    @property
    def accuracy(self) -> float:
        """The accuracy of this epoch so far, on what the network was trained on."""
        return self.hits / max(self.examples, 1)

    def next_epoch(self) -> None:
        """Move to the beginning of the next epoch."""
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss, self.hits, self.examples = 0.0, 0, 0


class PieceResult(NamedTuple):
    """What one piece of a batch contributes."""

    loss: float
    hits: int
    share: float
    gradients: dict[str, Array]
    statistics: dict[str, Array]


class Validation(NamedTuple):
    """What is measured after each epoch: a network, what goes into it, what should come out."""

    network: Sequential
    x: Array
    targets: Array


@dataclass
class Training:
    """One training under way: everything that callbacks may look at or change.

    Batches come from the arrays ``x``, ``targets`` and ``weights``, or else from ``source``.

    Where the lower part of the model is frozen, ``network`` is the rest of it. Then ``x`` and
    ``validation`` hold the frozen part's outputs, or ``front`` is the frozen part, to be run in
    every step. With ``is_heavy``, ``network`` takes a small batch in one piece.
    """

    model: Sequential
    network: Sequential
    front: Sequential | None
    optimizer: Optimizer
    loss: CategoricalCrossentropy
    x: Array
    targets: Array
    weights: Array
    validation: Validation | None
    epochs: int
    batch_size: int
    piece_size: int | None
    shuffle: bool
    augment: Augment | None
    callbacks: Sequence[Callback]
    position: Position
    source: Source | None = None
    is_heavy: bool = False
    history: History = field(default_factory=History)
    interrupted: bool = False

    @property
    def batches(self) -> int:
        """Batches in an epoch; the last may be smaller."""
        return self.source.steps if self.source else math.ceil(len(self.x) / self.batch_size)

    def run(self, workers: Workers) -> None:
        """Train from the position to the end."""
        self._tell("on_train_begin")
        while self.position.epoch < self.epochs and not self.position.finished:
            self._run_epoch(workers)
            if self.interrupted:
                break
            self._end_epoch(workers)
        self._tell("on_train_end")

    def _run_epoch(self, workers: Workers) -> None:
        with closing(self._batches()) as batches:
            for batch in batches:
                self._step(batch, workers)
                self.position.batch += 1
                self._tell("on_batch_end")
                if self.interrupted:
                    break

    def _batches(self) -> Generator[Batch, None, None]:
        """What is left of the epoch."""
        epoch, start = self.position.epoch, self.position.batch
        if self.source is not None:
            yield from self.source.epoch(epoch, start)
            return
        order = np.arange(len(self.x))
        if self.shuffle:
            order = self._rng(epoch).permutation(order)
        for rows in pieces(len(order), self.batch_size)[start:]:
            yield Batch(self.x, self.targets, self.weights, order[rows])

    def _step(self, batch: Batch, workers: Workers) -> None:
        """Gradients of all pieces, summed in their order, then one step of the optimizer."""
        size = self.piece_size or _default_piece_size(self.model, len(batch))
        if self.is_heavy and len(batch) <= PIECE_SIZES[1]:
            batch, size = self._prepared_batch(batch, size, workers), len(batch)
        parts = list(enumerate(pieces(len(batch), size)))
        results = workers.map(lambda part: self._learn_from(batch, *part), parts)
        position = self.position
        position.loss += sum(result.loss for result in results)
        position.hits += sum(result.hits for result in results)
        position.examples += len(batch)
        gradients = {
            name: sum_in_order([result.gradients[name] for result in results])
            for name in results[0].gradients
        }
        self.optimizer.apply(self.model.trainable_weights, gradients)
        for name in results[0].statistics:
            value = sum_in_order([r.statistics[name] * r.share for r in results])
            layer, key = name.rsplit("/", 1)
            setattr(self.model.get_layer(layer), key, value)

    def _prepared_batch(self, batch: Batch, size: int, workers: Workers) -> Batch:
        """The batch as the network takes it, prepared in pieces in the threads."""
        if self.augment is None and self.front is None:
            return batch

        def prepare(part: tuple[int, slice]) -> Array:
            number = part[0] + 1  # the network itself draws as piece 0
            return self._prepared(batch.piece(part[1])[0], self._rng_of_piece(number))

        x = np.concatenate(workers.map(prepare, list(enumerate(pieces(len(batch), size)))))
        _, targets, weights = batch.piece(slice(None))
        return Batch(x, targets, weights, np.arange(len(x)), is_prepared=True)

    def _prepared(self, x: Array, rng: np.random.Generator | None) -> Array:
        """Augmented, and through the frozen part, where these must be done in every step."""
        if self.augment is not None and rng is not None:
            x = self.model.cast(self.augment(x, rng))
        return x if self.front is None else self.front.run(x)

    def _learn_from(self, batch: Batch, number: int, part: slice) -> PieceResult:
        """Forward and backward for one piece; changes nothing, so it may run in any thread."""
        rng = self._rng_of_piece(number)
        x, targets, weights = batch.piece(part)
        if not batch.is_prepared:
            x = self._prepared(x, rng)
        logits, caches = self.network.forward(x, training=True, rng=rng, logits=True)
        losses, cache = cross_entropy(logits, self.loss.smooth(targets))
        dlogits = cross_entropy_backward(weights / len(batch), cache)
        _, gradients = self.network.backward(dlogits, caches, logits=True)
        statistics = {
            f"{layer.name}/{key}": value
            for layer, layer_cache in zip(self.network.layers, caches, strict=True)
            for key, value in layer.new_statistics(layer_cache).items()
        }
        hits = int((logits.argmax(axis=1) == targets.argmax(axis=1)).sum())
        loss = float((losses * weights).sum())
        return PieceResult(loss, hits, len(x) / len(batch), gradients, statistics)

    def _end_epoch(self, workers: Workers) -> None:
        position = self.position
        logs = {"loss": position.mean_loss, "accuracy": position.accuracy}
        if self.validation is not None:
            figures = _measure(*self.validation, workers.count)
            logs |= {f"val_{name}": value for name, value in figures.items()}
        logs["learning_rate"] = self.optimizer.current_learning_rate()
        self.history.append(logs)
        position.next_epoch()
        self._tell("on_epoch_end", logs)

    def _rng(self, *where: int) -> np.random.Generator:
        """A generator for this place in the training, the same however one came here."""
        return np.random.default_rng([self.position.key, *where])

    def _rng_of_piece(self, number: int) -> np.random.Generator | None:
        """A piece's own; None where nobody draws, since to make one costs as much as a layer."""
        if self.augment is None and not any(layer.draws for layer in self.network.layers):
            return None
        return self._rng(self.position.epoch, self.position.batch, number)

    def _tell(self, moment: str, *details: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, moment)(self, *details)


def sum_in_order(arrays: list[Array]) -> Array:
    """Add from first to last, so that the result never depends on which thread was quicker."""
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total


def fit(
    model: Sequential,
    x: Any,
    y: Array | None = None,
    *,
    batch_size: int = 32,
    epochs: int = 1,
    validation_data: Any = None,
    validation_split: float = 0.0,
    shuffle: bool = True,
    class_weight: dict[int, float] | str | None = None,
    sample_weight: Array | None = None,
    augment: Augment | None = None,
    callbacks: Sequence[Callback] = (),
    rng: np.random.Generator | int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    piece_size: int | None = None,
    keep_frozen: bool = True,
    workers: int | None = None,
    resume: str | PathLike[str] | None = None,
    verbose: str | int = "auto",
) -> History:
    """Train a compiled model.

    Args:
        model: a model after ``compile``; it is changed.
        x: examples (n, *input_shape); or, without ``y``, something that gives batches (x, y) or
            (x, y, sample_weight), such as a generator: see :mod:`tinymnist.nn.batches`.
        y: class numbers (n,), or rows of probabilities, as the loss wants them.
        batch_size: examples for each step of the optimizer, where ``x`` is an array.
        epochs: how often to go through all examples.
        validation_data: (x, y) that are measured after every epoch and never trained on; or a
            generator, one round of which is kept for that.
        validation_split: or the share of the examples, from the end, to set aside for that.
        shuffle: whether each epoch has an order of its own.
        class_weight: how much each class counts; 1 where it is not named. "balanced" makes all
            classes count alike, however many examples each has.
        sample_weight: (n,), how much each example counts.
        augment: ``augment(images, rng) -> images``, called in the worker threads, a piece at a
            time.
        callbacks: see :mod:`tinymnist.nn.callbacks`.
        rng: a generator or a seed. Order, dropout and augmentation all follow from it; what
            comes from a generator of batches has its own seed.
        steps_per_epoch: batches of the generator that make an epoch; None takes its length.
        validation_steps: batches of the generator that validates; None takes its length.
        piece_size: how many examples a thread carries through the network at a time. None takes
            half a batch, but 16 to 32; or the whole batch where a layer couples the examples
            (batch normalization), and a batch of up to 32 where the gradients are most of the
            work (Dense layers on many features). A number for a model with such a layer gives
            "ghost" batch normalization (Hoffer et al., 2017): each piece is normalized by itself.
        keep_frozen: whether the output of the frozen part at the bottom is computed once and kept
            for all epochs, where nothing augments below it and memory allows it. Otherwise it is
            computed in every step, without a backward pass.
        workers: threads; None takes every core. The result does not depend on it, unless a batch
            is a single piece.
        resume: a file that :class:`~tinymnist.nn.callbacks.Checkpoint` wrote, to go on from.
        verbose: "auto", 0 (silent), 1 (a moving line) or 2 (a line an epoch), on standard error.

    Returns:
        The history: loss, accuracy, val_loss, val_accuracy and learning_rate by epoch.

    Raises:
        ValueError: when the model is not compiled, or examples and labels do not fit it.
        InputError: when the checkpoint is unusable.

    Ctrl-C ends the training after the batch and keeps the model; a second one ends at once.
    """
    if model.optimizer is None or model.loss is None:
        raise ValueError("fit needs a compiled model: call model.compile(...) first.")
    is_generator = is_source(x)
    _check_inputs(is_generator, y, sample_weight, validation_split, steps_per_epoch, class_weight)
    source = None
    if is_generator:
        source = Source(
            x, steps_per_epoch, lambda batch: _examples(model, *unpack(batch), class_weight)
        )
        x = targets = weights = np.empty(0, model.dtype)
    else:
        given = _examples(model, x, y, sample_weight, class_weight)
        x, targets, weights = given.x, given.targets, given.weights
    if batch_size < 1 or epochs < 0 or (piece_size is not None and piece_size < 1):
        raise ValueError(
            "batch_size and piece_size must be at least 1, epochs at least 0. "
            f"Received: batch_size={batch_size}, piece_size={piece_size}, epochs={epochs}"
        )
    validation = None
    if validation_data is not None:
        if is_source(validation_data):
            validation_data = gathered(validation_data, validation_steps)
        held_x, held_y = validation_data
        held_targets = model.loss.targets(held_y, model.output_shape[-1], model.dtype)
        validation = Validation(model, model.cast(held_x), held_targets)
    elif validation_split:
        kept = _kept(len(x), validation_split)
        validation = Validation(model, x[kept:], targets[kept:])
        x, targets, weights = x[:kept], targets[:kept], weights[:kept]
    training = Training(
        model=model,
        network=model,
        front=None,
        optimizer=model.optimizer,
        loss=model.loss,
        x=x,
        targets=targets,
        weights=weights,
        validation=validation,
        epochs=epochs,
        batch_size=batch_size,
        piece_size=piece_size or (None if source else _default_piece_size(model, batch_size)),
        shuffle=shuffle,
        augment=augment,
        callbacks=[Progress(verbose), *sorted(callbacks, key=lambda callback: callback.order)],
        position=Position(key=int(np.random.default_rng(rng).integers(2**63))),
        source=source,
    )
    if resume is not None:
        load_checkpoint(training, resume)
    reuse_freed_memory()
    _cut_off_frozen_part(training, keep_frozen, workers)
    training.is_heavy = piece_size is None and _has_heavy_gradients(training.network)
    # Products of a few rows are over before BLAS's other threads have woken up.
    blas = single_threaded_blas() if training.is_heavy else nullcontext()
    with Workers(workers) as threads, _interruptible(training), blas:
        training.run(threads)
    return training.history


def _check_inputs(
    is_generator: bool,
    y: Any,
    sample_weight: Any,
    validation_split: float,
    steps_per_epoch: int | None,
    class_weight: dict[int, float] | str | None,
) -> None:
    """What only arrays, and what only generators can have."""
    if is_generator and (y is not None or sample_weight is not None or validation_split):
        raise ValueError(
            "a generator brings labels and weights along, and cannot be split: leave out y, "
            f"sample_weight and validation_split. Received: y={y!r}, {validation_split=}"
        )
    if is_generator and isinstance(class_weight, str):
        raise ValueError(
            "a generator shows a batch at a time, so class_weight must be a dict. "
            f"Received: {class_weight=}"
        )
    if not is_generator and y is None:
        raise ValueError("fit needs labels y for an array x. Received: y=None")
    if not is_generator and steps_per_epoch is not None:
        raise ValueError(f"steps_per_epoch is for generators. Received: {steps_per_epoch=}")


def _examples(
    model: Sequential,
    x: Any,
    y: Any,
    sample_weight: Array | None,
    class_weight: dict[int, float] | str | None,
) -> Batch:
    """Examples as the network wants them, all of them one batch."""
    if model.loss is None or y is None:
        raise ValueError("fit learns from batches (x, y). Received: a batch without labels")
    x, targets = model.cast(x), model.loss.targets(y, model.output_shape[-1], model.dtype)
    if len(x) != len(targets) or not len(x):
        raise ValueError(
            f"x and y must have the same length, not 0. Received: {len(x)} and {len(targets)}"
        )
    weights = example_weights(targets.argmax(axis=1), class_weight, sample_weight, model.dtype)
    return Batch(x, targets, weights, np.arange(len(x)))


def _cut_off_frozen_part(training: Training, keep: bool, workers: int | None) -> None:
    """Leave what neither learns nor draws out of the steps, or at least of the backward pass."""
    parts = split_frozen(training.model)
    if parts is None or training.position.epoch >= training.epochs:
        return
    front, training.network = parts

    def through(x: Array) -> Array:
        return front.predict(x, batch_size=training.piece_size or 32, workers=workers)

    always_new = training.augment is not None or training.source is not None
    examples = 0 if always_new else len(training.x)
    held_out = 0 if training.validation is None else len(training.validation.x)
    if not (keep and features_fit(front, examples + held_out)):
        training.front = front
        return
    if training.validation is not None:
        _, x, targets = training.validation
        training.validation = Validation(training.network, through(x), targets)
    if always_new:
        training.front = front
    else:
        training.x = through(training.x)


def evaluate(
    model: Sequential,
    x: Any,
    y: Array | None = None,
    *,
    batch_size: int = 32,
    steps: int | None = None,
    workers: int | None = None,
) -> dict[str, float]:
    """Loss and accuracy on examples.

    Args:
        model: a model; without ``compile``, the loss is sparse categorical cross-entropy.
        x: examples (n, *input_shape); or, without ``y``, a generator of batches.
        y: labels as the loss wants them.
        steps: batches of the generator; None takes one round.
        batch_size, workers: as for :meth:`Sequential.predict`.

    Returns:
        ``{"loss": ..., "accuracy": ...}``; label smoothing does not count here.
    """
    from tinymnist.nn.losses import get_loss

    loss = model.loss or get_loss("sparse_categorical_crossentropy")
    if is_source(x):
        x, y = gathered(x, steps)
    if y is None:
        raise ValueError("evaluate needs labels. Received: y=None")
    targets = loss.targets(y, model.output_shape[-1], model.dtype)
    return _measure(model, x, targets, workers, batch_size)


def _measure(
    model: Sequential, x: Array, targets: Array, workers: int | None, batch_size: int = 32
) -> dict[str, float]:
    logits = model.predict(x, batch_size=batch_size, workers=workers, logits=True)
    losses, _ = cross_entropy(logits, targets)
    hits = logits.argmax(axis=1) == targets.argmax(axis=1)
    return {"loss": float(losses.mean()), "accuracy": float(hits.mean())}


def _default_piece_size(model: Sequential, batch_size: int) -> int:
    coupled = any(layer.couples_examples and layer.learns for layer in model.layers)
    if coupled:
        return batch_size
    fewest, most = PIECE_SIZES
    return min(max(batch_size // 2, fewest), most)


def _has_heavy_gradients(network: Sequential) -> bool:
    """Whether a piece gives more numbers in its gradients than its examples have in all layers.

    So it is with Dense layers on many features. To cut a small batch, and to add the gradients of
    its pieces up again, would take longer there than to multiply it as a whole.
    """
    learning = sum(array.size for array in network.trainable_weights.values())
    outputs = sum(math.prod(network.shapes[layer.name]) for layer in network.layers)
    return learning > PIECE_SIZES[1] * outputs


def _kept(n: int, validation_split: float) -> int:
    if not 0 < validation_split < 1:
        raise ValueError(f"validation_split must be in (0, 1). Received: {validation_split!r}")
    kept = int(n * (1 - validation_split))
    if not 0 < kept < n:
        raise ValueError(f"validation_split must leave examples on both sides. Received: n={n}")
    return kept


@contextmanager
def _interruptible(training: Training) -> Iterator[None]:
    """Let the first Ctrl-C finish the batch; the second one gets Python's usual treatment."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        training.interrupted = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
