"""From the start of a command to its end: ``python -m benchmarks.start``.

Whole processes take turns: Python with NumPy and Pillow alone, ``tinymnist predict`` on one
picture, ``tinymnist evaluate mnist-test`` if MNIST is on this machine, and other frameworks, which
only have to be imported. Time and peak memory are what the system counts for each process. As Linux
counts, a peak is at least that of this program, which therefore imports little.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import add_json, add_quick, command_line, machine_line, verdict

EXAMPLES = """\
           15 processes of each kind
--quick    3 of each
--json > start.json"""

Command = list[str]
BASE = "import numpy, PIL.Image"
PREDICT, EVALUATE = "tinymnist predict", "tinymnist evaluate mnist-test"
PEERS = ("onnxruntime", "torch", "keras")
PICTURE = Path(__file__).parents[1] / "tinymnist" / "samples" / "5-marker-on-yellow.jpg"
SCRIPT = "import sys; from tinymnist.cli import main; sys.exit(main())"
"""What the installed command does."""
TARGETS = {f"{PREDICT} / {BASE}": 1.4, f"{PREDICT}, MB": 45.0, f"{EVALUATE}, s": 1.5}


class Run(NamedTuple):
    """What one process took: seconds, seconds of all processors, bytes."""

    wall: float
    cpu: float
    peak: int


class Row(NamedTuple):
    """The medians of one command, and its time over the base's; None if it is missing."""

    name: str
    seconds: float | None
    cpu: float | None
    ratio: float | None
    peak_mb: float | None


def commands() -> dict[str, Command | None]:
    """What to run, by name; None for what is not installed."""
    python = [sys.executable, "-c"]
    found: dict[str, Command | None] = {
        BASE: [*python, BASE],
        PREDICT: [*python, SCRIPT, "predict", str(PICTURE)],
        EVALUATE: [*python, SCRIPT, "evaluate", "mnist-test"] if _has_mnist() else None,
    }
    for peer in PEERS:
        is_there = importlib.util.find_spec(peer) is not None
        found[f"import {peer}"] = [*python, f"{BASE}, {peer}"] if is_there else None
    return found


def _has_mnist() -> bool:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "data"], capture_output=True, check=False, env=environment()
    )
    return done.returncode == 0


def environment() -> dict[str, str]:
    """The environment in which compiled modules are kept, as after an installation."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(command: Command) -> Run:
    """Run a process to its end.

    Raises:
        RuntimeError: if it fails; with the last line of its standard error.
    """
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(), text=True
    ) as process:
        errors = process.stderr.read() if process.stderr else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[2:])}: {[*errors.splitlines(), 'failed'][-2:][0]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def measure(candidates: Mapping[str, Command | None], rounds: int) -> list[Row]:
    """Run all commands in turns, each round in another order, after one that does not count."""
    runs: dict[str, list[Run]] = {name: [] for name, command in candidates.items() if command}
    order, shuffle = list(runs), random.Random(0).shuffle
    for number in range(rounds + 1):
        shuffle(order)
        for name in order:
            taken = run(candidates[name] or [])
            if number:
                runs[name].append(taken)
    base = statistics.median(one.wall for one in runs[BASE])
    rows = []
    for name in candidates:
        if name not in runs:
            rows.append(Row(name, None, None, None, None))
            continue
        wall, cpu, peak = (statistics.median(values) for values in zip(*runs[name], strict=True))
        rows.append(Row(name, wall, cpu, wall / base, peak / 1e6))
    return rows


def verdicts(rows: Sequence[Row]) -> dict[str, float]:
    """The figure for each target, as far as it was measured."""
    by_name = {row.name: row for row in rows}
    predict, evaluate = by_name[PREDICT], by_name[EVALUATE]
    found = zip(TARGETS, (predict.ratio, predict.peak_mb, evaluate.seconds), strict=True)
    return {name: value for name, value in found if value is not None}


def text(rows: Sequence[Row]) -> str:
    """A table, and whether the figures meet the targets."""
    from tinymnist.reporting.text import table

    cells = [("", "ms", "ms of CPU", "times the first", "peak MB")]
    for name, wall, cpu, ratio, peak in rows:
        if wall is None or cpu is None:
            cells.append((name, "missing", "", "", ""))
        else:
            cells.append(
                (name, f"{1e3 * wall:.0f}", f"{1e3 * cpu:.0f}", f"{ratio:.2f}", f"{peak:.0f}")
            )
    lines = [
        verdict(name, value, TARGETS[name], below=True) for name, value in verdicts(rows).items()
    ]
    return "\n".join([table(cells), "", *lines, machine_line("numpy", "pillow", *PEERS)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report."""
    parser = command_line("start", "Time whole processes, and weigh their memory.", EXAMPLES)
    add_quick(parser)
    add_json(parser)
    options = parser.parse_args(arguments)
    if not hasattr(os, "wait4"):
        parser.error("needs a system that reports what a process took, such as Linux or macOS")
    rows = measure(commands(), 3 if options.quick else 15)
    if options.json:
        machine = machine_line("numpy", "pillow", *PEERS)
        record = {"rows": [row._asdict() for row in rows], "targets": TARGETS}
        print(json.dumps({"machine": machine, **record, "measured": verdicts(rows)}))
    else:
        print(text(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
