"""What may be chosen in fine-tuning, and what is chosen where nobody says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from tinymnist.errors import InputError
from tinymnist.nn.training.callbacks import Callback, Checkpoint

STEPS = 200
"""Steps of the optimizer in a stage, unless five epochs have more: see ``FineTuning.epochs``."""
FEWEST_EPOCHS = 5
MANY = 2000
"""From so many pictures on they are various enough as they are, and some can be spared."""


@dataclass(frozen=True)
class FineTuning:
    """How to fine-tune: a new head first alone; then the head, and slower the base's last layers.

    A head that knows the classes already has no need of the first stage.

    Attributes:
        unfreeze: how many layers of the base learn with the head, counted from the base's end,
            batch normalization left out; None for all, 0 for none: the head learns alone.
        hidden: units of a relu layer in front of a new head; None for none.
        epochs: of each stage; None for as many as make 200 steps, but no fewer than 5.
        batch_size: as in ``fit``.
        learning_rate: of the head, when it learns with the base, and of one that knows the
            classes, when it learns alone.
        new_rate: of a new head, as long as it learns alone.
        base_rate: the rate of the base's layers, as a share of ``learning_rate``.
        decay: how strongly every weight is held to where it started (L2-SP).
        average: the share of the starting weights in the result, in 0..1, where the head knew the
            classes: the mean of both is surer than either (Wortsman et al., "Robust fine-tuning of
            zero-shot models", 2022).
        augment: whether pictures are bent, turned, moved and zoomed anew in every epoch of the
            stage in which the base learns; None where there are fewer than :data:`MANY`.
        seed: order, dropout, folds, augmentation and new kernels follow from it.

    Raises:
        ValueError: for a number that is out of its range.
    """

    unfreeze: int | None = None
    hidden: int | None = None
    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float = 0.001
    new_rate: float = 0.01
    base_rate: float = 0.5
    decay: float = 0.1
    average: float = 0.3
    augment: bool | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("unfreeze", 0), ("hidden", 1), ("epochs", 0), ("batch_size", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is at least {least}. Received: {name}={value}")
        if not 0 <= self.average <= 1:
            raise ValueError(f"average is in 0..1. Received: average={self.average}")

    def epochs_for(self, examples: int) -> int:
        """The length of a stage with so many pictures."""
        if self.epochs is not None:
            return self.epochs
        return max(FEWEST_EPOCHS, math.ceil(STEPS / self.steps_per_epoch(examples)))

    def augments(self, examples: int) -> bool:
        """Whether so many pictures are varied."""
        return examples < MANY if self.augment is None else self.augment

    def steps_per_epoch(self, examples: int) -> int:
        """Batches in an epoch."""
        return math.ceil(examples / self.batch_size)


@dataclass(frozen=True)
class Checkpoints:
    """A folder with the state of every stage, to go on from after a kill.

    A stage that has ended is restored from its last state, so a resumed fine-tuning runs through
    all stages again, and only the one that was broken off costs time.

    Attributes:
        folder: where the files lie; it is made when needed.
        resume: whether to go on from what lies there.
    """

    folder: Path
    resume: bool = False

    def callback(self, stage: str, epochs: int) -> Callback:
        """What saves the state of a stage: some ten times on its way, and in long epochs more.

        Raises:
            InputError: when the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{self.folder} cannot be a folder of checkpoints: {error.strerror}"
            ) from None
        return Checkpoint(self._file(stage), every=100, epochs=max(epochs // 10, 1))

    def found(self, stage: str) -> Path | None:
        """The state of a stage to go on from, if there is one."""
        return self._file(stage) if self.resume and self._file(stage).exists() else None

    def _file(self, stage: str) -> Path:
        return self.folder / f"{stage}.ckpt"
