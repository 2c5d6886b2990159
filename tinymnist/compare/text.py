"""A comparison in words, for a terminal and for a failing test."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinymnist.compare.comparison import Comparison, Explanation
from tinymnist.compare.measuring import Row
from tinymnist.nn.arrays import Shape

_CLEAR = 100.0
"""Roundings within which a side counts as right where the other one is far off."""


def number(value: float | None, digits: int = 1) -> str:
    """``1.2e-07``; 0 as 0, what is not there as a dash."""
    if value is None or math.isnan(value):
        return "-"
    if value == 0:
        return "0"
    return "inf" if math.isinf(value) else f"{value:.{digits}e}"


def units(value: float | None) -> str:
    """A count of roundings: ``0.8``, ``37``, ``4.1e+05``."""
    if value is None or math.isnan(value):
        return "-"
    if value < 10:
        return f"{value:.1f}"
    return f"{value:.0f}" if value < 1e5 else number(value)


def shape_of(shape: Shape) -> str:
    """``24 x 24 x 32``."""
    return " x ".join(map(str, shape))


def headline(comparison: Comparison) -> str:
    """The result in one line."""
    row = comparison.first_parting
    if row is None:
        return (
            f"They agree in all {len(comparison.rows)} outputs; an rtol of "
            f"{number(comparison.smallest_rtol)} would be enough."
        )
    what = "the gradient at " if row in comparison.gradients else ""
    return f"They part in {what}{names_of(row)}: {how_far(row)}."


def names_of(row: Row) -> str:
    """Both names of a layer, or the one that it has."""
    return row.a if row.a == row.b else f"{row.a} / {row.b}"


def how_far(row: Row) -> str:
    """How far two outputs are apart, and whose fault it is if that can be said."""
    share = (
        "" if math.isinf(row.relative_error) else f", {number(row.relative_error)} of the largest"
    )
    return f"up to {number(row.max_error)} apart{share}{_side_that_is_off(row)}"


def explanation_lines(comparison: Comparison) -> list[str]:
    """The causes, two lines each; or that none was found."""
    found = comparison.explanation
    if comparison.agrees or all(row.passes for row in comparison.rows):
        return []
    if found is None:
        return [
            "Cause: none of those that were tried explains it; the weights may be others, or "
            "something else is computed."
        ]
    lines = []
    for place, cause in enumerate(found.causes):
        lead = "Cause" if place == 0 else "Then"
        lines.append(f"{lead}: {cause.cause}. {deed(found, cause.change)},")
        lines.append(f"  {outcome(cause.explained, cause.layer, cause.next_layer)}.")
    return lines


def outcome(explained: float, layer: str, following: str | None) -> str:
    """What a change explains."""
    share = f"{100 * explained:.4g} % of the error in {layer} is gone"
    if following is None:
        return f"{share}, and everything agrees to the end"
    if following == layer:
        return f"{share}; the rest is not explained"
    return f"{share}; they part next in {following}"


def as_text(comparison: Comparison) -> str:
    """The whole comparison for a terminal: a table, the result, the causes."""
    head = (
        f"a: {comparison.a}\nb: {comparison.b}\n{comparison.n} examples, "
        f"atol={comparison.atol:g}, rtol={comparison.rtol:g}"
    )
    parts = [head, layer_table(comparison.rows)]
    if comparison.reference:
        parts[-1] += (
            f"\nunits: steps of float32 at the layer's largest number, counted from tinymnist's "
            f"float64 run of {comparison.reference}"
        )
    if comparison.gradients:
        parts.append("gradients\n" + layer_table(comparison.gradients))
    parts.append("\n".join([headline(comparison), *explanation_lines(comparison)]))
    parts += [_alone(comparison)] if comparison.alone_a or comparison.alone_b else []
    parts += [f"Note: {note}." for note in comparison.notes]
    return "\n\n".join(parts)


def failure(comparison: Comparison) -> str:
    """The message of a failing test: the first layer that parts, how far, and why."""
    passed = sum(row.passes for row in comparison.rows)
    count = (
        f"{passed} of {len(comparison.rows)} outputs agree (atol={comparison.atol:g}, "
        f"rtol={comparison.rtol:g}, {comparison.n} examples)"
    )
    lines = [headline(comparison), *explanation_lines(comparison), count]
    return "\n".join([*lines, *(f"Note: {note}." for note in comparison.notes)])


def layer_table(rows: Sequence[Row]) -> str:
    """Layers, shapes and errors, aligned."""
    known = any(row.units_a is not None for row in rows)
    titles = ["", "a", "b", "shape", "max error", "mean error", "relative"]
    titles += ["units a", "units b"] if known else []
    cells = [titles]
    parted = False
    for row in rows:
        mark = "" if row.passes else ("x" if parted else ">")
        parted = parted or not row.passes
        figures = [number(e) for e in (row.max_error, row.mean_error, row.relative_error)]
        figures += [units(row.units_a), units(row.units_b)] if known else []
        cells.append([mark, row.a, row.b, shape_of(row.shape), *figures])
    return _aligned(cells, left=4)


def _aligned(cells: Sequence[Sequence[str]], left: int) -> str:
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def deed(found: Explanation, change: str) -> str:
    """What was changed, and where."""
    return change if " lies as far off" in change else f"With {change}, in {found.actor}"


def _side_that_is_off(row: Row) -> str:
    """Whose fault it is, where one side is within rounding and the other far beyond."""
    if row.units_a is None or row.units_b is None:
        return ""
    low, high = sorted((row.units_a, row.units_b))
    if low > _CLEAR or high < 10 * max(low, 1):
        return ""
    return f"; {'a' if row.units_a > row.units_b else 'b'} is the side that is off"


def _alone(comparison: Comparison) -> str:
    parts = [
        f"only in {side}: {', '.join(layers)}"
        for side, layers in (("a", comparison.alone_a), ("b", comparison.alone_b))
        if layers
    ]
    return "; ".join(parts)
