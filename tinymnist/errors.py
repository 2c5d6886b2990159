"""The one exception that means: the input is at fault, not the program."""

from __future__ import annotations


class InputError(ValueError):
    """Something that the user handed in cannot be used.

    The message is one line: what was wrong, what was expected, what to do. The command line
    prints it on stderr and ends with exit code 2.
    """
