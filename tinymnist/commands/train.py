"""``tinymnist train``: a network from scratch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tinymnist import commands
from tinymnist.errors import InputError
from tinymnist.reporting.text import count, percent, say

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

_SETTINGS = "epochs batch_size learning_rate augment damage scenes average seed"
"""Options that take the place of the recipe's own setting."""


def add_train(parser: argparse.ArgumentParser) -> commands.Declared:
    """Declare the command's arguments."""
    add = parser.add_argument
    what = f"{commands.SET_HELP}; default: mnist-train"
    add("set", nargs="?", default="mnist-train", metavar="SET", help=what)
    add("--out", required=True, type=Path, metavar="FILE.npz", help="where to save")
    add(
        "--architecture",
        default="mnist-cnn",
        choices=("mnist-cnn", "keras-cnn", "lenet5", "mlp"),
        help="default: mnist-cnn; the settings below default to the recipe of its shipped weights",
    )
    add("--epochs", type=commands.COUNT, help="passes over all pictures")
    add("--batch-size", type=commands.COUNT, help="pictures per step")
    add("--learning-rate", type=commands.NOT_NEGATIVE, help="the peak of the learning rate")
    add("--seed", type=commands.NATURAL, help="same seed, same result")
    what = "continue from these weights instead of fresh kernels"
    add("--start", type=Path, metavar="FILE", help=what)
    what = "with --start: save the mean of the weights before and after, to forget less"
    add("--average", action="store_true", help=what)
    what = "distort and damage every picture differently in every epoch"
    add("--augment", action=argparse.BooleanOptionalAction, default=None, help=what)
    what = "the share of distorted pictures to damage"
    add("--damage", type=commands.SHARE, metavar="SHARE", help=what)
    add(
        "--scenes",
        type=commands.NATURAL,
        metavar="TIMES",
        help="paint each of MNIST's digits into this many pictures, to be read by the recipe like "
        "photographs; 0 for none; for mnist-train only",
    )
    what = "set this share of the pictures aside and report on them after every epoch"
    add("--validation", type=commands.BELOW_ONE, default=0.0, metavar="SHARE", help=what)
    add("--recipe", choices=commands.RECIPES, help="as in predict")
    add("--checkpoint", type=Path, metavar="FILE", help="save the state here")
    add("--resume", action="store_true", help="continue from --checkpoint if it exists")
    add("--history", type=Path, metavar="FILE.csv", help="write the figures of all epochs")
    commands.add_options(parser, "--workers", "--quiet", "--json")
    return EXAMPLES, _run


def _run(arguments: argparse.Namespace) -> int:
    """Prepare, train, measure, save."""
    from tinymnist.commands.outputs import Kind, check_outputs, check_weights_name
    from tinymnist.data import load_set
    from tinymnist.learning import load_start, train, training_recipe
    from tinymnist.nn.training.callbacks import Callback, Checkpoint, CSVLogger

    labelled = load_set(arguments.set)
    if arguments.resume and not arguments.checkpoint:
        raise InputError("--resume needs --checkpoint FILE, the state to continue from")
    check_weights_name(arguments.out)
    outputs = {
        "--out": (Kind.MODEL, arguments.out),
        "--checkpoint": (Kind.STATE, arguments.checkpoint),
        "--history": (Kind.HISTORY, arguments.history),
    }
    check_outputs(outputs, [arguments.set, arguments.start, *labelled.files])
    if arguments.average and not arguments.start:
        raise InputError("--average needs --start FILE, the weights to average with")
    settings = commands.chosen(arguments, _SETTINGS)
    recipe = training_recipe(labelled, arguments.architecture, **settings)
    if arguments.start:
        load_start(arguments.start, recipe, labelled)
    pictures = commands.prepare(labelled, arguments.recipe, workers=arguments.workers)
    callbacks: list[Callback] = []
    if arguments.history:
        callbacks.append(CSVLogger(arguments.history))
    if arguments.checkpoint:
        callbacks.append(Checkpoint(arguments.checkpoint, every=100))
    model, history = train(
        pictures,
        arguments.architecture,
        start=arguments.start,
        validation=arguments.validation,
        callbacks=callbacks,
        resume=arguments.checkpoint if arguments.resume and arguments.checkpoint.exists() else None,
        verbose=0 if arguments.quiet else "auto",
        tick=_painting(recipe, pictures.labels, arguments.quiet),
        workers=arguments.workers,
        **settings,
    )
    model.save(arguments.out)
    last = {name: values[-1] for name, values in history.history.items()}
    metrics = model.metadata["metrics"]
    lines = [
        f"{name}: accuracy {percent(figures['accuracy'])} of {count(figures['n'], 'picture')}"
        for name, figures in metrics.items()
    ]
    record = {"file": str(arguments.out), "last_epoch": last, "metrics": metrics}
    text = "\n".join([*lines, f"saved {arguments.out}"])
    return commands.show(arguments, record, text, pictures.failures)


def _painting(
    recipe: TrainingRecipe, labels: NDArray[np.int64], is_quiet: bool
) -> Callable[[int], None]:
    """Shows how many pictures have been painted, which takes some minutes."""
    if is_quiet or not recipe.scenes:
        return lambda done: None
    from tinymnist.imaging.synthetic.training_set import count_new

    total = count_new(labels, recipe.scenes)
    message = f"painting {count(total, 'picture')} before the first epoch: takes some minutes"
    say(message, sys.stderr)
    return commands.Counter(total).tick
