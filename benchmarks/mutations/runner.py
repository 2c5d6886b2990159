"""Keeps a worker busy with damaged inputs, replaces it when it dies or hangs, and counts."""

from __future__ import annotations

import json
import os
import pickle
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.mutations.kinds import Kind, Seed
from benchmarks.mutations.worker import MOST_RESIDENT_BYTES, MOST_SECONDS

ROOT = Path(__file__).parents[2]
_MOST_WAIT = 6 * MOST_SECONDS
"""Seconds without an answer: it waits for something, since processor time is limited below that."""
_START_WAIT = 300
VERBOSE = "MUTATIONS_VERBOSE"
"""The variable that lets workers write on standard error."""


@dataclass
class Finding:
    """One way to go wrong, and the inputs that do."""

    kind: str
    what: str
    where: str
    numbers: list[int] = field(default_factory=list)
    count: int = 0


@dataclass
class Result:
    """What came of a run.

    Attributes:
        outcomes: of each kind, how many inputs were opened, refused, wrong ...
        findings: what went wrong, by kind, place and type.
        slowest: of each kind, seconds and number of the input that took longest.
        peak: the highest resident memory of a worker, in bytes.
    """

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    findings: dict[tuple[str, str, str], Finding] = field(default_factory=dict)
    slowest: dict[str, tuple[float, int]] = field(default_factory=dict)
    peak: int = 0

    @property
    def count(self) -> int:
        """How many inputs were tried."""
        return sum(sum(counts.values()) for counts in self.outcomes.values())

    def add(self, kind: str, number: int, answer: Mapping[str, Any]) -> None:
        """Count an answer, and keep what is wrong about it."""
        outcome, deeds = answer["outcome"], answer.get("deeds")
        if deeds:
            outcome = "forbidden"
        elif answer.get("peak", 0) > MOST_RESIDENT_BYTES:
            outcome = "memory"
        elif answer.get("seconds", 0) > MOST_SECONDS:
            outcome = "slow"
        self.outcomes.setdefault(kind, Counter())[outcome] += 1
        self.peak = max(self.peak, answer.get("peak", 0))
        best = self.slowest.get(kind, (0.0, 0))
        self.slowest[kind] = max(best, (round(answer.get("seconds", 0.0), 2), number))
        if outcome in ("opened", "refused"):
            return
        what = f"{outcome}: {deeds[0] if deeds else answer['text']}"
        key = (
            kind,
            ":".join(what.split(":")[:2]) if outcome == "wrong" else outcome,
            answer["where"],
        )
        found = self.findings.setdefault(key, Finding(kind, what, answer["where"]))
        found.count += 1
        found.numbers = [*found.numbers, number][:3]


class Worker:
    """One worker process; it is started when it is first needed."""

    def __init__(self, names: Sequence[str], key: int, seeds: Path, folder: str) -> None:
        self._names, self._key, self._seeds, self._folder = names, key, seeds, folder
        self._process: subprocess.Popen[str] | None = None

    def ask(self, kind: str, number: int) -> dict[str, Any]:
        """What comes of an input. A worker that does not answer is replaced by the next call."""
        process = self._process = self._process or self._started()
        try:
            process.stdin.write(f"{kind} {number}\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            answer = _answer(process, _MOST_WAIT)
        except BrokenPipeError:
            answer = None
        if answer is None:
            hangs = process.poll() is None
            code = "" if hangs else f"signal {-process.wait()}"
            self.stop()
            return {"outcome": "hang" if hangs else "death", "text": code, "where": ""}
        if answer["peak"] > MOST_RESIDENT_BYTES:
            self.stop()  # a peak is that of the whole life of a process
        return dict(answer)

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = None

    def _started(self) -> subprocess.Popen[str]:
        home = {"HOME": self._folder, "XDG_CACHE_HOME": self._folder, "TMPDIR": self._folder}
        threads = {"OPENBLAS_NUM_THREADS": "1", "TINYMNIST_THREADS": "1"}
        command = [sys.executable, "-m", "benchmarks.mutations.worker"]
        process = subprocess.Popen(
            [*command, self._folder, str(self._key), str(self._seeds), *self._names],
            cwd=ROOT,
            env=os.environ | home | threads,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if VERBOSE not in os.environ else None,
            text=True,
        )
        if _answer(process, _START_WAIT) != "ready":
            process.kill()
            raise ChildProcessError(f"the worker does not start; {VERBOSE}=1 shows why")
        return process


def _answer(process: subprocess.Popen[str], seconds: float) -> Any:
    """The next answer, or None if the process ended or none comes in time."""
    end, stream = time.monotonic() + seconds, process.stdout
    while stream and not select.select([stream], [], [], 1.0)[0]:
        if time.monotonic() > end:
            return None
    line = stream.readline() if stream else ""
    if not line.endswith("\n"):
        process.wait()
        return None
    return json.loads(line)


def run(
    kinds: Sequence[Kind],
    count: int,
    key: int,
    seconds: float | None = None,
    tick: Callable[[Result], None] = lambda result: None,
    first: int = 0,
) -> Result:
    """Try ``count`` inputs, in turn of every kind that has seeds, or as many as time allows.

    Args:
        kinds: what to try.
        count: how many inputs in all.
        key: another one makes other inputs.
        seconds: when to end at the latest.
        tick: called after every input.
        first: the number of each kind's first input.
    """
    result = Result()
    end = None if seconds is None else time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        seeds: dict[str, Sequence[Seed]] = {kind.name: kind.seeds() for kind in kinds}
        names = [name for name, own in seeds.items() if own]
        place = Path(folder, "seeds.pickle")
        place.write_bytes(pickle.dumps({name: list(seeds[name]) for name in names}))
        worker = Worker(names, key, place, os.path.realpath(folder))
        try:
            for number in range(count if names else 0):
                if end is not None and time.monotonic() > end:
                    break
                kind, own = names[number % len(names)], first + number // len(names)
                result.add(kind, own, worker.ask(kind, own))
                tick(result)
        finally:
            worker.stop()
    return result
