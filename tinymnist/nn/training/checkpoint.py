"""Checkpoints that resume exactly: a killed and resumed training ends in the same bytes.

This works because a training draws nothing from a running generator. Everything random in it
follows from one key and from the position (epoch, batch, piece), so beside the arrays only the
position must be stored.
"""

from __future__ import annotations

import dataclasses
import json
from os import PathLike
from typing import Any, ClassVar

from tinymnist.errors import InputError
from tinymnist.nn.archive import read_archive, write_archive
from tinymnist.nn.arrays import Array
from tinymnist.nn.training.state import Callback, Position, Training

FORMAT = "tinymnist checkpoint 1"


class Checkpoint(Callback):
    """Save the whole state of the training after every epoch, and within epochs if asked to.

    ``fit(..., resume=path)`` continues from there and ends in the same bytes as a training that
    was never stopped.
    """

    order: ClassVar[int] = 1  # it must see what the others have done

    def __init__(
        self, path: str | PathLike[str], every: int | None = None, *, epochs: int = 1
    ) -> None:
        """Choose where and how often to write.

        Args:
            path: the file.
            every: write also after this many batches, counted within the epoch.
            epochs: write after this many epochs, and after the last. If epochs are short, writing
                after each would cost more than learning.
        """
        self.path, self.every, self.epochs = path, every, epochs

    def on_train_begin(self, training: Training) -> None:
        """Refuse a training that could not be resumed before it starts."""
        training_plan(training)

    def on_batch_end(self, training: Training) -> None:
        """Save within an epoch."""
        if self.every and training.position.batch % self.every == 0:
            save_checkpoint(training, self.path)

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """Save at the end of an epoch."""
        position = training.position
        is_last = position.finished or position.epoch == training.epochs
        if is_last or position.epoch % self.epochs == 0:
            save_checkpoint(training, self.path)

    def on_train_end(self, training: Training) -> None:
        """Save where the training was interrupted."""
        if training.interrupted:
            save_checkpoint(training, self.path)


def save_checkpoint(training: Training, path: str | PathLike[str]) -> None:
    """Write everything that the rest of the training depends on."""
    optimizer = training.optimizer
    arrays = {f"model/{name}": array for name, array in training.model.weights.items()}
    arrays |= {f"optimizer/{name}": array for name, array in optimizer.state.items()}
    callbacks = []
    for number, callback in enumerate(training.callbacks):
        notes, kept = callback.get_state()
        callbacks.append(notes)
        arrays |= {f"callback/{number}/{name}": array for name, array in kept.items()}
    manifest = {
        "format": FORMAT,
        "plan": training_plan(training),
        "iterations": optimizer.iterations,
        "learning_rate": None if callable(optimizer.learning_rate) else optimizer.learning_rate,
        "position": dataclasses.asdict(training.position),
        "history": training.history.history,
        "epochs": training.history.epoch,
        "callbacks": callbacks,
    }
    write_archive(path, manifest, arrays)


def load_checkpoint(training: Training, path: str | PathLike[str]) -> None:
    """Restore a training to where it was when the checkpoint was written.

    Raises:
        InputError: if the file is not a checkpoint, or is one of a training with other settings.
    """
    manifest, arrays = read_archive(path)
    if manifest.get("format") != FORMAT:
        raise InputError(f"{path} is not a training checkpoint; expected one that fit wrote")
    plan = json.loads(json.dumps(training_plan(training)))  # tuples become lists, as in the file
    stored = manifest["plan"]
    if "piece_size" in stored:  # its name in version 0.1
        stored["micro_batch_size"] = stored.pop("piece_size")
    for setting, value in plan.items():
        found = stored.get(setting)
        if found != value:
            details = f": expected {value!r}, found {found!r}" if len(repr(value)) < 80 else ""
            raise InputError(
                f"{path} was written by a training with other settings ({setting}){details}"
            )

    def under(prefix: str) -> dict[str, Array]:
        return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}

    training.model.set_weights(under("model/"))
    optimizer = training.optimizer
    optimizer.iterations, optimizer.state = manifest["iterations"], under("optimizer/")
    if manifest["learning_rate"] is not None:
        optimizer.learning_rate = manifest["learning_rate"]
    training.is_resumed = True
    training.position = Position(**manifest["position"])
    if training.data.source is not None:
        training.data.source.first = training.position.first
    training.history.history, training.history.epoch = manifest["history"], manifest["epochs"]
    for number, callback in enumerate(training.callbacks):
        callback.set_state(manifest["callbacks"][number], under(f"callback/{number}/"))


def training_plan(training: Training) -> dict[str, Any]:
    """The settings that must be the same for a resumed training to end in the same bytes.

    Raises:
        ValueError: if the batches come from a source that cannot make them again.
    """
    optimizer, data = training.optimizer, training.data
    settings = {f.name: getattr(optimizer, f.name) for f in dataclasses.fields(optimizer) if f.init}
    if not callable(optimizer.learning_rate):  # a callback may change a plain number
        settings["learning_rate"] = "number"
    settings["learning_rate"] = repr(settings["learning_rate"])
    if data.source is not None:
        batches = data.source.plan()
    else:
        batches = {
            "examples": len(data.examples or ()),
            "batch_size": training.batch_size,
            "shuffle": training.shuffle,
        }
    return {
        "layers": [layer.config() for layer in training.model.layers],
        "dtype": str(training.model.dtype),
        "optimizer": [type(optimizer).__name__, settings],
        "loss": repr(training.loss),
        "seed": training.seed,
        "contents of examples and labels": data.contents,
        **batches,
        "micro_batch_size": training.micro_batch_size,
        "augmented": training.augment is not None,
        "callbacks": [type(callback).__name__ for callback in training.callbacks],
    }
