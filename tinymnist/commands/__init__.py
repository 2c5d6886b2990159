"""The subcommands of ``tinymnist``, and what they share: options, checks, messages, progress.

Each has a function ``add_COMMAND(parser)``, which declares its arguments and returns the examples
for its help and the function that runs it. That imports what it needs.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from tinymnist.reporting.text import count, percent, say, show_progress, table

if TYPE_CHECKING:
    from tinymnist.data import LabelledSet
    from tinymnist.labelled import LabelledPictures

Declared = tuple[str, Callable[[argparse.Namespace], int]]
"""Examples for a command's help, and the function that runs it and returns the exit code."""


def number(
    kind: Callable[[str], Any], expected: str, fits: Callable[[Any], bool], text: str
) -> Any:
    """A number of a kind that fits, for argparse; for any other, an error says what is expected."""
    with suppress(ValueError):
        if fits(value := kind(text)):
            return value
    raise argparse.ArgumentTypeError(f"must be {expected}, not {text!r}")


COUNT = partial(number, int, "a whole number, at least 1", lambda value: value >= 1)
NATURAL = partial(number, int, "a whole number, at least 0", lambda value: value >= 0)
NOT_NEGATIVE = partial(number, float, "a number, at least 0", lambda value: 0 <= value < math.inf)
SHARE = partial(number, float, "a number in 0..1", lambda value: 0 <= value <= 1)
BELOW_ONE = partial(number, float, "a number from 0 to below 1", lambda value: 0 <= value < 1)
RECIPES = ("mnist", "resize", "none")
SET_HELP = (
    "mnist-test, mnist-train, mnist-sample (1,000 pictures that ship with tinymnist), a folder "
    "with one folder per class or with a labels.csv (columns file,label), a .zip or .tar of such a "
    "folder, or an .npz with images and labels"
)
"""What a command says of an argument SET."""
_OPTIONS: dict[str, dict[str, Any]] = {
    "--model": {
        "default": "mnist-cnn",
        "metavar": "NAME|FILE",
        "help": "a shipped model (mnist-cnn, keras-cnn, lenet5, mlp) or a weights file; "
        "default: mnist-cnn",
    },
    "--recipe": {
        "choices": RECIPES,
        "help": "how a picture becomes 28x28: 'mnist' brings it to MNIST's own form, 'resize' "
        "does what tutorials do, 'none' takes it as it is",
    },
    "--workers": {
        "type": COUNT,
        "metavar": "N",
        "help": "processes that prepare pictures, if there are many; default: one per core",
    },
    "--quiet": {"action": "store_true", "help": "show no progress"},
    "--json": {"action": "store_true", "help": "print JSON, one object per line"},
}
_MOST_NAMED = 5


def add_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Declare options that several commands have."""
    for name in names:
        parser.add_argument(name, **_OPTIONS[name])


def chosen(arguments: argparse.Namespace, names: str) -> dict[str, Any]:
    """The values of some arguments by their names, which are separated by spaces."""
    return {name: getattr(arguments, name) for name in names.split()}


def prepare(
    labelled: LabelledSet,
    recipe: str | None = None,
    default: str = "mnist",
    workers: int | None = None,
) -> LabelledPictures:
    """:func:`tinymnist.labelled.prepare_set` that shows progress and names unreadable pictures."""
    from tinymnist.labelled import prepare_set

    with closing(Counter(len(labelled.labels))) as counter:
        pictures = prepare_set(labelled, recipe, default, tick=counter.tick, workers=workers)
    report_failures(pictures.failures)
    return pictures


def report_failures(failures: Mapping[str, str], fate: str = "left out") -> None:
    """Name the first pictures that could not be read on standard error, and count the others."""
    lines = list(failures.values())
    for line in lines[:_MOST_NAMED]:
        warn(f"{fate}: {line}")
    if len(lines) > _MOST_NAMED:
        warn(f"{fate}: and {len(lines) - _MOST_NAMED:,} more that could not be read")


def show(
    arguments: argparse.Namespace,
    record: Mapping[str, Any],
    text: str,
    failures: Mapping[str, str] | None = None,
) -> int:
    """Print what was found: ``record`` with ``--json``, else ``text``.

    Returns:
        The exit code: 1 if some pictures of a set could not be read, else 0. JSON lists them all.
    """
    if arguments.json and failures is not None:
        listed = [{"picture": name, "error": line} for name, line in failures.items()]
        print_json({**record, "failures": listed})
    elif arguments.json:
        print_json(record)
    else:
        say(text)
    return 1 if failures else 0


def confusion_table(
    names: Sequence[str],
    confusion: Iterable[Iterable[int]],
    further: Mapping[str, Sequence[float | None]] | None = None,
) -> str:
    """Counts of what the classes were taken for, with shares for each class as further columns."""
    columns = further or {}
    rows: list[tuple[str, ...]] = [("", *names, *columns)]
    for name, counts, *shares in zip(names, confusion, *columns.values(), strict=True):
        cells = (str(count) if count else "." for count in counts)
        rows.append((name, *cells, *(percent(share) for share in shares)))
    return "rows: what it is; columns: what it was taken for\n" + table(rows)


def print_json(record: Mapping[str, Any]) -> None:
    """One object on one line of standard output."""
    print(json.dumps(record), flush=True)


def warn(message: object) -> None:
    """One line on standard error, whatever characters a file's name may hold.

    If it cannot be written (a full disk), the work goes on without it.
    """
    with suppress(OSError):
        say(f"tinymnist: {' '.join(str(message).splitlines())}", sys.stderr)


class Counter:
    """A moving line "1,234 of 5,000 pictures, 980/s, 4 s left", on a terminal only."""

    def __init__(self, total: int | None, what: str = "picture") -> None:
        """Count up to ``total``; None if it is unknown."""
        self.total, self.what, self.done = total, what, 0
        self._began = self._painted = time.monotonic()
        self._line = ""

    def tick(self, more: int = 1, note: str = "") -> None:
        """Count some more; the note is added to the line."""
        self.done += more
        now = time.monotonic()
        if self.done == self.total:
            self.close()
        elif now - self._painted > 0.2:
            self._painted = now
            rate = self.done / (now - self._began)
            total, left = count(self.done, self.what), ""
            if self.total is not None:
                total = f"{self.done:,} of {count(self.total, self.what)}"
                left = f", {max(self.total - self.done, 0) / rate:.0f} s left"
            self._line = f"{total}, {rate:,.0f}/s{left}{note}"
            show_progress(self._line)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Clear the line for something else that is printed on the terminal in the block."""
        if self._line:
            show_progress("")
        yield
        if self._line:
            show_progress(self._line)

    def close(self) -> None:
        """Clear the line."""
        if self._line:
            self._line = ""
            show_progress("")
