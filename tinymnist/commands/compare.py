"""``tinymnist compare``: where do two models part, and why?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymnist.commands.output import add_json_argument, print_json
from tinymnist.errors import InputError

if TYPE_CHECKING:
    from tinymnist.nn.arrays import Array
    from tinymnist.nn.sequential import Sequential

EXAMPLES = """\
examples:
  tinymnist compare mine.npz model.h5                    two files, both run in tinymnist
  tinymnist compare model.h5 model.h5 --run-b keras      tinymnist against Keras itself
  tinymnist compare model.onnx model.onnx --run-b onnxruntime
  tinymnist compare lenet5 lenet5 --run-b torch          its weights in PyTorch's own layers
  tinymnist compare lenet5 captured.npz                  against outputs from anywhere
  tinymnist compare a.npz b.npz --inputs mnist-test --report parting.html

captured.npz is what numpy.savez writes of {"input": x, "first layer": ..., "last layer": ...}:
an array (n, ...) for each layer, in the order of execution, channels last or first.

a file whose weights fit several architectures: first choose one with `tinymnist convert`

exit codes: 0 every layer agrees, 1 they part, 2 the input was unusable
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    from tinymnist.compare.outputs import ATOL, RTOL, RUNS

    for side in ("a", "b"):
        parser.add_argument(
            side,
            metavar=side.upper(),
            help="a shipped model, a model file of any kind, or an .npz of captured outputs",
        )
    parser.add_argument(
        "--inputs",
        metavar="SET|FILE.npz",
        help="what both are run on: mnist-test, a folder of labelled pictures, or an .npz with an "
        "array 'input'; whole numbers are divided by 255; default: six sample pictures",
    )
    parser.add_argument(
        "--limit", type=int, default=64, metavar="N", help="at most so many of them; default: 64"
    )
    for side in ("a", "b"):
        parser.add_argument(
            f"--run-{side}",
            choices=RUNS,
            metavar="FRAMEWORK",
            help=f"who runs {side.upper()}: {', '.join(RUNS)}; default: tinymnist",
        )
    parser.add_argument(
        "--atol", type=float, default=ATOL, help=f"absolute error allowed; default: {ATOL:g}"
    )
    parser.add_argument(
        "--rtol",
        type=float,
        default=RTOL,
        help=f"error allowed as a share of a layer's largest number; default: {RTOL:g}",
    )
    parser.add_argument(
        "--gradients",
        action="store_true",
        help="compare the gradient at every layer, too: of a fixed weighted sum of the outputs",
    )
    parser.add_argument("--report", type=Path, metavar="OUT.html", help="write a report")
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run both, compare, and tell."""
    from tinymnist.compare import compare
    from tinymnist.compare.opening import examples, open_side

    _check(arguments)
    a = open_side(arguments.a, arguments.run_a, _read)
    b = open_side(arguments.b, arguments.run_b, _read)
    x = examples(a, b, _inputs(arguments.inputs, arguments.limit))
    side_a, side_b = a.side(x), b.side(x)
    comparison = compare(side_a, side_b, atol=arguments.atol, rtol=arguments.rtol)
    if arguments.gradients:
        from tinymnist.compare.gradients import with_gradients

        comparison = with_gradients(comparison, a, b, x)
    if arguments.report:
        from tinymnist.compare.report import write_report

        write_report(comparison, arguments.report)
    if arguments.json:
        print_json(comparison.as_record())
    else:
        print(comparison.as_text())
        if arguments.report:
            print(f"\nreport: {arguments.report}")
    return 0 if comparison.agrees else 1


def _check(arguments: argparse.Namespace) -> None:
    if arguments.limit < 1:
        raise InputError(f"--limit is at least 1. Received: {arguments.limit}")
    for name in ("atol", "rtol"):
        if not getattr(arguments, name) >= 0:
            raise InputError(f"--{name} is at least 0. Received: {getattr(arguments, name)}")
    if arguments.report and not arguments.report.absolute().parent.is_dir():
        raise InputError(f"{arguments.report}: its folder does not exist; make it first")


def _read(source: str) -> Sequential:
    """The one place where a model file is opened."""
    from tinymnist.interop import open_model

    return open_model(source)


def _inputs(spec: str | None, limit: int) -> Array | None:
    """The examples that were asked for, as floats; None if none were."""
    if spec is None:
        return None
    images = _arrays_of(spec)[:limit] if spec.endswith(".npz") else _pictures_of(spec, limit)
    if not len(images):
        raise InputError(f"{spec} holds no examples")
    if images.dtype.kind in "iu":
        images = images / np.float32(255)
    if images.ndim == 3:
        images = images[..., None]  # (n, h, w) -> (n, h, w, 1)
    x: Array = images.astype(np.float64 if images.dtype == np.float64 else np.float32)
    return x


def _spread(count: int, limit: int) -> Array:
    """Numbers of at most ``limit`` of ``count`` examples, evenly from all of them."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(int))


def _arrays_of(spec: str) -> Array:
    from tinymnist.compare.captured import INPUT_NAMES, read_arrays

    arrays = read_arrays(spec)
    for name in INPUT_NAMES:
        if name in arrays:
            return arrays[name]
    raise InputError(f"{spec} holds {sorted(arrays)}; expected an array 'input'")


def _pictures_of(spec: str, limit: int) -> Any:
    from tinymnist.data import load_set

    images = load_set(spec).images
    chosen = [images[i] for i in _spread(len(images), limit)]
    if not isinstance(images, list):
        return np.stack(chosen)
    from tinymnist.reader import prepare_all

    return prepare_all(chosen, "mnist").images
