"""``tinymnist summary``, ``verify`` and ``export``: a model's layers, its soundness, its copies."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinymnist.commands import Declared, add_options, chosen, print_json, show, warn
from tinymnist.errors import InputError
from tinymnist.reporting.text import count, percent, say, table


def add_summary(parser: argparse.ArgumentParser) -> Declared:
    """Declare ``summary``."""
    what = "a shipped model or a weights file; default: mnist-cnn"
    parser.add_argument("model", nargs="?", default="mnist-cnn", metavar="NAME|FILE", help=what)
    add_options(parser, "--json")
    examples = """\
examples:
  tinymnist summary                     the default model
  tinymnist summary lenet5              another shipped model
  tinymnist summary my.npz --json       a weights file

exit codes: 0 shown, 2 no such model, or an unusable file
"""
    return examples, _summary


def _summary(arguments: argparse.Namespace) -> int:
    """Print the table, and what else the file says."""
    from tinymnist import load_model
    from tinymnist.interop.formats import provenance
    from tinymnist.nn.metadata import accuracies

    model = load_model(arguments.model)
    if arguments.json:
        layers = [
            layer.config()
            | {"output_shape": model.shapes[layer.name], "parameters": layer.count_parameters}
            for layer in model.layers
        ]
        print_json({"name": model.name, "layers": layers, **model.metadata})
        return 0
    model.summary(print_fn=say)
    say(f"\nsource: {provenance(model.metadata)}")
    for name, (accuracy, n) in accuracies(model.metadata).items():
        say(f"{name}: accuracy {percent(accuracy)} of {count(n, 'picture')}")
    return 0


def add_verify(parser: argparse.ArgumentParser) -> Declared:
    """Declare ``verify``."""
    what = "shipped models or weights files; none: every shipped one"
    parser.add_argument("models", nargs="*", metavar="NAME|FILE", help=what)
    add_options(parser, "--json")
    examples = """\
examples:
  tinymnist verify                      every shipped model
  tinymnist verify my.npz               a weights file

exit codes: 0 all are sound, 1 a layer computes something else, 2 a file is unusable; the others are
verified all the same
"""
    return examples, _verify


def _verify(arguments: argparse.Namespace) -> int:
    """Run the sample in every file again and compare each layer's output."""
    from tinymnist.nn.weights import VERIFY_TOLERANCE, shipped, verify

    rows = [("model", "layers", "largest deviation", "in layer", "")]
    sound, unusable = True, 0
    for name in arguments.models or sorted(shipped()):
        try:
            deviations = verify(name)
        except InputError as error:
            unusable += 1
            warn(error)
            if arguments.json:
                print_json({"model": name, "error": str(error)})
            continue
        worst = max(deviations, key=lambda layer: deviations[layer])
        passed = deviations[worst] <= VERIFY_TOLERANCE
        sound = sound and passed
        if arguments.json:
            print_json({"model": name, "sound": passed, "deviations": deviations})
        figures = (f"{len(deviations) - 1}", f"{deviations[worst]:.1e}", worst)
        rows.append((name, *figures, "sound" if passed else "DIFFERS"))
    if not arguments.json and len(rows) > 1:
        say(table(rows))
    return 2 if unusable else 0 if sound else 1


def add_export(parser: argparse.ArgumentParser) -> Declared:
    """Declare ``export``."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="a shipped model or a file of any framework")
    what = (
        "where to write; the ending chooses the format: .keras, .h5, .onnx, .safetensors, .py, .c"
    )
    add("destination", type=Path, metavar="DEST", help=what)
    what = "a .py file that reads photos as `tinymnist predict` does; it needs NumPy and Pillow"
    add("--with-recipe", action="store_true", help=what)
    add(
        "--int8",
        action="store_true",
        help="a .c file with weights of 8 bits: a quarter of the size",
    )
    add_options(parser, "--json")
    examples = """\
examples:
  tinymnist export mnist-cnn mnist.keras        today's Keras opens it
  tinymnist export my.npz my.onnx               onnxruntime, and most others
  tinymnist export my.npz my.safetensors        named and laid out like a PyTorch state_dict
  tinymnist export my.npz my.py                 one readable file that needs only NumPy
  tinymnist export mnist-cnn digits.py --with-recipe
                                                it also reads photos: python digits.py photo.jpg
  tinymnist export mnist-cnn digits.c           one C99 file that reads grey pictures
  tinymnist export mnist-cnn digits.c --int8    the same with weights of 8 bits

exit codes: 0 written, 2 refused, with the reason
"""
    return examples, _export


def _export(arguments: argparse.Namespace) -> int:
    """Open, write, and report where."""
    from tinymnist.commands.outputs import Kind, check_outputs
    from tinymnist.interop import check_ending, export, load_model

    destination: Path = arguments.destination
    options = chosen(arguments, "with_recipe int8")
    check_ending(destination, **options)
    check_outputs({"DEST": (Kind.MODEL, destination)}, [Path(arguments.model)])
    export(load_model(arguments.model), destination, **options)
    size = destination.stat().st_size
    record = {"file": str(destination), "bytes": size}
    return show(arguments, record, f"wrote {destination}: {size:,} bytes")
