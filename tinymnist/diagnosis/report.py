"""A diagnosis as one HTML file: charts, pictures and style sheet inside, no scripts, no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from tinymnist.diagnosis.advice import Advice
from tinymnist.diagnosis.causes import percent, signed
from tinymnist.diagnosis.costs import NONE
from tinymnist.diagnosis.gallery import examples, worst
from tinymnist.diagnosis.mnist_statistics import mnist_reference
from tinymnist.diagnosis.properties import ALL
from tinymnist.diagnosis.repairs import REPAIRS
from tinymnist.diagnosis.results import Diagnosis
from tinymnist.files import whole_file
from tinymnist.reporting import charts

_PAGE = Path(__file__).with_name("report.html")
"""The page without its contents."""


def write_report(diagnosis: Diagnosis, advice: Sequence[Advice], path: Path) -> None:
    """Write the report completely or not at all.

    Raises:
        InputError: when the file cannot be written.
    """
    page = render(diagnosis, advice)
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="xmlcharrefreplace")


def render(diagnosis: Diagnosis, advice: Sequence[Advice]) -> str:
    """The page as a string."""
    kind = "read right" if diagnosis.is_labelled else "read as the full recipe reads them"
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        name=escape(diagnosis.pictures.name),
        model=escape(diagnosis.model),
        n=diagnosis.n,
        kind=kind,
        figures=_figures(diagnosis),
        advice="".join(
            f'<li><span class="topic">{one.topic}</span> {_rich(one.text)}</li>' for one in advice
        ),
        sequence=_sequence(diagnosis),
        costs=_costs(diagnosis),
        properties=_properties(diagnosis),
        classes=_classes(diagnosis),
        examples=examples(diagnosis),
        worst=worst(diagnosis),
        worst_title="Misread all the same" if diagnosis.is_labelled else "The least certain",
    )


def _rich(text: str) -> str:
    """Escaped, with commands between backquotes as code."""
    parts = escape(text).replace("+-", "&plusmn;").split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))


def _figures(d: Diagnosis) -> str:
    stages = d.sequence()
    chosen = [
        ("the tutorials' way", stages[0]),
        ("six repairs", stages[-2]),
        ("the whole recipe" + ("" if d.is_labelled else ", by definition"), stages[-1]),
    ]
    return "".join(
        f'<div class="figure"><b>{percent(share)}</b>{name}<small>mean confidence '
        f"{percent(confidence)}</small></div>"
        for name, (_, share, confidence) in chosen
    )


def _sequence(d: Diagnosis) -> str:
    rows = [
        (name, share, f"{percent(share)}", "yours" if 0 < i <= len(REPAIRS) else "end")
        for i, (name, share, _) in enumerate(d.sequence())
    ]
    return charts.bars("Share of the pictures after each repair", rows)


def _costs(d: Diagnosis) -> str:
    rows = ""
    for cost in d.costs:
        gains = (
            f"<td>{signed(gain.gain)} <small>+{gain.fixed} &minus;{gain.broken}</small></td>"
            for gain in (cost.alone, cost.step, cost.left_out)
        )
        doubt = "" if cost.is_certain else ' class="doubt"'
        rows += (
            f"<tr{doubt}><th>{cost.repair}<small>{escape(REPAIRS[cost.repair])}</small></th>"
            f"<td><b>{signed(cost.points)}</b> <small>&plusmn;{100 * cost.error:.1f}</small>"
            f"</td>{''.join(gains)}</tr>"
        )
    return rows


def _properties(d: Diagnosis) -> str:
    reference = mnist_reference()
    cards = ""
    for name, prop in ALL.items():
        drift = d.drifts[name]
        known = drift.values[~np.isnan(drift.values)]
        chart = "not measurable"
        if known.size:
            chart = charts.histogram(f"{prop.title}, {prop.unit}", known, reference.quantiles[name])
        cards += _card(prop.title, prop.unit, drift.distance, drift.is_notable, chart)
    mnist = reference.classes if not np.isnan(d.class_drift) else np.zeros(0)
    chart = charts.columns("class balance", d.class_names, d.class_shares, mnist)
    title = "class balance" if d.is_labelled else "class balance, as read"
    notable = d.class_drift >= 0.2
    return cards + _card(title, "share of the pictures", d.class_drift, notable, chart)


def _card(title: str, unit: str, drift: float, notable: bool, chart: str) -> str:
    shown = "-" if np.isnan(drift) else f"{drift:.2f}"
    kind = "drift notable" if notable else "drift"
    return (
        f'<figure class="card"><figcaption>{escape(title)} <span class="{kind}">{shown}</span>'
        f"<small>{escape(unit)}</small></figcaption>{chart}</figure>"
    )


def _classes(d: Diagnosis) -> str:
    """How many of each class there are and are read right, without and with the recipe."""
    if not d.is_labelled:
        return ""
    rows = ""
    before, after, truth = d.right(NONE), d.right(None), d.truth
    for number, name in enumerate(d.class_names):
        own = truth == number
        if not own.any():
            continue
        taken = d.found[own & ~after, -1]
        counts = np.bincount(taken[taken >= 0], minlength=len(d.class_names))
        confused = [f"{d.class_names[i]} ({counts[i]})" for i in np.argsort(-counts) if counts[i]]
        rows += (
            f"<tr><th>{escape(name)}</th><td>{int(own.sum())}</td>"
            f"<td>{percent(float(before[own].mean()))}</td>"
            f"<td>{percent(float(after[own].mean()))}</td>"
            f"<td>{escape(', '.join(confused[:4]))}</td></tr>"
        )
    return (
        '<h2>Class by class</h2><div class="scroll"><table><thead><tr><th>class</th>'
        "<th>pictures</th><th>tutorials' way</th><th>whole recipe</th><th>then misread as</th>"
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )
