"""Checkpoints that resume exactly: a killed and resumed training ends in the same bytes.

This works because a training draws nothing from a running generator. Whatever is random in it
follows from one key and from the position (epoch, batch, piece), so the position is all there is
to remember, beside the arrays.
"""

from __future__ import annotations

import dataclasses
import json
from os import PathLike
from typing import TYPE_CHECKING, Any

from tinymnist.errors import InputError
from tinymnist.nn.archive import read_archive, write_archive
from tinymnist.nn.arrays import Array

if TYPE_CHECKING:
    from tinymnist.nn.training.loop import Training

FORMAT = "tinymnist checkpoint 1"
_LONG = 80
"""What is longer does not help in an error message."""


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
    """Put a training back to where it was when the checkpoint was written.

    Raises:
        InputError: when the file is no checkpoint, or of a training with other settings.
    """
    manifest, arrays = read_archive(path)
    if manifest.get("format") != FORMAT:
        raise InputError(f"{path} is not a training checkpoint; expected one that fit wrote")
    _check_plan(manifest["plan"], training_plan(training), path)
    training.model.set_weights(_under("model/", arrays))
    optimizer = training.optimizer
    optimizer.iterations = manifest["iterations"]
    optimizer.state = _under("optimizer/", arrays)
    if manifest["learning_rate"] is not None:
        optimizer.learning_rate = manifest["learning_rate"]
    training.is_resumed = True
    training.position = type(training.position)(**manifest["position"])
    if training.source is not None:
        training.source.first = training.position.first
    training.history.history, training.history.epoch = manifest["history"], manifest["epochs"]
    for number, callback in enumerate(training.callbacks):
        kept = _under(f"callback/{number}/", arrays)
        callback.set_state(manifest["callbacks"][number], kept)


def _under(prefix: str, arrays: dict[str, Array]) -> dict[str, Array]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def training_plan(training: Training) -> dict[str, Any]:
    """The settings that must be the same for a resumed training to end in the same bytes.

    Raises:
        ValueError: when the batches come from where nobody can find them again.
    """
    optimizer = training.optimizer
    settings = {f.name: getattr(optimizer, f.name) for f in dataclasses.fields(optimizer) if f.init}
    if not callable(optimizer.learning_rate):  # a callback may change a plain number
        settings["learning_rate"] = "number"
    settings["learning_rate"] = repr(settings["learning_rate"])
    return {
        "layers": [layer.config() for layer in training.model.layers],
        "dtype": str(training.model.dtype),
        "optimizer": [type(optimizer).__name__, settings],
        "loss": repr(training.loss),
        "seed": training.seed,
        "contents of examples and labels": training.contents,
        **_batches(training),
        "micro_batch_size": training.micro_batch_size,
        "augmented": training.augment is not None,
        "callbacks": [type(callback).__name__ for callback in training.callbacks],
    }


def _batches(training: Training) -> dict[str, Any]:
    """What the batches follow from."""
    if training.source is not None:
        return training.source.plan()
    return {
        "examples": len(training.x),
        "batch_size": training.batch_size,
        "shuffle": training.shuffle,
    }


def _check_plan(saved: dict[str, Any], now: dict[str, Any], path: Any) -> None:
    now = json.loads(json.dumps(now))  # tuples become lists, as in the file
    for setting, value in now.items():
        if saved.get(setting) != value:
            found, expected = repr(saved.get(setting)), repr(value)
            details = f": expected {expected}, found {found}" if len(expected) < _LONG else ""
            raise InputError(
                f"{path} was written by a training with other settings ({setting}){details}"
            )
