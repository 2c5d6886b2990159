"""What all benchmarks share: pinned threads, interleaved runs, medians, and the machine's name.

Two programs that are timed one after the other are not compared with each other but with
whatever else the machine was doing. So candidates take turns, and a figure is a median, or a ratio
of medians. This module imports no NumPy: BLAS reads its number of threads when NumPy is imported.
"""

from __future__ import annotations

import os
import platform
import random
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TINYMNIST_THREADS",
)


def pin_threads(count: int) -> None:
    """Let BLAS, OpenMP and tinymnist use ``count`` threads.

    Raises:
        RuntimeError: when NumPy is imported already, because then it is too late.
    """
    if "numpy" in sys.modules:
        raise RuntimeError("threads must be pinned before numpy is imported")
    for name in THREAD_VARIABLES:
        os.environ[name] = str(count)


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 15,
    shortest: float = 0.002,
    budget: float = 1.5,
) -> dict[str, list[float]]:
    """Time candidates in turns.

    Each round has another order, since everyone finds the caches and the memory as the one before
    has left them.

    Args:
        candidates: name to what is timed; each is called once before, to warm up.
        rounds: how often each gets its turn.
        shortest: a quick candidate is called several times a turn, to fill so many seconds.
        budget: a slow candidate drops out after so many seconds of its own (but has had one turn).

    Returns:
        Seconds for one call, one number a turn, by name.
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
    """The most bytes that one call holds at a time beyond what was there before.

    NumPy reports its arrays to tracemalloc. What the call returns counts; BLAS's own small
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


def machine_line(*packages: str) -> str:
    """Processor, cores, Python and the versions of ``packages``; a missing one says so."""
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    python = f"Python {platform.python_version()}"
    return f"{_processor()}, {_cores()} cores, {platform.system()}, {python}, {versions}"


def _calls_per_turn(run: Callable[[], object], shortest: float) -> int:
    run()  # warm up: first calls allocate, and read indices and code into the caches
    return max(1, round(shortest / max(_time(run, 1), 1e-7)))


def _time(run: Callable[[], object], calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - began) / calls


def _version(package: str) -> str:
    import importlib.metadata  # here, since it is slow, and start-up is measured elsewhere

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _processor() -> str:
    """Linux tells the name in a file; elsewhere Python's guess has to do."""
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
