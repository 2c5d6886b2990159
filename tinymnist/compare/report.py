"""A comparison as one HTML file: chart and style sheet inside, no scripts, no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from tinymnist.compare import text
from tinymnist.compare.comparison import Comparison
from tinymnist.compare.measuring import Row
from tinymnist.files import whole_file

_PAGE = Path(__file__).with_name("report.html")
_LOWEST, _HIGHEST = -9, 1
"""Powers of ten between which errors are drawn."""
_LEFT, _ROOM, _LINE = 260, 460, 22


def write_report(comparison: Comparison, path: Path) -> None:
    """Write the report completely or not at all.

    Raises:
        InputError: when the file cannot be written.
    """
    page = render(comparison)
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="xmlcharrefreplace")


def render(comparison: Comparison) -> str:
    """The page as a string."""
    measured = (
        "Units are steps of float32 at the layer's largest number, counted from tinymnist's "
        f"float64 run of {comparison.reference}."
        if comparison.reference
        else "Neither side could be run in float64, so there is no third opinion."
    )
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        a=escape(comparison.a),
        b=escape(comparison.b),
        n=comparison.n,
        atol=f"{comparison.atol:g}",
        rtol=f"{comparison.rtol:g}",
        kind="" if comparison.agrees else "wrong",
        verdict=escape(text.headline(comparison)),
        causes=_causes(comparison),
        chart=_chart(comparison.rows, comparison.rtol),
        units=escape(measured),
        table=_table(comparison.rows),
        gradients=_gradients(comparison),
        remarks=_remarks(comparison),
    )


def _causes(comparison: Comparison) -> str:
    if comparison.agrees:
        return ""
    found = comparison.explanation
    if found is None:
        return "".join(f"<p>{escape(line)}</p>" for line in text.explanation_lines(comparison))
    items = "".join(
        f'<li><span class="topic">{escape(cause.cause)}</span> '
        f"{escape(text.deed(found, cause.change))}: "
        f"{escape(text.outcome(cause.explained, cause.layer, cause.next_layer))}.</li>"
        for cause in found.causes
    )
    return f"<h2>Why</h2><ol>{items}</ol>"


def _chart(rows: Sequence[Row], rtol: float) -> str:
    """Bars on a logarithmic scale."""
    drawn = []
    for number, row in enumerate(rows):
        y, length = number * _LINE, _place(row.relative_error)
        kind = "good" if row.passes else "wrong"
        drawn.append(
            f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(_short(row))}</text>'
            f'<rect class="track" x="{_LEFT}" y="{y + 4}" width="{_ROOM}" height="14"/>'
            f'<rect class="{kind}" x="{_LEFT}" y="{y + 4}" width="{length:.1f}" height="14"/>'
            f'<text class="quiet" x="{_LEFT + _ROOM + 8}" y="{y + 15}">'
            f"{text.number(row.relative_error)}</text>"
        )
    foot = len(rows) * _LINE
    for power in range(_LOWEST, _HIGHEST + 1, 2):
        x = _LEFT + _place(10.0**power)
        drawn.append(
            f'<text class="quiet" x="{x:.1f}" y="{foot + 16}" text-anchor="middle">1e{power}</text>'
        )
    x = _LEFT + _place(rtol)
    drawn.append(f'<line class="limit" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{foot}"/>')
    width, height = _LEFT + _ROOM + 90, foot + 22
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
        f"<title>Relative error of every layer</title>{''.join(drawn)}</svg>"
    )


def _place(error: float) -> float:
    """How long the bar of an error is."""
    if error <= 0:
        return 0.0
    power = math.log10(error) if math.isfinite(error) else _HIGHEST
    share = (power - _LOWEST) / (_HIGHEST - _LOWEST)
    return _ROOM * min(max(share, 0.0), 1.0)


def _short(row: Row) -> str:
    name = text.names_of(row)
    return name if len(name) < 40 else f"{name[:37]}..."


def _table(rows: Sequence[Row]) -> str:
    titles = ("shape", "max error", "mean error", "relative", "smallest rtol", "units a", "units b")
    head = "".join(f'<th class="n">{title}</th>' for title in titles)
    body, parted = "", False
    for row in rows:
        kind = "" if row.passes else ("parts" if parted else "parts first")
        parted = parted or not row.passes
        figures = (row.max_error, row.mean_error, row.relative_error, row.smallest_rtol)
        cells = [
            text.shape_of(row.shape),
            *map(text.number, figures),
            text.units(row.units_a),
            text.units(row.units_b),
        ]
        body += (
            f'<tr class="{kind}"><th>{escape(row.a)}</th><th>{escape(row.b)}</th>'
            f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        )
    return f"<table><thead><tr><th>a</th><th>b</th>{head}</tr></thead><tbody>{body}</tbody></table>"


def _gradients(comparison: Comparison) -> str:
    if not comparison.gradients:
        return ""
    chart = _chart(comparison.gradients, comparison.rtol)
    table = _table(comparison.gradients)
    return f'<h2>Gradients</h2><div class="scroll">{chart}</div><div class="scroll">{table}</div>'


def _remarks(comparison: Comparison) -> str:
    lines = [*comparison.notes]
    for side, layers in (("a", comparison.alone_a), ("b", comparison.alone_b)):
        if layers:
            lines.append(f"only in {side}: {', '.join(layers)}")
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h2>Noted</h2><ul>{items}</ul>" if items else ""
