"""``tinymnist verify``: do weights still compute what they did when saved?"""

from __future__ import annotations

import argparse

from tinymnist.commands.output import add_json_argument, print_json
from tinymnist.reporting.text import table

EXAMPLES = """\
examples:
  tinymnist verify                      every shipped model
  tinymnist verify my.npz               a weights file

exit codes: 0 sound, 1 a layer computes something else, 2 a file is unusable
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "models",
        nargs="*",
        metavar="NAME|FILE",
        help="shipped models or weights files; none: every shipped one",
    )
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the sample in every file again and compare each layer's output."""
    from tinymnist.nn.weights import VERIFY_TOLERANCE, shipped, verify

    rows = [("model", "layers", "largest deviation", "in layer", "")]
    sound = True
    for name in arguments.models or sorted(shipped()):
        deviations = verify(name)
        worst = max(deviations, key=lambda layer: deviations[layer])
        passed = deviations[worst] <= VERIFY_TOLERANCE
        sound = sound and passed
        if arguments.json:
            print_json({"model": name, "sound": passed, "deviations": deviations})
        figures = (f"{len(deviations) - 1}", f"{deviations[worst]:.1e}", worst)
        rows.append((name, *figures, "sound" if passed else "DIFFERS"))
    if not arguments.json:
        print(table(rows))
    return 0 if sound else 1
