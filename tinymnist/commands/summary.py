"""``tinymnist summary``: the layers of a model."""

from __future__ import annotations

import argparse

from tinymnist.commands.output import add_json_argument, print_json
from tinymnist.reporting.text import percent

EXAMPLES = """\
examples:
  tinymnist summary                     the default model
  tinymnist summary lenet5              another shipped model
  tinymnist summary my.npz --json       a weights file

exit codes: 0 shown, 2 no such model, or an unusable file
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "model",
        nargs="?",
        default="mnist-cnn",
        metavar="NAME|FILE",
        help="a shipped model or a weights file; default: mnist-cnn",
    )
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the table, and what else the file says."""
    from tinymnist import load_model
    from tinymnist.interop.formats import provenance

    model = load_model(arguments.model)
    if arguments.json:
        layers = [
            layer.config()
            | {"output_shape": model.shapes[layer.name], "parameters": layer.count_parameters}
            for layer in model.layers
        ]
        print_json({"name": model.name, "layers": layers, **model.metadata})
        return 0
    model.summary()
    print(f"\nsource: {provenance(model.metadata)}")
    for name, figures in model.metadata.get("metrics", {}).items():
        print(f"{name}: accuracy {percent(figures['accuracy'])} of {figures['n']} pictures")
    return 0
