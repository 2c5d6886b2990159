"""``tinymnist compare``: where do two models part, and why?"""

from __future__ import annotations

import argparse
from pathlib import Path

from tinymnist import commands

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

Two architectures, other weights and quantization (with the signal-to-noise ratio of each layer) are
called that; for anything else, known causes are tried out, one by one and two at once.

If a file's weights fit several architectures, first choose one with `tinymnist convert`.

exit codes: 0 every layer agrees, 1 some layer differs or some pictures could not be read,
2 unusable input
"""


def add_compare(parser: argparse.ArgumentParser) -> commands.Declared:
    """Declare the command's arguments."""
    from tinymnist.comparison.outputs import ATOL, RTOL, RUNS

    add = parser.add_argument
    model = "a shipped model, a model file of any framework, or an .npz of captured outputs"
    add("a", metavar="A", help=model)
    add("b", metavar="B", help=model)
    add(
        "--inputs",
        metavar="SET|FILE.npz",
        help="what both are run on: mnist-test, a folder of labelled pictures, or an .npz with an "
        "array 'input'; whole numbers are divided by 255; default: six sample pictures",
    )
    what = "how many of them at most; default: 64"
    add("--limit", type=commands.COUNT, default=64, metavar="N", help=what)
    for side in ("a", "b"):
        what = f"what runs {side.upper()}: {', '.join(RUNS)}; default: tinymnist"
        add(f"--run-{side}", choices=RUNS, metavar="FRAMEWORK", help=what)
    errors = {
        "--atol": (ATOL, "absolute error allowed"),
        "--rtol": (RTOL, "error allowed as a share of a layer's largest number"),
    }
    for name, (default, what) in errors.items():
        add(name, type=commands.NOT_NEGATIVE, default=default, help=f"{what}; default: {default:g}")
    what = "also compare the gradient of a fixed weighted sum of the outputs at every layer"
    add("--gradients", action="store_true", help=what)
    add("--report", type=Path, metavar="OUT.html", help="write a report, with both structures")
    commands.add_options(parser, "--json")
    return EXAMPLES, _run


def _run(arguments: argparse.Namespace) -> int:
    """Run both sides, compare, and print."""
    from tinymnist.api import compare, load_examples
    from tinymnist.commands.outputs import Kind, check_outputs

    inputs = [arguments.a, arguments.b, arguments.inputs]
    check_outputs({"--report": (Kind.PAGE, arguments.report)}, inputs)
    x, failures = load_examples(arguments.inputs, arguments.limit)
    commands.report_failures(failures)
    settings = commands.chosen(arguments, "limit run_a run_b atol rtol gradients")
    comparison = compare(arguments.a, arguments.b, x, **settings)
    text = comparison.as_text()
    if arguments.report:
        from tinymnist.comparison.report import write_report

        write_report(comparison, arguments.report)
        text += f"\n\nreport: {arguments.report}"
    code = commands.show(arguments, comparison.as_record(), text, failures)
    return code if comparison.agrees else 1
