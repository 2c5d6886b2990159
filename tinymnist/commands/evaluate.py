"""``tinymnist evaluate``: how a model does on labelled pictures."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymnist.commands.output import Counter, add_reader_arguments, print_json, warn
from tinymnist.errors import InputError
from tinymnist.reporting.text import percent, table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinymnist.data import LabelledSet
    from tinymnist.reader import PreparedSet, Reader

EXAMPLES = """\
examples:
  tinymnist evaluate mnist-test                        MNIST's own test set
  tinymnist evaluate my-digits/                        my-digits/3/xyz.png, or with a labels.csv
  tinymnist evaluate my-digits/ --by source            apart by a column of labels.csv
  tinymnist evaluate set.npz --model my.npz --json     arrays 'images' and 'labels'

A picture on which no digit is found counts as wrong.
exit codes: 0 measured, 2 nothing could be measured
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "set",
        metavar="SET",
        help="mnist-test, mnist-train, a folder with one folder a class or a labels.csv "
        "(file,label), or an .npz with images and labels",
    )
    parser.add_argument(
        "--by", metavar="COLUMN", help="give the accuracy apart by a column of labels.csv"
    )
    add_reader_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    from tinymnist.data import load_set
    from tinymnist.reader import Reader

    reader = Reader(arguments.model, arguments.recipe)
    labelled = load_set(arguments.set)
    if arguments.by is not None and arguments.by not in labelled.columns:
        raise InputError(
            f"{labelled.name} has no column {arguments.by!r}; expected one of "
            f"{sorted(labelled.columns)}"
        )
    recipe = arguments.recipe or ("none" if labelled.is_mnist else reader.recipe)
    labels = _labels_of(labelled, reader)
    prepared = _prepared(labelled, recipe)
    for number, error in prepared.failures.items():
        warn(error if labelled.is_files else f"picture {number}: {error}")
    report = _measure(reader, labels, prepared)
    report |= {"set": labelled.name, "model": reader.model.name, "recipe": recipe}
    if arguments.by is not None:
        report["by"] = _by_column(labelled.columns[arguments.by], report["right"])
    del report["right"]
    print_json(report) if arguments.json else print(_text(report))
    return 0


def _labels_of(labelled: LabelledSet, reader: Reader) -> NDArray[np.int64]:
    """The set's labels as numbers of the model's classes."""
    unknown = [name for name in labelled.class_names if name not in reader.class_names]
    used = {labelled.class_names[i] for i in np.unique(labelled.labels)}
    if missing := sorted(used.intersection(unknown)):
        raise InputError(
            f"{labelled.name} has classes that {reader.model.name} does not know: {missing}; "
            f"expected some of {list(reader.class_names)}"
        )
    position = {name: i for i, name in enumerate(reader.class_names)}
    numbers = np.array([position.get(name, -1) for name in labelled.class_names], np.int64)
    return numbers[labelled.labels]


def _prepared(labelled: LabelledSet, recipe: str) -> PreparedSet:
    from tinymnist.reader import PreparedSet, in_mnist_form, prepare_all

    if labelled.is_mnist and recipe == "none":
        return PreparedSet.of(in_mnist_form(labelled.images))
    counter = Counter(len(labelled.labels))
    try:
        return prepare_all(labelled.images, recipe, counter.tick)
    finally:
        counter.close()


def _measure(reader: Reader, labels: NDArray[np.int64], prepared: PreparedSet) -> dict[str, Any]:
    from tinymnist.nn import metrics

    if not len(prepared.kept):
        raise InputError("no picture of the set could be read")
    probabilities = reader.probabilities_of(prepared)
    found, known = probabilities.argmax(axis=1), labels[prepared.kept]
    confusion = metrics.confusion_matrix(known, found, len(reader.class_names))
    right = np.zeros(len(labels), bool)
    right[prepared.kept] = found == known
    precision, _ = metrics.precision_recall(confusion)
    return {
        "n": len(labels),
        "accuracy": float(right.mean()),
        "per_class": {
            name: {
                "n": int((labels == i).sum()),
                "recall": _number(right[labels == i].mean()) if (labels == i).any() else None,
                "precision": _number(precision[i]),
            }
            for i, name in enumerate(reader.class_names)
        },
        "confusion": confusion.tolist(),
        "calibration_error": metrics.expected_calibration_error(known, probabilities),
        "unread": len(prepared.failures),
        "right": right,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _by_column(column: list[str], right: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    entries = np.array(column)
    groups = {value: entries == value for value in sorted(set(column))}
    return {
        value: {"n": int(rows.sum()), "accuracy": float(right[rows].mean())}
        for value, rows in groups.items()
    }


def _text(report: dict[str, Any]) -> str:
    n, accuracy = report["n"], report["accuracy"]
    wrong = n - round(accuracy * n)
    head = f"{report['model']} on {report['set']} (recipe: {report['recipe']})"
    unread = f", {report['unread']} of them not readable" if report["unread"] else ""
    parts = [
        f"{head}\naccuracy {percent(accuracy)}: {n - wrong} of {n} right, {wrong} wrong{unread}\n"
        f"calibration error {percent(report['calibration_error'])}",
        "rows: what it is; columns: what it was taken for\n" + _confusion_table(report),
    ]
    if "by" in report:
        rows = [(k, str(v["n"]), percent(v["accuracy"])) for k, v in report["by"].items()]
        parts.append(table([("", "n", "accuracy"), *rows]))
    return "\n\n".join(parts)


def _confusion_table(report: dict[str, Any]) -> str:
    names = list(report["per_class"])
    rows = [("", *names, "recall", "precision")]
    for name, counts in zip(names, report["confusion"], strict=True):
        figures = report["per_class"][name]
        shares = [figures[key] for key in ("recall", "precision")]
        cells = [str(count) if count else "." for count in counts]
        rows.append((name, *cells, *("-" if s is None else percent(s) for s in shares)))
    return table(rows)
