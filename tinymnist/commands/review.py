"""``tinymnist review``: look at doubtful readings, correct them, and have them as labels."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinymnist.commands import SHARE, Declared, warn
from tinymnist.commands.serve import add_address, run_server
from tinymnist.errors import InputError
from tinymnist.reporting.text import count, say

EXAMPLES = """\
examples:
  tinymnist predict scans/ --out results.jsonl   read first
  tinymnist review results.jsonl --open          correct what is doubtful, in the browser
  tinymnist review results.jsonl --below 0.99    also what is a little doubtful
  tinymnist review results.jsonl --out review.html   one file, for a machine without tinymnist
  tinymnist finetune labels.csv --out my.npz     learn from the labels
  tinymnist evaluate labels.csv                  or measure on them

Keys: a digit sets the label, arrows move, space or enter accepts, x is not a digit, u undoes. Every
label is written to labels.csv at once, and the next start continues with what is there. Pictures
outside of its folder, in archives or on pages are copied to labels-pictures/ when they get a label.
exit codes: 0 ended by Ctrl-C, or written; 2 unusable records, or the port is taken
"""


def add_review(parser: argparse.ArgumentParser) -> Declared:
    """Declare the command's arguments."""
    add = parser.add_argument
    what = "what `predict --out` or `read --out` wrote"
    add("records", type=Path, metavar="RESULTS.jsonl", help=what)
    what = "show what was read with less confidence; default: 0.9"
    add("--below", type=SHARE, default=0.9, metavar="SHARE", help=what)
    what = "the table to write; default: labels.csv beside the records, or beside --out"
    add("--labels", type=Path, metavar="FILE.csv", help=what)
    add("--out", type=Path, metavar="FILE.html", help="write one HTML file instead of serving")
    add_address(parser)
    return EXAMPLES, _run


def _run(arguments: argparse.Namespace) -> int:
    """Serve, or write the page."""
    from tinymnist.commands.outputs import Kind, check_outputs
    from tinymnist.web.doubtful import read_records
    from tinymnist.web.labels import Labels

    records, out = arguments.records, arguments.out
    path = arguments.labels or (out or records).parent / "labels.csv"
    if out and path.absolute().parent != out.absolute().parent:
        raise InputError(f"{path} must lie beside {out}, as its names start from there")
    check_outputs({"--labels": (Kind.LABELS, path), "--out": (Kind.PAGE, out)}, [records])
    labels = Labels(path)
    doubtful = read_records(records, arguments.below)
    if not doubtful.items:
        least = f"each with a confidence of at least {arguments.below:g}"
        say(f"{count(doubtful.total, 'reading')}, {least}: there is nothing to review")
        return 0
    if out is None:
        from tinymnist.web.review import Review

        say(f"{count(len(doubtful.items), 'reading')} to review; labels go to {path}")
        return run_server(arguments, Review(doubtful, labels).routes)
    from tinymnist.reporting.html import write_page
    from tinymnist.web.review import MOST_IN_A_FILE, review_file

    write_page(review_file(doubtful, labels, f"review of {records.name}"), out)
    shown = min(len(doubtful.items), MOST_IN_A_FILE)
    if shown < len(doubtful.items):
        left = len(doubtful.items) - shown
        warn(f"{out} has the {shown:,} most doubtful; without --out, {left:,} more are shown")
    say(f"{count(shown, 'reading')} to review in {out}; put the labels beside it")
    return 0
