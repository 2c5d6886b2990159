"""The settings of fine-tuning and their defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from tinymnist.errors import InputError
from tinymnist.nn.training.callbacks import Checkpoint

STEPS, MIN_EPOCHS = 200, 5
"""Optimizer steps of a stage, unless five epochs have more: see ``FineTuning.epochs``."""
MANY = 2000
"""With this many pictures, augmentation is not needed and some can be held out."""
AVERAGE = 0.3
"""The share of the starting weights, if no pictures can be held out to choose it on."""


@dataclass(frozen=True)
class FineTuning:
    """How to fine-tune: first a new head alone; then the head, and slower the base's last layers.

    A head that already knows the classes skips the first stage.

    Attributes:
        unfreeze: how many layers of the base learn with the head, counted from the base's end,
            without batch normalization; None for all, 0 to train the head alone.
        hidden: units of a relu layer before a new head; None for none.
        epochs: of each stage; None for as many as make 200 steps, at least 5.
        batch_size: as in ``fit``.
        learning_rate: of the head when it learns with the base, and of a head that knows the
            classes when it learns alone.
        new_rate: of a new head while it learns alone.
        base_rate: the learning rate of the base's layers, as a share of ``learning_rate``.
        decay: the strength of the pull towards the starting weights (L2-SP: Li et al., "Explicit
            inductive bias for transfer learning with convolutional networks", 2018).
        average: the share of the starting weights in the result, in 0..1, if the head knew the
            classes; see :func:`tinymnist.finetuning.stages.average_with`. None lets
            :func:`tinymnist.finetuning.trial.attempt` choose it on held-out pictures; where there
            are none, it is :data:`AVERAGE`.
        augment: whether pictures are bent, turned, moved and zoomed at random in the stage in
            which the base learns; None for fewer than :data:`MANY` pictures only.
        seed: of order, dropout, folds, augmentation and new kernels.

    Raises:
        ValueError: for a number out of range.
    """

    unfreeze: int | None = None
    hidden: int | None = None
    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float = 0.001
    new_rate: float = 0.01
    base_rate: float = 0.5
    decay: float = 0.1
    average: float | None = None
    augment: bool | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("unfreeze", 0), ("hidden", 1), ("epochs", 0), ("batch_size", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is at least {least}. Received: {name}={value}")
        if self.average is not None and not 0 <= self.average <= 1:
            raise ValueError(f"average is in 0..1. Received: average={self.average}")

    def epochs_for(self, examples: int) -> int:
        """The length of a stage with this many pictures."""
        if self.epochs is not None:
            return self.epochs
        return max(MIN_EPOCHS, math.ceil(STEPS / self.steps_per_epoch(examples)))

    def steps_per_epoch(self, examples: int) -> int:
        """Batches in an epoch."""
        return math.ceil(examples / self.batch_size)

    def augments(self, examples: int) -> bool:
        """Whether this many pictures are augmented."""
        return examples < MANY if self.augment is None else self.augment


@dataclass(frozen=True)
class Checkpoints:
    """A folder with the state of every stage, to resume from after an interruption.

    A finished stage is restored from its last state, so a resumed fine-tuning runs through all
    stages again, and only the interrupted one takes time.

    Attributes:
        folder: for the files; created when needed.
        resume: whether to resume from the files in it.
    """

    folder: Path
    resume: bool = False

    def callback(self, stage: str, epochs: int) -> Checkpoint:
        """The callback that saves a stage's state: about ten times, and every 100 steps.

        Raises:
            InputError: when the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            rule = f"{self.folder} cannot be a folder of checkpoints"
            raise InputError(f"{rule}: {error.strerror}") from None
        return Checkpoint(self._file(stage), every=100, epochs=max(epochs // 10, 1))

    def found(self, stage: str) -> Path | None:
        """The saved state of a stage to resume from, if there is one."""
        return self._file(stage) if self.resume and self._file(stage).exists() else None

    def _file(self, stage: str) -> Path:
        return self.folder / f"{stage}.ckpt"
