"""The cost of bringing a picture to MNIST's form: ``python -m benchmarks.recipe``.

Painted pictures of five sizes, as files in memory, are decoded and normalized, and the default
model checks the result. A profile shows the time of each stage. The memory is that of processes
which read photographs of 50 megapixels.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.common import (
    add_json,
    add_quick,
    command_line,
    machine_line,
    pin_threads,
    verdict,
)

if TYPE_CHECKING:
    from benchmarks.stages import Peak, Row

EXAMPLES = """\
           times, stages and memory, in about a minute
--quick    a rough run, without the memory
--json > recipe.json"""

Table = list[tuple[str, ...]]

TARGETS = {"28x28": 0.8, "100x100": 1.0, "400x400": 2.0, "4000x3000": 30.0, "50 megapixels": 1000.0}
"""Upper limits: milliseconds per picture on a quiet core, and megabytes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report."""
    description = "Measure time and memory of the recipe on painted pictures, stage by stage."
    parser = command_line("recipe", description, EXAMPLES)
    add_quick(parser)
    add_json(parser)
    options = parser.parse_args(arguments)
    pin_threads(1)
    from benchmarks.stages import CASES, measure, weigh  # imports NumPy, so not before

    rows = [measure(case, quick=options.quick) for case in CASES]
    peaks = {} if options.quick else weigh()
    print(as_json(rows, peaks) if options.json else text(rows, peaks))
    return 0


def text(rows: Sequence[Row], peaks: dict[str, Peak]) -> str:
    """Three tables, and whether the figures meet the targets."""
    from tinymnist.reporting.text import table

    tables = [times(rows), by_stage(rows), *([memory(peaks)] if peaks else [])]
    lines = [
        verdict(
            name, value, TARGETS[name], below=True, unit=" MB" if "megapixels" in name else " ms"
        )
        for name, value in verdicts(rows, peaks).items()
    ]
    where = f"one thread, decoding included{busy()}; {machine_line('numpy', 'pillow')}"
    return "\n\n".join([*map(table, tables), "\n".join([*lines, where])])


def busy() -> str:
    """A note if the machine is overloaded, which makes every figure too large."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    cores = os.cpu_count() or 1
    return f"; the machine is busy: load {load:.1f} on {cores} cores" if load > cores + 0.5 else ""


def times(rows: Sequence[Row]) -> Table:
    """Decoding and the recipe by size, and the two slowest stages."""
    cells: Table = [
        ("ms per picture", "decode", "normalize", "total", "read right", "slowest stages")
    ]
    for row in rows:
        numbers = (f"{value:.2f}" for value in (row.decode, row.normalize, row.total))
        slowest = sorted(row.stages, key=lambda name: -row.stages[name])[:2]
        shares = ", ".join(f"{name} {row.stages[name] / row.total:.0%}" for name in slowest)
        cells.append((row.case, *numbers, f"{row.right} of {row.of}", shares))
    return cells


def by_stage(rows: Sequence[Row]) -> Table:
    """Every stage that takes 1 % of the time somewhere, slowest first."""
    shares: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.stages.items():
            shares.setdefault(name, []).append(value / row.total)
    names = [name for name in shares if max(shares[name]) > 0.01]
    names.sort(key=lambda name: -sum(shares[name]))
    numbers = [(name, *(f"{row.stages.get(name, 0.0):.2f}" for row in rows)) for name in names]
    return [("ms by stage", *(row.case for row in rows)), *numbers]


def memory(peaks: dict[str, Peak]) -> Table:
    """Memory in MB of a process that reads one file of 50 megapixels."""
    cells = [
        (name, *("unknown" if value is None else f"{value / 1e6:.0f}" for value in peak.values()))
        for name, peak in peaks.items()
    ]
    return [("MB, 50 megapixels", *next(iter(peaks.values()))), *cells]


def verdicts(rows: Sequence[Row], peaks: dict[str, Peak]) -> dict[str, float]:
    """The measurement for each target, in the target's unit."""
    found = {row.case: row.total for row in rows if row.case in TARGETS}
    known = [peak["peak"] for peak in peaks.values() if peak["peak"]]
    return found | ({"50 megapixels": max(known) / 1e6} if known else {})


def as_json(rows: Sequence[Row], peaks: dict[str, Peak]) -> str:
    """All measurements as one object."""
    return json.dumps(
        {
            "machine": machine_line("numpy", "pillow"),
            "milliseconds": [{**row._asdict(), "total": row.total} for row in rows],
            "peak_bytes": peaks,
            "targets": TARGETS,
            "measured": verdicts(rows, peaks),
        }
    )


if __name__ == "__main__":
    sys.exit(main())
