"""``tinymnist export``: a model in another framework's format."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinymnist.commands.output import add_json_argument, check_outputs, print_json

EXAMPLES = """\
examples:
  tinymnist export mnist-cnn mnist.keras        today's Keras opens it
  tinymnist export my.npz my.onnx               onnxruntime, and most others
  tinymnist export my.npz my.safetensors        named and laid out like a PyTorch state_dict
  tinymnist export my.npz my.py                 one readable file that needs only NumPy

exit codes: 0 written, 2 refused, with the reason
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a shipped model or a file of any framework")
    parser.add_argument(
        "destination",
        type=Path,
        metavar="DEST",
        help="where to write; the ending chooses the format: .keras, .h5, .onnx, .safetensors, .py",
    )
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Open, write, and report where."""
    from tinymnist.interop import check_ending, export, load_model

    destination: Path = arguments.destination
    check_ending(destination)
    check_outputs({"DEST": destination}, [Path(arguments.model)])
    export(load_model(arguments.model), destination)
    size = destination.stat().st_size
    if arguments.json:
        print_json({"file": str(destination), "bytes": size})
    else:
        print(f"wrote {destination}: {size:,} bytes")
    return 0
