"""Callbacks: early stopping, saving, learning rates, a CSV history. Names are Keras's.

``fit`` calls each with the whole :class:`~tinymnist.nn.training.state.Training`. For checkpoints
that resume a training exactly see :class:`~tinymnist.nn.training.checkpoint.Checkpoint`.
"""

from __future__ import annotations

import csv
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import signature
from os import PathLike
from typing import Any, ClassVar

import numpy as np

from tinymnist.files import whole_file
from tinymnist.lazy import upper_room
from tinymnist.nn.arrays import Array
from tinymnist.nn.training.checkpoint import Checkpoint
from tinymnist.nn.training.keras_callbacks import (
    KerasStyle,
    LambdaCallback,
    Recorder,
    TensorBoard,
    TerminateOnNaN,
    is_keras_style,
    own_hooks,
)
from tinymnist.nn.training.state import Callback, History, Training
from tinymnist.nn.weights import is_foreign

__all__ = [
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]


def in_order(callbacks: Callback | Iterable[Callback] | None) -> list[Callback]:
    """One callback, several or none as a list, those of a higher order last.

    Those with Keras's methods are wrapped, see :mod:`tinymnist.nn.training.keras_callbacks`.

    Raises:
        ValueError: for anything else, and for callbacks with methods that would never be called.
    """
    if callbacks is None:
        return []
    given: list[Any] = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
    return sorted(map(_as_callback, given), key=lambda callback: callback.order)


def _as_callback(callback: Any) -> Callback:
    kind = type(callback).__name__
    if isinstance(callback, History):
        return Recorder(callback)
    hooks = {} if isinstance(callback, type) else own_hooks(callback)
    if hooks and is_keras_style(callback):
        return KerasStyle(callback)
    if not isinstance(callback, Callback):
        raise ValueError(f"a callback derives from tinymnist.nn.Callback. Received: {kind}")
    if unknown := sorted(hooks.keys() - set(dir(Callback))):
        raise ValueError(
            "with the training, fit calls on_train_begin(training), on_batch_end(training), "
            "on_epoch_end(training, logs) and on_train_end(training); training has model, "
            f"optimizer, position and history. Received: {kind} with {unknown}"
        )
    return callback


class MonitorCallback(Callback):
    """The base of callbacks that watch one figure of the history for improvements.

    Attributes:
        monitor: a column of the history.
        mode: "min" or "max", whether the figure should fall or rise; "auto" is "max" if the name
            contains "acc", else "min".
        min_delta: smaller changes do not count as improvements.
    """

    remembered: ClassVar[tuple[str, ...]] = ("best", "waited")
    monitor: str
    mode: str
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        if self.mode not in ("auto", "min", "max"):
            raise ValueError(f'mode must be "auto", "min" or "max". Received: mode={self.mode!r}')
        for name in ("patience", "cooldown"):
            epochs = getattr(self, name, 0)
            if not isinstance(epochs, (int, np.integer)) or epochs < 0:
                rule = f"{name} must be a whole number of epochs, at least 0"
                raise ValueError(f"{rule}. Received: {name}={epochs!r}")
        self.reset()

    def reset(self) -> None:
        """Forget what earlier epochs gave."""
        self.best, self.waited = float("inf"), 0

    def on_train_begin(self, training: Training) -> None:
        """Forget earlier trainings, unless this one is resumed."""
        if not training.is_resumed:
            self.reset()

    def _watched(self, logs: dict[str, float]) -> str | None:
        """The column to watch, "acc" for "accuracy" if need be; None, with a warning, for none."""
        names = [self.monitor, self.monitor.replace("accuracy", "acc")]
        names.append(names[1].replace("acc", "accuracy"))
        found = next((name for name in names if name in logs), None)
        if found is None:
            rule = f"{type(self).__name__} does nothing: monitor must be one of {list(logs)}"
            warnings.warn(f"{rule}. Received: {self.monitor!r}", stacklevel=2)
        return found

    def _has_improved(self, value: float) -> bool:
        """Whether the figure is the best so far; if so, it is stored."""
        if not self._is_better(value, self.best):
            return False
        self.best = self._cost(value)
        return True

    def _is_better(self, value: float, cost: float) -> bool:
        return self._cost(value) < cost - abs(self.min_delta)

    def _cost(self, value: float) -> float:
        """The figure, or its negative if it should rise."""
        rises = self.mode == "max" or (self.mode == "auto" and "acc" in self.monitor)
        return -value if rises else value


@dataclass(eq=False)
class EarlyStopping(MonitorCallback):
    """Stop when a figure has not improved for some epochs.

    Attributes:
        monitor, mode, min_delta: as for :class:`MonitorCallback`.
        patience: how many epochs without an improvement end the training.
        verbose: 1 reports on standard error when it stops.
        baseline: if given, only figures better than this start the wait again.
        restore_best_weights: whether the model ends as it was after the best epoch instead of
            after the last.
        start_from_epoch: how many epochs to wait before the figure is watched.
    """

    monitor: str = "val_loss"
    min_delta: float = 0.0
    patience: int = 0
    verbose: int = 0
    mode: str = "auto"
    baseline: float | None = None
    restore_best_weights: bool = False
    start_from_epoch: int = 0

    def reset(self) -> None:
        """Forget the best weights, too."""
        super().reset()
        self.best_weights: dict[str, Array] = {}

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """Compare with the best so far."""
        watched = self._watched(logs)
        if watched is None or training.position.epoch <= self.start_from_epoch:
            return
        self.waited += 1
        if self._has_improved(logs[watched]):
            if self.baseline is None or self._is_better(logs[watched], self._cost(self.baseline)):
                self.waited = 0
            if self.restore_best_weights:
                self.best_weights = {n: a.copy() for n, a in training.model.weights.items()}
        elif self.waited >= self.patience and training.position.epoch > 1:
            training.position.finished = True
            _report(self.verbose, training, "early stopping")

    def on_train_end(self, training: Training) -> None:
        """Restore the best weights, unless Ctrl-C interrupted the training."""
        if self.best_weights and not training.interrupted:
            training.model.set_weights(self.best_weights)

    def get_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The best figure, the epochs waited and the best weights."""
        return super().get_state()[0], self.best_weights

    def set_state(self, notes: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Restore them."""
        super().set_state(notes, arrays)
        self.best_weights = arrays


@dataclass(eq=False)
class ReduceLROnPlateau(MonitorCallback):
    """Lower the learning rate when a figure has not improved for some epochs.

    Attributes:
        monitor, mode, min_delta: as for :class:`MonitorCallback`.
        factor: below 1; multiplies the rate after ``patience`` epochs, down to ``min_lr``.
        verbose: 1 reports every new rate on standard error.
        cooldown: how many epochs after a new rate do not count.

    Raises:
        ValueError: for a factor of 1 or more, or a patience or cooldown below 0.
    """

    remembered: ClassVar[tuple[str, ...]] = (*MonitorCallback.remembered, "resting")
    monitor: str = "val_loss"
    factor: float = 0.1
    patience: int = 10
    verbose: int = 0
    mode: str = "auto"
    min_delta: float = 1e-4
    cooldown: int = 0
    min_lr: float = 0.0

    def __post_init__(self) -> None:
        if not self.factor < 1:
            raise ValueError(f"factor must be below 1. Received: factor={self.factor}")
        super().__post_init__()

    def reset(self) -> None:
        """End the cooldown, too."""
        super().reset()
        self.resting = 0

    def on_train_begin(self, training: Training) -> None:
        """Insist on a rate that can be changed."""
        super().on_train_begin(training)
        _plain_learning_rate(training)

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """Compare with the best so far."""
        if (watched := self._watched(logs)) is None:
            return
        if self.resting:
            self.resting, self.waited = self.resting - 1, 0
        if self._has_improved(logs[watched]):
            self.waited = 0
        elif not self.resting:
            self.waited += 1
            rate = _plain_learning_rate(training)
            if self.waited >= self.patience and rate > self.min_lr:
                rate = training.optimizer.learning_rate = max(rate * self.factor, self.min_lr)
                self.resting, self.waited = self.cooldown, 0
                _report(self.verbose, training, f"learning rate lowered to {rate:.2g}")


@dataclass(eq=False)
class ModelCheckpoint(MonitorCallback):
    """Save the model after every epoch, or whenever a figure is the best so far.

    Attributes:
        filepath: a path for :meth:`Sequential.save`, of any format. In it, ``{epoch:02d}`` (from
            1), ``{val_loss:.2f}`` and the like stand for figures of the epoch.
        monitor, mode: the figure, with ``save_best_only``; see :class:`MonitorCallback`.
        verbose: 1 reports every file on standard error.
        save_best_only: whether to save only models better than all before.
        save_weights_only: whether to write with :meth:`Sequential.save_weights`.
        save_freq: "epoch", as no other is supported.
        initial_value_threshold: what the figure must improve on to be the best.

    Raises:
        InputError: before the training, if a file with this ending could not be written.
    """

    filepath: str | PathLike[str]
    monitor: str = "val_loss"
    verbose: int = 0
    save_best_only: bool = False
    save_weights_only: bool = False
    mode: str = "auto"
    save_freq: str = "epoch"
    initial_value_threshold: float | None = None

    def reset(self) -> None:
        """Begin with the threshold."""
        super().reset()
        if self.initial_value_threshold is not None:
            self.best = self._cost(self.initial_value_threshold)

    def __post_init__(self) -> None:
        if self.save_freq != "epoch":
            raise ValueError(f'save_freq must be "epoch". Received: save_freq={self.save_freq!r}')
        if is_foreign(self.filepath):
            upper_room("interop").check_export(self.filepath)
        super().__post_init__()

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """Save, unless it must be the best and is not."""
        if self.save_best_only:
            watched = self._watched(logs)
            if watched is None or not self._has_improved(logs[watched]):
                return
        path = os.fspath(self.filepath).format(epoch=training.position.epoch, **logs)
        model: Any = training.model
        (model.save_weights if self.save_weights_only else model.save)(path)
        _report(self.verbose, training, f"saved {path}")


class LearningRateScheduler(Callback):
    """Set the learning rate of each epoch: ``schedule(epoch, learning_rate) -> learning_rate``."""

    remembered = ("epoch",)

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        """Take a function of the epoch (from 0) and of the rate so far, or of the epoch alone."""
        self.schedule, self.verbose = schedule, verbose
        self.epoch = -1
        """The last epoch whose rate has been set."""
        self._takes_rate = len(signature(schedule).parameters) > 1

    def on_train_begin(self, training: Training) -> None:
        """Set the rate of the first epoch; a resumed training has its rate already."""
        if not training.is_resumed:
            self.epoch = -1
        self.on_epoch_end(training, {})

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """Set the rate of the next epoch."""
        rate, epoch = _plain_learning_rate(training), training.position.epoch
        if not self.epoch < epoch < training.epochs:
            return
        rate = self.schedule(epoch, rate) if self._takes_rate else self.schedule(epoch)
        if not isinstance(rate, (int, float, np.number)):
            raise ValueError(f"a schedule gives a number. Received: {rate!r} for epoch {epoch}")
        self.epoch, training.optimizer.learning_rate = epoch, rate
        _report(self.verbose, training, f"learning rate {rate:.2g}")


class CSVLogger(Callback):
    """Write the history as a table, completely after every epoch, so that no row is ever cut."""

    def __init__(
        self, filename: str | PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        """Write to a file.

        Args:
            filename: replaced if it exists, unless ``append``.
            separator: between columns.
            append: whether what the file holds stays, in front of the new rows.
        """
        self.path, self.separator, self.append = filename, separator, append
        self.before = ""

    def on_train_begin(self, training: Training) -> None:
        """Read what is to stay."""
        if self.append and not training.is_resumed and os.path.exists(self.path):
            with open(self.path, newline="") as file:
                self.before = file.read()

    def get_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What stays in front, if anything should."""
        return ({"before": self.before} if self.append else {}), {}

    def set_state(self, notes: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Restore it."""
        self.before = notes.get("before", "")

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """One row for each epoch so far."""
        columns = training.history.history
        with whole_file(self.path) as temporary, open(temporary, "w", newline="") as file:
            file.write(self.before)
            table = csv.writer(file, delimiter=self.separator)
            if not self.before:
                table.writerow(["epoch", *columns])
            for epoch, row in enumerate(zip(*columns.values(), strict=True), start=1):
                table.writerow([epoch, *row])


def _report(verbose: int, training: Training, what: str) -> None:
    if verbose:
        print(f"epoch {training.position.epoch}: {what}", file=sys.stderr)


def _plain_learning_rate(training: Training) -> float:
    rate = training.optimizer.learning_rate
    if callable(rate):
        raise ValueError(
            "a callback can change a learning rate that is a number, not one that follows a "
            f"schedule. Received: learning_rate={rate!r}"
        )
    return rate
