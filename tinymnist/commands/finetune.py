"""``tinymnist finetune``: teach a trained network pictures of your own."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinymnist.commands.labelled import SET_HELP, failure_record, prepare
from tinymnist.commands.output import (
    COUNT,
    NATURAL,
    add_json_argument,
    add_model_argument,
    check_outputs,
    check_weights_name,
    confusion_table,
    print_json,
)
from tinymnist.errors import InputError
from tinymnist.reporting.text import percent, table

if TYPE_CHECKING:
    from tinymnist.finetuning import Trial
    from tinymnist.prepared import LabelledPictures

EXAMPLES = """\
examples:
  tinymnist finetune my-digits/ --out my.npz           my-digits/3/xyz.png, about five per class
  tinymnist finetune marks/ --out marks.npz            other classes: marks/tick/, marks/cross/
  tinymnist finetune my-digits/ --out my.npz --report report.html
  tinymnist predict --model my.npz photo.jpg           the result is a model like any other
  tinymnist finetune big/ --out b.npz --checkpoint b.state
                                                       can be killed at any moment; the
  tinymnist finetune big/ --out b.npz --checkpoint b.state --resume
                                                       next line continues to the same bytes

The gain is measured on held-out pictures: in five folds, or with 2000 pictures or more on a tenth
of them.
exit codes: 0 saved, 1 saved, but some pictures could not be read, 2 unusable input
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("set", metavar="SET", help=SET_HELP)
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.npz", help="where to save")
    add_model_argument(parser)
    parser.add_argument(
        "--recipe",
        choices=("mnist", "resize", "none"),
        help="how a picture becomes 28x28, as in evaluate; default: the model's own",
    )
    parser.add_argument(
        "--unfreeze",
        type=NATURAL,
        metavar="K",
        help="how many of the base's last layers learn with the head, more slowly; default: all",
    )
    parser.add_argument(
        "--hidden",
        type=COUNT,
        metavar="UNITS",
        help="start from a new head, even for known classes, behind a relu layer of this size",
    )
    parser.add_argument(
        "--augment",
        action=argparse.BooleanOptionalAction,
        help="vary every picture in every epoch while the base learns; default: with fewer than "
        "2000 pictures",
    )
    parser.add_argument(
        "--epochs",
        type=COUNT,
        help="epochs of each stage; default: chosen by the number of pictures",
    )
    parser.add_argument(
        "--seed", type=NATURAL, default=0, help="same seed, same result; default: 0"
    )
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="write a report")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FOLDER",
        help="save the state of every stage in this folder",
    )
    parser.add_argument("--resume", action="store_true", help="continue from --checkpoint")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prepare, learn, measure, save, report."""
    from tinymnist.data import load_set
    from tinymnist.finetuning import Checkpoints
    from tinymnist.learning import check_every_class, check_folders, finetune
    from tinymnist.reader import Reader

    _check(arguments)
    reader = Reader(arguments.model, arguments.recipe)
    labelled = load_set(arguments.set)
    check_folders(labelled, Path(arguments.set))
    outputs = {"--out": arguments.out, "--report": arguments.report}
    check_outputs(outputs, [arguments.set, arguments.model, *labelled.files])
    pictures = prepare(labelled, arguments.recipe, reader.recipe)
    check_every_class(pictures)
    folder = arguments.checkpoint
    began = time.monotonic()
    trial = finetune(
        pictures,
        reader,
        unfreeze=arguments.unfreeze,
        hidden=arguments.hidden,
        epochs=arguments.epochs,
        augment=arguments.augment,
        seed=arguments.seed,
        checkpoints=None if folder is None else Checkpoints(folder, arguments.resume),
        say=(lambda line: None) if arguments.quiet else _say,
        verbose="auto" if sys.stderr.isatty() and not arguments.quiet else 0,
    )
    seconds = time.monotonic() - began
    trial.model.name = arguments.out.stem
    trial.model.save(arguments.out)
    if arguments.report:
        _write_report(trial, pictures, reader.model.name, arguments.report)
    if arguments.json:
        print_json(_record(trial, pictures, arguments, seconds))
    else:
        print(_text(trial, arguments, len(pictures.failures), seconds))
    return 1 if pictures.failures else 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.resume and not arguments.checkpoint:
        raise InputError("--resume needs --checkpoint FOLDER, the folder to continue from")
    check_weights_name(arguments.out)
    folder = arguments.checkpoint
    if folder is not None and folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; --checkpoint expects a folder")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _write_report(trial: Trial, pictures: LabelledPictures, base_name: str, path: Path) -> None:
    from tinymnist.finetuning.report import write_report

    names = [Path(name).name for name in pictures.names]
    unread = len(pictures.failures)
    write_report(trial, pictures.images, names, pictures.source.name, base_name, path, unread)


def _record(
    trial: Trial, pictures: LabelledPictures, arguments: argparse.Namespace, seconds: float
) -> dict[str, Any]:
    names = pictures.names
    wrong = [
        {
            "picture": names[i],
            "label": trial.class_names[trial.labels[i]],
            "taken_for": trial.class_names[trial.after[i]],
            "confidence": round(float(trial.confidence[i]), 6),
        }
        for i in trial.wrong
    ]
    return {
        "file": str(arguments.out),
        "parent": trial.model.metadata["parent"]["name"],
        "classes": list(trial.class_names),
        "n": len(trial.labels),
        "unread": len(pictures.failures),
        "held_out": trial.n,
        "folds": trial.folds,
        "accuracy_before": trial.accuracy_before,
        "accuracy": trial.accuracy,
        "confusion": trial.confusion.tolist(),
        "wrong": wrong,
        "seconds": round(seconds, 3),
        "report": str(arguments.report) if arguments.report else None,
        **failure_record(pictures.failures),
    }


def _text(trial: Trial, arguments: argparse.Namespace, unread: int, seconds: float) -> str:
    from tinymnist.finetuning.report import how_measured

    lines = [f"{how_measured(trial, unread)} {seconds:.1f} s"]
    if trial.accuracy is not None:
        shares = {"before": trial.accuracy_before, "after": trial.accuracy}
        rows = [
            (when, percent(share), f"{round((1 - share) * trial.n)} wrong")
            for when, share in shares.items()
            if share is not None
        ]
        lines.append(table([("fine-tuning", "accuracy", ""), *rows]))
        if len(trial.class_names) <= 26:
            lines.append(confusion_table(trial.class_names, trial.confusion))
        lines.append(_advice(trial))
    lines.append(f"saved {arguments.out}")
    if arguments.report:
        lines.append(f"report: {arguments.report}")
    return "\n\n".join(line for line in lines if line)


def _advice(trial: Trial) -> str:
    before, after = trial.accuracy_before, trial.accuracy
    if before is None or after is None or after > before:
        return ""
    if before == 1.0:
        return "The base already reads all of these right: there was nothing to gain."
    return (
        "On the held-out pictures, fine-tuning gained nothing: the base may be as good, or more "
        "pictures may be needed."
    )
