"""Which way to write a convolution in NumPy is the fastest? ``python -m benchmarks.im2col``.

Every way is checked against plain loops first, then all of them take turns. One thread does the
work, as in training, where each thread carries a few pictures of the batch through all layers.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.timing import machine_line, pin_threads

if TYPE_CHECKING:
    from benchmarks.cases import Row, Shape

EXAMPLES = """\
examples:
  python -m benchmarks.im2col                      a table for every convolution that ships
  python -m benchmarks.im2col --quick              a rough one, in a few seconds
  python -m benchmarks.im2col --model keras-cnn    the convolutions of one model
  python -m benchmarks.im2col --batch 128 --threads 2
  python -m benchmarks.im2col --out chart.png --json > im2col.json
"""

Results = list[tuple["Shape", list["Row"]]]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.im2col",
        description="Time many ways to write a convolution in NumPy, and weigh their memory.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", help="only the convolutions of this shipped model")
    parser.add_argument("--batch", type=int, default=16, help="pictures in a call; default: 16")
    parser.add_argument("--threads", type=int, default=1, help="for BLAS; default: 1")
    parser.add_argument("--quick", action="store_true", help="few and short runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    parser.add_argument("--out", metavar="PNG", help="draw a chart into this file")
    parsed = parser.parse_args(arguments)
    if parsed.batch < 1 or parsed.threads < 1:
        parser.error("--batch and --threads must be at least 1")
    return parsed


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
    """One shape: times for a picture, their sum as a multiple of tinymnist's, memory of a call."""
    from benchmarks.cases import PASSES

    ours = _ours(rows)
    names = "".join(f"{name:>9}" for name in PASSES)
    lines = [f"{shape.title}\n{'us a picture, then KiB at most':30}{names}    used    ratio{names}"]
    for row in rows:
        times = "".join(f"{row.times[name]:9.1f}" for name in PASSES)
        peaks = "".join(f"{row.peaks[name] / 1024:9.0f}" for name in PASSES)
        lines.append(f"{row.way:30}{times}{row.total:8.1f}{row.total / ours:8.2f}x{peaks}")
    return "\n".join(lines)


def _ours(rows: Sequence[Row]) -> float:
    from benchmarks.convolutions import OURS

    return next(row.total for row in rows if row.way == OURS)


def summary(results: Results, options: argparse.Namespace) -> str:
    """All shapes in one figure for each way, and where it was measured."""
    lines = [
        f"{way:32}{ratio:7.2f}x"
        for way, ratio in sorted(ratios(results).items(), key=lambda item: item[1])
    ]
    where = f"batch {options.batch}, {options.threads} thread(s) for BLAS, float32"
    return "\n".join(
        [
            "all shapes: the passes that training uses, times tinymnist's own (geometric mean)",
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
    """Everything that was measured, as one object."""
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
    """A panel for each shape."""
    from benchmarks.cases import PASSES
    from benchmarks.chart import Panel, draw_bars
    from benchmarks.convolutions import OURS

    panels = [
        Panel(shape.title, [(row.way, [row.times[name] for name in shape.used]) for row in rows])
        for shape, rows in results
    ]
    title = "Convolution in NumPy: microseconds a picture, in the passes that training uses"
    draw_bars(panels, path, title=title, parts=PASSES, highlight=OURS)


if __name__ == "__main__":
    sys.exit(main())
