"""``tinymnist compare``: where do two models part, and why?"""

from __future__ import annotations

import argparse
from pathlib import Path

from tinymnist.commands.labelled import failure_record, report_failures
from tinymnist.commands.output import (
    COUNT,
    NOT_NEGATIVE,
    add_json_argument,
    check_outputs,
    print_json,
)

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

If a file's weights fit several architectures, first choose one with `tinymnist convert`.

exit codes: 0 every layer agrees, 1 some layer differs or some pictures could not be read,
2 unusable input
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    from tinymnist.comparison.outputs import ATOL, RTOL, RUNS

    for side in ("a", "b"):
        parser.add_argument(
            side,
            metavar=side.upper(),
            help="a shipped model, a model file of any framework, or an .npz of captured outputs",
        )
    parser.add_argument(
        "--inputs",
        metavar="SET|FILE.npz",
        help="what both are run on: mnist-test, a folder of labelled pictures, or an .npz with an "
        "array 'input'; whole numbers are divided by 255; default: six sample pictures",
    )
    parser.add_argument(
        "--limit", type=COUNT, default=64, metavar="N", help="how many of them at most; default: 64"
    )
    for side in ("a", "b"):
        parser.add_argument(
            f"--run-{side}",
            choices=RUNS,
            metavar="FRAMEWORK",
            help=f"what runs {side.upper()}: {', '.join(RUNS)}; default: tinymnist",
        )
    parser.add_argument(
        "--atol", type=NOT_NEGATIVE, default=ATOL, help=f"absolute error allowed; default: {ATOL:g}"
    )
    parser.add_argument(
        "--rtol",
        type=NOT_NEGATIVE,
        default=RTOL,
        help=f"error allowed as a share of a layer's largest number; default: {RTOL:g}",
    )
    parser.add_argument(
        "--gradients",
        action="store_true",
        help="also compare the gradient of a fixed weighted sum of the outputs at every layer",
    )
    parser.add_argument("--report", type=Path, metavar="OUT.html", help="write a report")
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run both sides, compare, and print."""
    from tinymnist.api import compare, load_examples

    check_outputs({"--report": arguments.report}, [arguments.a, arguments.b, arguments.inputs])
    x, failures = load_examples(arguments.inputs, arguments.limit)
    code = report_failures(failures)
    comparison = compare(
        arguments.a,
        arguments.b,
        x,
        limit=arguments.limit,
        run_a=arguments.run_a,
        run_b=arguments.run_b,
        atol=arguments.atol,
        rtol=arguments.rtol,
        gradients=arguments.gradients,
    )
    if arguments.report:
        from tinymnist.comparison.report import write_report

        write_report(comparison, arguments.report)
    if arguments.json:
        print_json(comparison.as_record() | failure_record(failures))
    else:
        print(comparison.as_text())
        if arguments.report:
            print(f"\nreport: {arguments.report}")
    return code if comparison.agrees else 1
