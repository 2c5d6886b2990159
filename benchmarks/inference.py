"""Prediction in tinymnist and other frameworks: ``python -m benchmarks.inference``.

All have the same weights, take a NumPy array and return one; the probabilities are compared first.
Threads are pinned before NumPy is imported, so each number of threads has its own process.
``python -m benchmarks.growth`` shows how the cost grows, the memory, and the distance from the
fastest product of two matrices.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import networks, peers
from benchmarks.common import (
    add_json,
    add_quick,
    at_least,
    command_line,
    interleaved,
    machine_line,
    pin_threads,
    run_child,
)
from benchmarks.peers import OURS, Row

if TYPE_CHECKING:
    from tinymnist.nn.sequential import Sequential

EXAMPLES = """\
           batches from 1 to 10,000 on 1 and on 2 threads
--quick    a rough run, in about a minute
--only torch --batch 64 --threads 1 --json
--network keras-cnn --batch 1"""

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
    networks: Sequence[str] = ("keras-cnn",)


def parse(program: Program, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_line(program.name, program.description, program.examples)
    add, positive = parser.add_argument, at_least(1)
    batches = " ".join(map(str, program.batches))
    add("--batch", type=positive, nargs="+", default=program.batches, help=f"default: {batches}")
    add("--threads", type=positive, nargs="+", default=[1, 2], help="default: 1 2")
    names = [OURS, *program.peers]
    add("--only", nargs="+", choices=names, default=[], help="compare only with these")
    networks = list(program.networks)
    add("--network", nargs="+", choices=networks, default=networks, help="default: all")
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
    machine = machine_line(
        "numpy", "torch", "keras", "tensorflow-cpu", "jax", "onnx", "onnxruntime"
    )
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
    arguments += ["--network", *options.network]
    arguments += [f"--{flag}" for flag in ("quick", "spin") if getattr(options, flag)]
    done = run_child(program.name, *arguments)
    if done.returncode:
        print(done.stderr, end="", file=sys.stderr)
        raise SystemExit(done.returncode)
    rows: list[Row] = json.loads(done.stdout)["rows"]
    return rows


def table(rows: Sequence[Row]) -> str:
    """A block of lines for each network and batch size."""
    lines = []
    places = ("network", "threads", "batch")
    heads = [key for key in rows[0] if key not in (*places, "name", "ratio")]
    before = None
    for row in rows:
        if before != (before := tuple(row[key] for key in places)):
            title = "{}, {} thread(s), batch {}".format(*before)
            columns = "".join(f"{key.replace('_', ' '):>20}" for key in heads)
            lines.append(f"\n{title:34}{columns}      ratio")
        if "missing" in row:
            lines.append(f"{row['name']:34}  {row['missing']}")
        else:
            numbers = "".join(f"{row[key]:20.2f}" for key in heads)
            lines.append(f"{row['name']:34}{numbers}{row['ratio']:10.2f}x")
    return "\n".join([*lines, ""])


def predictors(
    threads: int, *, spin: bool, network: Sequential | str = "keras-cnn"
) -> dict[str, Callable[[], Callable[[Any], Any]]]:
    """By framework, a function that builds a predictor of images (n, h, w, c)."""
    model = networks.reference(network) if isinstance(network, str) else network

    def keras() -> Callable[[Any], Any]:
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        import tensorflow as tf

        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        compiled = tf.function(partial(networks.keras_model(model), training=False))
        return lambda x: compiled(tf.convert_to_tensor(x)).numpy()

    def jax() -> Callable[[Any], Any]:
        import numpy as np

        compiled = networks.jax_function(model)
        with _cores(threads):  # XLA starts as many threads as there are cores
            compiled(np.zeros((1, *model.input_shape), np.float32))
        return lambda x: np.asarray(compiled(x))

    def torch(channels_last: bool = False) -> Callable[[Any], Any]:
        theirs = networks.torch_module(model)
        import torch

        if threads:
            torch.set_num_threads(threads)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        theirs = theirs.to(memory_format=layout)

        def predict(x: Any) -> Any:
            with torch.inference_mode():
                pictures = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout)
                return theirs(pictures).softmax(1).numpy()

        return predict

    def onnxruntime() -> Callable[[Any], Any]:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
        settings.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
        graph, providers = networks.onnx_bytes(model), ["CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(graph, settings, providers=providers)
        h, w, _ = model.input_shape  # with one channel, both layouts are the same bytes
        return lambda x: session.run(None, {"x": x.reshape(-1, 1, h, w)})[0]

    return {
        OURS: lambda: partial(model.predict, workers=threads),
        "torch": torch,
        "torch channels_last": partial(torch, channels_last=True),
        "keras": keras,
        "jax": jax,
        "onnxruntime": onnxruntime,
    }


@contextmanager
def _cores(count: int) -> Iterator[None]:
    """Let threads that are started inside run on ``count`` cores only, if the system can."""
    if not count or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


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
    """Check, then time, network by network and batch size by batch size."""
    threads = options.threads[0]
    rounds, shortest = (3, 0.001) if options.quick else (25, 0.04)
    rows: list[Row] = []
    for network in options.network:
        builders = predictors(threads, spin=options.spin, network=network)
        built, missing = peers.build_all(builders, options.only)
        for batch in options.batch:
            x, _ = peers.noise(batch)
            check(built, x)
            runs = {name: partial(predict, x) for name, predict in built.items()}
            times = interleaved(runs, rounds=rounds, shortest=shortest, budget=5)
            figures = {
                name: {
                    "us_per_image": statistics.median(turns) / batch * 1e6,
                    "shortest": min(turns) / batch * 1e6,
                }
                for name, turns in times.items()
            }
            where = {"network": network, "threads": threads, "batch": batch}
            rows += peers.make_rows(where, figures, missing)
    return rows


INFERENCE = Program(
    "inference",
    "Time predictions in tinymnist, PyTorch, Keras, JAX and onnxruntime.",
    EXAMPLES,
    [*peers.INSTALL],
    [1, 16, 64, 256, 1024, 10000],
    measure,
    "NumPy arrays in and out; torch is eager, keras a tf.function, jax compiled by XLA",
    ("keras-cnn", "mnist-cnn"),
)

main = partial(run, INFERENCE)

if __name__ == "__main__":
    sys.exit(main())
