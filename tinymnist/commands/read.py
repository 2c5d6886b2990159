"""``tinymnist predict`` and ``read``: one digit from each picture, or all digits on it."""

from __future__ import annotations

import argparse
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, nullcontext
from functools import partial
from itertools import chain, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from tinymnist.commands import (
    COUNT,
    SHARE,
    Counter,
    Declared,
    add_options,
    print_json,
    warn,
)
from tinymnist.errors import InputError
from tinymnist.files import is_picture
from tinymnist.reporting.text import count, percent, printable, say
from tinymnist.sources import SAMPLES, Inputs, Named

if TYPE_CHECKING:
    from pathlib import Path

    from tinymnist.adapter import Prediction
    from tinymnist.commands.records import ResultFile
    from tinymnist.pages import Page
    from tinymnist.reader import Reader

_DOUBTFUL = 0.9
"""Results below this confidence count as doubtful on the progress line, without ``--below``."""
_MOST_NAMED = 5
"""Failures that are named on standard error if all of them are in the results."""
_SOURCES = (
    "picture files, folders, .zip, .tar(.gz), .npz, .npy, IDX, TIFF with pages, PDF (needs "
    "pypdfium2), or - for standard input"
)


Use = Callable[[str, Any, Any], None]
"""What is done with a name, its source, and what was found, if it is to be printed."""


class _Kind(NamedTuple):
    """What ``predict`` and ``read`` do differently with what they find on a picture."""

    find: Callable[[Iterable[Any]], Generator[Any]]
    confidence: Callable[[Any], float]
    record: Callable[[Any], dict[str, Any]]
    columns: tuple[str, ...]
    row: Callable[[Any], tuple[object, ...]]
    text: Callable[[str, Any], str]
    by: Callable[[], str]
    grids: Callable[[Any], list[list[list[str]]]] = lambda found: []


def add_predict(parser: argparse.ArgumentParser) -> Declared:
    """Declare ``predict``."""
    what = f"{_SOURCES}; none: the sample pictures that come with tinymnist"
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help=what)
    add_options(parser, "--model", "--recipe", "--json", "--workers")
    _add_result_options(parser)
    what = "let dask's workers read: its scheduler's address, or local for some on this machine"
    parser.add_argument("--dask", metavar="ADDRESS", help=what)
    what = "copy every picture to DIR/<digit>/; with --below, only the doubtful ones"
    parser.add_argument("--sort-into", metavar="DIR", help=what)
    examples = """\
examples:
  tinymnist predict                                    the sample pictures that come with it
  tinymnist predict 7.png scans/ more.zip              files, folders and archives of pictures
  cat 7.png | tinymnist predict -                      a picture from standard input
  tinymnist predict --json *.jpg > digits.jsonl        for machines
  tinymnist predict scans/ --out scans.jsonl --resume  200,000 pictures, continued if interrupted
  tinymnist predict scans/ --out scans.jsonl --dask scheduler:8786
                                                       by a cluster's workers, with the same results
  tinymnist predict scans/ --below 0.9 --sort-into look-at/
                                                       only what the network is not sure of
  tinymnist predict --recipe resize --model keras-cnn my.jpg
                                                       what the tutorials do, and how it fails

exit codes: 0 all read, 1 some pictures could not be read, 2 nothing could be read
"""
    return examples, _predict


def add_read(parser: argparse.ArgumentParser) -> Declared:
    """Declare ``read``."""
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help=_SOURCES)
    add_options(parser, "--model", "--json", "--workers")
    parser.add_argument(
        "--annotate",
        metavar="OUT",
        help="draw what was read on the picture, green if certain and red if not, and write it to "
        "this file, or for several pictures into this folder",
    )
    add = parser.add_argument
    what = "read only these places of a form, one line each; tinymnist fields proposes such a file"
    add("--fields", metavar="FORM.json", help=what)
    add("--line", action="store_true", help="each picture is one row of digits and nothing else")
    what = "each picture, or field without its own, holds this many digits; implies --line"
    add("--length", type=COUNT, metavar="N", help=what)
    what = "each picture, or field without its own, holds only these, as 0-3 or 0127"
    add("--allow", metavar="DIGITS", default="", help=what)
    what = "put _ for every mark in a row that was not read, such as an operator"
    parser.add_argument("--show-skipped", action="store_true", help=what)
    _add_result_options(parser)
    examples = """\
examples:
  tinymnist read letter.jpg                            all digits, one row per line
  tinymnist read scans/ --fields form.json --csv       named places of a form, a column for each
  tinymnist read table.png --csv > table.csv           a table, cell by cell
  tinymnist read code.png --length 4 --allow 0-5       the likeliest string that fits
  tinymnist read sum.png --show-skipped                12_7_5 for 12 + 7 = 5
  tinymnist read scans/ --json > digits.jsonl          with confidences and boxes, for machines
  tinymnist read forms.pdf --out forms.jsonl --resume  every page, continued if interrupted
  tinymnist read letter.jpg --annotate out.png         see what was read where
  tinymnist read scans/ --annotate seen/               the same, one picture for each page
  cat letter.jpg | tinymnist read -                    a picture from standard input

Tables, sudokus and boxes are read cell by cell: in the text, columns are aligned and . is an empty
cell; in --json they are in "grids", and "skipped" has what was not read and why. A box is left,
top, right, bottom in pixels of the picture as displayed upright.
exit codes: 0 all read, 1 some pictures could not be read, 2 nothing could be read
"""
    return examples, _read


def _add_result_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    what = "read what this file names too, one on each line; - for standard input"
    add("--files-from", metavar="LIST", help=what)
    what = "print a table of comma-separated values; read: of one picture with grids, their cells"
    add("--csv", action="store_true", help=what)
    what = "also write a line of JSON for every input, failures included, as soon as it is read"
    add("--out", metavar="FILE.jsonl", help=what)
    add("--resume", action="store_true", help="continue --out, without what is in it")
    what = "print only what is read with less confidence, and what cannot be read"
    add("--below", type=SHARE, metavar="SHARE", help=what)


def _predict(arguments: argparse.Namespace) -> int:
    from tinymnist.reader import Reader

    reader = Reader(arguments.model, arguments.recipe)
    inputs = Inputs(arguments.pictures, arguments.files_from)
    if not arguments.pictures and not arguments.files_from:
        samples = f"no picture given; these are the samples in {SAMPLES}"
        warn(f"{samples} (tinymnist --help lists what else there is)")
        inputs = Inputs([SAMPLES], below=SAMPLES)
    width = 0
    if not (arguments.json or arguments.csv):
        _, width = inputs.outline()
    heading = f"{'file'.ljust(width)}  digit  confidence  runner-up\n"

    def text(name: str, found: Prediction) -> str:
        nonlocal heading
        second, share = found.runner_up
        figures = (
            f"{found.digit!s:>5}  {percent(found.confidence):>10}  {second} ({percent(share)})"
        )
        line, heading = f"{heading}{name.ljust(width)}  {figures}", ""
        return f"{line}  {found.note}".rstrip()

    find = partial(reader.predict_many, workers=arguments.workers)
    if arguments.dask is not None:
        from tinymnist.engines import predict_on_dask

        find = partial(predict_on_dask, reader, address=arguments.dask, workers=arguments.workers)
    kind = _Kind(
        find,
        attrgetter("confidence"),
        _prediction_record,
        ("digit", "confidence", "runner_up", "runner_up_confidence"),
        lambda found: (found.digit, round(found.confidence, 6), *found.runner_up),
        text,
        partial(_describe, "predict", reader),
    )
    if arguments.sort_into is None:
        return _run(arguments, inputs, kind)
    from pathlib import Path

    from tinymnist.commands.records import check_sorted_folder, copy_sorted

    folder = Path(arguments.sort_into)
    check_sorted_folder(folder, arguments.pictures)

    def copy(name: str, source: Any, found: Prediction) -> None:
        copy_sorted(name, source, str(found.digit), folder)

    return _run(arguments, inputs, kind, copy)


def _prediction_record(found: Prediction) -> dict[str, Any]:
    probabilities = [round(float(p), 6) for p in found.probabilities]
    return {
        "digit": found.digit,
        "confidence": round(found.confidence, 6),
        "probabilities": probabilities,
        "class_names": list(found.class_names),
        **({"note": found.note} if found.note else {}),
    }


def _read(arguments: argparse.Namespace) -> int:
    from tinymnist.reader import Reader

    if not arguments.pictures and not arguments.files_from:
        raise InputError("no picture given; see tinymnist read --help")
    reader = Reader(arguments.model)
    inputs: Iterable[Named] = Inputs(arguments.pictures, arguments.files_from)
    drawings: dict[str, Path] = {}
    if arguments.annotate is not None:
        from tinymnist.commands.outputs import Kind, check_outputs

        inputs = list(inputs)  # their number decides what --annotate names
        names = [name for name, _ in inputs]
        drawings = _drawings(arguments.annotate, names)
        pictures = {"--annotate": (Kind.PICTURE, list(drawings.values()))}
        check_outputs(pictures, [arguments.model, *names])

    def text(name: str, page: Page) -> str:
        if page.turned:
            warn(f"{name}: turned by {page.turned} degrees to the left to stand upright")
        margin = " " * (len(name) + 2)
        shown = page.text
        if arguments.show_skipped and page.marked is not None:
            shown = "\n".join(page.marked)
        return f"{name}  " + shown.replace("\n", f"\n{margin}")

    def least(page: Page) -> float:
        return min((digit.confidence for digit in page.digits), default=1.0)  # of an empty table

    if arguments.fields is not None:
        return _run(arguments, inputs, _fields_kind(arguments, reader))
    find: Callable[[Iterable[Any]], Generator[Any]]
    find = partial(reader.read_many, workers=arguments.workers)
    if arguments.line or arguments.length or arguments.allow:
        from tinymnist.forms import expand_digits

        allow = expand_digits(arguments.allow)
        find = partial(_each, lambda source: reader.read_line(source, arguments.length, allow))
    kind = _Kind(
        find,
        least,
        _page_record,
        ("text", "digits", "least_confidence"),
        lambda page: (page.text.replace("\n", "/"), len(page.digits), round(least(page), 6)),
        text,
        partial(_describe, "read", reader),
        lambda page: [grid.table for grid in page.grids],
    )

    def draw(name: str, source: Any, page: Page) -> None:
        if name in drawings:
            _annotate(source, page, drawings[name])

    return _run(arguments, inputs, kind, draw)


def _each(read: Callable[[Any], Any], sources: Iterable[Any]) -> Generator[Any]:
    """What is read from each source, or the error."""
    for source in sources:
        try:
            if isinstance(source, InputError):
                raise source
            yield read(source)
        except InputError as error:
            yield error


def _fields_kind(arguments: argparse.Namespace, reader: Reader) -> _Kind:
    """What ``read --fields`` finds: the fields of each scan, in a column of the table each."""
    from dataclasses import replace

    from tinymnist.forms import FieldText, expand_digits, load_fields, read_fields

    if arguments.annotate is not None:
        raise InputError("--annotate draws whole pages; it cannot be used with --fields")
    allow = expand_digits(arguments.allow)
    fields = [
        replace(field, length=field.length or arguments.length, allow=field.allow or allow)
        for field in load_fields(arguments.fields)
    ]

    def record(found: list[FieldText]) -> dict[str, Any]:
        return {
            "fields": {
                one.name: {
                    "text": one.text,
                    "confidence": round(one.confidence, 6),
                    "box": list(one.box),
                }
                for one in found
            }
        }

    def least(found: list[FieldText]) -> float:
        return min((one.confidence for one in found), default=1.0)

    return _Kind(
        partial(_each, lambda source: read_fields(reader, source, fields)),
        least,
        record,
        (*(field.name for field in fields), "least_confidence"),
        lambda found: (*(one.text for one in found), round(least(found), 6)),
        lambda name, found: f"{name}  " + "  ".join(f"{one.name}: {one.text}" for one in found),
        partial(_describe, "read --fields", reader),
    )


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
    skipped = [{"box": list(one.box), "why": one.why} for one in page.skipped]
    found = {"text": page.text, "digits": digits, "grids": grids, "turned": page.turned}
    return {**found, "skipped": skipped}


def _run(
    arguments: argparse.Namespace,
    inputs: Iterable[Named],
    kind: _Kind,
    use: Use | None = None,
) -> int:
    """Read all pictures, and print, write and use what is found on each as soon as it is.

    Returns:
        The exit code: 1 when some pictures could not be read, else 0.

    Raises:
        InputError: when none could.
    """
    if arguments.json and arguments.csv:
        raise InputError("--json and --csv are two forms of the same; choose one")
    if arguments.out is None and not arguments.resume:
        return _Results(arguments, kind, use, None).collect(inputs)
    from tinymnist.commands.records import result_file

    with result_file(arguments.out, arguments.resume, kind.by()) as file:
        return _Results(arguments, kind, use, file).collect(inputs)


def _describe(command: str, reader: Reader) -> str:
    """What reads the pictures, so that results of different models are not mixed."""
    from tinymnist.nn.weights import fingerprint

    return f"{command} {reader.model.name} {reader.recipe} {fingerprint(reader.model)[:12]}"


class _Results:
    """What was found so far, and where it goes."""

    def __init__(
        self, arguments: argparse.Namespace, kind: _Kind, use: Use | None, file: ResultFile | None
    ) -> None:
        self.arguments, self.kind, self.use, self.file = arguments, kind, use, file
        self.known = self.read = self.doubtful = 0
        self.failures: list[str] = []
        self.counter: Counter | None = None
        self._named = 0
        self._is_alone = False  # whether there is only one picture
        self._on_terminal = sys.stdout is not None and sys.stdout.isatty()
        self._waiting: deque[Named] = deque()
        self._columns: tuple[object, ...] = ("file", *kind.columns, "error")

    def collect(self, inputs: Iterable[Named]) -> int:
        """Read everything; returns and raises what :func:`_run` does."""
        from tinymnist.reader import MANY

        if sys.stderr is not None and sys.stderr.isatty():
            total = inputs.outline()[0] if isinstance(inputs, Inputs) else len(list(inputs))
            self.counter = Counter(total)
        # How a few are rounded depends on all inputs, with those that --resume leaves out. Names
        # on standard input may come one by one, and each wants its answer.
        stream = iter(inputs)
        is_list = not (isinstance(inputs, Inputs) and inputs.has_list)
        first = list(islice(stream, MANY if is_list else 0))
        self._is_alone = len(first) == 1
        sources: Iterable[Any] = self._sources(chain(first, stream))
        if is_list and len(first) < MANY:
            sources = list(sources)
        try:
            with closing(self.kind.find(sources)) as results:
                for found in results:
                    self._take(*self._waiting.popleft(), found)
        except KeyboardInterrupt:
            if self.file is not None:
                warn(f"the results so far are in {self.file.path}; continue with --resume")
            raise
        finally:
            if self.counter is not None:
                self.counter.close()
        if isinstance(inputs, Inputs) and inputs.skipped:
            warn(f"{inputs.describe_skipped()}: skipped")
        failed = len(self.failures)
        if failed and not self.read and not self.known:
            raise InputError(self.failures[0] if failed == 1 else "no picture could be read")
        if failed or self.file is not None:
            self._report()
        return 1 if failed else 0

    def _sources(self, inputs: Iterable[Named]) -> Iterator[Any]:
        """What is to be read; the names wait for the results."""
        for name, source in inputs:
            if self.file is not None and name in self.file.names:
                self.known += 1
                if self.counter is not None:
                    self.counter.tick()
            else:
                self._waiting.append((name, source))
                yield source

    def _take(self, name: str, source: Any, found: Any) -> None:
        """Use, write and print one result, or failure."""
        arguments, is_wanted, error = self.arguments, True, ""
        if isinstance(found, InputError):
            error = str(found).removeprefix("picture from bytes: ")
            self.failures.append(error if name in error else f"{name}: {error}")
        else:
            confidence, below = self.kind.confidence(found), arguments.below
            self.read += 1
            self.doubtful += confidence < (_DOUBTFUL if below is None else below)
            is_wanted = below is None or confidence < below
            if is_wanted and self.use is not None:
                self.use(name, source, found)
        record: dict[str, Any] = {"file": name, "error": error}
        if not error and (arguments.json or self.file is not None):
            record = {"file": name, **self.kind.record(found)}
        if self.file is not None:
            self.file.write(record)
        if len(self.failures) > self._named and (self.read or len(self.failures) > 1):
            self._name_failures()  # the only picture's failure ends the command
        with self.counter.aside() if self.counter and self._on_terminal else nullcontext():
            if is_wanted and arguments.json:
                print_json(record)
            elif is_wanted and arguments.csv:
                if self._is_alone and not error and (grids := self.kind.grids(found)):
                    self._print_grids(grids)
                else:
                    cells = ("",) * len(self.kind.columns) if error else self.kind.row(found)
                    self._print_row((name, *cells, error))
            elif is_wanted and not error:
                say(self.kind.text(printable(name), found))
        if self.counter is not None:
            notes = {"doubtful": self.doubtful, "failed": len(self.failures)}
            self.counter.tick(1, "".join(f", {n:,} {what}" for what, n in notes.items() if n))

    def _name_failures(self) -> None:
        """Name new failures on standard error; only the first if the results have all of them."""
        has_all = self.arguments.json or self.arguments.csv or self.file is not None
        for line in self.failures[self._named : _MOST_NAMED if has_all else None]:
            self._named += 1
            with self.counter.aside() if self.counter else nullcontext():
                warn(line)

    def _print_grids(self, grids: list[list[list[str]]]) -> None:
        """Print the cells of a page's grids, with an empty line between two grids."""
        self._columns = ()  # their columns have no names
        for number, grid in enumerate(grids):
            for row in [[], *grid] if number else grid:
                self._print_row(tuple(row))

    def _print_row(self, row: tuple[object, ...]) -> None:
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        if self._on_terminal:
            row = tuple(printable(str(cell), keep="\n") for cell in row)
        if self._columns:
            writer.writerow(self._columns)
            self._columns = ()
        writer.writerow(row)
        sys.stdout.flush()

    def _report(self) -> None:
        """Name the failures that have not been named yet, and report the counts."""
        self._name_failures()
        failed = len(self.failures)
        if (more := failed - self._named) > 0:
            warn(f"and {more:,} more that could not be read")
        if self.file is not None:
            counts = {"read": self.read, "doubtful": self.doubtful, "failed": failed}
            counts |= {"read before": self.known} if self.known else {}
            summary = ", ".join(f"{n:,} {what}" for what, n in counts.items())
            warn(f"{summary}: {self.file.path}")


def _drawings(out: str | None, names: list[str]) -> dict[str, Path]:
    """The file of each annotated picture, by the picture's name; the folder is made if needed.

    If a name occurs again, its file is numbered: 7.png, 7-2.png, ...
    """
    if out is None:
        return {}
    from pathlib import Path

    from tinymnist.reporting.figures import picture_format

    place = Path(out)
    is_folder = place.is_dir() or out.endswith(("/", os.sep))
    if len(names) == 1 and not is_folder:
        picture_format(place)
        return {names[0]: place}
    if is_picture(out) and not is_folder:
        rule = f"--annotate {out} is one picture, and there are {count(len(names), 'input')}"
        raise InputError(f"{rule}; expected the name of a folder")
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


def _annotate(source: Any, page: Page, out: Path) -> None:
    from tinymnist.imaging.page.annotate import annotate, frame_cells, upright_picture
    from tinymnist.reporting.figures import save_figure

    boxes, labels = [d.box for d in page.digits], [str(d.digit) for d in page.digits]
    confidences = [d.confidence for d in page.digits]
    cells = [cell.box for grid in page.grids for cell in grid.cells]
    picture = frame_cells(upright_picture(source), cells)
    save_figure(annotate(picture, boxes, labels, confidences), out)
