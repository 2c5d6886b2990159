"""Rows of a comparison in words, as a text table and as an HTML table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from tinymnist.comparison.measuring import Row
from tinymnist.nn.arrays import Shape
from tinymnist.reporting import html, text

_MAX_UNITS_OF_RIGHT_SIDE = 100.0
"""A side is called right, and the other one wrong, only if its rounding error is below this."""


def number(value: float | None) -> str:
    """``1.2e-07``; 0 as ``0``, None and NaN as a dash."""
    if value is None or math.isnan(value):
        return "-"
    if value == 0:
        return "0"
    return "inf" if math.isinf(value) else f"{value:.1e}"


def units(value: float | None) -> str:
    """A count of float32 steps: ``0.8``, ``37``, ``4.1e+05``."""
    if value is None or math.isnan(value):
        return "-"
    if value < 10:
        return f"{value:.1f}"
    return f"{value:.0f}" if value < 1e5 else number(value)


def shape_of(shape: Shape) -> str:
    """``24 x 24 x 32``."""
    return " x ".join(map(str, shape))


def names_of(row: Row) -> str:
    """Both names of a layer, or its one name."""
    return row.a if row.a == row.b else f"{row.a} / {row.b}"


def how_far(row: Row) -> str:
    """How far two outputs are apart, and which side is wrong if that is clear."""
    share = (
        "" if math.isinf(row.relative_error) else f", {number(row.relative_error)} of the largest"
    )
    return f"up to {number(row.max_error)} apart{share}{_wrong_side(row)}"


def _wrong_side(row: Row) -> str:
    """Which side is wrong, if the other one is within rounding of the float64 run."""
    if row.units_a is None or row.units_b is None:
        return ""
    low, high = sorted((row.units_a, row.units_b))
    if low > _MAX_UNITS_OF_RIGHT_SIDE or high < 10 * max(low, 1):
        return ""
    return f"; {'a' if row.units_a > row.units_b else 'b'} is the side that is off"


def text_table(rows: Sequence[Row]) -> str:
    """Layers, shapes and errors; ``>`` marks the first layer that differs, ``x`` the others."""
    known = any(row.units_a is not None for row in rows)
    titles = ["", "a", "b", "shape", "max error", "mean error", "relative"]
    titles += ["units a", "units b"] if known else []
    cells = [titles]
    for row, mark in _marked(rows, "", ">", "x"):
        figures = [number(e) for e in (row.max_error, row.mean_error, row.relative_error)]
        figures += [units(row.units_a), units(row.units_b)] if known else []
        cells.append([mark, row.a, row.b, shape_of(row.shape), *figures])
    return text.table(cells, left=4)


def html_table(rows: Sequence[Row]) -> str:
    """The same as HTML, with the smallest ``rtol`` that each layer would pass with."""
    titles = ("a", "b", "shape", "max error", "mean error", "relative", "smallest rtol", "units a",
              "units b")  # fmt: skip
    lines = []
    for row, kind in _marked(rows, "", "differs first", "differs"):
        errors = (row.max_error, row.mean_error, row.relative_error, row.smallest_rtol)
        cells = [escape(row.a), escape(row.b), shape_of(row.shape), *map(number, errors)]
        lines.append(html.row([*cells, units(row.units_a), units(row.units_b)], 2, kind))
    return html.table(titles, lines, "numbers")


def _marked(rows: Sequence[Row], same: str, first: str, later: str) -> Iterator[tuple[Row, str]]:
    """Each row with a mark for whether it passes, and whether it is the first that does not."""
    mark = first
    for row in rows:
        yield row, same if row.passes else mark
        mark = mark if row.passes else later
