"""``tinymnist predict`` and ``read``: one digit from each picture, or all digits on it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinymnist.commands import Declared, add_options, check_outputs, pictures_of, print_json, warn
from tinymnist.errors import InputError
from tinymnist.reporting.text import percent

if TYPE_CHECKING:
    from pathlib import Path

    from tinymnist.reader import Page

_SAMPLES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "samples")


def __getattr__(name: str) -> Path:
    """``SAMPLES``, the folder that ``benchmarks/samples.py`` painted; few need it as a path."""
    if name != "SAMPLES":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pathlib import Path

    return Path(_SAMPLES)


def add_predict(parser: argparse.ArgumentParser) -> Declared:
    """Declare ``predict``."""
    parser.add_argument(
        "pictures",
        nargs="*",
        metavar="PICTURE",
        help="picture files, folders of pictures, or - for standard input; "
        "none: the sample pictures that come with tinymnist",
    )
    add_options(parser, "--model", "--recipe", "--json")
    examples = """\
examples:
  tinymnist predict                                    the sample pictures that come with it
  tinymnist predict 7.png scans/                       files and folders of pictures
  cat 7.png | tinymnist predict -                      a picture from standard input
  tinymnist predict --json *.jpg > digits.jsonl        for machines
  tinymnist predict --recipe resize --model keras-cnn my.jpg
                                                       what the tutorials do, and how it fails

exit codes: 0 all read, 1 some pictures could not be read, 2 nothing could be read
"""
    return examples, _predict


def _predict(arguments: argparse.Namespace) -> int:
    from tinymnist.reader import Reader

    reader = Reader(arguments.model, arguments.recipe)
    if arguments.pictures:
        pictures = pictures_of(arguments.pictures)
    else:
        warn(f"no picture given; these are the samples in {_SAMPLES}")
        pictures = [(os.path.basename(name), file) for name, file in pictures_of([_SAMPLES])]
    width = max((len(name) for name, _ in pictures), default=0)
    heading = f"{'file'.ljust(width)}  digit  confidence  runner-up\n"

    def show(name: str, source: Any) -> None:
        nonlocal heading
        found = reader.predict(source)
        if arguments.json:
            probabilities = [round(float(p), 6) for p in found.probabilities]
            record = {"digit": found.digit, "confidence": round(found.confidence, 6)}
            print_json({"file": name, **record, "probabilities": probabilities})
            return
        second, share = found.runner_up
        figures = (
            f"{found.digit!s:>5}  {percent(found.confidence):>10}  {second} ({percent(share)})"
        )
        print(f"{heading}{name.ljust(width)}  {figures}")
        heading = ""

    return _for_each(pictures, show)


def add_read(parser: argparse.ArgumentParser) -> Declared:
    """Declare ``read``."""
    what = "picture files, folders of pictures, or - for standard input"
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help=what)
    add_options(parser, "--model")
    parser.add_argument(
        "--annotate",
        metavar="OUT",
        help="draw what was read on the picture, green if certain and red if not, and write it to "
        "this file, or for several pictures into this folder",
    )
    add_options(parser, "--json")
    examples = """\
examples:
  tinymnist read letter.jpg                            all digits, one row per line
  tinymnist read scans/ --json > digits.jsonl          with confidences and boxes, for machines
  tinymnist read letter.jpg --annotate out.png         see what was read where
  tinymnist read scans/ --annotate seen/               the same, one picture for each page
  cat letter.jpg | tinymnist read -                    a picture from standard input

Tables, sudokus and boxes are read cell by cell: in the text, columns are aligned and . is an empty
cell; in --json they are in "grids". With --json, a box is left, top, right, bottom in pixels of the picture as displayed upright.
exit codes: 0 all read, 1 some pictures could not be read, 2 nothing could be read
"""
    return examples, _read


def _read(arguments: argparse.Namespace) -> int:
    from tinymnist.reader import Reader

    reader = Reader(arguments.model)
    pictures = pictures_of(arguments.pictures)
    names = [name for name, _ in pictures]
    drawings = _drawings(arguments.annotate, names)
    check_outputs({"--annotate": list(drawings.values())}, [arguments.model, *names])

    def show(name: str, source: Any) -> None:
        page = reader.read(source)
        if arguments.json:
            print_json({"file": name, **_page_record(page)})
        else:
            margin = " " * (len(name) + 2)
            print(f"{name}  " + page.text.replace("\n", f"\n{margin}"), flush=True)
        if name in drawings:
            _annotate(source, page, drawings[name])

    return _for_each(pictures, show)


def _for_each(pictures: list[tuple[str, Any]], work: Callable[[str, Any], None]) -> int:
    """Call ``work(name, source)`` on every picture; name those that cannot be read, and continue.

    Returns:
        The exit code: 1 when some pictures could not be read, else 0.

    Raises:
        InputError: when none could.
    """
    failures: list[str] = []
    for name, source in pictures:
        try:
            work(name, source)
        except InputError as error:
            failures.append(str(error) if name in str(error) else f"{name}: {error}")
            if len(pictures) > 1:
                warn(failures[-1])
    if len(failures) == len(pictures):
        raise InputError(failures[0] if len(pictures) == 1 else "no picture could be read")
    return 1 if failures else 0


def _drawings(out: str | None, names: list[str]) -> dict[str, Path]:
    """The file of each annotated picture, by the picture's name; the folder is made if needed.

    If a name occurs again, its file is numbered: 7.png, 7-2.png, ...
    """
    if out is None:
        return {}
    from pathlib import Path

    from tinymnist.reporting.figures import picture_format

    place = Path(out)
    if len(names) == 1 and not place.is_dir():
        picture_format(place)
        return {names[0]: place}
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot make this folder: {error.strerror}") from None
    used: list[Path] = []
    for name in names:
        stem, number = Path(name).stem.strip("-") or "read", 1
        file = place / f"{stem}.png"
        while file in used:
            number += 1
            file = place / f"{stem}-{number}.png"
        used.append(file)
    return dict(zip(names, used, strict=True))


def _page_record(page: Page) -> dict[str, Any]:
    """What was read, for JSON."""
    digits = [
        {"digit": d.digit, "confidence": round(d.confidence, 6), "box": list(d.box)}
        for d in page.digits
    ]
    grids = [
        {
            "box": list(grid.box),
            "rows": grid.rows,
            "columns": grid.columns,
            "cells": [
                {
                    "row": cell.row,
                    "column": cell.column,
                    "text": cell.text,
                    "confidence": round(cell.confidence, 6),
                    "box": list(cell.box),
                }
                for cell in grid.cells
            ],
        }
        for grid in page.grids
    ]
    return {"text": page.text, "digits": digits, "grids": grids}


def _annotate(source: Any, page: Page, out: Path) -> None:
    from tinymnist.imaging.page.annotate import annotate, frame_cells, upright_picture
    from tinymnist.reporting.figures import save_figure

    boxes, labels = [d.box for d in page.digits], [str(d.digit) for d in page.digits]
    confidences = [d.confidence for d in page.digits]
    cells = [cell.box for grid in page.grids for cell in grid.cells]
    picture = frame_cells(upright_picture(source), cells)
    save_figure(annotate(picture, boxes, labels, confidences), out)
