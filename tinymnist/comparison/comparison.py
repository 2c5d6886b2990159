"""What a comparison found, and how it shows itself: in words, in tables, as JSON, in a notebook."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

from tinymnist.comparison.measuring import Row
from tinymnist.comparison.search_cause import Cause
from tinymnist.comparison.verdict import OFF, UNKNOWN, Verdict
from tinymnist.nn.arrays import Shape
from tinymnist.reporting import html, text
from tinymnist.reporting.text import count

_TITLES = ("a", "b", "shape", "max error", "mean error", "relative", "SQNR", "units a", "units b")


@dataclass(frozen=True)
class Findings:
    """The causes that experiments confirmed.

    Attributes:
        changed_in: the side whose model the experiments changed.
        causes: in the order of the layers where they act.
        complete: whether the two sides agree with all of these changes.
    """

    changed_in: str
    causes: tuple[Cause, ...]
    complete: bool

    def describe_change(self, cause: Cause) -> str:
        """What was changed, and in which side's model; or what was observed instead."""
        return cause.change if cause.is_observed else f"With {cause.change}, in {self.changed_in}"


class Place(NamedTuple):
    """A layer in the structure of its side: its name, what it does, the shape for one example."""

    name: str
    kind: str
    shape: Shape


@dataclass(frozen=True)
class Comparison:
    """The result of :func:`~tinymnist.comparison.compare_sides.compare`.

    Attributes:
        a, b: the names of the sides.
        n: the number of examples.
        atol, rtol: the error allowed, see :class:`~tinymnist.comparison.measuring.Row`.
        rows: one for each pair of layers, in order.
        unmatched_a, unmatched_b: layers without a counterpart.
        reference: the side whose model was run in float64; "" if none could be.
        notes: other remarks.
        verdict: what kind of difference it is, if they differ and that is known.
        explanation: why the sides differ, if they do and a cause was found.
        gradients: a row for the gradient at each layer, from the last to the first.
        structure: the layers of both sides in order; None beside a layer without a counterpart.
    """

    a: str
    b: str
    n: int
    atol: float
    rtol: float
    rows: tuple[Row, ...]
    unmatched_a: tuple[str, ...]
    unmatched_b: tuple[str, ...]
    reference: str = ""
    notes: tuple[str, ...] = ()
    verdict: Verdict = UNKNOWN
    explanation: Findings | None = None
    gradients: tuple[Row, ...] = ()
    structure: tuple[tuple[Place | None, Place | None], ...] = ()

    @property
    def first_mismatch(self) -> Row | None:
        """The first layer that differs, gradients last; None if all agree."""
        return next((row for row in (*self.rows, *self.gradients) if not row.passes), None)

    @property
    def agrees(self) -> bool:
        """Whether every layer passes."""
        return self.first_mismatch is None

    @property
    def smallest_rtol(self) -> float:
        """The smallest ``rtol`` with which every layer and gradient passes, at this ``atol``."""
        return max((row.smallest_rtol for row in (*self.rows, *self.gradients)), default=0.0)

    @property
    def headline(self) -> str:
        """The result in one line."""
        if (row := self.first_mismatch) is None:
            enough = f"an rtol of {number(self.smallest_rtol)} would be enough"
            outputs = count(len(self.rows), "output")
            return f"They agree in {'all ' * (len(self.rows) > 1)}{outputs}; {enough}."
        what = "the gradient at " if row in self.gradients else ""
        return f"They differ first in {what}{names_of(row)}: {_how_far(row)}."

    def __repr__(self) -> str:
        return f"<Comparison of {self.a} and {self.b}: {self.headline}>"

    def _repr_html_(self) -> str:
        """The result, the causes and the table of layers, for a notebook."""
        words = "<br>".join(map(escape, [self.headline, *self.explanation_lines()]))
        return f"<p>a: {escape(self.a)}, b: {escape(self.b)}<br>{words}</p>{html_table(self.rows)}"

    def explanation_lines(self) -> list[str]:
        """What kind of difference it is, and the causes; empty if all outputs agree.

        A cause takes two lines; if none was found, that is said.
        """
        if all(row.passes for row in self.rows):
            return []
        lines = [self.verdict.words] if self.verdict.words else []
        if self.explanation is None and self.verdict.kind in ("", OFF):
            return [
                *lines,
                "Cause: not found. None of the known ones explains it; the weights may differ, or "
                "the models may compute something else.",
            ]
        found, lead = self.explanation, "Cause"
        for cause in found.causes if found is not None else ():
            change = found.describe_change(cause) if found is not None else ""
            lines += [f"{lead}: {cause.cause}. {change},", f"  {cause.outcome}."]
            lead = "Then"
        return lines

    def unmatched_lines(self) -> list[str]:
        """The layers without a counterpart, in a line per side that has any."""
        sides = {"a": self.unmatched_a, "b": self.unmatched_b}
        return [f"only in {side}: {', '.join(layers)}" for side, layers in sides.items() if layers]

    def as_text(self) -> str:
        """The whole comparison for a terminal: a table, the result, the causes."""
        allowed = f"{count(self.n, 'example')}, atol={self.atol:g}, rtol={self.rtol:g}"
        parts = [f"a: {self.a}\nb: {self.b}\n{allowed}", _text_table(self.rows)]
        if self.reference:
            parts[-1] += (
                "\nunits: steps of float32 at the layer's largest number, counted from tinymnist's "
                f"float64 run of {self.reference}"
            )
        if self.gradients:
            parts.append("gradients\n" + _text_table(self.gradients))
        parts.append("\n".join([self.headline, *self.explanation_lines()]))
        if unmatched := self.unmatched_lines():
            parts.append("; ".join(unmatched))
        return "\n\n".join([*parts, *(f"Note: {note}." for note in self.notes)])

    def failure_message(self) -> str:
        """For a failing test: the first layer that differs, how far, and why."""
        passed = f"{sum(row.passes for row in self.rows)} of {len(self.rows)} outputs agree"
        allowed = f"(atol={self.atol:g}, rtol={self.rtol:g}, {count(self.n, 'example')})"
        lines = [self.headline, *self.explanation_lines(), f"{passed} {allowed}"]
        return "\n".join([*lines, *(f"Note: {note}." for note in self.notes)])

    def as_record(self) -> dict[str, Any]:
        """Everything that :meth:`as_text` shows, ready for JSON; infinite numbers as strings."""
        first, found = self.first_mismatch, self.explanation
        place = None if first is None else {"a": first.a, "b": first.b}
        return {
            "a": self.a,
            "b": self.b,
            "examples": self.n,
            "agrees": self.agrees,
            "atol": self.atol,
            "rtol": self.rtol,
            "smallest_rtol": _finite(self.smallest_rtol),
            "reference": self.reference or None,
            "first_mismatch": place,
            "first_parting": place,  # the key of versions before 0.2
            "layers": [_record(row) for row in self.rows],
            "gradients": [_record(row) for row in self.gradients],
            "without_counterpart": {"a": self.unmatched_a, "b": self.unmatched_b},
            "notes": self.notes,
            "verdict": self.verdict._asdict() if self.verdict.kind else None,
            "explanation": found and dataclasses.asdict(found),
        }


def _record(row: Row) -> dict[str, Any]:
    return {key: _finite(value) for key, value in vars(row).items()}


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def number(value: float | None) -> str:
    """``1.2e-07``; 0 as ``0``, None and NaN as a dash."""
    if value is None or math.isnan(value):
        return "-"
    if value == 0:
        return "0"
    return "inf" if math.isinf(value) else f"{value:.1e}"


def _units(value: float | None) -> str:
    """A count of float32 steps: ``0.8``, ``37``, ``4.1e+05``."""
    if value is None or not value < 1e5:
        return number(value)
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def names_of(row: Row) -> str:
    """Both names of a layer, or its one name."""
    return row.a if row.a == row.b else f"{row.a} / {row.b}"


def _how_far(row: Row) -> str:
    """How far two outputs are apart."""
    relative = row.relative_error
    share = "" if math.isinf(relative) else f", {number(relative)} of the largest"
    return f"up to {number(row.max_error)} apart{share}"


def _cells(row: Row) -> list[str]:
    """What the tables show of a row, see :data:`_TITLES`."""
    errors = (row.max_error, row.mean_error, row.relative_error)
    noise = "" if math.isinf(row.sqnr) or math.isnan(row.sqnr) else f"{row.sqnr:.1f} dB"
    figures = [*map(number, errors), noise, _units(row.units_a), _units(row.units_b)]
    return [row.a, row.b, " x ".join(map(str, row.shape)), *figures]


def _text_table(rows: Sequence[Row]) -> str:
    """Layers, shapes and errors; ``>`` marks the first layer that differs, ``x`` the others."""
    shown = 9 if any(row.units_a is not None for row in rows) else 7
    lines = [[mark, *_cells(row)[:shown]] for row, mark in _marked(rows, ">", "x")]
    return text.table([["", *_TITLES[:shown]], *lines], left=4)


def html_table(rows: Sequence[Row]) -> str:
    """The same as HTML, with the smallest ``rtol`` that each layer would pass with."""
    lines = []
    for row, kind in _marked(rows, "differs first", "differs"):
        cells = list(map(escape, _cells(row)))
        cells.insert(6, number(row.smallest_rtol))
        lines.append(html.row(cells, 2, kind))
    return html.table([*_TITLES[:6], "smallest rtol", *_TITLES[6:]], lines, "numbers")


def _marked(rows: Sequence[Row], first: str, later: str) -> Iterator[tuple[Row, str]]:
    """Each row with a mark if it does not pass: ``first`` for the first such row."""
    mark = first
    for row in rows:
        yield row, "" if row.passes else mark
        mark = mark if row.passes else later
