"""``tinymnist finetune``: teach a trained network somebody's own pictures."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinymnist.commands.output import (
    Counter,
    add_json_argument,
    add_model_argument,
    check_outputs,
    check_weights_name,
    print_json,
    warn,
)
from tinymnist.errors import InputError
from tinymnist.reporting.text import percent, table

if TYPE_CHECKING:
    from tinymnist.data import LabelledSet
    from tinymnist.finetune import Checkpoints, FineTuning, Trial
    from tinymnist.reader import PreparedSet

EXAMPLES = """\
examples:
  tinymnist finetune my-digits/ --out my.npz           my-digits/3/xyz.png, five or so a class
  tinymnist finetune marks/ --out marks.npz            other classes: marks/tick/, marks/cross/
  tinymnist finetune my-digits/ --out my.npz --report report.html
  tinymnist predict --model my.npz photo.jpg           the result is a model as any other
  tinymnist finetune big/ --out b.npz --checkpoint b.state
                                                       can be killed at any moment, and with
  tinymnist finetune big/ --out b.npz --checkpoint b.state --resume
                                                       goes on and ends in the same bytes

What it brings is measured on pictures that were held out: in five folds, or with 2000 pictures and
more on a tenth of them.
exit codes: 0 saved, 1 saved, but some pictures could not be read, 2 unusable input
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "set",
        metavar="SET",
        help="a folder with one folder a class or a labels.csv (file,label), an .npz with images "
        "and labels, or mnist-train",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.npz", help="where to save")
    add_model_argument(parser)
    parser.add_argument(
        "--recipe",
        choices=("mnist", "resize", "none"),
        help="how a picture becomes 28x28, as in evaluate; default: the model's own",
    )
    parser.add_argument(
        "--unfreeze",
        type=int,
        metavar="K",
        help="how many of the base's last layers learn with the head, slower; default: all",
    )
    parser.add_argument(
        "--hidden",
        type=int,
        metavar="UNITS",
        help="a new head, even for known classes, behind a relu layer of so many units",
    )
    parser.add_argument(
        "--augment",
        action=argparse.BooleanOptionalAction,
        help="bend and turn every picture anew in every epoch while the base learns; default: with "
        "fewer than 2000 pictures",
    )
    parser.add_argument(
        "--epochs", type=int, help="of each stage; default: by the number of pictures"
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same result; default: 0")
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="write a report")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FOLDER", help="keep the state of every stage here"
    )
    parser.add_argument("--resume", action="store_true", help="go on from --checkpoint")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prepare, learn, measure, save, tell."""
    from tinymnist.data import load_set
    from tinymnist.finetune import attempt
    from tinymnist.reader import Reader

    _check(arguments)
    reader = Reader(arguments.model, arguments.recipe)
    labelled = load_set(arguments.set)
    _check_folders(Path(arguments.set), labelled)
    outputs = {"--out": arguments.out, "--report": arguments.report}
    check_outputs(outputs, [Path(arguments.set), *labelled.files])
    prepared = _prepared(labelled, arguments, reader.recipe)
    began = time.monotonic()
    trial = attempt(
        reader.model,
        prepared,
        labelled.labels[prepared.kept],
        labelled.class_names,
        _settings(arguments),
        checkpoints=_checkpoints(arguments),
        say=(lambda line: None) if arguments.quiet else _say,
        verbose="auto" if sys.stderr.isatty() and not arguments.quiet else 0,
    )
    seconds = time.monotonic() - began
    _save(trial, arguments.out, reader.recipe)
    if arguments.report:
        _write_report(trial, labelled, prepared, reader.model.name, arguments.report)
    unread = len(prepared.failures)
    if arguments.json:
        names = _names(labelled, prepared)
        print_json(_record(trial, names, arguments, unread, seconds))
    else:
        print(_text(trial, arguments, unread, seconds))
    return 1 if prepared.failures else 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.resume and not arguments.checkpoint:
        raise InputError("--resume needs --checkpoint FOLDER, to know where to go on from")
    check_weights_name(arguments.out)
    folder = arguments.checkpoint
    if folder is not None and folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; --checkpoint expects a folder")
    for name, least in (("unfreeze", 0), ("hidden", 1), ("epochs", 1), ("seed", 0)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise InputError(f"--{name} is at least {least}. Received: {value}")


def _check_folders(folder: Path, labelled: LabelledSet) -> None:
    """A folder that is meant as a class, but holds nothing to learn from, is a mistake."""
    from tinymnist.files import is_hidden

    if not folder.is_dir() or (folder / "labels.csv").is_file():
        return
    classes = {f.name for f in folder.iterdir() if f.is_dir() and not is_hidden(f.name)}
    empty = sorted(classes - {labelled.class_names[i] for i in set(labelled.labels.tolist())})
    if empty:
        raise InputError(
            f"{folder}: no picture of class {', '.join(map(repr, empty))}; expected at least one "
            "in each folder: add some, or remove the folder"
        )


def _settings(arguments: argparse.Namespace) -> FineTuning:
    from tinymnist.finetune import FineTuning

    named = ("unfreeze", "hidden", "epochs", "augment", "seed")
    given = {name: getattr(arguments, name) for name in named}
    changes = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(FineTuning(), **changes)


def _checkpoints(arguments: argparse.Namespace) -> Checkpoints | None:
    from tinymnist.finetune import Checkpoints

    folder = arguments.checkpoint
    return None if folder is None else Checkpoints(folder, arguments.resume)


def _prepared(labelled: LabelledSet, arguments: argparse.Namespace, recipe: str) -> PreparedSet:
    from tinymnist.reader import PreparedSet, in_mnist_form, prepare_all

    if labelled.is_mnist and arguments.recipe in (None, "none"):
        return PreparedSet.of(in_mnist_form(labelled.images))
    counter = Counter(len(labelled.labels))
    try:
        prepared = prepare_all(labelled.images, recipe, counter.tick)
    finally:
        counter.close()
    for number, error in prepared.failures.items():
        warn(f"left out: {error}" if labelled.is_files else f"left out: picture {number}: {error}")
    lost = set(labelled.labels.tolist()) - set(labelled.labels[prepared.kept].tolist())
    if lost:
        names = ", ".join(repr(labelled.class_names[i]) for i in sorted(lost))
        raise InputError(f"{labelled.name}: no picture of class {names} could be read")
    return prepared


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _save(trial: Trial, out: Path, recipe: str) -> None:
    model = trial.model
    model.name = out.stem
    told = model.metadata.get("preprocessing", {})  # scaling and size stay the base's
    model.metadata["preprocessing"] = {**told, "recipe": recipe}
    if trial.accuracy is not None:
        figures = {"n": trial.n, "accuracy": trial.accuracy}
        if trial.accuracy_before is not None:
            figures["accuracy_before"] = trial.accuracy_before
        model.metadata["metrics"] = {"held-out": figures}
    model.save(out)


def _write_report(
    trial: Trial, labelled: LabelledSet, prepared: PreparedSet, base_name: str, path: Path
) -> None:
    from tinymnist.finetune.report import write_report

    names = [Path(name).name for name in _names(labelled, prepared)]
    write_report(
        trial, prepared.images, names, labelled.name, base_name, path, len(prepared.failures)
    )


def _names(labelled: LabelledSet, prepared: PreparedSet) -> list[str]:
    """What each picture that could be read is called: its file, or its number in the set."""
    return [str(labelled.images[i]) if labelled.is_files else f"number {i}" for i in prepared.kept]


def _record(
    trial: Trial, names: list[str], arguments: argparse.Namespace, unread: int, seconds: float
) -> dict[str, Any]:
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
        "unread": unread,
        "held_out": trial.n,
        "folds": trial.folds,
        "accuracy_before": trial.accuracy_before,
        "accuracy": trial.accuracy,
        "confusion": trial.confusion.tolist(),
        "wrong": wrong,
        "seconds": round(seconds, 3),
        "report": str(arguments.report) if arguments.report else None,
    }


def _text(trial: Trial, arguments: argparse.Namespace, unread: int, seconds: float) -> str:
    from tinymnist.finetune.report import how

    lines = [f"{how(trial, unread)} {seconds:.1f} s"]
    if trial.accuracy is not None:
        shares = {"before": trial.accuracy_before, "after": trial.accuracy}
        rows = [
            (when, percent(share), f"{round((1 - share) * trial.n)} wrong")
            for when, share in shares.items()
            if share is not None
        ]
        lines.append(table([("fine-tuning", "accuracy", ""), *rows]))
        if len(trial.class_names) <= 26:
            lines.append("rows: what it is; columns: what it was taken for\n" + _confusion(trial))
        lines.append(_advice(trial))
    lines.append(f"saved {arguments.out}")
    if arguments.report:
        lines.append(f"report: {arguments.report}")
    return "\n\n".join(line for line in lines if line)


def _confusion(trial: Trial) -> str:
    rows = [("", *trial.class_names)]
    for name, counts in zip(trial.class_names, trial.confusion, strict=True):
        rows.append((name, *(str(count) if count else "." for count in counts)))
    return table(rows)


def _advice(trial: Trial) -> str:
    before, after = trial.accuracy_before, trial.accuracy
    if before is None or after is None or after > before:
        return ""
    if before == 1.0:
        return "The base reads all of these right already: there was nothing to gain."
    return (
        "On what was held out, fine-tuning brought nothing: the base may be as good, or more "
        "pictures may be needed."
    )
