"""A comparison as one HTML page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from tinymnist.comparison.comparison import Comparison, Place, html_table, names_of, number
from tinymnist.comparison.measuring import Row
from tinymnist.reporting import charts, html
from tinymnist.reporting.text import count, shortened

_LOWEST, _HIGHEST = -9, 1
"""Powers of ten between which errors are drawn."""


def write_report(comparison: Comparison, path: Path) -> None:
    """Write the report completely or not at all.

    Raises:
        InputError: when the file cannot be written.
    """
    html.write_page(render(comparison), path)


def render(comparison: Comparison) -> str:
    """The page as a string."""
    rows, gradients, rtol = comparison.rows, comparison.gradients, comparison.rtol
    allowed = (
        f"{count(comparison.n, 'example')}; allowed are {comparison.atol:g} and {rtol:g} of a "
        "layer's largest number."
    )
    measured = (
        "Units are steps of float32 at the layer's largest number, counted from tinymnist's "
        f"float64 run of {comparison.reference}."
        if comparison.reference
        else "Neither side could be run in float64, so there is no third opinion."
    )
    scale = html.paragraph(
        "The scale is logarithmic: at each mark the error is a hundred times that at the mark "
        "before. The broken line is the error allowed."
    )
    sections = [
        _causes(comparison),
        html.section("The two structures", _structure(comparison)),
        html.section("Relative error, layer by layer", scale, _chart(rows, rtol)),
        html.section("Figures", html.paragraph(measured), html_table(rows)),
    ]
    if gradients:
        sections.append(html.section("Gradients", _chart(gradients, rtol), html_table(gradients)))
    if lines := [*comparison.notes, *comparison.unmatched_lines()]:
        items = "".join(f"<li>{escape(line)}</li>" for line in lines)
        sections.append(html.section("Notes", f"<ul>{items}</ul>"))
    kind = "verdict" if comparison.agrees else "verdict wrong"
    return html.page(
        title=f"{comparison.a} and {comparison.b}",
        command="compare",
        heading=f"{escape(comparison.a)} <small>and</small> {escape(comparison.b)}",
        header=html.paragraph(allowed) + f'<p class="{kind}">{escape(comparison.headline)}</p>',
        sections=sections,
    )


def _causes(comparison: Comparison) -> str:
    found = comparison.explanation
    if found is None:
        return "".join(map(html.paragraph, comparison.explanation_lines()))
    items = "".join(
        f'<li><span class="topic">{escape(cause.cause)}</span> '
        f"{escape(found.describe_change(cause))}: {escape(cause.outcome)}.</li>"
        for cause in found.causes
    )
    words = html.paragraph(comparison.verdict.words) if comparison.verdict.words else ""
    return html.section("Why", words, f"<ol>{items}</ol>")


def _structure(comparison: Comparison) -> str:
    """Both sides beside each other, layer by layer, with the first difference marked."""
    rows = {(row.a, row.b): row for row in comparison.rows}
    lines, first = [], comparison.first_mismatch
    for one, other in comparison.structure:
        row = rows.get((one.name if one else "", other.name if other else ""))
        sign, kind = ("", "") if row is None else ("=", "") if row.passes else ("≠", "differs")
        if row is not None and row is first:
            sign, kind = "≠<small>first</small>", "differs first"
        lines.append(html.row([_box(one), (sign, "link"), _box(other)], 0, kind))
    return html.table([escape(comparison.a), "", escape(comparison.b)], lines, "structure")


def _box(place: Place | None) -> html.Cell:
    """A layer's name, what it does, and its shape; nothing where the side has no such layer."""
    if place is None:
        return ""
    what = [place.kind.replace("_", " "), " x ".join(map(str, place.shape))]
    words = escape(", ".join(word for word in what if word))
    return f"<b>{escape(place.name)}</b><small>{words}</small>", "layer"


def _chart(rows: Sequence[Row], rtol: float) -> str:
    """Bars on a logarithmic scale."""
    drawn = []
    for row in rows:
        error, kind = row.relative_error, "good" if row.passes else "wrong"
        drawn.append((shortened(names_of(row), 40), _place(error), number(error), kind))
    ticks = [(_place(10.0**p), f"1e{p}") for p in range(_LOWEST, _HIGHEST + 1, 2)]
    title = "Relative error of every layer"
    return html.scroll(charts.bars(title, drawn, left=280, ticks=ticks, limit=_place(rtol)))


def _place(error: float) -> float:
    """Where an error is on the scale, 0..1."""
    if error <= 0:
        return 0.0
    power = math.log10(error) if math.isfinite(error) else _HIGHEST
    return min(max((power - _LOWEST) / (_HIGHEST - _LOWEST), 0.0), 1.0)
