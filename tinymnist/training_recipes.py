"""How the shipped networks are trained: one recipe each, and the function that follows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from tinymnist.finetuning.averaging import average_with
from tinymnist.nn.architectures import ARCHITECTURES
from tinymnist.nn.losses import CategoricalCrossentropy, one_hot
from tinymnist.nn.optimizers import AdamW
from tinymnist.nn.schedules import OneCycle
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.training.callbacks import Callback
from tinymnist.nn.training.history import History
from tinymnist.nn.training.state import Augment


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything that a training depends on, except the pictures.

    Attributes:
        architecture: a name of :data:`~tinymnist.nn.architectures.ARCHITECTURES`.
        epochs, batch_size: as in ``fit``.
        learning_rate: the peak of a one-cycle schedule for AdamW.
        weight_decay: of kernels only.
        label_smoothing: of the cross-entropy.
        augment: whether every picture is distorted differently in every epoch.
        damage: with ``augment``, the share of the pictures that is also damaged.
        scenes: how often each digit is painted into a picture and normalized back by the picture
            recipe. If not 0, other ways of writing digits and pictures without a digit are added.
            Only for the ten digits in MNIST's form.
        micro_batch_size: as in ``fit``.
        average: whether a training that continues from weights ends in the mean of those and of
            its own: most of the gain, and little forgotten (Wortsman et al., "Robust fine-tuning
            of zero-shot models", 2022, https://arxiv.org/abs/2109.01903).
        seed: initial kernels, order, dropout and augmentation follow from it.
    """

    architecture: str
    epochs: int
    batch_size: int = 128
    learning_rate: float = 0.004
    weight_decay: float = 0.02
    label_smoothing: float = 0.0
    augment: bool = False
    damage: float = 0.55
    scenes: int = 0
    micro_batch_size: int | None = None
    average: bool = False
    seed: int = 0


TRAINING_RECIPES: dict[str, TrainingRecipe] = {
    recipe.architecture: recipe
    for recipe in (
        TrainingRecipe(
            "mnist-cnn", 16, label_smoothing=0.02, augment=True, scenes=2, micro_batch_size=64
        ),
        TrainingRecipe("keras-cnn", 15, weight_decay=0.0, learning_rate=0.002),
        TrainingRecipe("lenet5", 20, learning_rate=0.003, micro_batch_size=64),
        TrainingRecipe("mlp", 20, learning_rate=0.003, micro_batch_size=64),
    )
}
"""The recipe of each shipped network. keras-cnn's shipped weights come from Keras instead."""


def train(
    recipe: TrainingRecipe,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    class_names: Sequence[str] = tuple("0123456789"),
    validation_data: tuple[NDArray[np.float32], NDArray[np.int64]] | None = None,
    start: Sequential | None = None,
    callbacks: Sequence[Callback] = (),
    resume: str | PathLike[str] | None = None,
    verbose: str | int = "auto",
    tick: Callable[[int], None] = lambda done: None,
) -> tuple[Sequential, History]:
    """Train a new network by a recipe.

    Args:
        recipe: the settings.
        images: (n, 28, 28, 1), 0..1, white ink on black.
        labels: (n,) class numbers.
        class_names: what the classes are called.
        validation_data, callbacks, resume, verbose: as in ``fit``.
        start: the network to continue with, which learns in place; None starts with new kernels.
        tick: called with the number of pictures painted since the last call.

    Returns:
        The model, its ``metadata`` filled in except for metrics, and the history.
    """
    classes = len(class_names)
    targets = one_hot(labels, classes)
    if recipe.scenes:
        from tinymnist.imaging.synthetic.training_set import training_set  # needs scipy

        images, targets = training_set(
            images, labels, seed=recipe.seed, times=recipe.scenes, tick=tick
        )
    if validation_data is not None:
        validation_data = validation_data[0], one_hot(validation_data[1], classes)
    model = start or ARCHITECTURES[recipe.architecture](classes=classes, rng=recipe.seed)
    before = {name: array.copy() for name, array in model.weights.items()}
    steps = recipe.epochs * -(-len(images) // recipe.batch_size)
    optimizer = AdamW(
        OneCycle(recipe.learning_rate, max(steps, 1), rise=0.2),
        weight_decay=recipe.weight_decay,
        exclude_from_weight_decay=("bias", "gamma", "beta"),
    )
    model.compile(optimizer, CategoricalCrossentropy(label_smoothing=recipe.label_smoothing))
    history = model.fit(
        images,
        targets,
        batch_size=recipe.batch_size,
        epochs=recipe.epochs,
        validation_data=validation_data,
        augment=_augmentation(recipe.damage) if recipe.augment else None,
        callbacks=callbacks,
        rng=recipe.seed,
        micro_batch_size=recipe.micro_batch_size,
        resume=resume,
        verbose=verbose,
    )
    if start and recipe.average:
        average_with(model, before, 0.5)
    origin = f"{start.metadata.get('source')}; then " if start else "trained by tinymnist: "
    model.metadata = {
        "class_names": list(class_names),
        "preprocessing": {"recipe": "mnist"},
        "source": f"{origin}{recipe}",
    }
    return model, history


def _augmentation(share: float) -> Augment:
    from tinymnist.augmentation.distort import (
        RandomDamage,  # these need scipy
        RandomDistortion,
    )

    distort, damage = RandomDistortion(elastic=1.3), RandomDamage(share)
    return lambda images, rng: damage(distort(images, rng), rng)
