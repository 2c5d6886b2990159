"""``tinymnist convert``: another framework's model becomes a weights file of tinymnist."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinymnist import commands
from tinymnist.reporting.text import count, percent, table

if TYPE_CHECKING:
    from tinymnist.interop.conversion import Conversion

EXAMPLES = """\
examples:
  tinymnist convert mnist.h5 mnist.npz                 Keras, old and new
  tinymnist convert mnist.onnx mnist.npz               ONNX
  tinymnist convert weights.pth mnist.npz              PyTorch weights that fit one network
  tinymnist convert weights.pth mnist.npz --score mnist-test
                                                       labelled pictures choose the network
  tinymnist convert weights.pth mnist.npz --plan 2     you choose it
  tinymnist convert weights.h5 mnist.npz --architecture layers.json
                                                       a file describes it

The scaling of the pixels is found by trying the usual ones on the labelled pictures, or on MNIST's
test pictures if they are on this machine. No code in the file is run, and its framework need not be
installed.
exit codes: 0 converted, 1 converted, but some of SET's pictures could not be read, 2 refused, with
the reason
"""


def add_convert(parser: argparse.ArgumentParser) -> commands.Declared:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("source", metavar="SOURCE", help="a model file of any framework")
    add("destination", metavar="DEST.npz", type=Path, help="where to save")
    what = "the layers, for a file that holds weights alone"
    add("--architecture", metavar="FILE.json|NAME", help=what)
    add("--plan", type=int, metavar="N", help="which of several architectures that fit, from 1")
    what = "labelled pictures (as for evaluate) that choose between architectures and scalings"
    add("--score", metavar="SET", help=what)
    what = "'x/255', 'raw', 'x/127.5-1' ...: use this one without trying"
    add("--scaling", metavar="NAME", help=what)
    commands.add_options(parser, "--json")
    return EXAMPLES, _run


def _run(arguments: argparse.Namespace) -> int:
    """Open, choose, save, and report what was found."""
    from tinymnist.api import convert
    from tinymnist.commands.outputs import Kind, check_outputs, check_weights_name
    from tinymnist.data import load_set

    check_weights_name(arguments.destination)
    inputs = [arguments.source, arguments.architecture, arguments.score]
    check_outputs({"DEST": (Kind.MODEL, arguments.destination)}, inputs)
    pictures = commands.prepare(load_set(arguments.score)) if arguments.score else None
    settings = commands.chosen(arguments, "architecture plan scaling")
    conversion = convert(arguments.source, pictures=pictures, **settings)
    conversion.model.save(arguments.destination)
    for doubt in conversion.doubts:
        commands.warn(doubt)
    record = _record(conversion, arguments.destination)
    failures = pictures.failures if pictures else {}
    return commands.show(arguments, record, _text(conversion, record), failures)


def _record(conversion: Conversion, destination: Path) -> dict[str, Any]:
    model, best = conversion.model, next(iter(conversion.scores), None)
    return {
        "file": str(destination),
        "source": model.metadata.get("source"),
        "parameters": sum(layer.count_parameters for layer in model.layers),
        "preprocessing": model.metadata.get("preprocessing"),
        "plan": best.entry.plan if best else None,
        "plans": list(conversion.plans),
        "pictures": conversion.pictures or None,
        "scores": [
            {name: getattr(score.entry, name) for name in ("scaling", "fit", "plan")}
            | {"accuracy": score.accuracy, "n": score.n}
            for score in conversion.scores
        ],
        "doubts": list(conversion.doubts),
    }


def _text(conversion: Conversion, record: dict[str, Any]) -> str:
    from tinymnist.interop.formats import provenance

    lines = [f"source: {provenance(conversion.model.metadata)}"]
    if len(conversion.plans) > 1:
        lines += [f"{len(conversion.plans)} architectures fit its weights", ""]
    if conversion.scores:
        lines += ["", _table(conversion), ""]
    scaling = (record["preprocessing"] or {}).get("scaling", {}).get("name", "unknown")
    saved = f"saved {record['file']}: {count(record['parameters'], 'parameter')}"
    return "\n".join([*lines, f"scaling: {scaling}", saved])


def _table(conversion: Conversion, most: int = 6) -> str:
    """The best of what was tried, with the architecture if there are several."""
    rows = [("scaling", "accuracy", "pictures", "architecture")]
    for score in conversion.scores[:most]:
        entry = score.entry
        name = f"{entry.scaling}, {entry.fit}" if entry.fit else entry.scaling
        rows.append((name, percent(score.accuracy), f"{score.n}", entry.plan))
    several = len({row[3] for row in rows[1:]}) > 1
    shown = rows if several else [row[:3] for row in rows]
    return f"tried on {conversion.pictures}, and dropped when far behind:\n{table(shown)}"
