"""The training itself: a new head first, on a frozen base; then the base's layers with it.

A head that has learnt from 60,000 digits knows more than a few pictures can teach. So it is kept if
it knows all the classes, and its columns are kept for those classes that it knows. And a few
pictures cannot determine 100,000 weights. So each weight is pulled towards its start (L2-SP), batch
normalization keeps its statistics, and if the head knew the classes, the result is averaged with
the start.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.adapter import final_activation, model_input, picture_side, with_unit_length
from tinymnist.data.sets import renumbered
from tinymnist.errors import InputError
from tinymnist.finetuning.settings import AVERAGE, Checkpoints, FineTuning
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import Dense
from tinymnist.nn.losses import one_hot
from tinymnist.nn.optimizers import AdamW
from tinymnist.nn.schedules import CosineDecay
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.training.callbacks import Callback, EarlyStopping
from tinymnist.nn.training.fit import Progress
from tinymnist.nn.training.state import Augment
from tinymnist.nn.weights import fingerprint
from tinymnist.reader import Reader

Examples = tuple[NDArray[np.float32], NDArray[Any]]
"""Pictures, and class numbers (n,) or rows (n, classes)."""
PATIENCE = 4


@dataclass(frozen=True)
class Start:
    """A copy of the base before fine-tuning, with its class names.

    ``head_layers`` is the number of layers with parameters in the head; ``is_new`` whether it has
    new kernels.
    """

    model: Sequential
    class_names: tuple[str, ...]
    head_layers: int
    is_new: bool


def start_from(
    base: Sequential, class_names: Sequence[str], *, hidden: int | None = None, seed: int = 0
) -> Start:
    """Copy the base, with a new head if it does not know all the classes.

    With ``hidden`` units in a relu layer before the head, it is new in any case.

    Raises:
        InputError: when the base has no Dense layer that a new head could replace.
    """
    base, known = copy.deepcopy(base), Reader(base).class_names
    if hidden is None and set(class_names) <= set(known):
        base.metadata["class_names"] = list(known)
        return Start(base, known, 1, is_new=False)
    if not any(isinstance(layer, Dense) for layer in base.layers):
        names = ", ".join(class_names)
        raise InputError(
            f"{base.name} has no Dense layer that a new head for the classes {names} could replace"
        )
    model = base.replace_head(len(class_names), hidden, rng=seed)
    old, new = base.layers[-1].weights, model.layers[-1].weights
    fits = isinstance(base.layers[-1], Dense) and old.keys() == new.keys()
    if hidden is None and fits and len(old["kernel"]) == len(new["kernel"]):
        for number, name in enumerate(class_names):
            if name in known:
                for key, array in new.items():  # kernel (in, out), and bias (out,) if any
                    array[..., number] = old[key][..., known.index(name)]
    model.name = base.name
    model.metadata = {**base.metadata, "class_names": list(class_names)}
    return Start(model, tuple(class_names), 1 if hidden is None else 2, is_new=True)


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
    verbose: str | int | Progress = 0,
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
        x = model_input(examples[0], model.input_shape, Reader(model).preprocessing)
        return x, renumbered(examples[1], class_names, start.class_names)

    held = None if validation is None else own(validation)
    train = partial(
        _train_stage, start, settings, own((images, labels)), held, checkpoints, verbose
    )
    name = f"{name}-{fingerprint(base)[-8:]}"  # so that the state of another base is never used
    model.freeze()
    if start.is_new or settings.unfreeze == 0:
        model.unfreeze(last=start.head_layers)
        train(f"{name}-head", settings.new_rate if start.is_new else settings.learning_rate)
    if settings.unfreeze != 0:
        last = None if settings.unfreeze is None else start.head_layers + settings.unfreeze
        model.unfreeze(last, normalization=False)
        augment = input_distortion(model) if settings.augments(len(labels)) else None
        train(f"{name}-base", settings.learning_rate, augment)
    if not start.is_new:
        average_with(model, base.weights, AVERAGE if (a := settings.average) is None else a)
    model.trainable = True  # for training it further
    sign(model, base, f"fine-tuned by tinymnist on {len(labels)} pictures: {settings}")
    return model


def sign(model: Sequential, base: Sequential, source: str) -> None:
    """Note in a model's metadata how it was made, and from what."""
    parent = {"name": base.name, "fingerprint": fingerprint(base)}
    if "parent" in base.metadata:
        parent["parent"] = base.metadata["parent"]
    model.metadata |= {"source": source, "parent": parent, "metrics": {}}


def _train_stage(
    start: Start,
    settings: FineTuning,
    learn: Examples,
    validation: Examples | None,
    checkpoints: Checkpoints | None,
    verbose: str | int | Progress,
    name: str,
    rate: float,
    augment: Augment | None = None,
) -> None:
    """Train all layers that are not frozen."""
    model, epochs = start.model, settings.epochs_for(len(learn[1]))
    steps = epochs * settings.steps_per_epoch(len(learn[1]))
    callbacks: list[Callback] = []
    if validation is not None:
        callbacks.append(EarlyStopping("val_loss", patience=PATIENCE, restore_best_weights=True))
    if checkpoints is not None:
        callbacks.append(checkpoints.callback(name, epochs))
    learners = [layer.name for layer in model.layers if layer.parameters]
    optimizer = AdamW(
        CosineDecay(rate, max(steps, 1)),
        weight_decay=settings.decay,
        decay_to_start=True,
        multipliers=dict.fromkeys(learners[: -start.head_layers], settings.base_rate),
    )
    if final_activation(model)[0] == "sigmoid":  # yes or no for every class by itself
        classes = model.output_shape[-1]
        learn = learn[0], one_hot(learn[1], classes)
        validation = validation and (validation[0], one_hot(validation[1], classes))
        model.compile(optimizer, "binary_crossentropy")
    else:
        model.compile(optimizer)
    history = model.fit(
        *learn,
        batch_size=settings.batch_size,
        epochs=epochs,
        validation_data=validation,
        class_weight="balanced",
        augment=augment,
        callbacks=callbacks,
        rng=settings.seed,
        resume=None if checkpoints is None else checkpoints.found(name),
        verbose=verbose,
    )
    if history.interrupted:  # an unfinished stage is not a result; a checkpoint keeps it
        raise KeyboardInterrupt


def average_with(model: Sequential, start: Mapping[str, Array], share: float) -> None:
    """Move every weight back towards its start; one that did not change keeps every bit.

    The mean of both generalizes better than either (Wortsman et al., "Robust fine-tuning of
    zero-shot models", 2022).

    Args:
        model: its weights are changed in place.
        start: the weights before training, with the names and shapes of ``model.weights``.
        share: the weight of ``start`` in the mean, 0..1.
    """
    for name, array in model.weights.items():
        np.add(array, share * (start[name] - array), out=array)


def input_distortion(model: Sequential) -> Augment:
    """Bend, turn, move and zoom a model's inputs, whatever their scaling, size and channels."""
    from tinymnist.augmentation.distort import RandomDistortion  # needs scipy

    distort = RandomDistortion(elastic=1.0)
    preprocessing = model.metadata.get("preprocessing", {})
    scaling = preprocessing.get("scaling") or {"scale": 1, "offset": 0}
    scale, offset = np.float32(scaling["scale"]), np.float32(scaling["offset"])
    shape, side = model.input_shape, picture_side(model.input_shape)
    axis = scaling.get("axis")
    if side is None or (shape == (side, side, 1) and scale == 1 and offset == 0 and axis is None):
        return distort

    def distort_input(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        channels = x.reshape(len(x), side, side, -1)  # three channels are equal
        varied = distort((channels[..., :1] - offset) / scale, rng) * scale + offset
        varied = varied if axis is None else with_unit_length(varied, axis)
        return np.broadcast_to(varied, channels.shape).reshape(x.shape)

    return distort_input
