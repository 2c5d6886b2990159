"""``tinymnist read``: all digits on each picture, in reading order."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinymnist.commands.output import (
    add_json_argument,
    add_model_argument,
    check_outputs,
    print_json,
)
from tinymnist.commands.sources import for_each, sources_of
from tinymnist.errors import InputError

if TYPE_CHECKING:
    from tinymnist.prediction import Page

EXAMPLES = """\
examples:
  tinymnist read letter.jpg                            all digits, one row per line
  tinymnist read scans/ --json > digits.jsonl          with confidences and boxes, for machines
  tinymnist read letter.jpg --annotate out.png         see what was read where
  tinymnist read scans/ --annotate seen/               the same, one picture for each page
  cat letter.jpg | tinymnist read -                    a picture from standard input

With --json, a box is left, top, right, bottom in pixels of the picture as displayed upright.
exit codes: 0 all read, 1 some pictures could not be read, 2 nothing could be read
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "pictures",
        nargs="+",
        metavar="PICTURE",
        help="picture files, folders of pictures, or - for standard input",
    )
    add_model_argument(parser)
    parser.add_argument(
        "--annotate",
        metavar="OUT",
        help="draw what was read on the picture, green if certain and red if not, and write it to "
        "this file, or for several pictures into this folder",
    )
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read every page; name those that cannot be read, and continue."""
    from tinymnist.reader import Reader

    reader = Reader(arguments.model)
    sources = sources_of(arguments.pictures)
    names = [name for name, _ in sources]
    drawings = _drawings(arguments.annotate, names)
    check_outputs({"--annotate": list(drawings.values())}, [arguments.model, *names])

    def read(name: str, source: Any) -> None:
        page = reader.read(source)
        _show(name, page, arguments.json)
        if name in drawings:
            _annotate(source, page, drawings[name])

    return for_each(sources, read)


def _show(name: str, page: Page, as_json: bool) -> None:
    if as_json:
        digits = [
            {"digit": d.digit, "confidence": round(d.confidence, 6), "box": list(d.box)}
            for d in page.digits
        ]
        print_json({"file": name, "text": page.text, "digits": digits})
        return
    margin = " " * (len(name) + 2)
    print(f"{name}  " + page.text.replace("\n", f"\n{margin}"), flush=True)


def _drawings(out: str | None, names: list[str]) -> dict[str, Path]:
    """The file of each annotated picture, by the picture's name; the folder is made if needed.

    Raises:
        InputError: when the folder cannot be made, or a single file does not end like a picture.
    """
    if out is None:
        return {}
    from tinymnist.reporting.figures import picture_format

    place = Path(out)
    if len(names) == 1 and not place.is_dir():
        picture_format(place)
        return {names[0]: place}
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{out}: cannot make this folder for {len(names)} annotated pictures: {error.strerror}"
        ) from None
    files = [place / f"{Path(name).stem.strip('-') or 'read'}.png" for name in names]
    return dict(zip(names, _distinct(files), strict=True))


def _distinct(files: list[Path]) -> list[Path]:
    """Number the files whose name occurred before: 7.png, 7-2.png, ..."""
    used: list[Path] = []
    for file in files:
        free, number = file, 1
        while free in used:
            number += 1
            free = file.with_stem(f"{file.stem}-{number}")
        used.append(free)
    return used


def _annotate(source: Any, page: Page, out: Path) -> None:
    from tinymnist.imaging.page.annotate import annotate
    from tinymnist.imaging.picture.original import upright_picture
    from tinymnist.reporting.figures import save_figure

    boxes, labels = [d.box for d in page.digits], [str(d.digit) for d in page.digits]
    confidences = [d.confidence for d in page.digits]
    save_figure(annotate(upright_picture(source), boxes, labels, confidences), out)
