"""``tinymnist diagnose``: why a network fails on your pictures, and what to do about it."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinymnist.commands.labelled import SET_HELP, counting, failure_record, report_failures
from tinymnist.commands.output import (
    COUNT,
    add_json_argument,
    add_model_argument,
    check_outputs,
    print_json,
)

EXAMPLES = """\
examples:
  tinymnist diagnose my-digits/                        why, in words; labelled or not
  tinymnist diagnose my-digits/ --out report.html      with pictures and charts
  tinymnist diagnose my-digits/ --model keras-cnn      for the tutorials' network
  tinymnist diagnose set.npz --limit 500 --json        part of a large set, for machines

Labelled pictures (as for evaluate) are measured by accuracy; others by whether they are read as
the full recipe reads them. It takes about 40 ms per picture.
exit codes: 0 measured, 1 measured, but some pictures could not be read, 2 nothing to measure
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "set", metavar="SET", help=f"{SET_HELP}; or any folder of pictures, without labels"
    )
    parser.add_argument(
        "--labels",
        action=argparse.BooleanOptionalAction,
        help="insist on labels, or ignore them; default: use them if there are any",
    )
    parser.add_argument("--out", type=Path, metavar="FILE.html", help="write a report")
    parser.add_argument(
        "--limit", type=COUNT, metavar="N", help="draw N pictures at random, the same each time"
    )
    add_model_argument(parser)
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and write the report."""
    from tinymnist.diagnosis.advice import advise
    from tinymnist.diagnosis.diagnose import diagnose, open_pictures
    from tinymnist.diagnosis.text import as_record, as_text
    from tinymnist.prepared import named_failures
    from tinymnist.reader import Reader

    reader = Reader(arguments.model, "mnist")
    pictures = open_pictures(arguments.set, reader, arguments.labels, arguments.limit)
    files = [source for source in pictures.sources if isinstance(source, Path)]
    check_outputs({"--out": arguments.out}, [arguments.set, arguments.model, *files])
    with counting(len(pictures.sources)) as tick:
        diagnosis = diagnose(pictures, reader, tick)
    failures = named_failures(pictures.name_of, diagnosis.failures)
    code = report_failures(failures, "counted as wrong")
    advice = advise(diagnosis)
    if arguments.out:
        from tinymnist.diagnosis.report import write_report

        write_report(diagnosis, advice, arguments.out)
    if arguments.json:
        print_json(as_record(diagnosis, advice) | failure_record(failures))
    else:
        print(as_text(diagnosis, advice))
        if arguments.out:
            print(f"\nreport: {arguments.out}")
    return code
