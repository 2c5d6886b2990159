"""``tinymnist data``: where MNIST is, and how to get it."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinymnist.commands.output import add_json_argument

EXAMPLES = """\
examples:
  tinymnist data                        where MNIST was found, if anywhere
  tinymnist data download               get it (11 MB) into the user cache
  tinymnist data download --to mnist/   or into a folder; then set TINYMNIST_DATA=mnist

exit codes: 0 found or downloaded, 1 not found, 2 the download failed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "action", nargs="?", default="find", choices=("find", "download"), help="default: find"
    )
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="download into this folder")
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Find or download."""
    return _download(arguments) if arguments.action == "download" else _find(arguments)


def _find(arguments: argparse.Namespace) -> int:
    pass
