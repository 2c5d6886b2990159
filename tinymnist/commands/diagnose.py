"""``tinymnist diagnose``: why a network fails on your pictures, and what to do about it."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from tinymnist import commands

EXAMPLES = """\
examples:
  tinymnist diagnose my-digits/                        why, in words; labelled or not
  tinymnist diagnose photo.jpg                         of one picture
  tinymnist diagnose my-digits/ --out report.html      with pictures and charts
  tinymnist diagnose my-digits/ --model keras-cnn      for the tutorials' network
  tinymnist diagnose set.npz --limit 500 --json        part of a large set, for machines

Labelled pictures (as for evaluate) are measured by accuracy; others by whether they are read as
the full recipe reads them. It takes about 40 ms per picture and core.
exit codes: 0 measured, 1 measured, but some pictures could not be read, 2 nothing to measure
"""


def add_diagnose(parser: argparse.ArgumentParser) -> commands.Declared:
    """Declare the command's arguments."""
    add = parser.add_argument
    what = f"{commands.SET_HELP}; or a picture, or any folder or archive, without labels"
    add("set", metavar="SET|PICTURE", help=what)
    what = "insist on labels, or ignore them; default: use them if there are any"
    add("--labels", action=argparse.BooleanOptionalAction, help=what)
    add("--out", type=Path, metavar="FILE.html", help="write a report")
    what = "draw N pictures at random, the same each time"
    add("--limit", type=commands.COUNT, metavar="N", help=what)
    commands.add_options(parser, "--model", "--workers", "--json")
    return EXAMPLES, _run


def _run(arguments: argparse.Namespace) -> int:
    """Measure, print, and write the report."""
    from tinymnist.commands.outputs import Kind, check_outputs
    from tinymnist.diagnosis.advice import advise
    from tinymnist.diagnosis.diagnose import diagnose, open_pictures
    from tinymnist.diagnosis.text import as_record, as_text
    from tinymnist.labelled import named_failures
    from tinymnist.reader import Reader

    reader = Reader(arguments.model, "mnist")
    pictures = open_pictures(arguments.set, reader, arguments.labels, arguments.limit)
    files = [source for source in pictures.sources if isinstance(source, Path)]
    kind_of_out = {"--out": (Kind.PAGE, arguments.out)}
    check_outputs(kind_of_out, [arguments.set, arguments.model, *files])
    with closing(commands.Counter(len(pictures.sources))) as counter:
        diagnosis = diagnose(pictures, reader, counter.tick, arguments.workers)
    failures = named_failures(pictures.name_of, diagnosis.failures)
    commands.report_failures(failures, "counted as wrong")
    advice = advise(diagnosis)
    text = as_text(diagnosis, advice)
    if arguments.out:
        from tinymnist.diagnosis.report import write_report

        write_report(diagnosis, advice, arguments.out)
        text += f"\n\nreport: {arguments.out}"
    return commands.show(arguments, as_record(diagnosis, advice), text, failures)
