"""``tinymnist data``: where MNIST is, and how to get it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tinymnist.commands.output import add_json_argument, print_json
from tinymnist.errors import InputError

EXAMPLES = """\
examples:
  tinymnist data                        where MNIST was found, if anywhere
  tinymnist data download               get it (11 MB) into the user cache
  tinymnist data download --to mnist/   or into a folder; then set TINYMNIST_DATA=mnist

exit codes: 0 found or downloaded, 1 not found, 2 the download failed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "action", nargs="?", default="find", choices=("find", "download"), help="default: find"
    )
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="download into this folder")
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Find or download."""
    return _download(arguments) if arguments.action == "download" else _find(arguments)


def _find(arguments: argparse.Namespace) -> int:
    from tinymnist.data import find_mnist

    try:
        place = find_mnist()
    except InputError as error:
        print_json({"found": None}) if arguments.json else print(error)
        return 1
    print_json({"found": str(place)}) if arguments.json else print(f"MNIST is in {place}")
    return 0


def _download(arguments: argparse.Namespace) -> int:
    from tinymnist.data.download import download_mnist

    folder = download_mnist(arguments.to, progress=_show)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    print_json({"folder": str(folder)}) if arguments.json else print(f"MNIST is in {folder}")
    return 0


def _show(file: str, done: int, total: int) -> None:
    """A moving line on a terminal, nothing elsewhere."""
    if sys.stderr.isatty():
        share = f"{100 * done / total:3.0f} %" if total else f"{done:,} bytes"
        print(f"\r\x1b[K{file} {share}", end="", file=sys.stderr, flush=True)
