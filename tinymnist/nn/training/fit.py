"""From a user's call of ``fit`` to the training loop: check, convert, prepare, resume, report."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from os import PathLike
from types import FrameType
from typing import Any

import numpy as np

from tinymnist.memory import checksum, reuse_freed_memory
from tinymnist.nn.graph import Graph
from tinymnist.nn.losses import Loss, example_weights
from tinymnist.nn.optimizers import Optimizer
from tinymnist.nn.parallel import Workers, single_threaded_blas
from tinymnist.nn.training.batches import (
    Examples,
    Source,
    examples_of,
    is_source,
    read_round,
    unpack,
)
from tinymnist.nn.training.callbacks import in_order
from tinymnist.nn.training.checkpoint import load_checkpoint
from tinymnist.nn.training.frozen import cut_off_frozen_part
from tinymnist.nn.training.loop import Loop, default_micro_batch_size, has_dense_gradients
from tinymnist.nn.training.metrics import Metric
from tinymnist.nn.training.state import Augment, Callback, Data, History, Position, Training

REPAINT_SECONDS = 0.1
ONE_PRESS_SECONDS = 0.2
"""Two Ctrl-C within this time are one."""


@dataclass(frozen=True)
class Settings:
    """The arguments of :meth:`Sequential.fit`, which explains them."""

    x: Any
    y: Any
    batch_size: int | None
    epochs: int
    verbose: str | int | Progress
    callbacks: Callback | Sequence[Callback] | None
    validation_split: float
    validation_data: Any
    shuffle: bool
    class_weight: Mapping[int, float] | str | None
    sample_weight: Any
    initial_epoch: int
    steps_per_epoch: int | None
    validation_steps: int | None
    augment: Augment | None
    rng: np.random.Generator | int | None
    micro_batch_size: int | None
    keep_frozen: bool
    workers: int | None
    resume: str | PathLike[str] | None


def fit(
    model: Graph,
    optimizer: Optimizer | None,
    loss: Loss | None,
    metrics: list[Metric],
    given: Settings,
) -> History:
    """Prepare a training and run it; see :meth:`Sequential.fit`."""
    if optimizer is None or loss is None:
        raise ValueError("fit needs a compiled model: call model.compile(...) first.")
    _check_compiled(model, optimizer, loss)
    loss = loss.fitted_to(model.last_activation)
    _check_data(given)
    batch_size = 32 if given.batch_size is None else given.batch_size
    _check_numbers(given, batch_size)
    data = _gather_data(model, loss, given)
    micro_batch_size, source = given.micro_batch_size, data.source
    if micro_batch_size is None and source is None:
        micro_batch_size = default_micro_batch_size(model, batch_size)
    shown = given.verbose if isinstance(given.verbose, Progress) else Progress(given.verbose)
    callbacks = [shown, *in_order(given.callbacks)]
    generator = model.rng if given.rng is None else np.random.default_rng(given.rng)
    key = int(generator.integers(2**63))  # all random numbers of the training follow from it
    training = Training(
        model=model,
        optimizer=optimizer,
        loss=loss,
        data=data,
        epochs=given.epochs,
        batch_size=batch_size,
        micro_batch_size=micro_batch_size,
        shuffle=given.shuffle,
        augment=given.augment,
        callbacks=callbacks,
        metrics=metrics,
        seed=int(given.rng) if isinstance(given.rng, (int, np.integer)) else None,
        position=Position(key, given.initial_epoch, first=source.first if source else 0),
    )
    if given.resume is not None:
        load_checkpoint(training, given.resume)
    reuse_freed_memory()
    stages = cut_off_frozen_part(training, given.keep_frozen, given.workers)
    is_dense = given.micro_batch_size is None and has_dense_gradients(stages.network)
    # Products of a few rows are over before BLAS's other threads have woken up.
    blas = single_threaded_blas() if is_dense else nullcontext()
    with Workers(given.workers) as threads, _interruptible(training), blas:
        Loop(training, stages, is_dense, threads).run()
    if source is not None:
        source.seek(training.position.epoch, training.position.batch)
    training.history.interrupted = training.interrupted
    training.history.params = {"epochs": training.epochs, "steps": training.batches, "verbose": 0}
    return training.history


def _check_compiled(model: Graph, optimizer: Optimizer, loss: Loss) -> None:
    known = {layer.name for layer in model.layers} | model.weights.keys()
    if unknown := sorted(optimizer.multipliers.keys() - known):
        raise ValueError(f"multipliers must name some of {sorted(known)}. Received: {unknown}")
    if loss.from_logits and model.ends_in_softmax:
        raise ValueError(
            "from_logits=True is for a model that ends without softmax. "
            f"Received: a model that ends in {model.layers[-1]!r}"
        )


def _check_data(given: Settings) -> None:
    """Insist on what only arrays, and what only generators can have."""
    y, steps_per_epoch, class_weight = given.y, given.steps_per_epoch, given.class_weight
    validation_split = given.validation_split
    if not is_source(given.x):
        if y is None:
            hint = "; a generator gives batches by its flow(x, y)" * hasattr(given.x, "flow")
            raise ValueError(f"fit needs labels y for an array x{hint}. Received: y=None")
        if steps_per_epoch is not None:
            raise ValueError(f"steps_per_epoch is for generators. Received: {steps_per_epoch=}")
    elif y is not None or given.sample_weight is not None or validation_split:
        raise ValueError(
            "a generator brings labels and weights along, and cannot be split: leave out y, "
            f"sample_weight and validation_split. Received: {y=}, {validation_split=}"
        )
    elif isinstance(class_weight, str):
        raise ValueError(
            "a generator shows a batch at a time, so class_weight must be a dict. "
            f"Received: {class_weight=}"
        )


def _check_numbers(given: Settings, batch_size: int) -> None:
    augment, micro_batch_size = given.augment, given.micro_batch_size
    if augment is not None and not callable(augment):
        raise ValueError(f"augment must be called as augment(images, rng). Received: {augment!r}")
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("micro_batch_size", 1 if micro_batch_size is None else micro_batch_size, 1),
        ("epochs", given.epochs, 0),
        ("initial_epoch", given.initial_epoch, 0),
    ):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(
                f"{name} must be a whole number of at least {least}. Received: {name}={value!r}"
            )


def _gather_data(model: Graph, loss: Loss, given: Settings) -> Data:
    """Convert what a user gives to learn from and to validate on."""
    class_weight, held_out = given.class_weight, given.validation_data
    examples = source = validation = None
    if is_source(given.x):

        def convert(batch: Any) -> Examples:
            return examples_of(model, loss, *unpack(batch), class_weight)

        source = Source(given.x, given.steps_per_epoch, convert, given.initial_epoch)
    else:
        examples = examples_of(model, loss, given.x, given.y, given.sample_weight, class_weight)
    if held_out is not None:
        if is_source(held_out):
            held_out = read_round(held_out, given.validation_steps)
        validation = examples_of(model, loss, *unpack(held_out))
    elif given.validation_split and examples is not None:
        examples, validation = _split(examples, given.validation_split, given.sample_weight)
    contents = [a for e in (examples, validation) if e for a in (e.x, e.targets, e.weights)]
    if source is not None:  # its plan identifies the examples, but not the weights of their classes
        contents.append(np.frombuffer(repr(class_weight).encode(), np.uint8))
    return Data(examples, source, validation, checksum(contents))


def _split(examples: Examples, share: float, sample_weight: Any) -> tuple[Examples, Examples]:
    """Set examples aside at the end; the weights of classes do not count there."""
    n = len(examples)
    kept = int(n * (1 - share))
    if not (0 < share < 1 and 0 < kept < n):
        raise ValueError(
            "validation_split must be in (0, 1) and leave examples on both sides. "
            f"Received: validation_split={share!r} of {n} examples"
        )
    x, targets = examples.x, examples.targets
    own = example_weights(np.zeros(n, int), None, sample_weight, x.dtype)
    return examples.take(slice(kept)), Examples(x[kept:], targets[kept:], own[kept:])


class Progress(Callback):
    """What ``fit`` prints on standard error: time left, loss and accuracy."""

    def __init__(
        self,
        verbose: str | int = "auto",
        report: Callable[[Training], None] | None = None,
    ) -> None:
        """Choose how much: "auto", 0 (nothing), 1 (a moving line) or 2 (a line per epoch).

        "auto" is 1 on a terminal, and 2 if piped. ``report`` is called after every batch.
        """
        self.report = report
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f'verbose must be "auto", 0, 1 or 2. Received: verbose={verbose!r}')
        self.level = (1 if sys.stderr.isatty() else 2) if verbose == "auto" else int(verbose)
        self._painted = 0.0

    def on_train_begin(self, training: Training) -> None:
        """Start the clock."""
        self._epoch_began, self._first_batch = time.monotonic(), training.position.batch

    def on_batch_end(self, training: Training) -> None:
        """Repaint the moving line, not too often."""
        if self.report is not None:
            self.report(training)
        now = time.monotonic()
        if self.level != 1 or now - self._painted < REPAINT_SECONDS:
            return
        self._painted = now
        at, batches = training.position, training.batches
        each = (now - self._epoch_began) / max(at.batch - self._first_batch, 1)
        self._paint(
            f"epoch {at.epoch + 1}/{training.epochs}  {at.batch}/{batches}  "
            f"{each * (batches - at.batch):3.0f} s left  "
            + "  ".join(f"{name} {figure:.4f}" for name, figure in training.figures.items())
        )

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """Print the figures of the epoch."""
        if self.level:
            seconds = time.monotonic() - self._epoch_began
            figures = "  ".join(
                f"{name} {value:.2e}" if name == "learning_rate" else f"{name} {value:.4f}"
                for name, value in logs.items()
            )
            epoch = f"epoch {training.position.epoch}/{training.epochs}"
            self._paint(f"{epoch}  {seconds:.1f} s  {figures}", end="\n")
        self.on_train_begin(training)

    def on_train_end(self, training: Training) -> None:
        """Report that the training was interrupted."""
        if training.interrupted and self.level:
            self._paint("stopped after this batch; the model is kept", end="\n")

    def _paint(self, line: str, end: str = "") -> None:
        clear = "\r\x1b[K" if self.level == 1 else ""
        print(f"{clear}{line}", end=end, file=sys.stderr, flush=True)


@contextmanager
def _interruptible(training: Training) -> Iterator[None]:
    """Let the first Ctrl-C finish the batch; a second, later one gets Python's usual treatment.

    Impatient fingers, and launchers that pass the signal on, send two within moments. The second is
    part of the first then, also if the training is over by that time: it must not meet the caller
    while the model is being saved.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    before, first = signal.getsignal(signal.SIGINT), -math.inf

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if not training.interrupted:
            training.interrupted, first = True, time.monotonic()
        elif time.monotonic() - first > ONE_PRESS_SECONDS:
            signal.signal(signal.SIGINT, before)
            if callable(before):
                before(number, frame)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
        time.sleep(max(first + ONE_PRESS_SECONDS - time.monotonic(), 0))
    finally:
        signal.signal(signal.SIGINT, before)
