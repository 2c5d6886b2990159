"""A diagnosis as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path

import numpy as np

from tinymnist.diagnosis.advice import Advice
from tinymnist.diagnosis.costs import NONE
from tinymnist.diagnosis.gallery import examples, worst
from tinymnist.diagnosis.mnist_statistics import mnist_reference
from tinymnist.diagnosis.properties import ALL
from tinymnist.diagnosis.repairs import REPAIRS
from tinymnist.diagnosis.results import Diagnosis
from tinymnist.reporting import charts, html
from tinymnist.reporting.text import percent, signed

_percent = partial(percent, digits=1)
_SEQUENCE = """\
From the tutorials' way (grey, resized to 28x28, nothing else) to MNIST's own form. What the whole
recipe does beyond the six repairs is its finer drawing."""
_COSTS = """\
In points of a hundred pictures. The cost is the gain by the repair, averaged over all orders in
which the six can be made (its Shapley value, with its 95 % interval); they add up to the whole
gain. Small figures: pictures fixed and broken. Pale rows are within chance."""
_DRIFTS = """\
<p class="key"><b>Blue: yours.</b> <i>Orange: MNIST.</i> Each is scaled to its own peak; the
outermost bars hold all values beyond. The number is the drift: the Wasserstein-1 distance in units
of MNIST's standard deviation, or of a fixed tolerance if MNIST hardly varies; of the class balance,
the total variation distance. In colour: notable.</p>"""


def write_report(diagnosis: Diagnosis, advice: Sequence[Advice], path: Path) -> None:
    """Write the report completely or not at all.

    Raises:
        InputError: when the file cannot be written.
    """
    html.write_page(render(diagnosis, advice), path)


def render(d: Diagnosis, advice: Sequence[Advice]) -> str:
    """The page as a string."""
    kind = "read right" if d.is_labelled else "read as the full recipe reads them"
    explained = f"{d.n:,} pictures. The figures say what share of them is {kind}."
    items = "".join(
        f'<li><span class="topic">{one.topic}</span> {_rich(one.text)}</li>' for one in advice
    )
    stages = d.sequence()
    bars = [
        (name, share, _percent(share), "yours" if 0 < i <= len(REPAIRS) else "end")
        for i, (name, share, _) in enumerate(stages)
    ]
    chart = charts.bars("Share of the pictures after each repair", bars)
    return html.page(
        title=d.pictures.name,
        command="diagnose",
        heading=f"How {escape(d.model)} reads {escape(d.pictures.name)}",
        header=html.paragraph(explained) + _figures(d),
        sections=[
            html.section("What to do", f"<ol>{items}</ol>"),
            html.section(
                "One repair after the other", html.paragraph(_SEQUENCE), html.scroll(chart)
            ),
            html.section("What each mismatch costs", html.paragraph(_COSTS), _costs(d)),
            html.section("Class by class", _classes(d)) if d.is_labelled else "",
            html.section(
                "How the pictures differ from MNIST",
                _DRIFTS,
                f'<div class="cards">{_drifts(d)}</div>',
            ),
            html.section("Before and after", examples(d)),
            html.section(
                "Misread all the same" if d.is_labelled else "The least certain",
                html.paragraph("Each as it is, and as the network sees it after the whole recipe."),
                worst(d),
            ),
        ],
    )


def _rich(text: str) -> str:
    """Escaped, with commands between backquotes as code."""
    parts = escape(text).replace("+-", "&plusmn;").split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))


def _figures(d: Diagnosis) -> str:
    stages = d.sequence()
    names = {
        "the tutorials' way": stages[0],
        "six repairs": stages[-2],
        "the whole recipe" + ("" if d.is_labelled else ", by definition"): stages[-1],
    }
    return html.figures(
        (_percent(share), name, f"mean confidence {_percent(confidence)}")
        for name, (_, share, confidence) in names.items()
    )


def _costs(d: Diagnosis) -> str:
    rows = []
    for cost in d.costs:
        cells = [
            f"{cost.repair}<small>{escape(REPAIRS[cost.repair])}</small>",
            f"<b>{signed(cost.points)}</b> <small>&plusmn;{100 * cost.error:.1f}</small>",
        ]
        for gain in (cost.alone, cost.step, cost.left_out):
            changed = f"<small>+{gain.fixed} &minus;{gain.broken}</small>"
            cells.append(f"{signed(gain.gain)} {changed}")
        rows.append(html.row(cells, kind="" if cost.is_certain else "doubt"))
    heads = ("mismatch", "cost", "repaired alone", "in sequence", "last of all")
    return html.table(heads, rows)


def _drifts(d: Diagnosis) -> str:
    """A card with two distributions for each property, and one for the class balance."""
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
    """How many pictures of each class there are and are read right, without and with the recipe."""
    rows = []
    before, after, truth = d.right(NONE), d.right(None), d.truth
    for number, name in enumerate(d.class_names):
        own = truth == number
        if not own.any():
            continue
        taken = d.found[own & ~after, -1]
        counts = np.bincount(taken[taken >= 0], minlength=len(d.class_names))
        confused = [f"{d.class_names[i]} ({counts[i]})" for i in np.argsort(-counts) if counts[i]]
        shares = (_percent(float(right[own].mean())) for right in (before, after))
        cells = [escape(name), str(int(own.sum())), *shares, escape(", ".join(confused[:4]))]
        rows.append(html.row(cells))
    heads = ("class", "pictures", "tutorials' way", "whole recipe", "then misread as")
    return html.table(heads, rows)
