"""``tinymnist data``: where MNIST is, and how to get it."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinymnist.commands import Declared, add_options, show
from tinymnist.errors import InputError
from tinymnist.reporting.text import show_progress

EXAMPLES = """\
examples:
  tinymnist data                        where MNIST was found, if anywhere
  tinymnist data download               get it (11 MB) into the user cache
  tinymnist data download --to mnist/   or into a folder; then set TINYMNIST_DATA=mnist

exit codes: 0 found or downloaded, 1 not found, 2 the download failed
"""


def add_data(parser: argparse.ArgumentParser) -> Declared:
    """Declare the command's arguments."""
    parser.add_argument(
        "action", nargs="?", default="find", choices=("find", "download"), help="default: find"
    )
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="download into this folder")
    add_options(parser, "--json")
    return EXAMPLES, _run


def _run(arguments: argparse.Namespace) -> int:
    """Find or download."""
    if arguments.action == "download":
        from tinymnist.data.download import download_mnist

        place, key = download_mnist(arguments.to, progress=_show), "folder"
        show_progress("")
    else:
        from tinymnist.data import find_mnist

        try:
            place, key = find_mnist(), "found"
        except InputError as error:
            return show(arguments, {"found": None}, str(error)) or 1
    return show(arguments, {key: str(place)}, f"MNIST is in {place}")


def _show(file: str, done: int, total: int) -> None:
    share = f"{100 * done / total:3.0f} %" if total else f"{done:,} bytes"
    show_progress(f"{file} {share}")
