"""How fast is keras-cnn, here and elsewhere? ``python -m benchmarks.inference``.

All have the same weights, take a NumPy array and give one; the probabilities are compared first.
Threads are pinned before NumPy is imported, so each number of threads has a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from benchmarks import peers
from benchmarks.peers import OURS, Row
from benchmarks.timing import interleaved, machine_line, medians, pin_threads

EXAMPLES = """\
examples:
  python -m benchmarks.inference                    batches of 1, 64 and 256 on 1 and on 2 threads
  python -m benchmarks.inference --quick            a rough one, in less than a minute
  python -m benchmarks.inference --only torch --batch 64 --threads 1 --json
"""

TOLERANCE = 1e-5
"""Between two frameworks' probabilities, in float32."""


class Program(NamedTuple):
    """What tells one of these benchmarks from the other."""

    name: str
    description: str
    examples: str
    peers: list[str]
    batches: list[int]
    measure: Callable[[argparse.Namespace], list[Row]]
    note: str


def parse(program: Program, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{program.name}",
        description=program.description,
        epilog=program.examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, batches = parser.add_argument, " ".join(map(str, program.batches))
    add("--batch", type=int, nargs="+", default=program.batches, help=f"default: {batches}")
    add("--threads", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    names = [OURS, *program.peers]
    add("--only", nargs="+", choices=names, default=[], help="compare with no other")
    add("--spin", action="store_true", help="let idle threads spin: they steal the next one's time")
    add("--quick", action="store_true", help="few and short runs")
    add("--json", action="store_true", help="print one JSON object, no table")
    parsed = parser.parse_args(arguments)
    if min(parsed.batch + parsed.threads) < 1:
        parser.error("--batch and --threads must be at least 1")
    return parsed


def run(program: Program, arguments: Sequence[str] | None = None) -> int:
    """Measure and report, with one child process for each number of threads if there are many."""
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
        os.environ["OPENBLAS_THREAD_TIMEOUT"] = "4"  # 2**4 ticks: as good as none
    return program.measure(options)


def _in_child(program: Program, options: argparse.Namespace, threads: int) -> list[Row]:
    command = [sys.executable, "-m", f"benchmarks.{program.name}", "--json"]
    command += ["--threads", str(threads), "--batch", *map(str, options.batch)]
    command += ["--only", *options.only] if options.only else []
    command += [f"--{flag}" for flag in ("quick", "spin") if getattr(options, flag)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)  # the child has said why on standard error
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
    """How to build what reads pictures (n, 28, 28, 1), by framework."""
    network = peers.reference()

    def keras() -> Callable[[Any], Any]:
        theirs = peers.keras_network(network.weights, threads=threads)
        import tensorflow as tf

        compiled = tf.function(partial(theirs, training=False))
        return lambda x: compiled(tf.convert_to_tensor(x)).numpy()

    def torch() -> Callable[[Any], Any]:
        theirs = peers.torch_network(network.weights, threads=threads).eval()
        import torch

        @torch.inference_mode()
        def predict(x: Any) -> Any:
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
        ArithmeticError: when they differ by more than rounding explains.
    """
    ours = built[OURS](x)
    for name, predict in built.items():
        error = abs(predict(x) - ours).max()
        if not error <= TOLERANCE:
            raise ArithmeticError(f"{name}: probabilities must agree with tinymnist's, {error=}")


def measure(options: argparse.Namespace) -> list[Row]:
    """Check, then time, batch by batch."""
    threads = options.threads[0]
    built, missing = peers.build_all(predictors(threads, spin=options.spin), options.only)
    rounds, shortest = (3, 0.001) if options.quick else (25, 0.04)
    rows: list[Row] = []
    for batch in options.batch:
        x, _ = peers.pictures(batch)
        check(built, x)
        runs = {name: partial(predict, x) for name, predict in built.items()}
        seconds = medians(interleaved(runs, rounds=rounds, shortest=shortest, budget=5))
        figures = {name: {"us_per_picture": s / batch * 1e6} for name, s in seconds.items()}
        rows += peers.make_rows({"threads": threads, "batch": batch}, figures, missing)
    return rows


INFERENCE = Program(
    "inference",
    "Time keras-cnn's predictions in tinymnist, PyTorch, Keras and onnxruntime.",
    EXAMPLES,
    [*peers.INSTALL],
    [1, 64, 256],
    measure,
    "NumPy in, NumPy out; torch is eager, keras a tf.function",
)

if __name__ == "__main__":
    sys.exit(run(INFERENCE))
