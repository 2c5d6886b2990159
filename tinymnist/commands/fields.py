"""``tinymnist fields``: the boxes of a blank form, as a file for ``tinymnist read --fields``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tinymnist.commands import Declared, add_options, show

EXAMPLES = """\
examples:
  tinymnist fields blank.png                           the boxes that are found, in words
  tinymnist fields blank.png --out form.json           as a file: rename and delete as you like
  tinymnist fields blank.png --out form.json --draw boxes.png
                                                       and drawn on the form, with their names
  tinymnist read scans/ --fields form.json --csv       then read them from every scan

exit codes: 0 found, 2 no picture, or no boxes on it
"""


def add_fields(parser: argparse.ArgumentParser) -> Declared:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("picture", metavar="PICTURE", help="a blank form, or a filled one")
    add("--out", type=Path, metavar="FILE.json", help="write the fields to this file")
    add("--draw", type=Path, metavar="FILE.png", help="draw the fields on the form")
    add_options(parser, "--json")
    return EXAMPLES, _run


def _run(arguments: argparse.Namespace) -> int:
    """Find boxes, print them, and write and draw them if asked."""
    from tinymnist.commands.outputs import Kind, check_outputs
    from tinymnist.errors import InputError
    from tinymnist.files import whole_file
    from tinymnist.forms import as_json, propose_fields
    from tinymnist.imaging.page.annotate import annotate, upright_picture
    from tinymnist.reporting.figures import picture_format, save_figure

    if arguments.draw is not None:
        picture_format(arguments.draw)
        check_outputs({"--draw": (Kind.PICTURE, arguments.draw)}, [arguments.picture])
    if arguments.out is not None and arguments.out.exists():
        raise InputError(f"{arguments.out} exists; it may have been edited: choose another name")
    fields = propose_fields(Path(arguments.picture))
    record = as_json(fields)
    if arguments.out is not None:
        with whole_file(arguments.out) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if arguments.draw is not None:
        picture = upright_picture(Path(arguments.picture))
        sides = (*picture.size, *picture.size)
        boxes = []
        for field in fields:
            left, top, right, bottom = (
                round(share * side) for share, side in zip(field.box, sides, strict=True)
            )
            boxes.append((left, top, right, bottom))
        save_figure(annotate(picture, boxes, [field.name for field in fields]), arguments.draw)
    lines = [
        f"{field.name}: {'any number of' if field.length is None else field.length} digits at "
        + ", ".join(f"{share:.3f}" for share in field.box)
        for field in fields
    ]
    return show(arguments, {"file": arguments.picture, **record}, "\n".join(lines))
