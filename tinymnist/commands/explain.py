"""``tinymnist explain``: what the recipe does to a picture, stage by stage."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinymnist.commands import Declared, add_options, show
from tinymnist.reporting.text import percent, table

EXAMPLES = """\
examples:
  tinymnist explain photo.jpg                          each stage in words
  tinymnist explain photo.jpg --out stages.png         and in pictures
  tinymnist explain photo.jpg --out photo.html         every number, in a page that opens from disk
  tinymnist explain photo.jpg --skip background        what happens without a stage
  tinymnist explain photo.jpg --upright                with the slant corrected

exit codes: 0 explained, 2 no picture, or no digit on it
"""

STAGES = ("polarity", "background", "noise", "threshold", "rules", "components", "box", "centre")
"""What ``--skip`` takes; a test compares it with the recipe's own list."""


def add_explain(parser: argparse.ArgumentParser) -> Declared:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("picture", metavar="PICTURE", help="a picture of one digit")
    drawn = "FILE.png: the stages in a row; FILE.html: a page with every stage, layer and number"
    add("--out", type=Path, metavar="FILE", help=drawn)
    add("--skip", action="append", default=[], choices=STAGES, help="leave a stage out; repeatable")
    add("--upright", action="store_true", help="also correct the digit's slant")
    add_options(parser, "--model", "--json")
    return EXAMPLES, _run


def _run(arguments: argparse.Namespace) -> int:
    """Explain in words, and in pictures if asked."""
    from tinymnist.commands.outputs import Kind, check_outputs
    from tinymnist.explanation import draw_explanation, explain
    from tinymnist.reader import Reader
    from tinymnist.reporting.figures import picture_format, save_figure

    if arguments.out:
        is_page = arguments.out.suffix.lower() == ".html"
        if not is_page:
            picture_format(arguments.out)
        kind = Kind.PAGE if is_page else Kind.PICTURE
        check_outputs({"--out": (kind, arguments.out)}, [arguments.picture, arguments.model])
    skip = [*arguments.skip, *([] if arguments.upright else ["slant"])]
    explanation = explain(Path(arguments.picture), Reader(arguments.model), skip)
    digit, confidence = explanation.prediction.digit, explanation.prediction.confidence
    stages = [(step.name, step.note) for step in explanation.steps]
    note = explanation.prediction.note
    text = f"{table(stages, left=2)}\n\nread as {digit}, confidence {percent(confidence)}"
    text += f": {note}" * bool(note)
    if arguments.out:
        if arguments.out.suffix.lower() == ".html":
            _write_page(arguments)
        else:
            save_figure(draw_explanation(explanation), arguments.out)
        text += f"\ndrawn in {arguments.out}"
    record = {
        "file": arguments.picture,
        "stages": [{"stage": name, "note": note} for name, note in stages],
        "digit": digit,
        "confidence": round(confidence, 6),
        **({"note": note} if note else {}),
    }
    return show(arguments, record, text)


def _write_page(arguments: argparse.Namespace) -> None:
    """The page shows every stage, and each left out: ``--skip`` does not change it."""
    from tinymnist.reader import Reader
    from tinymnist.reporting.html import write_page
    from tinymnist.web.onefile import one_file

    source = Path(arguments.picture)
    write_page(one_file(source, Reader(arguments.model), source.name), arguments.out)
