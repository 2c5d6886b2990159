"""Text as every report writes it: aligned tables, percentages, counts, shortened lists."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TextIO

_UNSAFE = "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
"""Control characters, separators of lines, and what is invisible or turns the direction of text."""


def printable(text: str, keep: str = "") -> str:
    r"""Write ``\x1b`` for a control character, so that a name cannot rule the terminal or a page.

    Args:
        text: what somebody else may have written: names of files and classes, messages.
        keep: characters that stay as they are.
    """
    if text.isprintable():
        return text
    import re  # few texts need it

    def escaped(found: re.Match[str]) -> str:
        character = found[0]
        return character if character in keep else ascii(character)[1:-1]

    return re.sub(_UNSAFE, escaped, text)


def say(text: str, file: TextIO | None = None) -> None:
    """Print lines for a person, on standard output or another file."""
    print(printable(text, keep="\n"), file=file, flush=True)


def table(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Align cells; the first ``left`` columns to the left, the others to the right."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def percent(share: float | None, digits: int = 2) -> str:
    """``0.99712`` as ``99.71 %``; None and NaN as ``-``."""
    return "-" if share is None or math.isnan(share) else f"{100 * share:.{digits}f} %"


def points(share: float) -> str:
    """The size of a difference between shares: ``-0.0123`` as ``1.2 points``."""
    size = f"{100 * abs(share):.1f}"
    return f"{size} point" + ("s" if size != "1.0" else "")


def signed(share: float) -> str:
    """A difference between shares, in points: ``0.0123`` as ``+1.2``."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"  # adding 0.0 turns -0.0 into 0.0


def count(n: int, noun: str, plural: str = "") -> str:
    """``1 picture``, ``1,214 pictures``; ``plural`` is for nouns that do not just add an s."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def shortened(text: str, most: int) -> str:
    """At most ``most`` characters, the cut marked by three dots."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def show_progress(line: str) -> None:
    """Replace the moving line on a terminal, if there is one."""
    if sys.stderr is not None and sys.stderr.isatty():
        print(f"\r\x1b[K{printable(line)}", end="", file=sys.stderr, flush=True)
