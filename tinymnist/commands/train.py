"""``tinymnist train``: a network from scratch."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinymnist.commands.output import (
    add_json_argument,
    check_outputs,
    check_weights_name,
    print_json,
)
from tinymnist.errors import InputError
from tinymnist.reporting.text import percent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tinymnist.data import LabelledSet
    from tinymnist.nn.sequential import Sequential
    from tinymnist.train import TrainingRecipe

EXAMPLES = """\
examples:
  tinymnist train --architecture mlp --out mlp.npz     MNIST, by the recipe of the shipped file
  tinymnist train my-digits/ --out mine.npz            a folder with one folder a class
  tinymnist train --out m.npz --checkpoint m.ckpt      can be killed at any moment, and with
  tinymnist train --out m.npz --checkpoint m.ckpt --resume
                                                       goes on and ends in the same bytes
  tinymnist train --start m.npz --epochs 4 --damage 0.15 --out m2.npz
                                                       goes on from weights, with other settings

Ctrl-C ends the training after the batch and keeps the model.
exit codes: 0 trained and saved, 2 unusable input
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "set", nargs="?", default="mnist-train", metavar="SET", help="default: mnist-train"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.npz", help="where to save")
    parser.add_argument(
        "--architecture",
        default="mnist-cnn",
        choices=("mnist-cnn", "keras-cnn", "lenet5", "mlp"),
        help="default: mnist-cnn; the settings below default to the recipe of its shipped weights",
    )
    parser.add_argument("--epochs", type=_at_least(int, 1), help="how often to see every picture")
    parser.add_argument("--batch-size", type=_at_least(int, 1), help="pictures for each step")
    parser.add_argument("--learning-rate", type=_at_least(float, 0.0), help="the peak of the rate")
    parser.add_argument("--seed", type=_at_least(int, 0), help="same seed, same result")
    parser.add_argument(
        "--start",
        type=Path,
        metavar="FILE",
        help="go on from these weights, not from fresh kernels",
    )
    parser.add_argument(
        "--average",
        action="store_true",
        help="with --start: save the mean of the weights before and after, which forgets less",
    )
    parser.add_argument(
        "--augment",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="distort and damage every picture anew in every epoch",
    )
    parser.add_argument(
        "--damage", type=_share, metavar="SHARE", help="so many of the distorted ones are damaged"
    )
    parser.add_argument(
        "--scenes",
        type=_at_least(int, 0),
        metavar="TIMES",
        help="so often each of MNIST's digits is also painted into a picture and brought back by "
        "the recipe; 0 for never; only for mnist-train",
    )
    parser.add_argument(
        "--validation",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="set this share of the pictures aside and report on them after every epoch",
    )
    parser.add_argument("--recipe", choices=("mnist", "resize", "none"), help="as in predict")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="save the state here")
    parser.add_argument(
        "--resume", action="store_true", help="go on from --checkpoint if it is there"
    )
    parser.add_argument(
        "--history", type=Path, metavar="FILE.csv", help="the figures of all epochs"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    add_json_argument(parser)


def _at_least(kind: Any, minimum: float) -> Any:
    def parse(text: str) -> Any:
        value = kind(text)
        if value < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}, not {value}")
        return value

    parse.__name__ = kind.__name__
    return parse


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be in 0..1, not {value}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Prepare, train, measure, save."""
    from tinymnist.data import load_set
    from tinymnist.nn.training.callbacks import Callback, Checkpoint, CSVLogger
    from tinymnist.train import train

    _check(arguments)
    labelled = load_set(arguments.set)
    recipe = _recipe(arguments, labelled)
    start = _start(arguments, recipe, labelled)
    images, labels = _prepared(labelled, arguments.recipe)
    images, labels, held_out = _split(images, labels, arguments.validation, recipe.seed)
    callbacks: list[Callback] = []
    if arguments.history:
        callbacks.append(CSVLogger(arguments.history))
    if arguments.checkpoint:
        callbacks.append(Checkpoint(arguments.checkpoint, every=100))
    tick = _painting(recipe, labels, arguments.quiet)
    resume = arguments.checkpoint if arguments.resume and arguments.checkpoint.exists() else None
    model, history = train(
        recipe,
        images,
        labels,
        class_names=labelled.class_names,
        validation_data=held_out,
        start=start,
        callbacks=callbacks,
        resume=resume,
        verbose=0 if arguments.quiet else "auto",
        tick=tick,
    )
    model.metadata["metrics"] = _metrics(model, labelled, held_out)
    model.save(arguments.out)
    _report(arguments, model, {name: values[-1] for name, values in history.history.items()})
    return 0


def _painting(
    recipe: TrainingRecipe, labels: NDArray[np.int64], is_quiet: bool
) -> Callable[[int], None]:
    """Shows how many pictures have been painted, which takes some minutes."""
    if is_quiet or not recipe.scenes:
        return lambda done: None
    from tinymnist.commands.output import Counter
    from tinymnist.imaging.synthetic.training_set import count_new

    total = count_new(labels, recipe.scenes)
    print(f"painting {total:,} pictures before the first epoch: some minutes", file=sys.stderr)
    counter = Counter(total)

    def tick(done: int) -> None:
        counter.tick(done)
        if counter.done >= total:
            counter.close()

    return tick


def _check(arguments: argparse.Namespace) -> None:
    if arguments.resume and not arguments.checkpoint:
        raise InputError("--resume needs --checkpoint FILE, to know where to go on from")
    check_weights_name(arguments.out)
    outputs = {f"--{name}": getattr(arguments, name) for name in ("out", "checkpoint", "history")}
    check_outputs(outputs)
    if arguments.average and not arguments.start:
        raise InputError("--average needs --start FILE, the weights to take the mean with")
    if not 0 <= arguments.validation < 1:
        raise InputError(f"--validation must be in [0, 1); received {arguments.validation}")


def _recipe(arguments: argparse.Namespace, labelled: LabelledSet) -> TrainingRecipe:
    from tinymnist.train import RECIPES

    if arguments.scenes and not labelled.is_mnist:
        raise InputError(f"--scenes paints MNIST's digits; received {labelled.name}")
    named = ("epochs", "batch_size", "learning_rate", "augment", "damage", "scenes", "average")
    given = {name: getattr(arguments, name) for name in (*named, "seed")}
    if not labelled.is_mnist:
        given["scenes"] = 0
    changes = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(RECIPES[arguments.architecture], **changes)


def _start(
    arguments: argparse.Namespace, recipe: TrainingRecipe, labelled: LabelledSet
) -> Sequential | None:
    from tinymnist.interop import load_model
    from tinymnist.nn.architectures import ARCHITECTURES

    if arguments.start is None:
        return None
    model = load_model(arguments.start)
    classes = len(labelled.class_names)
    fresh = ARCHITECTURES[recipe.architecture](classes=classes)
    shapes, wanted = ({n: a.shape for n, a in m.weights.items()} for m in (model, fresh))
    if shapes != wanted:
        raise InputError(
            f"{arguments.start} does not hold the weights of {recipe.architecture} for {classes} "
            "classes; name its network with --architecture, or use tinymnist finetune"
        )
    return model


def _prepared(
    labelled: LabelledSet, recipe: str | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    from tinymnist.commands.output import Counter, warn
    from tinymnist.reader import in_mnist_form, prepare_all

    if labelled.is_mnist and recipe in (None, "none"):
        return in_mnist_form(labelled.images), labelled.labels
    counter = Counter(len(labelled.labels))
    prepared = prepare_all(labelled.images, recipe or "mnist", counter.tick)
    counter.close()
    for error in prepared.failures.values():
        warn(f"left out: {error}")
    if not len(prepared.kept):
        raise InputError("no picture of the set could be read")
    return prepared.images, labelled.labels[prepared.kept]


def _split(
    images: NDArray[np.float32], labels: NDArray[np.int64], share: float, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], Any]:
    """(images, labels) to learn from, and those set aside at random, or None."""
    import numpy as np

    aside = round(len(images) * share)
    if not aside:
        return images, labels, None
    order = np.random.default_rng(seed).permutation(len(images))
    held, kept = np.sort(order[:aside]), np.sort(order[aside:])
    return images[kept], labels[kept], (images[held], labels[held])


def _metrics(model: Sequential, labelled: LabelledSet, held_out: Any) -> dict[str, Any]:
    """The accuracy on what was set aside, and on MNIST's test pictures when MNIST was learnt."""
    from tinymnist.data import load_set
    from tinymnist.reader import in_mnist_form

    measured = {}
    if held_out is not None:
        measured["validation"] = _figures(model, *held_out)
    if labelled.is_mnist:
        test = load_set("mnist-test")
        measured["mnist-test"] = _figures(model, in_mnist_form(test.images), test.labels)
    return measured


def _figures(
    model: Sequential, images: NDArray[np.float32], labels: NDArray[np.int64]
) -> dict[str, float]:
    from tinymnist.nn.losses import one_hot

    targets = one_hot(labels, model.output_shape[-1])
    return {"n": len(labels), **model.evaluate(images, targets, return_dict=True)}


def _report(arguments: argparse.Namespace, model: Sequential, last: dict[str, float]) -> None:
    metrics = model.metadata["metrics"]
    if arguments.json:
        print_json({"file": str(arguments.out), "last_epoch": last, "metrics": metrics})
        return
    for name, figures in metrics.items():
        print(f"{name}: accuracy {percent(figures['accuracy'])} of {figures['n']} pictures")
    print(f"saved {arguments.out}")
