"""Many pictures: 200,000 by one process, by two, and by dask: ``python -m benchmarks.scale``.

Each way is a run of ``tinymnist predict FOLDER --out results.jsonl`` in a process of its own, and
all of them have to write the same bytes. Memory is that of all processes together, at most and
after each tenth of the run: it should not grow with the number of pictures.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import add_json, at_least, command_line, machine_line
from benchmarks.folder import paint_folder, watch

EXAMPLES = """\
                        200,000 pictures, three times: about an hour
--pictures 5000         a rough run
--only "one process"    one of the ways"""

WAYS = {
    "one process": ["--workers", "1"],
    "two processes": ["--workers", "2"],
    "dask, two local workers": ["--dask", "local", "--workers", "2"],
}


class Run(NamedTuple):
    """One process that read the whole folder."""

    rate: float
    """Pictures per second, from start to exit."""
    tenths: list[int]
    """Bytes in all of its processes after each tenth of its time."""
    peak: int
    digest: str
    """Of the results."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Paint, read in all ways, compare, and report; 1 if the bytes differ."""
    parser = command_line("scale", "Measure how a very large folder is read.", EXAMPLES)
    what = "how many; default: 200000"
    parser.add_argument("--pictures", type=at_least(10), default=200_000, help=what)
    parser.add_argument("--only", choices=WAYS, help="one of the ways")
    add_json(parser)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "pictures")
        paint_folder(folder, options.pictures)
        runs = {
            way: read_all(folder, WAYS[way], options.pictures)
            for way in ([options.only] if options.only else WAYS)
            if "dask" not in way or importlib.util.find_spec("distributed")
        }
    is_same = len({run.digest for run in runs.values()}) == 1
    if options.json:
        ways = {way: run._asdict() for way, run in runs.items()}
        print(json.dumps({"pictures": options.pictures, "ways": ways, "same_bytes": is_same}))
    else:
        print(text(runs, options.pictures, is_same))
    return 0 if is_same else 1


def read_all(folder: Path, arguments: list[str], count: int) -> Run:
    """Time one run and watch its memory."""
    results = folder.with_name("results.jsonl")
    command = [sys.executable, "-m", "tinymnist", "predict", str(folder), "--out", str(results)]
    began = time.perf_counter()
    with subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL) as process:
        memory = list(watch(process))
    seconds = time.perf_counter() - began
    content = results.read_bytes()
    results.unlink()
    found = content.count(b"\n")
    if found != count or process.returncode:
        raise RuntimeError(f"{found} of {count} results, exit code {process.returncode}")
    tenths = [memory[len(memory) * tenth // 10 - 1] for tenth in range(1, 11)]
    return Run(count / seconds, tenths, max(memory), hashlib.sha256(content).hexdigest())


def text(runs: dict[str, Run], count: int, is_same: bool) -> str:
    """A table."""
    from tinymnist.reporting.text import table

    rows: list[tuple[Any, ...]] = [("", "pictures/s", "peak", "MB after each tenth")]
    for way, run in runs.items():
        tenths = " ".join(f"{size / 1e6:.0f}" for size in run.tenths)
        rows.append((way, f"{run.rate:,.0f}", f"{run.peak / 1e6:.0f} MB", tenths))
    same = "the same bytes" if is_same else "DIFFERENT bytes"
    machine = machine_line("numpy", "pillow", "distributed")
    return "\n".join([machine, f"{count:,} pictures, {same} in all ways", "", table(rows)])


if __name__ == "__main__":
    sys.exit(main())
