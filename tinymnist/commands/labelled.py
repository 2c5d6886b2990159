"""One way for every command to open, prepare and report on a labelled set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinymnist.commands.output import Counter, warn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tinymnist.data import LabelledSet
    from tinymnist.prepared import LabelledPictures

SET_HELP = (
    "mnist-test, mnist-train, a folder with one folder per class or with a labels.csv (columns "
    "file,label), or an .npz with images and labels"
)
"""What a command says of an argument SET."""
_MOST_NAMED = 5


@contextmanager
def counting(total: int, what: str = "pictures") -> Iterator[Callable[[], None]]:
    """Show a progress line while the block runs, which calls what it is given once per item."""
    counter = Counter(total, what)
    try:
        yield counter.tick
    finally:
        counter.close()


def prepare(
    labelled: LabelledSet,
    recipe: str | None = None,
    default: str = "mnist",
    *,
    only: NDArray[np.int64] | None = None,
    fate: str = "left out",
) -> LabelledPictures:
    """:func:`tinymnist.prepared.prepare_set` with progress, and a word on what could not be read.

    Args:
        labelled, recipe, default, only: as there.
        fate: what becomes of pictures that cannot be read, for the user.

    Raises:
        InputError: when no picture can be read.
    """
    from tinymnist.prepared import prepare_set

    with counting(len(labelled.labels) if only is None else len(only)) as tick:
        pictures = prepare_set(labelled, recipe, default, only=only, tick=tick)
    report_failures(pictures.failures, fate)
    return pictures


def report_failures(failures: Mapping[str, str], fate: str = "left out") -> int:
    """Name the first pictures that could not be read on standard error, and count the others.

    Args:
        failures: a line on each, by the picture's name.
        fate: what becomes of them.

    Returns:
        The exit code: 1 if there are any, else 0.
    """
    lines = list(failures.values())
    for line in lines[:_MOST_NAMED]:
        warn(f"{fate}: {line}")
    if len(lines) > _MOST_NAMED:
        warn(f"{fate}: and {len(lines) - _MOST_NAMED:,} more that could not be read")
    return 1 if failures else 0


def failure_record(failures: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """The entry ``failures`` of every command's ``--json``: all pictures that could not be read."""
    return {"failures": [{"picture": name, "error": line} for name, line in failures.items()]}
