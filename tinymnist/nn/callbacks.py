"""What may happen besides learning: early stopping, checkpoints, learning rates, a CSV history."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tinymnist.nn.arrays import Array
from tinymnist.nn.checkpoint import save_checkpoint, training_plan

if TYPE_CHECKING:
    from tinymnist.nn.training import Training


class Callback:
    """Called by ``fit`` at fixed moments, each time with the whole training."""

    order: ClassVar[int] = 0
    """Callbacks of a higher order are called later."""

    def on_train_begin(self, training: Training) -> None:
        """Before the first batch, also after resuming."""

    def on_batch_end(self, training: Training) -> None:
        """After every step of the optimizer."""

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """After every epoch; ``logs`` is the newest line of the history."""

    def on_train_end(self, training: Training) -> None:
        """After the last batch, however it came about."""

    def get_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What a checkpoint must keep of this callback: notes for JSON, and arrays."""
        return {}, {}

    def set_state(self, notes: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Take back what :meth:`get_state` gave."""


def watched(logs: dict[str, float], monitor: str) -> float:
    """The monitored figure, turned so that smaller is better."""
    if monitor not in logs:
        raise ValueError(f"monitor must be one of {list(logs)}. Received: monitor={monitor!r}")
    return -logs[monitor] if "accuracy" in monitor else logs[monitor]


class EarlyStopping(Callback):
    """Stop when a figure has not improved for some epochs, and go back to the best epoch."""

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 0,
        min_delta: float = 0.0,
        restore_best_weights: bool = True,
    ) -> None:
        """Choose what to watch.

        Args:
            monitor: a column of the history; a name with "accuracy" in it should rise, any other
                should fall.
            patience: how many epochs without improvement are forgiven.
            min_delta: an improvement must be larger than this.
            restore_best_weights: whether the model ends as it was after the best epoch.
        """
        self.monitor, self.patience, self.min_delta = monitor, patience, min_delta
        self.restore_best_weights = restore_best_weights
        self.best, self.waited = float("inf"), 0
        self.best_weights: dict[str, Array] = {}

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """Compare with the best so far."""
        value = watched(logs, self.monitor)
        if value < self.best - self.min_delta:
            self.best, self.waited = value, 0
            if self.restore_best_weights:
                self.best_weights = {n: a.copy() for n, a in training.model.weights.items()}
            return
        self.waited += 1
        if self.waited > self.patience:
            training.position.finished = True

    def on_train_end(self, training: Training) -> None:
        """Bring the best weights back, unless a person broke the training off."""
        if self.best_weights and not training.interrupted:
            training.model.set_weights(self.best_weights)

    def get_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The best figure and the best weights."""
        return {"best": self.best, "waited": self.waited}, self.best_weights

    def set_state(self, notes: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Go on from there."""
        self.best, self.waited, self.best_weights = notes["best"], notes["waited"], arrays


class ReduceLROnPlateau(Callback):
    """Lower the learning rate when a figure has not improved for some epochs."""

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        min_lr: float = 0.0,
    ) -> None:
        """Multiply the rate by ``factor`` after ``patience`` epochs, down to ``min_lr``."""
        self.monitor, self.factor, self.patience, self.min_lr = monitor, factor, patience, min_lr
        self.best, self.waited = float("inf"), 0

    def on_train_begin(self, training: Training) -> None:
        """Insist on a rate that can be changed."""
        _plain_learning_rate(training)

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """Compare with the best so far."""
        value = watched(logs, self.monitor)
        if value < self.best:
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            lower = _plain_learning_rate(training) * self.factor
            training.optimizer.learning_rate = max(lower, self.min_lr)
            self.waited = 0

    def get_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The best figure and the patience spent."""
        return {"best": self.best, "waited": self.waited}, {}

    def set_state(self, notes: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Go on from there."""
        self.best, self.waited = notes["best"], notes["waited"]


class LearningRateScheduler(Callback):
    """Set the learning rate of each epoch: ``schedule(epoch, learning_rate) -> learning_rate``."""

    def __init__(self, schedule: Callable[[int, float], float]) -> None:
        """Take a function of the epoch (from 0) and of the rate so far."""
        self.schedule = schedule

    def on_train_begin(self, training: Training) -> None:
        """The rate of the first epoch; a resumed training has its rate already."""
        rate = _plain_learning_rate(training)
        if training.optimizer.iterations == 0:
            training.optimizer.learning_rate = self.schedule(0, rate)

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """The rate of the next epoch."""
        rate = _plain_learning_rate(training)
        training.optimizer.learning_rate = self.schedule(training.position.epoch, rate)


def _plain_learning_rate(training: Training) -> float:
    rate = training.optimizer.learning_rate
    if callable(rate):
        raise ValueError(
            "a callback can change a learning rate that is a number, not one that follows a "
            f"schedule. Received: learning_rate={rate!r}"
        )
    return rate


class CSVLogger(Callback):
    """Write the history as a table, anew after every epoch, so that it is always whole."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Write to ``path``, replacing what was there."""
        self.path = Path(path)

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """One row for each epoch so far."""
        columns = training.history.history
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        with open(temporary, "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["epoch", *columns])
            for epoch, row in enumerate(zip(*columns.values(), strict=True), start=1):
                table.writerow([epoch, *row])
        os.replace(temporary, self.path)


class Checkpoint(Callback):
    """Save the whole state of the training after every epoch, and every so many batches.

    ``fit(..., resume=path)`` goes on from there and ends in the same bytes as if nothing had
    happened.
    """

    order: ClassVar[int] = 1  # it must see what the others have done

    def __init__(
        self, path: str | PathLike[str], every: int | None = None, *, epochs: int = 1
    ) -> None:
        """Write to ``path``, after every ``epochs`` epochs and after the last.

        Args:
            path: the file.
            every: also write after so many batches of an epoch.
            epochs: where an epoch is short, writing after each would cost more than learning.
        """
        self.path, self.every, self.epochs = Path(path), every, epochs

    def on_train_begin(self, training: Training) -> None:
        """Refuse at once what could not be resumed."""
        training_plan(training)

    def on_batch_end(self, training: Training) -> None:
        """Save in the midst of an epoch."""
        if self.every and training.position.batch % self.every == 0:
            save_checkpoint(training, self.path)

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """Save at the end of an epoch."""
        position = training.position
        is_last = position.finished or position.epoch == training.epochs
        if is_last or position.epoch % self.epochs == 0:
            save_checkpoint(training, self.path)

    def on_train_end(self, training: Training) -> None:
        """Save where a person broke the training off."""
        if training.interrupted:
            save_checkpoint(training, self.path)
