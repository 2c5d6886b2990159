"""``tinymnist diagnose``: why a network fails on your pictures, and what to do about it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymnist.commands.output import (
    Counter,
    add_json_argument,
    add_model_argument,
    print_json,
    warn,
)
from tinymnist.errors import InputError

if TYPE_CHECKING:
    from tinymnist.data import LabelledSet
    from tinymnist.diagnosis.results import Pictures
    from tinymnist.reader import Reader

EXAMPLES = """\
examples:
  tinymnist diagnose my-digits/                        why, in words; labelled or not
  tinymnist diagnose my-digits/ --out report.html      with pictures and charts
  tinymnist diagnose my-digits/ --model keras-cnn      for the tutorials' network
  tinymnist diagnose set.npz --limit 500 --json        part of a large set, for machines

Labelled pictures (as for evaluate) are measured by accuracy; others by whether they are read as
the full recipe reads them. Some 40 ms a picture.
exit codes: 0 measured, 2 nothing could be measured
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "set",
        metavar="SET",
        help="mnist-test, mnist-train, a folder with one folder a class or a labels.csv, an .npz "
        "with images and labels, or any folder of pictures",
    )
    parser.add_argument(
        "--labels",
        action=argparse.BooleanOptionalAction,
        help="insist on labels, or do without them; default: use them where there are some",
    )
    parser.add_argument("--out", type=Path, metavar="FILE.html", help="write a report")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="draw N pictures by lot, the same each time"
    )
    add_model_argument(parser)
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and write the report."""
    from tinymnist.diagnosis.advice import advise
    from tinymnist.diagnosis.diagnose import diagnose
    from tinymnist.diagnosis.text import as_record, as_text
    from tinymnist.reader import Reader

    if arguments.limit is not None and arguments.limit < 1:
        raise InputError(f"--limit is at least 1. Received: {arguments.limit}")
    if arguments.out and not arguments.out.absolute().parent.is_dir():
        raise InputError(f"{arguments.out}: its folder does not exist; make it first")
    reader = Reader(arguments.model, "mnist")
    pictures = _limited(_pictures(arguments.set, reader, arguments.labels), arguments.limit)
    counter = Counter(len(pictures.sources))
    try:
        diagnosis = diagnose(pictures, reader, counter.tick)
    finally:
        counter.close()
    advice = advise(diagnosis)
    if arguments.out:
        from tinymnist.diagnosis.report import write_report

        write_report(diagnosis, advice, arguments.out)
    if arguments.json:
        print_json(as_record(diagnosis, advice))
    else:
        print(as_text(diagnosis, advice))
        if arguments.out:
            print(f"\nreport: {arguments.out}")
    return 0


def _pictures(spec: str, reader: Reader, labels: bool | None) -> Pictures:
    from tinymnist.data import load_set, pictures_in
    from tinymnist.diagnosis.results import Pictures

    folder = Path(spec)
    try:
        labelled = load_set(spec)
    except InputError:
        if labels or not spec or not folder.is_dir() or (folder / "labels.csv").exists():
            raise
        return Pictures(spec, pictures_in(folder))
    numbers, unknown = _numbers(labelled, reader)
    if unknown and labels:
        raise InputError(
            f"{spec} has classes that {reader.model.name} does not know: {unknown}; expected some "
            f"of {list(reader.class_names)}"
        )
    if unknown and labels is None:
        warn(f"{spec}: {unknown} are no classes of {reader.model.name}; taken as not labelled")
    if unknown and folder.is_dir() and not (folder / "labels.csv").exists():
        return Pictures(spec, pictures_in(folder))  # also those beside the subfolders
    known = labels is not False and not unknown
    return Pictures(labelled.name, labelled.images, numbers if known else None)


def _numbers(labelled: LabelledSet, reader: Reader) -> tuple[Any, list[str]]:
    """The labels as numbers of the model's classes, and the names that it does not know."""
    used = {labelled.class_names[i] for i in np.unique(labelled.labels)}
    position = {name: i for i, name in enumerate(reader.class_names)}
    numbers = np.array([position.get(name, -1) for name in labelled.class_names], np.int64)
    return numbers[labelled.labels], sorted(used - position.keys())


def _limited(pictures: Pictures, limit: int | None) -> Pictures:
    from tinymnist.diagnosis.results import Pictures

    count = len(pictures.sources)
    if limit is None or limit >= count:
        return pictures
    chosen = np.sort(np.random.default_rng(0).choice(count, limit, replace=False))
    sources = [pictures.sources[i] for i in chosen]
    labels = None if pictures.labels is None else pictures.labels[chosen]
    return Pictures(f"{pictures.name} ({limit} of {count})", sources, labels)
