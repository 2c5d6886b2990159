"""From a user's call of ``fit`` to the training loop: check, convert, prepare, resume."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from os import PathLike
from typing import Any

import numpy as np

from tinymnist.checksum import checksum
from tinymnist.memory import reuse_freed_memory
from tinymnist.nn.graph import Graph
from tinymnist.nn.losses import CategoricalCrossentropy, example_weights
from tinymnist.nn.optimizers import Optimizer
from tinymnist.nn.parallel import Workers, single_threaded_blas
from tinymnist.nn.training.batches import Examples, Source, is_source, read_round, unpack
from tinymnist.nn.training.callbacks import in_order
from tinymnist.nn.training.checkpoint import load_checkpoint
from tinymnist.nn.training.evaluation import examples_of
from tinymnist.nn.training.frozen import cut_off_frozen_part
from tinymnist.nn.training.history import History
from tinymnist.nn.training.loop import Loop, default_micro_batch_size, has_dense_gradients
from tinymnist.nn.training.progress import Progress
from tinymnist.nn.training.state import Augment, Callback, Data, Position, Training


def check_compiled(
    model: Graph, optimizer: Optimizer | None, loss: CategoricalCrossentropy | None
) -> tuple[Optimizer, CategoricalCrossentropy]:
    """Insist on what ``compile`` chooses, and that it fits the layers.

    Raises:
        ValueError: if it is missing or does not fit.
    """
    if optimizer is None or loss is None:
        raise ValueError("fit needs a compiled model: call model.compile(...) first.")
    known = {layer.name for layer in model.layers} | model.weights.keys()
    if unknown := sorted(optimizer.multipliers.keys() - known):
        raise ValueError(f"multipliers must name some of {sorted(known)}. Received: {unknown}")
    if loss.from_logits and model.ends_in_softmax:
        raise ValueError(
            "from_logits=True is for a model that ends without softmax. "
            f"Received: a model that ends in {model.layers[-1]!r}"
        )
    return optimizer, loss


def gather_data(
    model: Graph,
    loss: CategoricalCrossentropy,
    x: Any,
    y: Any,
    *,
    sample_weight: Any,
    class_weight: Mapping[int, float] | str | None,
    initial_epoch: int,
    steps_per_epoch: int | None,
    validation_split: float,
    validation_data: Any,
    validation_steps: int | None,
) -> Data:
    """Convert what a user gives to learn from and to validate on; see :meth:`Sequential.fit`.

    Raises:
        ValueError: if arguments exclude each other, or do not fit the model.
    """
    _check_inputs(x, y, sample_weight, validation_split, steps_per_epoch, class_weight)
    examples = source = validation = None
    if is_source(x):

        def convert(batch: Any) -> Examples:
            return examples_of(model, loss, *unpack(batch), class_weight)

        source = Source(x, steps_per_epoch, convert, initial_epoch)
    else:
        examples = examples_of(model, loss, x, y, sample_weight, class_weight)
    if validation_data is not None:
        if is_source(validation_data):
            validation_data = read_round(validation_data, validation_steps)
        validation = examples_of(model, loss, *unpack(validation_data))
    elif validation_split and examples is not None:
        examples, validation = _split(examples, validation_split, sample_weight)
    contents = [a for e in (examples, validation) if e for a in (e.x, e.targets, e.weights)]
    if source is not None:  # its plan identifies the examples, but not the weights of their classes
        contents.append(np.frombuffer(repr(class_weight).encode(), np.uint8))
    return Data(examples, source, validation, checksum(contents))


def _split(examples: Examples, share: float, sample_weight: Any) -> tuple[Examples, Examples]:
    """Set examples aside at the end; the weights of classes do not count there."""
    if not 0 < share < 1:
        raise ValueError(f"validation_split must be in (0, 1). Received: {share!r}")
    n = len(examples)
    kept = int(n * (1 - share))
    if not 0 < kept < n:
        raise ValueError(f"validation_split must leave examples on both sides. Received: n={n}")
    x, targets = examples.x, examples.targets
    own = example_weights(targets.argmax(axis=1), None, sample_weight, x.dtype)
    held_out = Examples(x[kept:], targets[kept:], own[kept:])
    return examples.take(slice(kept)), held_out


def fit(
    model: Graph,
    optimizer: Optimizer,
    loss: CategoricalCrossentropy,
    data: Data,
    *,
    batch_size: int | None,
    epochs: int,
    verbose: str | int,
    callbacks: Callback | Sequence[Callback] | None,
    shuffle: bool,
    initial_epoch: int,
    augment: Augment | None,
    rng: np.random.Generator | int | None,
    micro_batch_size: int | None,
    keep_frozen: bool,
    workers: int | None,
    resume: str | PathLike[str] | None,
) -> History:
    """Prepare a training and run it; the settings are those of :meth:`Sequential.fit`."""
    batch_size = 32 if batch_size is None else batch_size
    _check_settings(augment, batch_size, micro_batch_size, epochs, initial_epoch)
    examples, source = data.examples, data.source
    has_own_size = micro_batch_size is not None
    if micro_batch_size is None and examples is not None:
        micro_batch_size = default_micro_batch_size(model, batch_size)
    training = Training(
        model=model,
        optimizer=optimizer,
        loss=loss,
        data=data,
        epochs=epochs,
        batch_size=batch_size,
        micro_batch_size=micro_batch_size,
        shuffle=shuffle,
        augment=augment,
        callbacks=[Progress(verbose), *in_order(callbacks)],
        seed=int(rng) if isinstance(rng, (int, np.integer)) else None,
        position=Position(_key(model, rng), initial_epoch, first=source.first if source else 0),
    )
    if resume is not None:
        load_checkpoint(training, resume)
    reuse_freed_memory()
    stages = cut_off_frozen_part(training, keep_frozen, workers)
    is_dense = not has_own_size and has_dense_gradients(stages.network)
    # Products of a few rows are over before BLAS's other threads have woken up.
    blas = single_threaded_blas() if is_dense else nullcontext()
    with Workers(workers) as threads, _interruptible(training), blas:
        Loop(training, stages, is_dense, threads).run()
    if source is not None:
        source.seek(training.position.epoch, training.position.batch)
    training.history.interrupted = training.interrupted
    return training.history


def _check_settings(
    augment: Any, batch_size: int, micro_batch_size: int | None, epochs: int, initial_epoch: int
) -> None:
    if augment is not None and not callable(augment):
        raise ValueError(f"augment must be called as augment(images, rng). Received: {augment!r}")
    sizes = (batch_size, 1 if micro_batch_size is None else micro_batch_size)
    if min(sizes) < 1 or min(epochs, initial_epoch) < 0:
        raise ValueError(
            "batch_size and micro_batch_size must be at least 1, epochs and initial_epoch at "
            f"least 0. Received: {batch_size=}, {micro_batch_size=}, {epochs=}, {initial_epoch=}"
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


def _key(model: Graph, rng: np.random.Generator | int | None) -> int:
    """What all random numbers of a training follow from."""
    generator = model.rng if rng is None else np.random.default_rng(rng)
    return int(generator.integers(2**63))


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
