"""``tinymnist evaluate``: how a model does on labelled pictures."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import TYPE_CHECKING, Any

from tinymnist import commands
from tinymnist.reporting.text import percent, table

if TYPE_CHECKING:
    from tinymnist.labelled import Evaluation

EXAMPLES = """\
examples:
  tinymnist evaluate mnist-test                        MNIST's own test set
  tinymnist evaluate my-digits/                        my-digits/3/xyz.png, or with a labels.csv
  tinymnist evaluate my-digits/ --by source            also per entry of a column of labels.csv
  tinymnist evaluate set.npz --model my.npz --json     arrays 'images' and 'labels'

Names the misread pictures, and how many a person must check for 99.9 % of the others to be right.
A picture that cannot be read, or has no digit on it, counts as wrong.
exit codes: 0 measured, 1 measured, but some pictures could not be read, 2 nothing to measure
"""

_MOST_MISREAD = 20  # are named in text


def add_evaluate(parser: argparse.ArgumentParser) -> commands.Declared:
    """Declare the command's arguments."""
    parser.add_argument("set", metavar="SET", help=commands.SET_HELP)
    parser.add_argument(
        "--by", metavar="COLUMN", help="also give the accuracy per entry of this labels.csv column"
    )
    commands.add_options(parser, "--model", "--recipe", "--workers", "--json")
    return EXAMPLES, _run


def _run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    from tinymnist.data import load_set
    from tinymnist.labelled import check_column, evaluate
    from tinymnist.reader import Reader

    reader = Reader(arguments.model, arguments.recipe)
    labelled = load_set(arguments.set)
    if arguments.by is not None:
        check_column(labelled, arguments.by)
    with closing(commands.Counter(len(labelled.labels))) as counter:
        found = evaluate(
            labelled, reader, arguments.recipe, tick=counter.tick, workers=arguments.workers
        )
    commands.report_failures(found.failures, "counted as wrong")
    record, by = found.as_record(), {}
    if arguments.by is not None:
        by = found.accuracy_by(arguments.by)
        record["by"] = {entry: {"n": n, "accuracy": share} for entry, (n, share) in by.items()}
    return commands.show(arguments, record, _text(found, record, by), found.failures)


def _text(found: Evaluation, record: dict[str, Any], by: dict[str, tuple[int, float]]) -> str:
    right = int(found.right.sum())
    unread = f", {len(found.failures)} of them not readable" if found.failures else ""
    figures = record["per_class"].values()
    shares = {name: [of_class[name] for of_class in figures] for name in ("recall", "precision")}
    parts = [
        f"{found.model} on {found.pictures.source.name} (recipe: {found.pictures.recipe})\n"
        f"accuracy {percent(found.accuracy)}: {right} of {found.n} right, "
        f"{found.n - right} wrong{unread}\n"
        f"calibration error {percent(found.calibration_error)}\n"
        f"to check for 99.9 % of the others to be right: {_to_check(*found.to_check)}",
        commands.confusion_table(found.class_names, found.confusion, shares),
    ]
    if by:
        rows = [(entry, str(n), percent(share)) for entry, (n, share) in by.items()]
        parts.append(table([("", "n", "accuracy"), *rows]))
    if found.pictures.source.files and (misread := found.misread):
        heads = ("misread", "label", "read as", "confidence")
        keys = ("picture", "label", "read_as")
        lines = [
            (*(str(one[key]) for key in keys), f"{one['confidence']:.2f}")
            for one in misread[:_MOST_MISREAD]
        ]
        more = len(misread) - len(lines)
        parts.append(table([heads, *lines]) + (f"\nand {more:,} more: --json" if more else ""))
    return "\n\n".join(parts)


def _to_check(share: float, least: float) -> str:
    if share in (0, 1):
        return "none" if share == 0 else "all"
    return f"{percent(share)}, those with a confidence below {least:.3f}"
