"""Checkpoints that resume exactly: a killed and resumed training ends in the same bytes.

This works because a training draws nothing from a running generator. Everything random in it
follows from one key and from the position (epoch, batch, piece), so beside the arrays only the
position must be stored.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from os import PathLike
from typing import Any, ClassVar

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.nn.archive import read_archive, write_archive
from tinymnist.nn.arrays import Array
from tinymnist.nn.training.state import Callback, Position, Training
from tinymnist.nn.weights import check_hash, check_listed, content_hash, describe_arrays

FORMAT = "tinymnist checkpoint 2"
_UNPROVEN = "tinymnist checkpoint 1"
"""Written up to version 0.2, without a hash: still read, but changes are not noticed."""


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
    manifest["arrays"] = describe_arrays(arrays)
    write_archive(path, manifest | {"content_hash": content_hash(manifest, arrays)}, arrays)


def load_checkpoint(training: Training, path: str | PathLike[str]) -> None:
    """Restore a training to where it was when the checkpoint was written.

    Raises:
        InputError: if the file is not a checkpoint, or is one of a training with other settings.
    """
    with limits.opening(path, "a training checkpoint"):
        manifest, arrays = read_archive(path)
        _check(manifest, arrays, path)
        _restore(training, manifest, arrays, path)


def _check(manifest: dict[str, Any], arrays: dict[str, Array], path: Any) -> None:
    """Check the form of a checkpoint, and that nobody changed it."""
    if manifest.get("format") not in (FORMAT, _UNPROVEN):
        raise InputError(f"{path} is not a training checkpoint; expected one that fit wrote")
    if manifest["format"] == FORMAT:
        stated = manifest.pop("content_hash", None)
        check_hash(stated, manifest, arrays, path)
        check_listed(arrays, manifest.get("arrays", {}), path)
    for key, (is_right, rule) in _RULES.items():
        if key not in manifest or not is_right(manifest[key]):
            found = f"{manifest.get(key)!r:.80}"
            raise InputError(f"{path}: {key} must be {rule}. Received: {found}")


def _restore(
    training: Training, manifest: dict[str, Any], arrays: dict[str, Array], path: Any
) -> None:
    """Check that a checkpoint belongs to a training, and take everything over."""
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

    optimizer, model = training.optimizer, training.model
    _check_parts(training, manifest["callbacks"], under("model/"), under("optimizer/"), path)
    model.set_weights(under("model/"))
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


def _check_parts(
    training: Training,
    notes: list[dict[str, float]],
    weights: dict[str, Array],
    state: dict[str, Array],
    path: Any,
) -> None:
    """Check that every part has what will be taken from it, before anything is changed."""
    own = describe_arrays(training.model.weights)
    check_listed(weights, own, path)
    for name, described in describe_arrays(state).items():
        if described != own.get(name.rpartition(":")[0], described):
            raise InputError(f"{path} holds a state {name} of the optimizer as {described}")
    wanted = [set(callback.get_state()[0]) for callback in training.callbacks]
    if [set(one) for one in notes] != wanted:
        raise InputError(f"{path} holds other notes of callbacks than this training needs")


def _is_position(value: Any) -> bool:
    kinds = {field.name: field.type for field in dataclasses.fields(Position)}
    return (
        isinstance(value, dict)
        and {"key"} <= value.keys() <= kinds.keys()
        and all(_FIELDS[str(kinds[name])](entry) for name, entry in value.items())
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_list(value: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(of, value))


def _is_columns(value: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(of, value.values()))


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "int": _is_count,
    "float": _is_number,
    "bool": lambda value: type(value) is bool,
    "list[float]": lambda value: _is_list(value, _is_number),
}
"""What the fields of a position must be, by their annotation."""
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "plan": (lambda value: isinstance(value, dict), "an object"),
    "iterations": (_is_count, "a whole number from 0 on"),
    "learning_rate": (
        lambda value: value is None or (_is_number(value) and 0 <= value < 1e30),
        "null or a number from 0 on",
    ),
    "position": (_is_position, "an object with the fields of a position"),
    "history": (
        lambda value: _is_columns(value, lambda column: _is_list(column, _is_number)),
        "an object of lists of numbers",
    ),
    "epochs": (lambda value: _is_list(value, _is_count), "a list of whole numbers"),
    "callbacks": (lambda value: _is_list(value, lambda one: isinstance(one, dict)), "objects"),
}
"""What the entries of a manifest must be."""


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
