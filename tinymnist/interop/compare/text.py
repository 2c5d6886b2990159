"""A comparison in words, for a terminal and for a failing test."""

from __future__ import annotations

import math

from tinymnist.interop.compare.comparison import Comparison, Explanation
from tinymnist.interop.compare.measuring import Row
from tinymnist.nn.arrays import Shape


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


def failure(comparison: Comparison) -> str:
    """The message of a failing test: the first layer that parts, how far, and why."""
    row = comparison.first_parting
    if row is None:
        return "the models match"
    lines = [f"the models part in {_names(row)}: {_how_far(row)}", *_layer_counts(comparison)]
    return "\n".join([*lines, *explanation_lines(comparison), *comparison.notes])


def headline(comparison: Comparison) -> str:
    """The result in one line."""
    row = comparison.first_parting
    count = len(comparison.rows)
    if row is None:
        return f"They agree in all {count} layers; rtol={number(comparison.smallest_rtol)} would do."
    return f"They part in {_names(row)}: {_how_far(row)}."


def explanation_lines(comparison: Comparison) -> list[str]:
    """The causes, one a line; or that none was found."""
    explanation = comparison.explanation
    if comparison.agrees:
        return []
    if explanation is None:
        return ["cause: none of those that were tried explains it"]
    lines = []
    for cause in explanation.causes:
        lines.append(f"cause: {cause.cause}: {_deed(explanation, cause.change)}")
        lines.append(f"       {_outcome(cause.explained, cause.layer, cause.next_layer)}")
    return lines


def _deed(explanation: Explanation, change: str) -> str:
    return f"with {change}, in {explanation.actor}"


def _outcome(explained: float, layer: str, following: str | None) -> str:
    share = f"{100 * explained:.4g} % of the error in {layer} is explained"
    if following is None:
        return f"{share}; everything agrees to the end"
    if following == layer:
        return f"{share}; the rest is not"
    return f"{share}; they part next in {following}"


def _names(row: Row) -> str:
    return row.a if row.a == row.b else f"{row.a} / {row.b}"


def _how_far(row: Row) -> str:
    side = _side_that_is_off(row)
    error = f"off by up to {number(row.max_error)}, {number(row.relative_error)} of its largest"
    return f"{error}{side}"


def _side_that_is_off(row: Row) -> str:
    if row.units_a is None or row.units_b is None:
        return ""
    low, high = sorted((row.units_a, row.units_b))
    if low > 100 or high < 10 * max(low, 1):
        return ""
    return "; it is the first side that is off" if row.units_a > row.units_b else (
        "; it is the second side that is off"
    )


def _layer_counts(comparison: Comparison) -> list[str]:
    passed = sum(row.passes for row in comparison.rows)
    return [f"{passed} of {len(comparison.rows)} layers agree (atol={comparison.atol:g}, "
            f"rtol={comparison.rtol:g}, {comparison.n} examples)"]  # fmt: skip
