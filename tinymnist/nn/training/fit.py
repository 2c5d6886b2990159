"""``fit``: from what a user gives to a training, and through it."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymnist.checksum import checksum
from tinymnist.memory import reuse_freed_memory
from tinymnist.nn.arrays import Array
from tinymnist.nn.losses import CategoricalCrossentropy, example_weights
from tinymnist.nn.optimizers import Optimizer
from tinymnist.nn.training.batches import Source, gathered, is_source, unpack
from tinymnist.nn.training.callbacks import Callback, in_order
from tinymnist.nn.training.checkpoint import load_checkpoint
from tinymnist.nn.training.evaluation import examples_of
from tinymnist.nn.training.frozen import features_fit, split_frozen
from tinymnist.nn.training.loop import (
    MICRO_BATCH_SIZES,
    Augment,
    History,
    Position,
    Training,
    Validation,
    default_micro_batch_size,
)
from tinymnist.nn.training.parallel import Workers, single_threaded_blas
from tinymnist.nn.training.progress import Progress

if TYPE_CHECKING:
    from tinymnist.nn.sequential import Sequential


def fit(
    model: Sequential,
    x: Any,
    y: Array | None = None,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: str | int = "auto",
    callbacks: Callback | Sequence[Callback] | None = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: Mapping[int, float] | str | None = None,
    sample_weight: Array | None = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    *,
    augment: Augment | None = None,
    rng: np.random.Generator | int | None = None,
    micro_batch_size: int | None = None,
    keep_frozen: bool = True,
    workers: int | None = None,
    resume: str | PathLike[str] | None = None,
) -> History:
    """Train a compiled model; the order of the arguments is Keras's.

    Args:
        model: a model after ``compile``; it is changed.
        x: examples (n, *input_shape); or, without ``y``, something that gives batches (x, y) or
            (x, y, sample_weight), such as a generator: see :mod:`tinymnist.nn.training.batches`.
        y: class numbers (n,), or rows of probabilities, as the loss wants them.
        batch_size: examples for each step of the optimizer, where ``x`` is an array; None is 32.
        epochs: how often to go through all examples; or, with ``initial_epoch``, where to end.
        verbose: "auto", 0 (silent), 1 (a moving line) or 2 (a line an epoch), on standard error.
        callbacks: see :mod:`tinymnist.nn.training.callbacks`.
        validation_split: the share of the examples, from the end, that is set aside, measured
            after every epoch and never trained on.
        validation_data: or (x, y) or (x, y, sample_weight) for that; or a generator, one round of
            which is kept. With it, ``validation_split`` is not used.
        shuffle: whether each epoch has an order of its own.
        class_weight: how much each class counts; 1 where it is not named. "balanced" makes all
            classes count alike, however many examples each has.
        sample_weight: (n,), how much each example counts.
        initial_epoch: how many epochs an earlier training has done already.
        steps_per_epoch: batches of the generator that make an epoch; None takes its length.
        validation_steps: batches of the generator that validates; None takes its length.
        augment: ``augment(images, rng) -> images``, called in the worker threads, a piece at a
            time.
        rng: a generator or a seed. Order, dropout and augmentation all follow from it; what
            comes from a generator of batches has its own seed. None draws from the model's own
            generator: every ``fit`` has other random numbers, in every run the same.
        micro_batch_size: how many examples a thread carries through the network at a time. None takes
            half a batch, but 16 to 32; or the whole batch where a layer couples the examples
            (batch normalization), and a batch of up to 32 where the gradients are most of the
            work (Dense layers on many features). A number for a model with such a layer gives
            "ghost" batch normalization (Hoffer et al., 2017): each piece is normalized by itself.
        keep_frozen: whether the output of the frozen part at the bottom is computed once and kept
            for all epochs, where nothing augments below it and memory allows it. Otherwise it is
            computed in every step, without a backward pass.
        workers: threads; None takes every core. The result does not depend on it, unless a batch
            is a single piece.
        resume: a file that :class:`~tinymnist.nn.training.callbacks.Checkpoint` wrote, to go on from.

    Returns:
        The history: loss, accuracy, val_loss, val_accuracy and learning_rate by epoch.

    Raises:
        ValueError: when the model is not compiled, or examples and labels do not fit it.
        InputError: when the checkpoint is unusable.

    Ctrl-C ends the training after the batch and keeps the model; a second one ends at once.
    """
    if model.optimizer is None or model.loss is None:
        raise ValueError("fit needs a compiled model: call model.compile(...) first.")
    _check_model(model, model.optimizer, model.loss)
    if augment is not None and not callable(augment):
        raise ValueError(f"augment must be called as augment(images, rng). Received: {augment!r}")
    is_generator = is_source(x)
    _check_inputs(x, y, sample_weight, validation_split, steps_per_epoch, class_weight)
    source = None
    if is_generator:
        loss = model.loss
        source = Source(
            x, steps_per_epoch, lambda batch: examples_of(model, loss, *unpack(batch), class_weight)
        )
        source.first -= initial_epoch * source.steps  # epochs count from 0, batches from now on
        x = targets = weights = np.empty(0, model.dtype)
    else:
        given = examples_of(model, model.loss, x, y, sample_weight, class_weight)
        x, targets, weights = given.x, given.targets, given.weights
    batch_size = 32 if batch_size is None else batch_size
    if (
        batch_size < 1
        or min(epochs, initial_epoch) < 0
        or (micro_batch_size is not None and micro_batch_size < 1)
    ):
        raise ValueError(
            "batch_size and micro_batch_size must be at least 1, epochs and initial_epoch at least 0. "
            f"Received: {batch_size=}, {micro_batch_size=}, {epochs=}, {initial_epoch=}"
        )
    validation = None
    if validation_data is not None:
        if is_source(validation_data):
            validation_data = gathered(validation_data, validation_steps)
        held_out = examples_of(model, model.loss, *unpack(validation_data))
        validation = Validation(model, held_out.x, held_out.targets, held_out.weights)
    elif validation_split:
        kept = _kept(len(x), validation_split)
        own = example_weights(targets.argmax(axis=1), None, sample_weight, model.dtype)
        validation = Validation(model, x[kept:], targets[kept:], own[kept:])
        x, targets, weights = x[:kept], targets[:kept], weights[:kept]
    contents = [x, targets, weights, *(validation[1:] if validation else ())]
    if source is not None:  # its plan tells the examples, but not how much their classes count
        contents.append(np.frombuffer(repr(class_weight).encode(), np.uint8))
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
        micro_batch_size=micro_batch_size
        or (None if source else default_micro_batch_size(model, batch_size)),
        shuffle=shuffle,
        augment=augment,
        callbacks=[Progress(verbose), *in_order(callbacks)],
        position=Position(_key(model, rng), initial_epoch, first=source.first if source else 0),
        seed=int(rng) if isinstance(rng, (int, np.integer)) else None,
        source=source,
        contents=checksum(contents),
    )
    if resume is not None:
        load_checkpoint(training, resume)
    reuse_freed_memory()
    _cut_off_frozen_part(training, keep_frozen, workers)
    training.has_dense_gradients = micro_batch_size is None and _has_heavy_gradients(
        training.network
    )
    # Products of a few rows are over before BLAS's other threads have woken up.
    blas = single_threaded_blas() if training.has_dense_gradients else nullcontext()
    with Workers(workers) as threads, _interruptible(training), blas:
        training.run(threads)
    if source is not None:
        source.seek(training.position.epoch, training.position.batch)
    training.history.interrupted = training.interrupted
    return training.history


def _check_model(model: Sequential, optimizer: Optimizer, loss: CategoricalCrossentropy) -> None:
    """Whether what was compiled fits the layers."""
    known = {layer.name for layer in model.layers} | model.weights.keys()
    if unknown := sorted(optimizer.multipliers.keys() - known):
        raise ValueError(f"multipliers must name some of {sorted(known)}. Received: {unknown}")
    if loss.from_logits and model.ends_in_softmax:
        raise ValueError(
            "from_logits=True is for a model that ends without softmax. "
            f"Received: a model that ends in {model.layers[-1]!r}"
        )


def _check_inputs(
    x: Any,
    y: Any,
    sample_weight: Any,
    validation_split: float,
    steps_per_epoch: int | None,
    class_weight: Mapping[int, float] | str | None,
) -> None:
    """What only arrays, and what only generators can have."""
    is_generator = is_source(x)
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
        hint = "; a generator gives batches by its flow(x, y)" if hasattr(x, "flow") else ""
        raise ValueError(f"fit needs labels y for an array x{hint}. Received: y=None")
    if not is_generator and steps_per_epoch is not None:
        raise ValueError(f"steps_per_epoch is for generators. Received: {steps_per_epoch=}")


def _key(model: Sequential, rng: np.random.Generator | int | None) -> int:
    """What all random numbers of a training follow from."""
    generator = model.rng if rng is None else np.random.default_rng(rng)
    return int(generator.integers(2**63))


def _kept(n: int, validation_split: float) -> int:
    if not 0 < validation_split < 1:
        raise ValueError(f"validation_split must be in (0, 1). Received: {validation_split!r}")
    kept = int(n * (1 - validation_split))
    if not 0 < kept < n:
        raise ValueError(f"validation_split must leave examples on both sides. Received: n={n}")
    return kept


def _cut_off_frozen_part(training: Training, keep: bool, workers: int | None) -> None:
    """Leave what neither learns nor draws out of the steps, or at least of the backward pass."""
    parts = split_frozen(training.model)
    if parts is None or training.position.epoch >= training.epochs:
        return
    front, training.network = parts

    def through(x: Array) -> Array:
        return front.predict(x, batch_size=training.micro_batch_size or 32, workers=workers)

    always_new = training.augment is not None or training.source is not None
    examples = 0 if always_new else len(training.x)
    measured = 0 if training.validation is None else len(training.validation.x)
    if not (keep and features_fit(front, examples + measured)):
        training.front = front
        return
    if (held_out := training.validation) is not None:
        training.validation = held_out._replace(network=training.network, x=through(held_out.x))
    if always_new:
        training.front = front
    else:
        training.x = through(training.x)


def _has_heavy_gradients(network: Sequential) -> bool:
    """Whether a piece gives more numbers in its gradients than its examples have in all layers.

    So it is with Dense layers on many features. To cut a small batch, and to add the gradients of
    its pieces up again, would take longer there than to multiply it as a whole.
    """
    learning = sum(array.size for array in network.trainable_weights.values())
    outputs = sum(math.prod(network.shapes[layer.name]) for layer in network.layers)
    return learning > MICRO_BATCH_SIZES[1] * outputs


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
