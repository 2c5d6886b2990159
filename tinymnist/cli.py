"""The command ``tinymnist``: finds the subcommand; bad input becomes one line and exit code 2."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import NoReturn

from tinymnist import __version__
from tinymnist.commands import COUNT, warn
from tinymnist.errors import InputError, did_you_mean
from tinymnist.threads import SETTING, THREADS_VARIABLE, limit_blas_to_come

COMMANDS = {
    "predict": "read one digit from each picture",
    "read": "read all digits on each picture, row by row",
    "fields": "find the boxes of a blank form, to be read from many scans",
    "explain": "show what is done to a picture before it is read",
    "serve": "open a page on which every number from photo to digit can be seen and changed",
    "review": "correct doubtful readings on a page, and have them as labels",
    "evaluate": "measure a model on labelled pictures",
    "diagnose": "find out why a model fails on your pictures, and what to do",
    "augment": "show random variants of pictures, as training would see them",
    "train": "train a network from scratch",
    "finetune": "teach a trained network your own pictures; one per class is enough",
    "summary": "show the layers of a model",
    "verify": "check that weights still compute what they did when they were saved",
    "compare": "find the first layer at which two models differ, and why",
    "convert": "turn another framework's model into a weights file",
    "export": "write a model in another framework's format",
    "lesson": "write a function of the package yourself, and hear what is wrong with it",
    "data": "find or download MNIST",
}
"""What each does, for the help."""
_FILES = {"predict": "read", "summary": "models", "verify": "models", "export": "models"}
"""The module of ``tinymnist.commands`` that has a command, if it has another name."""

EXAMPLES = """\
examples:
  tinymnist                               read the sample pictures that come with it
  tinymnist predict photo.jpg             read your own
  tinymnist evaluate mnist-test           10,000 pictures that the model has never seen
  tinymnist COMMAND --help                more on each command
"""

OK, BAD_INPUT, INTERRUPTED = 0, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    It is 0 for success, 1 if the answer is "no" or some pictures could not be read, 2 for input
    that cannot be used.
    """
    _escape_what_cannot_be_printed()
    try:
        given = list(sys.argv[1:] if argv is None else argv) or ["predict"]
        parser = _parser(given)
        arguments, left = parser.parse_known_args(given)
        if left:  # pictures on both sides of an option, or what nobody knows
            arguments = parser.named.parse_intermixed_args(given[1:])
        if arguments.threads is not None or THREADS_VARIABLE in os.environ:
            _limit_threads(arguments.threads)
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.filterwarnings("ignore", module="PIL")  # about metadata
            warnings.showwarning = lambda message, *_, **__: warn(message)
            code: int = arguments.run(arguments)
        sys.stdout.flush()
    except InputError as error:
        warn(error)
        return BAD_INPUT
    except KeyboardInterrupt:
        warn("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has ended, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        what = error.strerror or error
        warn(f"{error.filename}: {what}" if error.filename else what)
        return BAD_INPUT
    except MemoryError as error:
        reason = f" ({error})" if str(error) else ""
        warn(f"not enough memory{reason}; use smaller settings or fewer pictures")
        return BAD_INPUT
    return code


def _limit_threads(count: int | None) -> None:
    """Apply ``--threads``, or else ``$TINYMNIST_THREADS``, if possible before NumPy is imported."""
    if count is not None and "numpy" in sys.modules:
        from tinymnist.nn.parallel import set_threads  # imports NumPy

        set_threads(count)
    else:
        SETTING.threads = count
        limit_blas_to_come()


def _escape_what_cannot_be_printed() -> None:
    r"""Print ``\u2713`` for a character that the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _columns() -> int:
    """The width of the terminal, without importing ``shutil`` as argparse would."""
    with suppress(AttributeError, OSError, ValueError):
        named = int(os.environ.get("COLUMNS", "0"))
        return named or os.get_terminal_size().columns
    return 80


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, with what was probably meant.

    ``named`` is the parser of the command that was named.
    """

    named: _Parser

    def error(self, message: str) -> NoReturn:
        hint = ""
        if wrong := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message):
            hint = did_you_mean(wrong[1], [name.strip(" '") for name in wrong[2].split(",")])
        elif wrong := re.search(r"unrecognized arguments: (-[^\s=]+)", message):
            hint = did_you_mean(wrong[1], [*self._option_string_actions])
        raise InputError(f"{message}{hint}; see {self.prog} --help")


def _parser(argv: Sequence[str]) -> _Parser:
    # Given the width and the name of the program, argparse imports and formats less.
    formatter = partial(argparse.RawDescriptionHelpFormatter, width=_columns() - 2)
    parser = _Parser(
        prog="tinymnist",
        description="Read handwritten digits with a network in pure NumPy.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    parser.add_argument("--version", action="version", version=f"tinymnist {__version__}")
    subparsers = parser.add_subparsers(
        dest="command", metavar="COMMAND", prog="tinymnist", required=True
    )
    for name in argv[:1] if {*argv[:1]} & COMMANDS.keys() else COMMANDS:
        purpose = COMMANDS[name]
        subparser = subparsers.add_parser(
            name,
            help=purpose,
            description=purpose[0].upper() + purpose[1:] + ".",
            formatter_class=formatter,
        )
        if name in argv:  # the other commands need not be imported
            module = importlib.import_module(f"tinymnist.commands.{_FILES.get(name, name)}")
            subparser.epilog, run = getattr(module, f"add_{name}")(subparser)
            subparser.set_defaults(run=run)
            parser.named = subparser
            what = "cores to use at most; default: all, or $TINYMNIST_THREADS of them"
            subparser.add_argument("--threads", type=COUNT, metavar="N", help=what)
    return parser
