"""What the subcommands share: their common options, tables, JSON lines, and a progress line."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tinymnist.errors import InputError


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
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")


def check_outputs(outputs: Mapping[str, Path | None], inputs: Iterable[Path] = ()) -> None:
    """Make sure, before any work is done, that files can be written and nothing is lost by it.

    Args:
        outputs: the files by the option that names each; None for no file.
        inputs: files that must not be overwritten.

    Raises:
        InputError: when one has no name, no folder, a folder that cannot be written into, or the
            place of an input, of another output, or of what is no file.
    """
    import tempfile

    taken = {path.resolve() for path in inputs}
    for option, path in outputs.items():
        if path is None:
            continue
        folder = path.absolute().parent
        if not path.name:
            raise InputError(f"{option} expects the name of a file; received {str(path)!r}")
        if not folder.is_dir():
            raise InputError(f"there is no folder {path.parent}; expected one to write {path} into")
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no regular file; give {option} another name")
        if path.resolve() in taken:
            raise InputError(f"{option} {path} would overwrite what is needed; give another name")
        taken.add(path.resolve())
        try:
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise InputError(f"cannot write into {folder}: {error.strerror}") from None


def check_weights_name(path: Path) -> None:
    """Insist on the ending of a weights file.

    Raises:
        InputError: for any other.
    """
    if path.suffix != ".npz":
        raise InputError(f"{path} should end with .npz; `tinymnist export` writes other formats")


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
        """So many more."""
        self.done += count
        now = time.monotonic()
        if self._shown and now - self._painted > 0.2:
            self._painted = now
            left = (now - self._began) / self.done * (self.total - self.done)
            line = f"{self.done} of {self.total} {self.what}, {left:.0f} s left"
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Wipe the line away."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
