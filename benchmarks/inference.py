"""Prediction with keras-cnn, in four frameworks: ``python -m benchmarks.inference``.

All have the same weights, take a NumPy array and return one; the probabilities are compared first.
Threads are pinned before NumPy is imported, so each number of threads has its own process.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from benchmarks import peers
from benchmarks.common import (
    add_json,
    add_quick,
    at_least,
    command_line,
    interleaved,
    machine_line,
    medians,
    pin_threads,
    run_child,
)
from benchmarks.peers import OURS, Row

EXAMPLES = """\
           batches of 1, 64 and 256 on 1 and on 2 threads
--quick    a rough run, in less than a minute
--only torch --batch 64 --threads 1 --json"""

TOLERANCE = 1e-5
"""Between two frameworks' probabilities, in float32."""


class Program(NamedTuple):
    """The difference between the benchmarks of inference and training."""

    name: str
    description: str
    examples: str
    peers: list[str]
    batches: list[int]
    measure: Callable[[argparse.Namespace], list[Row]]
    note: str


def parse(program: Program, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_line(program.name, program.description, program.examples)
    add, positive = parser.add_argument, at_least(1)
    batches = " ".join(map(str, program.batches))
    add("--batch", type=positive, nargs="+", default=program.batches, help=f"default: {batches}")
    add("--threads", type=positive, nargs="+", default=[1, 2], help="default: 1 2")
    names = [OURS, *program.peers]
    add("--only", nargs="+", choices=names, default=[], help="compare only with these")
    add("--spin", action="store_true", help="let idle threads spin: they slow the next candidate")
    add_quick(parser)
    add_json(parser)
    return parser.parse_args(arguments)


def run(program: Program, arguments: Sequence[str] | None = None) -> int:
    """Measure and report, with a child process for each number of threads if there are several."""
    options = parse(program, arguments)
    rows: list[Row] = []
    for threads in options.threads:
        many = len(options.threads) > 1
        found = _in_child(program, options, threads) if many else _here(program, options)
        rows += found
        if not options.json:
            print(table(found), flush=True)
    machine = machine_line("numpy", "torch", "keras", "tensorflow-cpu", "onnx", "onnxruntime")
    if options.json:
        print(json.dumps({"machine": machine, "spin": options.spin, "rows": rows}))
    else:
        print("ratio: a peer's time over tinymnist's; above 1, tinymnist is faster")
        print(f"{program.note}\nidle threads {'spin' if options.spin else 'sleep'}; {machine}")
    return 0


def _here(program: Program, options: argparse.Namespace) -> list[Row]:
    pin_threads(options.threads[0])
    if not options.spin:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ["OPENBLAS_THREAD_TIMEOUT"] = "4"  # 2**4 ticks: almost none
    return program.measure(options)


def _in_child(program: Program, options: argparse.Namespace, threads: int) -> list[Row]:
    arguments = ["--json", "--threads", threads, "--batch", *options.batch]
    arguments += ["--only", *options.only] if options.only else []
    arguments += [f"--{flag}" for flag in ("quick", "spin") if getattr(options, flag)]
    done = run_child(program.name, *arguments)
    if done.returncode:
        print(done.stderr, end="", file=sys.stderr)
        raise SystemExit(done.returncode)
    rows: list[Row] = json.loads(done.stdout)["rows"]
    return rows


def table(rows: Sequence[Row]) -> str:
    """A block of lines for each batch size."""
    lines = []
    heads = [key for key in rows[0] if key not in ("threads", "batch", "name", "ratio")]
    before = None
    for row in rows:
        if before != (before := row["batch"]):
            title = f"keras-cnn, {row['threads']} thread(s), batch {before}"
            columns = "".join(f"{key.replace('_', ' '):>20}" for key in heads)
            lines.append(f"\n{title:34}{columns}      ratio")
        if "missing" in row:
            lines.append(f"{row['name']:34}  {row['missing']}")
        else:
            numbers = "".join(f"{row[key]:20.2f}" for key in heads)
            lines.append(f"{row['name']:34}{numbers}{row['ratio']:10.2f}x")
    return "\n".join([*lines, ""])


def predictors(threads: int, *, spin: bool) -> dict[str, Callable[[], Callable[[Any], Any]]]:
    """By framework, a function that builds a predictor of images (n, 28, 28, 1)."""
    network = peers.reference()

    def keras() -> Callable[[Any], Any]:
        theirs = peers.keras_network(network.weights, threads=threads)
        import tensorflow as tf

        compiled = tf.function(partial(theirs, training=False))
        return lambda x: compiled(tf.convert_to_tensor(x)).numpy()

    def torch() -> Callable[[Any], Any]:
        theirs = peers.torch_network(network.weights, threads=threads).eval()
        import torch

        def predict(x: Any) -> Any:
            with torch.inference_mode():
                return theirs(torch.from_numpy(x.reshape(-1, 1, 28, 28))).softmax(1).numpy()

        return predict

    def onnxruntime() -> Callable[[Any], Any]:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
        settings.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
        graph, providers = peers.onnx_network(network.weights), ["CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(graph, settings, providers=providers)
        return lambda x: session.run(None, {"x": x.reshape(-1, 1, 28, 28)})[0]

    ours = partial(network.predict, workers=threads)
    return {OURS: lambda: ours, "torch": torch, "keras": keras, "onnxruntime": onnxruntime}


def check(built: dict[str, Callable[[Any], Any]], x: Any) -> None:
    """Compare all probabilities with tinymnist's.

    Raises:
        ArithmeticError: if they differ by more than rounding errors.
    """
    ours = built[OURS](x)
    for name, predict in built.items():
        error = abs(predict(x) - ours).max()
        if not error <= TOLERANCE:
            raise ArithmeticError(f"{name}: probabilities must agree with tinymnist's, {error=}")


def measure(options: argparse.Namespace) -> list[Row]:
    """Check, then time, batch size by batch size."""
    threads = options.threads[0]
    built, missing = peers.build_all(predictors(threads, spin=options.spin), options.only)
    rounds, shortest = (3, 0.001) if options.quick else (25, 0.04)
    rows: list[Row] = []
    for batch in options.batch:
        x, _ = peers.noise(batch)
        check(built, x)
        runs = {name: partial(predict, x) for name, predict in built.items()}
        seconds = medians(interleaved(runs, rounds=rounds, shortest=shortest, budget=5))
        figures = {name: {"us_per_image": s / batch * 1e6} for name, s in seconds.items()}
        rows += peers.make_rows({"threads": threads, "batch": batch}, figures, missing)
    return rows


INFERENCE = Program(
    "inference",
    "Time keras-cnn's predictions in tinymnist, PyTorch, Keras and onnxruntime.",
    EXAMPLES,
    [*peers.INSTALL],
    [1, 64, 256],
    measure,
    "NumPy arrays in and out; torch is eager, keras a tf.function",
)

main = partial(run, INFERENCE)

if __name__ == "__main__":
    sys.exit(main())
