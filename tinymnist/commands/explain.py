"""``tinymnist explain``: what the recipe does to a picture, stage by stage."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinymnist.commands.output import (
    add_json_argument,
    add_model_argument,
    check_outputs,
    print_json,
)
from tinymnist.reporting.text import percent, table

EXAMPLES = """\
examples:
  tinymnist explain photo.jpg                          each stage in words
  tinymnist explain photo.jpg --out stages.png         and in pictures
  tinymnist explain photo.jpg --skip background        what happens without a stage
  tinymnist explain photo.jpg --upright                with the slant corrected

exit codes: 0 explained, 2 no picture, or no digit on it
"""

STAGES = ("polarity", "background", "noise", "threshold", "rules", "components", "box", "centre")
"""What ``--skip`` takes; a test compares it with the recipe's own list."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("picture", metavar="PICTURE", help="a picture of one digit")
    parser.add_argument("--out", type=Path, metavar="FILE.png", help="draw the stages in a row")
    parser.add_argument(
        "--skip", action="append", default=[], choices=STAGES, help="leave a stage out; repeatable"
    )
    parser.add_argument("--upright", action="store_true", help="also correct the digit's slant")
    add_model_argument(parser)
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Explain in words, and in pictures if asked."""
    from tinymnist.explanation import draw_explanation, explain
    from tinymnist.reader import Reader
    from tinymnist.reporting.figures import picture_format, save_figure

    if arguments.out:
        picture_format(arguments.out)
        check_outputs({"--out": arguments.out}, [arguments.picture, arguments.model])
    skip = [*arguments.skip, *([] if arguments.upright else ["slant"])]
    explanation = explain(Path(arguments.picture), Reader(arguments.model), skip)
    if arguments.out:
        save_figure(draw_explanation(explanation), arguments.out)
    prediction = explanation.prediction
    if arguments.json:
        stages = [{"stage": step.name, "note": step.note} for step in explanation.steps]
        print_json(
            {
                "file": arguments.picture,
                "stages": stages,
                "digit": prediction.digit,
                "confidence": round(prediction.confidence, 6),
            }
        )
        return 0
    print(table([(step.name, step.note) for step in explanation.steps], left=2))
    print(f"\nread as {prediction.digit}, confidence {percent(prediction.confidence)}")
    if arguments.out:
        print(f"drawn in {arguments.out}")
    return 0
