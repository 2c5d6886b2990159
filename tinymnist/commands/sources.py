"""The pictures that a command is given, and what happens when some cannot be read."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tinymnist.commands.output import warn
from tinymnist.errors import InputError
from tinymnist.files import pictures_in

Source = tuple[str, Any]
"""The name of a picture, and its path or bytes."""


def sources_of(pictures: Iterable[str]) -> list[Source]:
    """All given pictures: files, those in folders, and ``-`` for standard input."""
    found: list[Source] = []
    for picture in pictures:
        if picture == "-":
            found.append(("-", sys.stdin.buffer.read()))
        elif os.path.isdir(picture):  # also False if it cannot be looked up; reading will fail
            found += [(str(file), file) for file in pictures_in(Path(picture))]
        else:
            found.append((picture, Path(picture)))
    return found


def for_each(sources: list[Source], work: Callable[[str, Any], None]) -> int:
    """Call ``work(name, source)`` on every picture; name those that cannot be read, and continue.

    Returns:
        The exit code: 0, or 1 when some pictures could not be read.

    Raises:
        InputError: when none could.
    """
    failures: list[str] = []
    for name, source in sources:
        try:
            work(name, source)
        except InputError as error:
            failures.append(str(error) if name in str(error) else f"{name}: {error}")
            if len(sources) > 1:
                warn(failures[-1])
    if len(failures) == len(sources):
        raise InputError(failures[0] if len(sources) == 1 else "no picture could be read")
    return 1 if failures else 0
