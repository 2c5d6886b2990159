"""``tinymnist predict``: one digit from each picture."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

from tinymnist.commands.output import add_reader_arguments, print_json, warn
from tinymnist.commands.sources import for_each, sources_of
from tinymnist.reporting.text import percent

SAMPLES = Path(__file__).parents[1] / "samples"
"""Painted by ``benchmarks/samples.py``."""

EXAMPLES = """\
examples:
  tinymnist predict                                    the sample pictures that come with it
  tinymnist predict 7.png scans/                       files and folders of pictures
  cat 7.png | tinymnist predict -                      a picture from standard input
  tinymnist predict --json *.jpg > digits.jsonl        for machines
  tinymnist predict --recipe resize --model keras-cnn my.jpg
                                                       what the tutorials do, and how it fails

exit codes: 0 all read, 1 some pictures could not be read, 2 nothing could be read
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "pictures",
        nargs="*",
        metavar="PICTURE",
        help="picture files, folders of pictures, or - for standard input; "
        "none: the sample pictures that come with tinymnist",
    )
    add_reader_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read every picture; name those that cannot be read, and continue."""
    from tinymnist.reader import Reader

    reader = Reader(arguments.model, arguments.recipe)
    if arguments.pictures:
        sources = sources_of(arguments.pictures)
    else:
        warn(f"no picture given; these are the samples in {SAMPLES}")
        sources = [(Path(name).name, file) for name, file in sources_of([str(SAMPLES)])]
    width = max((len(name) for name, _ in sources), default=0)
    lines = itertools.count()

    def predict(name: str, source: Any) -> None:
        prediction = reader.predict(source)
        if not next(lines) and not arguments.json:
            print(f"{'file'.ljust(width)}  digit  confidence  runner-up")
        _show(name, prediction, width, arguments.json)

    return for_each(sources, predict)


def _show(name: str, prediction: Any, width: int, as_json: bool) -> None:
    if as_json:
        probabilities = [round(float(p), 6) for p in prediction.probabilities]
        print_json(
            {
                "file": name,
                "digit": prediction.digit,
                "confidence": round(prediction.confidence, 6),
                "probabilities": probabilities,
            }
        )
        return
    second, share = prediction.runner_up
    print(
        f"{name.ljust(width)}  {prediction.digit!s:>5}  {percent(prediction.confidence):>10}"
        f"  {second} ({percent(share)})"
    )
