"""``tinymnist export``: a model in another framework's format."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from tinymnist.commands.output import add_json_argument, print_json
from tinymnist.errors import InputError

EXAMPLES = """\
examples:
  tinymnist export mnist-cnn mnist.keras        today's Keras opens it
  tinymnist export my.npz my.onnx               onnxruntime, and most others
  tinymnist export my.npz my.safetensors        named and laid out as PyTorch's state_dict
  tinymnist export my.npz my.py                 one readable file that needs NumPy alone

exit codes: 0 written, 2 refused, with the reason
"""
WRITERS = {
    ".keras": "keras",
    ".h5": "keras",
    ".onnx": "onnx",
    ".safetensors": "safetensors",
    ".py": "standalone",
}
"""The module of ``tinymnist.interop`` whose ``write(model, path)`` writes each format."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("model", metavar="MODEL", help="a shipped model or a file of any framework")
    parser.add_argument(
        "destination",
        type=Path,
        metavar="DEST",
        help=f"where to write; its ending says the format: {', '.join(WRITERS)}",
    )
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Open, write, and say where."""
    from tinymnist import load_model

    destination: Path = arguments.destination
    writer = WRITERS.get(destination.suffix.lower())
    if writer is None:
        raise InputError(f"{destination} should end with one of {', '.join(WRITERS)}")
    if not destination.absolute().parent.is_dir():
        raise InputError(f"there is no folder {destination.parent}; expected one to write into")
    model = load_model(arguments.model)
    importlib.import_module(f"tinymnist.interop.{writer}").write(model, destination)
    size = destination.stat().st_size
    if arguments.json:
        print_json({"file": str(destination), "bytes": size})
    else:
        print(f"wrote {destination}: {size:,} bytes")
    return 0
