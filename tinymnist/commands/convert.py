"""``tinymnist convert``: another framework's model becomes a weights file of tinymnist."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinymnist.commands.output import (
    add_json_argument,
    check_outputs,
    check_weights_name,
    print_json,
    warn,
)
from tinymnist.errors import InputError
from tinymnist.reporting.text import percent, table

if TYPE_CHECKING:
    from tinymnist.interop.bare.scaling import Labelled
    from tinymnist.interop.conversion import Conversion

EXAMPLES = """\
examples:
  tinymnist convert mnist.h5 mnist.npz                 Keras, old and new
  tinymnist convert mnist.onnx mnist.npz               ONNX
  tinymnist convert weights.pth mnist.npz              a PyTorch state_dict whose layers show
  tinymnist convert weights.pth mnist.npz --score mnist-test
                                                       labelled pictures choose the layers
  tinymnist convert weights.pth mnist.npz --plan 2     you do
  tinymnist convert weights.h5 mnist.npz --architecture layers.json
                                                       a file says them

The scaling of the pixels is looked for on the labelled pictures, or on MNIST's test pictures if
they are on this machine. Nothing of the file is run; its framework need not be installed.
exit codes: 0 converted, 2 refused, with the reason
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("source", metavar="SOURCE", help="a model file of any framework")
    parser.add_argument("destination", metavar="DEST.npz", type=Path, help="where to save")
    parser.add_argument(
        "--architecture",
        metavar="FILE.json|NAME",
        help="the layers, for a file that holds weights alone",
    )
    parser.add_argument(
        "--plan", type=int, metavar="N", help="which of several architectures that fit, from 1"
    )
    parser.add_argument(
        "--score",
        metavar="SET",
        help="labelled pictures (as for evaluate) that choose between architectures and scalings",
    )
    parser.add_argument(
        "--scaling", metavar="NAME", help="'x/255', 'raw', 'x/127.5-1' ...: take this one, untried"
    )
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Open, choose, save, and say what was found."""
    from tinymnist.interop.conversion import convert

    check_weights_name(arguments.destination)
    check_outputs({"DEST": arguments.destination})
    pictures = _labelled(arguments.score) if arguments.score else None
    conversion = convert(
        arguments.source,
        architecture=arguments.architecture,
        plan=arguments.plan,
        pictures=pictures,
        scaling=arguments.scaling,
    )
    conversion.model.save(arguments.destination)
    for doubt in conversion.doubts:
        warn(doubt)
    record = _record(conversion, arguments.destination)
    print_json(record) if arguments.json else print(_text(conversion, record))
    return 0


def _labelled(spec: str) -> Labelled:
    """A set of labelled pictures in MNIST's form."""
    from tinymnist.data import load_set
    from tinymnist.data.sets import DIGITS
    from tinymnist.interop.bare.scaling import Labelled
    from tinymnist.reader import in_mnist_form, prepare_all

    found = load_set(spec)
    if found.class_names != DIGITS:
        raise InputError(f"{found.name} shows {list(found.class_names)[:12]}; expected digits")
    if found.is_mnist:
        return Labelled(found.name, in_mnist_form(found.images), found.labels)
    prepared = prepare_all(found.images, "mnist")
    for error in prepared.failures.values():
        warn(f"left out: {error}")
    if not len(prepared.kept):
        raise InputError(f"no picture of {found.name} could be read")
    return Labelled(found.name, prepared.images, found.labels[prepared.kept])


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
            {
                "scaling": score.entry.scaling,
                "fit": score.entry.fit,
                "plan": score.entry.plan,
                "accuracy": score.accuracy,
                "n": score.n,
            }
            for score in conversion.scores
        ],
        "doubts": list(conversion.doubts),
    }


def _text(conversion: Conversion, record: dict[str, Any]) -> str:
    from tinymnist.interop.provenance import provenance

    lines = [f"source: {provenance(conversion.model.metadata)}"]
    if len(conversion.plans) > 1:
        lines += [f"{len(conversion.plans)} architectures fit its weights", ""]
    if conversion.scores:
        lines += ["", _table(conversion), ""]
    scaling = (record["preprocessing"] or {}).get("scaling", {}).get("name", "unknown")
    lines.append(f"scaling: {scaling}")
    lines.append(f"saved {record['file']}: {record['parameters']:,} parameters")
    return "\n".join(lines)


def _table(conversion: Conversion, most: int = 6) -> str:
    """The best of what was tried; architectures too, where they are several."""
    rows = [("scaling", "accuracy", "pictures", "architecture")]
    for score in conversion.scores[:most]:
        entry = score.entry
        name = f"{entry.scaling}, {entry.fit}" if entry.fit else entry.scaling
        rows.append((name, percent(score.accuracy), f"{score.n}", entry.plan))
    several = len({row[3] for row in rows[1:]}) > 1
    shown = rows if several else [row[:3] for row in rows]
    return f"tried on {conversion.pictures}, and dropped when far behind:\n{table(shown)}"
