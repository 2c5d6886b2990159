"""Shared by all benchmarks: command lines, pinned threads, interleaved timing, the machine's name.

Timing two programs one after the other mostly compares what else the machine was doing. So the
candidates take turns, and every figure is a median, or a ratio of medians. This module does not
import NumPy, because BLAS reads its number of threads when NumPy is imported.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TINYMNIST_THREADS",
)


# --- command lines --------------------------------------------------------------------------------


def command_line(name: str, description: str, examples: str = "") -> argparse.ArgumentParser:
    """A parser for ``python -m benchmarks.NAME``.

    Args:
        name: of the module.
        description: one sentence.
        examples: lines such as ``--quick   a rough run``; the program's name is put before each.
    """
    program = f"python -m benchmarks.{name}"
    lines = [f"  {program} {line}".rstrip() for line in examples.splitlines()]
    return argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog="\n".join(["examples:", *lines]) if lines else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_quick(parser: argparse.ArgumentParser) -> None:
    """Add ``--quick``."""
    parser.add_argument("--quick", action="store_true", help="few and short runs")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")


def at_least(least: int) -> Callable[[str], int]:
    """A type for argparse: integers from ``least`` on."""

    def integer(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, not {text}")
        return value

    return integer


def add_fine_tuning(parser: argparse.ArgumentParser, seeds: int) -> None:
    """Add ``--model``, ``--shots``, ``--seeds``, and ``--set`` for the settings of FineTuning."""
    parser.add_argument("--model", default="mnist-cnn", help="default: mnist-cnn")
    parser.add_argument(
        "--shots", nargs="+", type=at_least(1), default=[1, 2, 5, 10], metavar="N",
        help="pictures per class to learn from; default: 1 2 5 10",
    )  # fmt: skip
    parser.add_argument("--seeds", type=at_least(1), default=seeds, help=f"default: {seeds}")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        type=lambda text: (text.partition("=")[0], json.loads(text.partition("=")[2])),
        help="a setting of FineTuning, its value as JSON",
    )


def verdict(what: str, value: float, limit: float, *, below: bool, unit: str = "") -> str:
    """A line that compares a figure with its target, which it should be below, or above."""
    met = value < limit if below else value > limit
    side = "below" if below else "above"
    return f"{what}: {value:.2f}{unit}, target {side} {limit:g}: {'met' if met else 'MISSED'}"


# --- processes ------------------------------------------------------------------------------------


def pin_threads(count: int) -> None:
    """Let BLAS, OpenMP and tinymnist use ``count`` threads.

    Raises:
        RuntimeError: if NumPy is already imported, because then it is too late.
    """
    if "numpy" in sys.modules:
        raise RuntimeError("threads must be pinned before numpy is imported")
    os.environ.update(_pinned(count))


def _pinned(count: int) -> dict[str, str]:
    return dict.fromkeys(THREAD_VARIABLES, str(count))


def run_child(
    module: str, *arguments: object, threads: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m benchmarks.MODULE ARGUMENTS`` in its own process.

    Args:
        module: of this folder.
        arguments: for its command line.
        threads: pinned in the child; 0 leaves its environment as it is.
    """
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    environment = os.environ | (_pinned(threads) if threads else {})
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def last_json(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON on the last line that a child printed.

    Raises:
        RuntimeError: if the child failed; with the last line of its standard error.
    """
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["failed"]
        raise RuntimeError(f"{' '.join(done.args[2:4])}: {lines[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


# --- measuring ------------------------------------------------------------------------------------


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 15,
    shortest: float = 0.002,
    budget: float = 1.5,
) -> dict[str, list[float]]:
    """Time candidates in turns.

    Each round has another order, since every candidate finds the caches as the last one left them.

    Args:
        candidates: what to time, by name; each is called once before, as a warm-up.
        rounds: turns of each candidate.
        shortest: seconds per turn; a quick candidate is called several times to fill them.
        budget: total seconds after which a slow candidate drops out (but it gets one turn).

    Returns:
        Seconds per call for each turn, by name.
    """
    calls = {name: _calls_per_turn(run, shortest) for name, run in candidates.items()}
    times: dict[str, list[float]] = {name: [] for name in candidates}
    order, shuffle = list(candidates), random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            if sum(times[name]) * calls[name] < budget:
                times[name].append(_time(candidates[name], calls[name]))
    return times


def medians(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median turn of each candidate."""
    return {name: statistics.median(turns) for name, turns in times.items()}


def peak_memory(run: Callable[[], object]) -> int:
    """The peak memory of one call in bytes, beyond what was allocated before.

    NumPy reports its arrays to tracemalloc. The result of the call counts; BLAS's own small
    buffers do not.
    """
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        run()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def _calls_per_turn(run: Callable[[], object], shortest: float) -> int:
    run()  # warm-up: first calls allocate, and load code and indices into the caches
    return max(1, round(shortest / max(_time(run, 1), 1e-7)))


def _time(run: Callable[[], object], calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - began) / calls


# --- the machine ----------------------------------------------------------------------------------


def machine_line(*packages: str) -> str:
    """Processor, cores, Python and the versions of ``packages``, or "missing"."""
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    python = f"Python {platform.python_version()}"
    return f"{_processor()}, {_cores()} cores, {platform.system()}, {python}, {versions}"


def _version(package: str) -> str:
    import importlib.metadata  # here, since it is slow, and start-up is measured elsewhere

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _processor() -> str:
    """The name from Linux's /proc/cpuinfo; on other systems what Python reports."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
