"""The training itself: a new head first, on a frozen base; then the base's layers with it.

A few pictures cannot determine 100,000 weights. So each weight is pulled towards its start (L2-SP),
batch normalization keeps its statistics, and if the head knew the classes, the result is averaged
with the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.adapter import model_input, picture_side
from tinymnist.data.sets import renumbered
from tinymnist.finetuning.averaging import average_with
from tinymnist.finetuning.head import Start, start_from
from tinymnist.finetuning.settings import Checkpoints, FineTuning
from tinymnist.nn.optimizers import AdamW
from tinymnist.nn.schedules import CosineDecay
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.training.callbacks import Callback, EarlyStopping
from tinymnist.nn.training.state import Augment
from tinymnist.nn.weights import fingerprint

Examples = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Pictures and class numbers (n,)."""
PATIENCE = 4


@dataclass(frozen=True)
class _Learning:
    """What the stages of one fine-tuning share."""

    start: Start
    settings: FineTuning
    learn: Examples
    validation: Examples | None
    checkpoints: Checkpoints | None
    name: str
    verbose: str | int

    def stage(self, name: str, rate: float, *, augment: bool = False) -> None:
        """Train all layers that are not frozen."""
        settings, model, n = self.settings, self.start.model, len(self.learn[1])
        epochs = settings.epochs_for(n)
        steps = epochs * settings.steps_per_epoch(n)
        callbacks: list[Callback] = []
        if self.validation is not None:
            stop = EarlyStopping("val_loss", patience=PATIENCE, restore_best_weights=True)
            callbacks.append(stop)
        resume = None
        if self.checkpoints is not None:
            resume = self.checkpoints.found(f"{self.name}-{name}")
            callbacks.append(self.checkpoints.callback(f"{self.name}-{name}", epochs))
        optimizer = AdamW(
            CosineDecay(rate, max(steps, 1)),
            weight_decay=settings.decay,
            decay_to_start=True,
            multipliers=self._multipliers(),
        )
        model.compile(optimizer)
        history = model.fit(
            *self.learn,
            batch_size=settings.batch_size,
            epochs=epochs,
            validation_data=self.validation,
            class_weight="balanced",
            augment=input_distortion(model) if augment else None,
            callbacks=callbacks,
            rng=settings.seed,
            resume=resume,
            verbose=self.verbose,
        )
        if history.interrupted:  # an unfinished stage is not a result; a checkpoint keeps it
            raise KeyboardInterrupt

    def _multipliers(self) -> dict[str, float]:
        """The factor on the learning rate of each of the base's layers."""
        learners = [layer.name for layer in self.start.model.layers if layer.parameters]
        return dict.fromkeys(learners[: -self.start.head_layers], self.settings.base_rate)


def finetune(
    base: Sequential,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    class_names: Sequence[str],
    settings: FineTuning = FineTuning(),  # noqa: B008 (it is immutable)
    *,
    validation: Examples | None = None,
    checkpoints: Checkpoints | None = None,
    name: str = "all",
    verbose: str | int = 0,
) -> Sequential:
    """Train a copy of a model further on your own pictures.

    Args:
        base: a trained model; it is not changed.
        images: (n, 28, 28, 1) in MNIST's form, as a recipe makes them. The scaling and size in the
            base's ``metadata["preprocessing"]`` are applied here.
        labels: (n,) indices into ``class_names``.
        class_names: the classes. If the base knows them all, its head and all its classes are
            kept; else the new head has these.
        settings: see :class:`~tinymnist.finetuning.settings.FineTuning`.
        validation: (images, labels) for early stopping: each stage ends when their loss has not
            fallen for :data:`PATIENCE` epochs, and returns to the best weights.
        checkpoints: where to keep the state; None for nowhere.
        name: of this fine-tuning among the checkpoints.
        verbose: as in ``fit``.

    Returns:
        A new model whose ``metadata`` names classes, recipe and parent.

    Raises:
        ValueError: when pictures and labels do not fit the base.
        InputError: when a checkpoint is unusable, or the base has no head that can be replaced.
        KeyboardInterrupt: when Ctrl-C interrupted a stage.
    """
    start = start_from(base, class_names, hidden=settings.hidden, seed=settings.seed)
    model = start.model

    def own(examples: Examples) -> Examples:
        x = model_input(examples[0], model.input_shape, _preprocessing(model))
        return x, renumbered(examples[1], class_names, start.class_names)

    held = None if validation is None else own(validation)
    learning = _Learning(
        start,
        settings,
        own((images, labels)),
        held,
        checkpoints,
        f"{name}-{fingerprint(base)[-8:]}",  # so that the state of another base is never used
        verbose,
    )
    model.freeze()
    if start.is_new or settings.unfreeze == 0:
        model.unfreeze(last=start.head_layers)
        learning.stage("head", settings.new_rate if start.is_new else settings.learning_rate)
    if settings.unfreeze != 0:
        last = None if settings.unfreeze is None else start.head_layers + settings.unfreeze
        model.unfreeze(last, normalization=False)
        learning.stage("base", settings.learning_rate, augment=settings.augments(len(labels)))
    if not start.is_new:
        average_with(model, base.weights, settings.average)
    model.trainable = True  # for training it further
    model.metadata |= _origin(base, settings, len(labels))
    return model


def _origin(base: Sequential, settings: FineTuning, n: int) -> dict[str, Any]:
    parent = {"name": base.name, "fingerprint": fingerprint(base)}
    if "parent" in base.metadata:
        parent["parent"] = base.metadata["parent"]
    return {
        "source": f"fine-tuned by tinymnist on {n} pictures: {settings}",
        "parent": parent,
        "metrics": {},
    }


def _preprocessing(model: Sequential) -> dict[str, Any]:
    recorded: dict[str, Any] = model.metadata.get("preprocessing", {})
    return recorded


def input_distortion(model: Sequential) -> Augment:
    """Bend, turn, move and zoom a model's inputs, whatever their scaling, size and channels."""
    from tinymnist.augmentation.distort import RandomDistortion  # needs scipy

    distort = RandomDistortion(elastic=1.0)
    scaling = _preprocessing(model).get("scaling") or {"scale": 1, "offset": 0}
    scale, offset = np.float32(scaling["scale"]), np.float32(scaling["offset"])
    shape, side = model.input_shape, picture_side(model.input_shape)
    if side is None or (shape == (side, side, 1) and scale == 1 and offset == 0):
        return distort

    def distort_input(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        channels = x.reshape(len(x), side, side, -1)  # three channels are equal
        varied = distort((channels[..., :1] - offset) / scale, rng) * scale + offset
        return np.broadcast_to(varied, channels.shape).reshape(x.shape)

    return distort_input
