"""The one exception that means: the input is at fault, not the program."""

from __future__ import annotations

from collections.abc import Iterable


class InputError(ValueError):
    """Something that the user handed in cannot be used.

    The message is one line: what was wrong, what was expected, what to do. The command line
    prints it on stderr and ends with exit code 2.
    """


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """``"; did you mean 'adam'?"``, or ``""`` if no known name looks like a wrong one."""
    from difflib import get_close_matches  # nothing but a mistake needs it

    by_lower = {one.lower(): one for one in known}
    wrong = str(name).lower()
    close = get_close_matches(wrong, by_lower)
    close.sort(key=lambda one: sorted(one) != sorted(wrong))  # letters in another order come first
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""
