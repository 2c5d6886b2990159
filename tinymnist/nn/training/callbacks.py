"""What may happen besides learning: early stopping, checkpoints, learning rates, a CSV history."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterable
from inspect import signature
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.training.checkpoint import save_checkpoint, training_plan

if TYPE_CHECKING:
    from tinymnist.nn.training.loop import Training


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


def in_order(callbacks: Callback | Iterable[Callback] | None) -> list[Callback]:
    """One callback, several or none as a list, those of a higher order last.

    Raises:
        ValueError: for anything else, and for callbacks that are written for Keras: they would be
            called with other arguments, or never.
    """
    if callbacks is None:
        return []
    given: list[Any] = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
    for callback in given:
        kind = type(callback).__name__
        if not isinstance(callback, Callback):
            raise ValueError(
                f"a callback derives from tinymnist.nn.training.callbacks.Callback: {kind}"
            )
        hooks = [n for n in dir(callback) if n.startswith("on_") and callable(getattr(callback, n))]
        unknown = sorted(set(hooks) - set(dir(Callback)))
        firsts = {next(iter(signature(getattr(callback, hook)).parameters), "") for hook in hooks}
        wrong = unknown or sorted(firsts & {"epoch", "batch", "logs"})
        if wrong:
            raise ValueError(
                "fit calls on_train_begin(training), on_batch_end(training), on_epoch_end(training,"
                " logs) and on_train_end(training); training has model, optimizer, position and "
                f"history. Received: {kind} with {wrong}"
            )
    return sorted(given, key=lambda callback: callback.order)


class _Watching(Callback):
    """What callbacks share that watch a figure of the history."""

    def __init__(
        self, monitor: str = "val_loss", mode: str = "auto", min_delta: float = 0.0
    ) -> None:
        """Choose what to watch.

        Args:
            monitor: a column of the history.
            mode: "min" or "max", whether it should fall or rise; "auto" lets what has "accuracy"
                in its name rise, and all else fall.
            min_delta: an improvement must be larger than this.
        """
        if mode not in ("auto", "min", "max"):
            raise ValueError(f'mode must be "auto", "min" or "max". Received: {mode=}')
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)
        self._forget()

    def _forget(self) -> None:
        """Begin anew."""
        self.best, self.waited = float("inf"), 0

    def on_train_begin(self, training: Training) -> None:
        """Begin anew in every training; one that is resumed goes on."""
        if not training.is_resumed:
            self._forget()

    def _has_improved(self, logs: dict[str, float]) -> bool:
        """Whether the figure is the best so far, which is then remembered."""
        if self.monitor not in logs:
            raise ValueError(f"monitor must be one of {list(logs)}. Received: {self.monitor!r}")
        rises = self.mode == "max" or (self.mode == "auto" and "acc" in self.monitor)
        value = -logs[self.monitor] if rises else logs[self.monitor]
        if not value < self.best - self.min_delta:
            return False
        self.best = value
        return True

    def get_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The best figure and the patience spent."""
        return {"best": self.best, "waited": self.waited}, {}

    def set_state(self, notes: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Go on from there."""
        self.best, self.waited = notes["best"], notes["waited"]


class EarlyStopping(_Watching):
    """Stop when a figure has not improved for some epochs."""

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        *,
        restore_best_weights: bool = False,
    ) -> None:
        """Choose what to watch.

        Args:
            monitor, mode, min_delta: the figure, and what counts as an improvement: see
                :class:`_Watching`.
            patience: so many epochs in a row without an improvement end the training.
            verbose: 1 says on standard error that it was stopped.
            restore_best_weights: whether the model ends as it was after the best epoch, or, as by
                Keras's default, after the last.
        """
        self.patience, self.verbose = patience, verbose
        self.restore_best_weights = restore_best_weights
        super().__init__(monitor, mode, min_delta)

    def _forget(self) -> None:
        super()._forget()
        self.best_weights: dict[str, Array] = {}

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """Compare with the best so far."""
        self.waited += 1
        if self._has_improved(logs):
            self.waited = 0
            if self.restore_best_weights:
                self.best_weights = {n: a.copy() for n, a in training.model.weights.items()}
        elif self.waited >= self.patience and training.position.epoch > 1:
            training.position.finished = True
            _say(self.verbose, training, "early stopping")

    def on_train_end(self, training: Training) -> None:
        """Bring the best weights back, unless a person broke the training off."""
        if self.best_weights and not training.interrupted:
            training.model.set_weights(self.best_weights)

    def get_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The best figure, the patience spent and the best weights."""
        return super().get_state()[0], self.best_weights

    def set_state(self, notes: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Go on from there."""
        super().set_state(notes, arrays)
        self.best_weights = arrays


class ReduceLROnPlateau(_Watching):
    """Lower the learning rate when a figure has not improved for some epochs."""

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        """Multiply the rate by ``factor`` after ``patience`` epochs, down to ``min_lr``.

        Args:
            monitor, mode, min_delta: the figure, and what counts as an improvement: see
                :class:`_Watching`.
            factor, patience, min_lr: as said.
            verbose: 1 says every new rate on standard error.
            cooldown: so many epochs after a new rate are not counted.
        """
        if not factor < 1:
            raise ValueError(f"factor must be below 1. Received: {factor=}")
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        super().__init__(monitor, mode, min_delta)

    def _forget(self) -> None:
        super()._forget()
        self.resting = 0

    def on_train_begin(self, training: Training) -> None:
        """Insist on a rate that can be changed."""
        super().on_train_begin(training)
        _plain_learning_rate(training)

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """Compare with the best so far."""
        if self.resting:
            self.resting, self.waited = self.resting - 1, 0
        if self._has_improved(logs):
            self.waited = 0
        elif not self.resting:
            self.waited += 1
            rate = _plain_learning_rate(training)
            if self.waited >= self.patience and rate > self.min_lr:
                rate = training.optimizer.learning_rate = max(rate * self.factor, self.min_lr)
                self.resting, self.waited = self.cooldown, 0
                _say(self.verbose, training, f"learning rate lowered to {rate:.2g}")

    def get_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The best figure, the patience spent and what is left of the cooldown."""
        return super().get_state()[0] | {"resting": self.resting}, {}

    def set_state(self, notes: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Go on from there."""
        super().set_state(notes, arrays)
        self.resting = notes["resting"]


class ModelCheckpoint(_Watching):
    """Save the model after every epoch, or whenever a figure is the best so far."""

    def __init__(
        self,
        filepath: str | PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        *,
        mode: str = "auto",
    ) -> None:
        """Choose where, and when.

        Args:
            filepath: a path for :meth:`Sequential.save`, in which ``{epoch:02d}`` (from 1) and
                ``{val_loss:.2f}`` and the like stand for figures of the epoch.
            monitor, mode: the figure, with ``save_best_only``.
            verbose: 1 says every file on standard error.
            save_best_only: whether to save only what is better than all before.

        Raises:
            InputError: for the ending of another framework's files.
        """
        from tinymnist.nn.weights import check_ending

        check_ending(filepath)
        self.filepath, self.verbose = os.fspath(filepath), verbose
        self.save_best_only = save_best_only
        super().__init__(monitor, mode)

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """Save, if it is time to."""
        if self.save_best_only and not self._has_improved(logs):
            return
        path = self.filepath.format(epoch=training.position.epoch, **logs)
        training.model.save(path)
        _say(self.verbose, training, f"saved {path}")


def _say(verbose: int, training: Training, what: str) -> None:
    if verbose:
        print(f"epoch {training.position.epoch}: {what}", file=sys.stderr)


class LearningRateScheduler(Callback):
    """Set the learning rate of each epoch: ``schedule(epoch, learning_rate) -> learning_rate``."""

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        """Take a function of the epoch (from 0) and of the rate so far, or of the epoch alone."""
        self.schedule, self.verbose = schedule, verbose
        self.epoch = -1
        """The last one whose rate has been set."""
        self._takes_rate = len(signature(schedule).parameters) > 1

    def on_train_begin(self, training: Training) -> None:
        """The rate of the first epoch; a resumed training has its rate already."""
        if not training.is_resumed:
            self.epoch = -1
        self._set_rate(training)

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """The rate of the next epoch."""
        self._set_rate(training)

    def _set_rate(self, training: Training) -> None:
        rate, epoch = _plain_learning_rate(training), training.position.epoch
        if not self.epoch < epoch < training.epochs:
            return
        rate = self.schedule(epoch, rate) if self._takes_rate else self.schedule(epoch)
        if not isinstance(rate, (int, float, np.number)):
            raise ValueError(f"a schedule gives a number. Received: {rate!r} for epoch {epoch}")
        self.epoch, training.optimizer.learning_rate = epoch, rate
        _say(self.verbose, training, f"learning rate {rate:.2g}")

    def get_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Which epoch has its rate."""
        return {"epoch": self.epoch}, {}

    def set_state(self, notes: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Go on from there."""
        self.epoch = notes["epoch"]


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
            every: also write after every so many batches of an epoch.
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
