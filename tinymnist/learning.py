"""From labelled pictures to a trained model: ``tinymnist.train`` and ``tinymnist.finetune``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.data import LabelledSet, load_set
from tinymnist.errors import InputError
from tinymnist.files import class_folders
from tinymnist.finetuning import Checkpoints, FineTuning, Trial, attempt
from tinymnist.interop import load_model
from tinymnist.nn.architectures import ARCHITECTURES
from tinymnist.nn.losses import one_hot
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.training.callbacks import Callback
from tinymnist.nn.training.history import History
from tinymnist.prepared import LabelledPictures, in_mnist_form, prepare_set
from tinymnist.reader import DEFAULT_MODEL, Reader
from tinymnist.training_recipes import TRAINING_RECIPES, TrainingRecipe
from tinymnist.training_recipes import train as train_by

Pictures = str | PathLike[str] | LabelledSet | LabelledPictures
"""What :func:`tinymnist.load_set` takes or returns, or such a set after a recipe."""


def finetune(
    pictures: Pictures,
    model: str | PathLike[str] | Sequential | Reader = DEFAULT_MODEL,
    *,
    recipe: str | None = None,
    unfreeze: int | None = None,
    hidden: int | None = None,
    epochs: int | None = None,
    augment: bool | None = None,
    seed: int = 0,
    checkpoints: Checkpoints | None = None,
    say: Callable[[str], None] = lambda line: None,
    verbose: str | int = 0,
) -> Trial:
    """Teach a trained model pictures of your own, and measure what it brings on held-out ones.

    Args:
        pictures: see :data:`Pictures`; one picture per class is enough.
        model: what to start from: the name of a shipped model, a file, a model, or a reader; it
            stays as it is.
        recipe: how a picture becomes 28x28; None takes the model's own.
        unfreeze: how many of the model's last layers learn with the head; None for all.
        hidden: units of a relu layer in front of a new head; None for none.
        epochs: of each stage; None chooses by the number of pictures.
        augment: whether to vary every picture in every epoch; None does so below 2000 pictures.
        seed: everything random follows from it.
        checkpoints: where to keep the state of every stage, to continue after a kill.
        say: called with a line before each model is trained.
        verbose: as in ``fit``.

    Returns:
        What was measured, and in ``model`` the fine-tuned model, ready to save.

    Raises:
        InputError: when there are not two classes with pictures, or a class has none that can be
            read.
    """
    reader = model if isinstance(model, Reader) else Reader(model, recipe)
    found = prepare_set(pictures, recipe, reader.recipe)
    check_every_class(found)
    settings = FineTuning(
        unfreeze=unfreeze, hidden=hidden, epochs=epochs, augment=augment, seed=seed
    )
    trial = attempt(
        reader.model,
        found.prepared,
        found.labels,
        found.source.class_names,
        settings,
        checkpoints=checkpoints,
        say=say,
        verbose=verbose,
    )
    metadata = trial.model.metadata  # scaling and size stay the base's
    metadata["preprocessing"] = {**metadata.get("preprocessing", {}), "recipe": reader.recipe}
    if trial.accuracy is not None:
        figures = {"n": trial.n, "accuracy": trial.accuracy}
        if trial.accuracy_before is not None:
            figures["accuracy_before"] = trial.accuracy_before
        metadata["metrics"] = {"held-out": figures}
    return trial


def check_folders(labelled: LabelledSet, folder: Path) -> None:
    """Refuse a folder that is meant as a class, but holds nothing to learn from.

    Raises:
        InputError: naming such folders.
    """
    if not folder.is_dir() or (folder / "labels.csv").is_file():
        return
    classes = {subfolder.name for subfolder in class_folders(folder)}
    empty = sorted(classes - {labelled.class_names[i] for i in set(labelled.labels.tolist())})
    if empty:
        names = ", ".join(repr(name) for name in empty)
        raise InputError(
            f"{folder}: no picture of class {names}; expected at least one in each folder: add "
            "some, or remove the folder"
        )


def check_every_class(found: LabelledPictures) -> None:
    """Make sure that of every class with pictures one could be read.

    Raises:
        InputError: when a class has lost all its pictures.
    """
    lost = set(found.source.labels.tolist()) - set(found.labels.tolist())
    if lost:
        names = ", ".join(repr(found.source.class_names[i]) for i in sorted(lost))
        raise InputError(f"{found.source.name}: no picture of class {names} could be read")


def train(
    pictures: Pictures = "mnist-train",
    architecture: str = "mnist-cnn",
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    augment: bool | None = None,
    damage: float | None = None,
    scenes: int | None = None,
    average: bool = False,
    seed: int | None = None,
    recipe: str | None = None,
    start: str | PathLike[str] | None = None,
    validation: float = 0.0,
    callbacks: Sequence[Callback] = (),
    resume: str | PathLike[str] | None = None,
    verbose: str | int = "auto",
    tick: Callable[[int], None] = lambda done: None,
) -> tuple[Sequential, History]:
    """Train a network from scratch, or further from weights.

    Args:
        pictures: see :data:`Pictures`.
        architecture: the name of a shipped one, whose training recipe fills in the settings.
        epochs, batch_size, learning_rate, augment, damage, scenes, average, seed: take the place
            of that recipe's own; see :class:`tinymnist.training_recipes.TrainingRecipe`.
        recipe: how a picture becomes 28x28; None takes MNIST's own as they are, and ``"mnist"``
            for others.
        start: weights to continue from instead of fresh kernels.
        validation: the share of the pictures, in [0, 1), to set aside and report on.
        callbacks, resume, verbose: as in ``fit``.
        tick: called with the number of pictures that were painted since the last call.

    Returns:
        The model with its metrics in ``metadata``, and the history.

    Raises:
        InputError: when the pictures cannot be used, or ``start`` holds another network.
    """
    if not 0 <= validation < 1:
        raise InputError(f"validation must be in [0, 1). Received: validation={validation}")
    if not isinstance(pictures, LabelledSet | LabelledPictures):
        pictures = load_set(pictures)
    source = pictures if isinstance(pictures, LabelledSet) else pictures.source
    how = training_recipe(
        source,
        architecture,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        augment=augment,
        damage=damage,
        scenes=scenes,
        average=average,
        seed=seed,
    )
    first = None if start is None else load_start(start, how, source)
    found = prepare_set(pictures, recipe)
    images, labels, held_out = _split(found.images, found.labels, validation, how.seed)
    model, history = train_by(
        how,
        images,
        labels,
        class_names=source.class_names,
        validation_data=held_out,
        start=first,
        callbacks=callbacks,
        resume=resume,
        verbose=verbose,
        tick=tick,
    )
    measured = {} if held_out is None else {"validation": _figures(model, *held_out)}
    if source.is_mnist:
        test = load_set("mnist-test")
        measured["mnist-test"] = _figures(model, in_mnist_form(test.images), test.labels)
    model.metadata["metrics"] = measured
    return model, history


def training_recipe(labelled: LabelledSet, architecture: str, **settings: Any) -> TrainingRecipe:
    """The recipe of a shipped architecture, with other settings; None keeps a setting.

    Raises:
        InputError: when digits are to be painted into scenes and the set is not MNIST's.
    """
    if settings.get("scenes") and not labelled.is_mnist:
        raise InputError(f"scenes are painted of MNIST's digits only; received {labelled.name}")
    if not labelled.is_mnist:
        settings["scenes"] = 0
    changes = {name: value for name, value in settings.items() if value is not None}
    return dataclasses.replace(TRAINING_RECIPES[architecture], **changes)


def load_start(
    start: str | PathLike[str], recipe: TrainingRecipe, labelled: LabelledSet
) -> Sequential:
    """The weights that a training continues from.

    Raises:
        InputError: when they are another network's, or of another number of classes.
    """
    model = load_model(start)
    classes = len(labelled.class_names)
    fresh = ARCHITECTURES[recipe.architecture](classes=classes)
    shapes, wanted = ({n: a.shape for n, a in m.weights.items()} for m in (model, fresh))
    if shapes != wanted:
        raise InputError(
            f"{start} does not hold the weights of {recipe.architecture} for {classes} classes; "
            "name its architecture, or use tinymnist finetune"
        )
    return model


def _split(
    images: NDArray[np.float32], labels: NDArray[np.int64], share: float, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], Any]:
    """(images, labels) to learn from, and those set aside at random, or None."""
    aside = round(len(images) * share)
    if not aside:
        return images, labels, None
    order = np.random.default_rng(seed).permutation(len(images))
    held, kept = np.sort(order[:aside]), np.sort(order[aside:])
    return images[kept], labels[kept], (images[held], labels[held])


def _figures(
    model: Sequential, images: NDArray[np.float32], labels: NDArray[np.int64]
) -> dict[str, float]:
    targets = one_hot(labels, model.output_shape[-1])
    return {"n": len(labels), **model.evaluate(images, targets, return_dict=True)}
