"""``tinymnist train``: a network from scratch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinymnist.commands.labelled import SET_HELP, failure_record, prepare
from tinymnist.commands.output import (
    BELOW_ONE,
    COUNT,
    NATURAL,
    NOT_NEGATIVE,
    SHARE,
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

    from tinymnist.learning import TrainingRecipe

EXAMPLES = """\
examples:
  tinymnist train --architecture mlp --out mlp.npz     MNIST, by the recipe of the shipped file
  tinymnist train my-digits/ --out mine.npz            a folder with one folder per class
  tinymnist train --out m.npz --checkpoint m.ckpt      can be killed at any moment; the
  tinymnist train --out m.npz --checkpoint m.ckpt --resume
                                                       next line continues to the same bytes
  tinymnist train --start m.npz --epochs 4 --damage 0.15 --out m2.npz
                                                       continues from weights, with other settings

Ctrl-C ends the training after the current batch and keeps the model.
exit codes: 0 trained and saved, 1 trained without some pictures that could not be read,
2 unusable input
"""


SETTINGS = (
    "epochs",
    "batch_size",
    "learning_rate",
    "augment",
    "damage",
    "scenes",
    "average",
    "seed",
)
"""Options that take the place of the recipe's own setting."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "set",
        nargs="?",
        default="mnist-train",
        metavar="SET",
        help=f"{SET_HELP}; default: mnist-train",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.npz", help="where to save")
    parser.add_argument(
        "--architecture",
        default="mnist-cnn",
        choices=("mnist-cnn", "keras-cnn", "lenet5", "mlp"),
        help="default: mnist-cnn; the settings below default to the recipe of its shipped weights",
    )
    parser.add_argument("--epochs", type=COUNT, help="passes over all pictures")
    parser.add_argument("--batch-size", type=COUNT, help="pictures per step")
    parser.add_argument("--learning-rate", type=NOT_NEGATIVE, help="the peak of the learning rate")
    parser.add_argument("--seed", type=NATURAL, help="same seed, same result")
    parser.add_argument(
        "--start",
        type=Path,
        metavar="FILE",
        help="continue from these weights instead of fresh kernels",
    )
    parser.add_argument(
        "--average",
        action="store_true",
        help="with --start: save the mean of the weights before and after, to forget less",
    )
    parser.add_argument(
        "--augment",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="distort and damage every picture differently in every epoch",
    )
    parser.add_argument(
        "--damage", type=SHARE, metavar="SHARE", help="the share of distorted pictures to damage"
    )
    parser.add_argument(
        "--scenes",
        type=NATURAL,
        metavar="TIMES",
        help="paint each of MNIST's digits into this many pictures, to be read by the recipe like "
        "photographs; 0 for none; for mnist-train only",
    )
    parser.add_argument(
        "--validation",
        type=BELOW_ONE,
        default=0.0,
        metavar="SHARE",
        help="set this share of the pictures aside and report on them after every epoch",
    )
    parser.add_argument("--recipe", choices=("mnist", "resize", "none"), help="as in predict")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="save the state here")
    parser.add_argument(
        "--resume", action="store_true", help="continue from --checkpoint if it exists"
    )
    parser.add_argument(
        "--history", type=Path, metavar="FILE.csv", help="write the figures of all epochs"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prepare, train, measure, save."""
    from tinymnist.data import load_set
    from tinymnist.learning import load_start, train, training_recipe
    from tinymnist.nn.training.callbacks import Callback, Checkpoint, CSVLogger

    labelled = load_set(arguments.set)
    _check(arguments, labelled.files)
    settings = {name: getattr(arguments, name) for name in SETTINGS}
    recipe = training_recipe(labelled, arguments.architecture, **settings)
    if arguments.start:
        load_start(arguments.start, recipe, labelled)
    pictures = prepare(labelled, arguments.recipe)
    callbacks: list[Callback] = []
    if arguments.history:
        callbacks.append(CSVLogger(arguments.history))
    if arguments.checkpoint:
        callbacks.append(Checkpoint(arguments.checkpoint, every=100))
    resume = arguments.checkpoint if arguments.resume and arguments.checkpoint.exists() else None
    model, history = train(
        pictures,
        arguments.architecture,
        start=arguments.start,
        validation=arguments.validation,
        callbacks=callbacks,
        resume=resume,
        verbose=0 if arguments.quiet else "auto",
        tick=_painting(recipe, pictures.labels, arguments.quiet),
        **settings,
    )
    model.save(arguments.out)
    last = {name: values[-1] for name, values in history.history.items()}
    metrics = model.metadata["metrics"]
    if arguments.json:
        record = {"file": str(arguments.out), "last_epoch": last, "metrics": metrics}
        print_json(record | failure_record(pictures.failures))
    else:
        for name, figures in metrics.items():
            print(f"{name}: accuracy {percent(figures['accuracy'])} of {figures['n']} pictures")
        print(f"saved {arguments.out}")
    return 1 if pictures.failures else 0


def _painting(
    recipe: TrainingRecipe, labels: NDArray[np.int64], is_quiet: bool
) -> Callable[[int], None]:
    """Shows how many pictures have been painted, which takes some minutes."""
    if is_quiet or not recipe.scenes:
        return lambda done: None
    from tinymnist.commands.output import Counter
    from tinymnist.imaging.synthetic.training_set import count_new

    total = count_new(labels, recipe.scenes)
    print(
        f"painting {total:,} pictures before the first epoch: takes some minutes", file=sys.stderr
    )
    counter = Counter(total)

    def tick(done: int) -> None:
        counter.tick(done)
        if counter.done >= total:
            counter.close()

    return tick


def _check(arguments: argparse.Namespace, files: Sequence[Path]) -> None:
    if arguments.resume and not arguments.checkpoint:
        raise InputError("--resume needs --checkpoint FILE, the state to continue from")
    check_weights_name(arguments.out)
    outputs = {f"--{name}": getattr(arguments, name) for name in ("out", "checkpoint", "history")}
    check_outputs(outputs, [arguments.set, arguments.start, *files])
    if arguments.average and not arguments.start:
        raise InputError("--average needs --start FILE, the weights to average with")
