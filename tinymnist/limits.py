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
PAGE_STEPS = 6_000_000
"""The same for a page that is read: what it holds decides, so that a page is refused everywhere or
nowhere."""
MULTIPLY_ADDS_PER_STEP = 10_000
OUTPUT_NUMBERS = 1 << 24
"""The most numbers that a layer may give for one example."""
_LETTERS, _MOST_LETTERS = 200, 1500  # of a reason, and of a whole message


_left: ContextVar[dict[str, int] | None] = ContextVar("tinymnist_left", default=None)
"""What is left of the budget of the input that is being opened: of "files", "bytes" and "steps"."""


def _full() -> dict[str, int]:
    return {"files": FILE_BYTES, "bytes": ARRAY_BYTES, "steps": STEPS}


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
    token = _left.set(_full()) if _left.get() is None else None
    try:
        yield
    except InputError as error:
        text = str(error)
        if len(text) <= _MOST_LETTERS and "\n" not in text:
            raise
        raise InputError(" ".join(text.split())[:_MOST_LETTERS]) from None  # a name in it is long
    except (ImportError, Warning):
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
            _left.reset(token)


@contextmanager
def reading_page() -> Iterator[None]:
    """Give the reading of one page its own budget of steps, :data:`PAGE_STEPS`."""
    token = _left.set({**_full(), "steps": PAGE_STEPS, "pages": 1})
    try:
        yield
    finally:
        _left.reset(token)


def _damaged(path: Any, kind: str, error: Exception) -> InputError:
    return InputError(f"{path} cannot be read as {kind}: {reason(error)}")


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


def charge(size: int, what: str) -> None:
    """Take bytes that are about to be made from the budget of the input that is being opened.

    Raises:
        InputError: when too few are left.
    """
    if (left := _left.get()) is not None:
        left["bytes"] -= size
        if left["bytes"] < 0 or size < 0:
            limits = f"limits.ARRAY_BYTES={ARRAY_BYTES:,}, limits.GROWTH={GROWTH}"
            raise InputError(f"{what[:200]} would take {size:,} bytes, too many for it ({limits})")


def work(steps: int, what: str = "it") -> None:
    """Take steps of work from the budget of the input that is being opened.

    Raises:
        InputError: when too few are left.
    """
    if (left := _left.get()) is not None:
        left["steps"] -= steps
        if left["steps"] < 0:
            limit = f"PAGE_STEPS={PAGE_STEPS:,}" if "pages" in left else f"STEPS={STEPS:,}"
            raise InputError(f"{what[:200]} takes too much work (limits.{limit})")


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
    left = _left.get() or _full()
    left["files"] -= size
    left["bytes"] += GROWTH * size
    if left["files"] < 0:
        limit = f"expected at most {FILE_BYTES:,} (limits.FILE_BYTES)"
        raise InputError(f"{path} has {size:,} bytes; {limit}")
