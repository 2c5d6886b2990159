"""A comparison for machines."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from tinymnist.compare.comparison import Comparison
from tinymnist.compare.measuring import Row


def as_record(comparison: Comparison) -> dict[str, Any]:
    """Everything that the text tells, ready for JSON; what is infinite is a string."""
    first = comparison.first_parting
    found = comparison.explanation
    return {
        "a": comparison.a,
        "b": comparison.b,
        "examples": comparison.n,
        "agrees": comparison.agrees,
        "atol": comparison.atol,
        "rtol": comparison.rtol,
        "smallest_rtol": _finite(comparison.smallest_rtol),
        "reference": comparison.reference or None,
        "first_parting": None if first is None else {"a": first.a, "b": first.b},
        "layers": [_row(row) for row in comparison.rows],
        "gradients": [_row(row) for row in comparison.gradients],
        "without_counterpart": {"a": comparison.alone_a, "b": comparison.alone_b},
        "notes": comparison.notes,
        "explanation": None
        if found is None
        else {
            "changed_in": found.actor,
            "complete": found.complete,
            "causes": [dataclasses.asdict(cause) for cause in found.causes],
        },
    }


def _row(row: Row) -> dict[str, Any]:
    return {key: _finite(value) for key, value in dataclasses.asdict(row).items()}


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
