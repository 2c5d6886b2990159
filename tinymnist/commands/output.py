"""What the subcommands share: their common options, tables, JSON lines, and a progress line."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tinymnist.errors import InputError
from tinymnist.reporting.text import percent, table


def number(kind: Callable[[str], Any], expected: str, fits: Callable[[Any], bool]) -> Any:
    """A type for argparse: numbers of a kind that fit, and what was expected for any others."""

    def parse(text: str) -> Any:
        with suppress(ValueError):
            if fits(value := kind(text)):
                return value
        raise argparse.ArgumentTypeError(f"must be {expected}, not {text!r}")

    return parse


COUNT = number(int, "a whole number, at least 1", lambda value: value >= 1)
NATURAL = number(int, "a whole number, at least 0", lambda value: value >= 0)
NOT_NEGATIVE = number(float, "a number, at least 0", lambda value: 0 <= value < math.inf)
SHARE = number(float, "a number in 0..1", lambda value: 0 <= value <= 1)
BELOW_ONE = number(float, "a number from 0 to below 1", lambda value: 0 <= value < 1)


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """``--model``."""
    parser.add_argument(
        "--model",
        default="mnist-cnn",
        metavar="NAME|FILE",
        help="a shipped model (mnist-cnn, keras-cnn, lenet5, mlp) or a weights file; "
        "default: mnist-cnn",
    )


def add_reader_arguments(parser: argparse.ArgumentParser) -> None:
    """``--model``, ``--recipe`` and ``--json``."""
    add_model_argument(parser)
    parser.add_argument(
        "--recipe",
        choices=("mnist", "resize", "none"),
        help="how a picture becomes 28x28: 'mnist' brings it to MNIST's own form, 'resize' does "
        "what tutorials do, 'none' takes it as it is",
    )
    add_json_argument(parser)


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON, one object per line")


def check_outputs(
    outputs: Mapping[str, Path | Sequence[Path] | None],
    inputs: Iterable[str | Path | None] = (),
) -> None:
    """Make sure, before any work is done, that files can be written and nothing is lost by it.

    Args:
        outputs: one or several files by the option that names them; None for no file.
        inputs: what must not be overwritten; names that are not files do no harm.

    Raises:
        InputError: when an output has no name, no folder, a folder that cannot be written into,
            or the place of an input, of another output, or of something that is not a file.
    """
    import tempfile  # no command that only reads needs it

    taken = {Path(path).resolve() for path in inputs if path is not None}
    for option, path in _each(outputs):
        folder = path.absolute().parent
        if not path.name:
            raise InputError(f"{option} expects the name of a file; received {str(path)!r}")
        if not folder.is_dir():
            raise InputError(f"there is no folder {path.parent}; expected one to write {path} into")
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is not a regular file; give {option} another name")
        if path.resolve() in taken:
            raise InputError(
                f"{option} {path} would overwrite an input or another output; give another name"
            )
        taken.add(path.resolve())
    for folder in {path.absolute().parent for _, path in _each(outputs)}:
        try:
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise InputError(f"cannot write into {folder}: {error.strerror}") from None


def _each(outputs: Mapping[str, Path | Sequence[Path] | None]) -> Iterator[tuple[str, Path]]:
    for option, paths in outputs.items():
        for path in [paths] if isinstance(paths, Path) else paths or ():
            yield option, path


def check_weights_name(path: Path) -> None:
    """Make sure that the name of a weights file ends in .npz.

    Raises:
        InputError: when it does not.
    """
    if path.suffix != ".npz":
        raise InputError(f"{path} should end with .npz; `tinymnist export` writes other formats")


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


def print_json(record: dict[str, Any]) -> None:
    """One object on one line of standard output."""
    print(json.dumps(record), flush=True)


def warn(message: object) -> None:
    """One line on standard error, whatever characters a file's name may hold."""
    print(f"tinymnist: {' '.join(str(message).splitlines())}", file=sys.stderr, flush=True)


class Counter:
    """A moving line "1234 of 5000 pictures, 12 s left", on a terminal only."""

    def __init__(self, total: int, what: str = "pictures") -> None:
        """Count up to ``total``."""
        self.total, self.what, self.done = total, what, 0
        self._shown = sys.stderr.isatty()
        self._began = self._painted = time.monotonic()

    def tick(self, count: int = 1) -> None:
        """Count some more."""
        self.done += count
        now = time.monotonic()
        if self._shown and now - self._painted > 0.2:
            self._painted = now
            left = (now - self._began) / self.done * (self.total - self.done)
            line = f"{self.done} of {self.total} {self.what}, {left:.0f} s left"
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Clear the line."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
