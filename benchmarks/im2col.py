"""Twelve ways to write a convolution in NumPy, timed: ``python -m benchmarks.im2col``.

Every way is checked against plain loops first. One thread does the work, as in training, where
each thread takes a few images of the batch through all layers.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.common import (
    add_json,
    add_quick,
    at_least,
    command_line,
    machine_line,
    pin_threads,
)

if TYPE_CHECKING:
    from benchmarks.cases import Row, Shape

EXAMPLES = """\
                     a table for every convolution of the shipped models
--quick              a rough run, in a few seconds
--model keras-cnn    the convolutions of one model
--batch 128 --threads 2
--out chart.png --json > im2col.json"""

Results = list[tuple["Shape", list["Row"]]]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    description = "Measure time and memory of many ways to write a convolution in NumPy."
    parser = command_line("im2col", description, EXAMPLES)
    add = parser.add_argument
    add("--model", help="only the convolutions of this shipped model")
    add("--batch", type=at_least(1), default=16, help="images per call; default: 16")
    add("--threads", type=at_least(1), default=1, help="for BLAS; default: 1")
    add("--out", metavar="PNG", help="draw a chart into this file")
    add_quick(parser)
    add_json(parser)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report."""
    options = parse(arguments)
    pin_threads(options.threads)
    from benchmarks.cases import measure, shipped_shapes  # imports NumPy, so not before

    shapes = shipped_shapes(options.model)
    if not shapes:
        print(f"im2col: no shipped model {options.model!r} has a convolution", file=sys.stderr)
        return 2
    rounds, shortest = (3, 0.0002) if options.quick else (15, 0.002)
    results: Results = []
    for shape in shapes:
        results.append((shape, measure(shape, options.batch, rounds=rounds, shortest=shortest)))
        if not options.json:
            print(table(*results[-1]), end="\n\n", flush=True)
    print(as_json(results, options) if options.json else summary(results, options))
    if options.out:
        draw(results, options.out)
    return 0


def table(shape: Shape, rows: Sequence[Row]) -> str:
    """One shape: times per image, their sum as a multiple of tinymnist's, memory per call."""
    from benchmarks.cases import PASSES

    ours = _ours(rows)
    names = "".join(f"{name:>9}" for name in PASSES)
    lines = [f"{shape.title}\n{'us per image, then peak KiB':30}{names}    used    ratio{names}"]
    for row in rows:
        times = "".join(f"{row.times[name]:9.1f}" for name in PASSES)
        peaks = "".join(f"{row.peaks[name] / 1024:9.0f}" for name in PASSES)
        lines.append(f"{row.way:30}{times}{row.total:8.1f}{row.total / ours:8.2f}x{peaks}")
    return "\n".join(lines)


def _ours(rows: Sequence[Row]) -> float:
    from benchmarks.convolutions import OURS

    return next(row.total for row in rows if row.way == OURS)


def summary(results: Results, options: argparse.Namespace) -> str:
    """One figure over all shapes for each way, and the machine."""
    lines = [
        f"{way:32}{ratio:7.2f}x"
        for way, ratio in sorted(ratios(results).items(), key=lambda item: item[1])
    ]
    where = f"batch {options.batch}, {options.threads} thread(s) for BLAS, float32"
    return "\n".join(
        [
            "all shapes: time of the passes in training over tinymnist's own (geometric mean)",
            *lines,
            where,
            machine_line("numpy"),
        ]
    )


def ratios(results: Results) -> dict[str, float]:
    """By way: its time over tinymnist's, as the geometric mean over the shapes."""
    logs: dict[str, float] = {}
    for _, rows in results:
        ours = _ours(rows)
        for row in rows:
            logs[row.way] = logs.get(row.way, 0.0) + math.log(row.total / ours) / len(results)
    return {way: math.exp(value) for way, value in logs.items()}


def as_json(results: Results, options: argparse.Namespace) -> str:
    """All measurements as one object."""
    measured: list[dict[str, Any]] = [
        {
            **shape._asdict(),
            "way": row.way,
            "microseconds": row.times,
            "used_microseconds": row.total,
            "peak_bytes": row.peaks,
        }
        for shape, rows in results
        for row in rows
    ]
    settings = {"batch": options.batch, "threads": options.threads, "dtype": "float32"}
    where = {"machine": machine_line("numpy"), **settings}
    return json.dumps({**where, "ratios": ratios(results), "results": measured})


def draw(results: Results, path: str) -> None:
    """Draw a panel for each shape."""
    from benchmarks.cases import PASSES
    from benchmarks.charts import Panel, draw_bars
    from benchmarks.convolutions import OURS

    panels = [
        Panel(shape.title, [(row.way, [row.times[name] for name in shape.used]) for row in rows])
        for shape, rows in results
    ]
    title = "Convolution in NumPy: microseconds per image, in the passes of training"
    draw_bars(panels, path, title=title, parts=PASSES, highlight=OURS)


if __name__ == "__main__":
    sys.exit(main())
