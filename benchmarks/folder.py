"""A folder of many pictures, read by ``tinymnist predict``: ``python -m benchmarks.folder``.

The folder holds PNGs of 100x100 pixels, painted for the occasion. Every run is a process of its
own, as a user starts it, and the runs with one and with several workers take turns. An OpenCV
pipeline in front of onnxruntime does what such scripts usually do: threshold, contour, resize. It
is quicker as it looks at less; the share that each reads right is shown beside its rate.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import (
    add_json,
    add_quick,
    at_least,
    command_line,
    last_json,
    machine_line,
    run_child,
    verdict,
)

EXAMPLES = """\
           20,000 pictures, one and two workers in turns: some minutes
--quick    1,000 pictures, once
--json > folder.json"""

SIDE = 100
_VARIANTS = 300
"""Different pictures; each is written under many names, as painting takes longer than reading."""
_SETTLED = 0.2  # the share of a run after which memory should not grow


class Run(NamedTuple):
    """One process that read the whole folder."""

    seconds: float
    first: float
    """Seconds until the first result was printed."""
    rate: float
    """Pictures per second, from start to exit."""
    peak: int
    """Bytes in all of its processes together, at most."""
    growth: float
    """The memory at the end over that after a fifth of the time."""
    right: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Paint, read in turns, and report."""
    parser = command_line("folder", "Measure how fast a folder of pictures is read.", EXAMPLES)
    parser.add_argument("--count", type=at_least(10), default=20_000, help="default: 20000")
    parser.add_argument("--rounds", type=at_least(1), default=3, help="default: 3")
    parser.add_argument("--workers", type=at_least(2), default=2, help="default: 2")
    add_quick(parser)
    add_json(parser)
    options = parser.parse_args(arguments)
    count, rounds = (1000, 1) if options.quick else (options.count, options.rounds)
    counts = (1, options.workers)
    runs: dict[int, list[Run]] = {workers: [] for workers in counts}
    rivals: list[dict[str, Any]] = []
    has_rival = all(map(importlib.util.find_spec, ("cv2", "onnxruntime")))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "pictures")
        paint_folder(folder, count)
        for _ in range(rounds):
            for workers in counts:
                runs[workers].append(run_once(folder, workers, count))
            if has_rival:
                rivals.append(last_json(run_child("folder_opencv", folder, threads=1)))
    record = as_record(runs, rivals, count)
    print(json.dumps(record) if options.json else text(record, options.workers))
    return 0


def paint_folder(folder: Path, count: int) -> None:
    """Write ``count`` pictures, each named after its digit and its number."""
    from benchmarks.painted import encoded, paint

    files = [(digit, encoded(picture, "PNG")) for digit, picture in paint(_VARIANTS, (SIDE, SIDE))]
    folder.mkdir()
    for number in range(count):
        digit, content = files[number % len(files)]
        (folder / f"{number:06}-{digit}.png").write_bytes(content)


def run_once(folder: Path, workers: int, count: int) -> Run:
    """Time ``tinymnist predict FOLDER`` and watch its memory."""
    command = [sys.executable, "-m", "tinymnist", "predict", str(folder), "--json"]
    limits = ["--workers", str(workers), "--threads", str(workers)]
    began = time.perf_counter()
    with subprocess.Popen([*command, *limits], stdout=subprocess.PIPE) as process:
        memory: list[int] = []
        watcher = threading.Thread(target=lambda: memory.extend(watch(process)))
        watcher.start()
        assert process.stdout is not None  # noqa: S101
        first, right, lines = 0.0, 0, 0
        for line in process.stdout:
            first = first or time.perf_counter() - began
            record = json.loads(line)
            right += record.get("digit") == int(Path(record["file"]).stem[-1])
            lines += 1
    seconds = time.perf_counter() - began
    watcher.join()
    if lines != count or process.returncode:
        raise RuntimeError(f"{lines} of {count} results, exit code {process.returncode}")
    early = max(memory[: max(int(_SETTLED * len(memory)), 1)], default=0)
    growth = max(memory, default=0) / early if early else float("nan")
    return Run(seconds, first, count / seconds, max(memory, default=0), growth, right / count)


def watch(process: subprocess.Popen[bytes]) -> Iterator[int]:
    """The memory of a process and its children, 20 times a second; nothing but on Linux."""
    while process.poll() is None:
        if total := sum(map(_resident, [process.pid, *_children(process.pid)])):
            yield total
        time.sleep(0.05)


def _children(process: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:  # it has just ended
            continue
    return found


def _resident(process: int) -> int:
    """Bytes of a process in memory; what it shares with others (libraries) counts each time."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def as_record(
    runs: dict[int, list[Run]], rivals: list[dict[str, Any]], count: int
) -> dict[str, Any]:
    """Medians, ready for JSON."""
    rows: dict[str, Any] = {}
    for workers, own in runs.items():
        middle = Run(*map(statistics.median, zip(*own, strict=True)))
        rows[str(workers)] = middle._asdict() | {"peak": max(run.peak for run in own)}
    one, more = runs.values()
    ratios = [b.rate / a.rate for a, b in zip(one, more, strict=True)]
    rival = None
    if rivals:
        rate = statistics.median(entry["rate"] for entry in rivals)
        rival = {"rate": rate, "right": rivals[0]["right"]}
    return {
        "machine": machine_line("numpy", "pillow", "opencv-python-headless", "onnxruntime"),
        "pictures": count,
        "workers": rows,
        "ratio": statistics.median(ratios),
        "opencv": rival,
    }


def text(record: dict[str, Any], workers: int) -> str:
    """A table, and whether the figures meet the targets."""
    from tinymnist.reporting.text import percent, table

    rows = [("", "pictures/s", "first result", "memory", "growth", "right")]
    for name, run in record["workers"].items():
        figures = (f"{run['rate']:,.0f}", f"{run['first']:.2f} s", f"{run['peak'] / 1e6:.0f} MB")
        rows.append((f"{name} workers", *figures, f"{run['growth']:.2f}", percent(run["right"])))
    if rival := record["opencv"]:
        rate = f"{rival['rate']:,.0f}"
        rows.append(("OpenCV + onnxruntime, 1 core", rate, "", "", "", percent(rival["right"])))
    else:
        rows.append(("OpenCV + onnxruntime", "missing", "", "", "", ""))
    several = record["workers"][str(workers)]
    what = f"{workers} workers over one"
    return "\n".join(
        [
            record["machine"],
            f"{record['pictures']:,} PNGs of {SIDE}x{SIDE}",
            "",
            table(rows),
            "",
            verdict(what, record["ratio"], 1.7, below=False),
            verdict(f"pictures a second, {workers} workers", several["rate"], 1000, below=False),
            verdict("first result", several["first"], 1, below=True, unit=" s"),
            verdict("memory in all", several["peak"] / 1e6, 300, below=True, unit=" MB"),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
