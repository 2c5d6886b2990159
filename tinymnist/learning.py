"""From labelled pictures to a trained model: ``tinymnist.train`` and ``tinymnist.finetune``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist.data import LabelledSet, load_set
from tinymnist.data.sets import DIGITS
from tinymnist.errors import InputError
from tinymnist.files import class_folders
from tinymnist.finetuning import Checkpoints, FineTuning, Trial, attempt
from tinymnist.finetuning.stages import average_with
from tinymnist.interop import load_model
from tinymnist.labelled import LabelledPictures, Pictures, in_mnist_form, prepare_set
from tinymnist.nn.architectures import ARCHITECTURES
from tinymnist.nn.arrays import Array
from tinymnist.nn.losses import CategoricalCrossentropy, one_hot
from tinymnist.nn.optimizers import AdamW
from tinymnist.nn.schedules import OneCycle
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.training.callbacks import Callback
from tinymnist.nn.training.state import Augment, History
from tinymnist.reader import DEFAULT_MODEL, Reader


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
    watch: Callable[[float], None] | None = None,
    verbose: str | int = 0,
    workers: int | None = None,
) -> Trial:
    """Teach a trained model pictures of your own, and measure what it brings on held-out ones.

    Args:
        pictures: see :data:`tinymnist.labelled.Pictures`; one picture per class is enough.
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
        watch: called after every batch with the share of all work that is done, 0..1; it takes the
            place of ``verbose``.
        verbose: as in ``fit``.
        workers: how many processes prepare pictures; None takes one per core.

    Returns:
        What was measured, and in ``model`` the fine-tuned model, ready to save.

    Raises:
        InputError: when there are not two classes with pictures, or a class has none that can be
            read.
    """
    reader = model if isinstance(model, Reader) else Reader(model, recipe)
    found = prepare_set(pictures, recipe, reader.recipe, workers=workers)
    check_every_class(found)
    settings = FineTuning(unfreeze, hidden, epochs, augment=augment, seed=seed)
    trial = attempt(
        reader.model,
        found.prepared,
        found.labels,
        found.source.class_names,
        settings,
        checkpoints=checkpoints,
        say=say,
        watch=watch,
        verbose=verbose,
    )
    metadata = trial.model.metadata  # scaling and size stay the base's
    metadata["preprocessing"] = {**metadata.get("preprocessing", {}), "recipe": reader.recipe}
    if trial.accuracy is not None:
        figures = {"n": trial.n, "accuracy": trial.accuracy}
        if trial.accuracy_before is not None:
            figures["accuracy_before"] = trial.accuracy_before
        metadata["metrics"] = {"held-out": figures}
    after = Reader(trial.model)
    if set(DIGITS) <= {*reader.class_names} & {*after.class_names}:
        metadata["metrics"]["mnist-sample"] = _on_mnist(reader, after)
    return trial


def _on_mnist(before: Reader, after: Reader) -> dict[str, float]:
    """What is left of MNIST, on the 1,000 training pictures that ship."""
    sample = load_set("mnist-sample")
    images, labels = in_mnist_form(sample.images), np.array(DIGITS)[sample.labels]

    def accuracy(reader: Reader) -> float:
        taken = np.array(reader.class_names)[reader.probabilities(images).argmax(axis=1)]
        return float((taken == labels).mean())

    return {
        "n": len(labels),
        "accuracy": accuracy(after),
        "accuracy_before": accuracy(before),
    }


def check_folders(labelled: LabelledSet, folder: Path) -> None:
    """Refuse a folder that is meant as a class, but holds nothing to learn from.

    Raises:
        InputError: naming such folders.
    """
    if not folder.is_dir() or (folder / "labels.csv").is_file():
        return
    taught = {labelled.class_names[i] for i in set(labelled.labels.tolist())}
    if empty := sorted({subfolder.name for subfolder in class_folders(folder)} - taught):
        names = ", ".join(map(repr, empty))
        raise InputError(
            f"{folder}: no picture of class {names}; expected at least one in each folder: add "
            "some, or remove the folder"
        )


def check_every_class(found: LabelledPictures) -> None:
    """Make sure that of every class with pictures one could be read.

    Raises:
        InputError: when a class has lost all its pictures.
    """
    if lost := set(found.source.labels.tolist()) - set(found.labels.tolist()):
        names = ", ".join(repr(found.source.class_names[i]) for i in sorted(lost))
        raise InputError(f"{found.source.name}: no picture of class {names} could be read")


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
    workers: int | None = None,
) -> tuple[Sequential, History]:
    """Train a network from scratch, or further from weights.

    Args:
        pictures: see :data:`tinymnist.labelled.Pictures`.
        architecture: the name of a shipped one, whose training recipe fills in the settings.
        epochs, batch_size, learning_rate, augment, damage, scenes, average, seed: take the place
            of that recipe's own; see :class:`TrainingRecipe`.
        recipe: how a picture becomes 28x28; None takes MNIST's own as they are, and ``"mnist"``
            for others.
        start: weights to continue from instead of fresh kernels.
        validation: the share of the pictures, in [0, 1), to set aside and report on.
        callbacks, resume, verbose: as in ``fit``.
        tick: called with the number of pictures that were painted since the last call.
        workers: how many processes prepare and paint pictures; None takes one per core.

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
    found = prepare_set(pictures, recipe, workers=workers)
    classes = len(source.class_names)
    images, labels, held_out = _split(found.images, found.labels, validation, how.seed)
    targets = one_hot(labels, classes)
    if held_out is not None:
        held_out = held_out[0], one_hot(held_out[1], classes)
    if how.scenes:
        from tinymnist.imaging.synthetic.training_set import training_set  # needs scipy

        images, targets = training_set(
            images, labels, seed=how.seed, times=how.scenes, workers=workers, tick=tick
        )
    model = first or ARCHITECTURES[how.architecture](classes=classes, rng=how.seed)
    before = {name: array.copy() for name, array in model.weights.items()}
    steps = how.epochs * -(-len(images) // how.batch_size)
    optimizer = AdamW(
        OneCycle(how.learning_rate, max(steps, 1), rise=0.2),
        weight_decay=how.weight_decay,
        exclude_from_weight_decay=("bias", "gamma", "beta"),
    )
    model.compile(optimizer, CategoricalCrossentropy(label_smoothing=how.label_smoothing))
    history = model.fit(
        images,
        targets,
        how.batch_size,
        how.epochs,
        verbose,
        callbacks,
        validation_data=held_out,
        augment=_augmentation(how.damage) if how.augment else None,
        rng=how.seed,
        micro_batch_size=how.micro_batch_size,
        resume=resume,
    )
    if first and how.average:
        average_with(model, before, 0.5)
    origin = f"{first.metadata.get('source')}; then " if first else "trained by tinymnist: "
    model.metadata = {
        "class_names": list(source.class_names),
        "preprocessing": {"recipe": "mnist"},
        "source": f"{origin}{how}",
        "metrics": {} if held_out is None else {"validation": _figures(model, *held_out)},
    }
    if source.is_mnist and source.name != "mnist-sample":
        test = load_set("mnist-test")
        figures = _figures(model, in_mnist_form(test.images), one_hot(test.labels, classes))
        model.metadata["metrics"]["mnist-test"] = figures
    return model, history


def training_recipe(labelled: LabelledSet, architecture: str, **settings: Any) -> TrainingRecipe:
    """The recipe of a shipped architecture, with other settings; None keeps a setting.

    Raises:
        InputError: for an unknown architecture, and when digits are to be painted into scenes and
            the set is not MNIST's.
    """
    if architecture not in TRAINING_RECIPES:
        known = ", ".join(TRAINING_RECIPES)
        raise InputError(f"architecture must be one of {known}; received {architecture!r}")
    if settings.get("scenes") and not labelled.is_mnist:
        raise InputError(f"scenes are painted of MNIST's digits only; received {labelled.name}")
    if not labelled.is_mnist:
        settings["scenes"] = 0
    changes = {name: value for name, value in settings.items() if value is not None}
    return replace(TRAINING_RECIPES[architecture], **changes)


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
    images: Array, labels: Array, share: float, seed: int
) -> tuple[Array, Array, tuple[Array, Array] | None]:
    """(images, labels) to learn from, and those set aside at random, or None."""
    aside = round(len(images) * share)
    if not aside:
        return images, labels, None
    order = np.random.default_rng(seed).permutation(len(images))
    held, kept = np.sort(order[:aside]), np.sort(order[aside:])
    return images[kept], labels[kept], (images[held], labels[held])


def _augmentation(share: float) -> Augment:
    from tinymnist.augmentation.distort import RandomDamage, RandomDistortion  # these need scipy

    distort, damage = RandomDistortion(elastic=1.3), RandomDamage(share)
    return lambda images, rng: damage(distort(images, rng), rng)


def _figures(model: Sequential, images: Array, targets: Array) -> dict[str, float]:
    return {"n": len(targets), **model.evaluate(images, targets, return_dict=True)}
