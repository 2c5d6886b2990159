"""``tinymnist evaluate``: how a model does on labelled pictures."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tinymnist.commands.labelled import SET_HELP, counting, failure_record, report_failures
from tinymnist.commands.output import add_reader_arguments, confusion_table, print_json
from tinymnist.reporting.text import percent, table

if TYPE_CHECKING:
    from tinymnist.evaluation import Evaluation

EXAMPLES = """\
examples:
  tinymnist evaluate mnist-test                        MNIST's own test set
  tinymnist evaluate my-digits/                        my-digits/3/xyz.png, or with a labels.csv
  tinymnist evaluate my-digits/ --by source            also per entry of a column of labels.csv
  tinymnist evaluate set.npz --model my.npz --json     arrays 'images' and 'labels'

A picture that cannot be read, or has no digit on it, counts as wrong.
exit codes: 0 measured, 1 measured, but some pictures could not be read, 2 nothing to measure
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("set", metavar="SET", help=SET_HELP)
    parser.add_argument(
        "--by", metavar="COLUMN", help="also give the accuracy per entry of this labels.csv column"
    )
    add_reader_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    from tinymnist.data import load_set
    from tinymnist.evaluation import check_column, evaluate
    from tinymnist.reader import Reader

    reader = Reader(arguments.model, arguments.recipe)
    labelled = load_set(arguments.set)
    if arguments.by is not None:
        check_column(labelled, arguments.by)
    with counting(len(labelled.labels)) as tick:
        found = evaluate(labelled, reader, arguments.recipe, tick=tick)
    code = report_failures(found.failures, "counted as wrong")
    by = {} if arguments.by is None else found.accuracy_by(arguments.by)
    if arguments.json:
        groups = {entry: {"n": n, "accuracy": share} for entry, (n, share) in by.items()}
        record = found.as_record() | failure_record(found.failures)
        print_json(record | ({"by": groups} if by else {}))
    else:
        print(_text(found, by))
    return code


def _text(found: Evaluation, by: dict[str, tuple[int, float]]) -> str:
    right = int(found.right.sum())
    unread = f", {len(found.failures)} of them not readable" if found.failures else ""
    figures = found.as_record()["per_class"].values()
    shares = {name: [of_class[name] for of_class in figures] for name in ("recall", "precision")}
    parts = [
        f"{found.model} on {found.pictures.source.name} (recipe: {found.pictures.recipe})\n"
        f"accuracy {percent(found.accuracy)}: {right} of {found.n} right, "
        f"{found.n - right} wrong{unread}\n"
        f"calibration error {percent(found.calibration_error)}",
        confusion_table(found.class_names, found.confusion, shares),
    ]
    if by:
        rows = [(entry, str(n), percent(share)) for entry, (n, share) in by.items()]
        parts.append(table([("", "n", "accuracy"), *rows]))
    return "\n\n".join(parts)
