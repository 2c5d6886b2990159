"""What one input may cost, and what happens to everything that goes wrong while it is opened.

Files come from strangers: a few hundred bytes can ask for gigabytes, or for hours. So every
function that opens something enters :func:`opening`, which has two sides:

- *One budget.* Whatever an input makes is charged to it: bytes of arrays, also of copies and of
  shapes that are only stated, and steps of work. Above the limits it is refused.
- *One guard.* Whatever a library raises meanwhile becomes one InputError of one line that names the
  input.

The limits can be set, for all inputs that are opened afterwards::

    import tinymnist

    tinymnist.limits.FILE_BYTES = 8 << 30
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from os import PathLike
from typing import Any

from tinymnist.errors import InputError

FILE_BYTES = 1 << 30
"""The largest file; all files of a model in a folder count together."""
TEXT_BYTES = 1 << 23
"""The largest description: JSON, a header, a manifest, a pickle. Objects take up to sixty times
the memory of their text."""
ARRAY_BYTES = 1 << 28
"""What an input may unpack to, however small it is."""
GROWTH = 16
"""How many times the size of its files it may unpack to beyond that."""
STEPS = 2_000_000
"""Steps of work, of about a microsecond each: a field, a node, an operation of a pickle."""
MULTIPLY_ADDS_PER_STEP = 10_000
OUTPUT_NUMBERS = 1 << 24
"""The most numbers that a layer may give for one example."""
_LETTERS = 200


class Budget:
    """What is left for one input."""

    def __init__(self, path: Any) -> None:
        self.path, self.files = path, FILE_BYTES
        self.bytes, self.steps = ARRAY_BYTES, STEPS


_open: ContextVar[Budget | None] = ContextVar("tinymnist_budget", default=None)


@contextmanager
def opening(path: str | PathLike[str] | None, kind: str) -> Iterator[None]:
    """Guard the opening of one input, and give it a budget; inside another opening, go on with it.

    Args:
        path: what is opened, for messages.
        kind: what it should be: "an ONNX model".

    Raises:
        InputError: instead of anything else that is raised inside. A package that is missing, and
            warnings that are errors, stay what they are.
    """
    token = _open.set(Budget(path)) if _open.get() is None else None
    try:
        yield
    except (InputError, ImportError, Warning):
        raise
    except OSError as error:
        if error.strerror is None:
            raise _damaged(path, kind, error) from None
        place = error.filename if isinstance(error.filename, str) else path
        raise InputError(f"cannot read {place}: {error.strerror}") from None
    except Exception as error:  # libraries raise whatever their parsing trips over
        raise _damaged(path, kind, error) from None
    finally:
        if token is not None:
            _open.reset(token)


def _damaged(path: Any, kind: str, error: Exception) -> InputError:
    return InputError(f"{path} is not {kind}, or is damaged: {reason(error)}")


def reason(error: Exception) -> str:
    """What was wrong, in one short line, whatever the exception."""
    if isinstance(error, MemoryError):
        return "it would need more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = (getattr(error, "strerror", None) or " ".join(str(error).split()))[:_LETTERS]
    if isinstance(error, KeyError):
        return f"it lacks {text}"
    return text or type(error).__name__


def charge(size: int, what: str = "it") -> None:
    """Take bytes that are about to be made from the budget of the input that is being opened.

    Raises:
        InputError: when too few are left.
    """
    if (budget := _open.get()) is not None:
        budget.bytes -= size
        if budget.bytes < 0 or size < 0:
            limits = f"limits.ARRAY_BYTES={ARRAY_BYTES:,} and limits.GROWTH={GROWTH}"
            raise InputError(f"{budget.path} unpacks to too much: {what[:80]} has {size:,} bytes "
                             f"({limits})")  # fmt: skip


def work(steps: int) -> None:
    """Take steps of work from the budget of the input that is being opened.

    Raises:
        InputError: when too few are left.
    """
    if (budget := _open.get()) is not None:
        budget.steps -= steps
        if budget.steps < 0:
            raise InputError(f"{budget.path} takes too much work (limits.STEPS={STEPS:,})")


def check_text(size: int, name: str) -> None:
    """Refuse a description that is too large to be parsed.

    Raises:
        InputError: when it has more than :data:`TEXT_BYTES`.
    """
    if size > TEXT_BYTES:
        limit = f"expected at most {TEXT_BYTES:,} (limits.TEXT_BYTES)"
        raise InputError(f"{name} has {size:,} bytes; {limit}")


def enter(path: str | PathLike[str], size: int) -> None:
    """Admit a file of this size, and let the input unpack to more accordingly.

    Raises:
        InputError: when it is too large.
    """
    budget = _open.get() or Budget(path)
    budget.files -= size
    budget.bytes += GROWTH * size
    if budget.files < 0:
        limit = f"expected at most {FILE_BYTES:,} (limits.FILE_BYTES)"
        raise InputError(f"{path} has {size:,} bytes; {limit}")
