"""A diagnosis as one HTML page, with pictures after each repair and those still misread."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path

import numpy as np
from PIL.Image import Resampling

from tinymnist.diagnosis.advice import Advice
from tinymnist.diagnosis.ink_and_paper import separate_ink
from tinymnist.diagnosis.properties import ALL, mnist_reference
from tinymnist.diagnosis.repairs import NONE, PLANS, REPAIRS, Repairs, every_repair, in_sequence
from tinymnist.diagnosis.results import Diagnosis, place_of
from tinymnist.diagnosis.text import scripts
from tinymnist.errors import InputError
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.digit.recipes import tutorial
from tinymnist.imaging.picture.decode import decode
from tinymnist.imaging.picture.pixels import Array
from tinymnist.reporting import charts, html
from tinymnist.reporting.figures import to_picture
from tinymnist.reporting.text import count, percent, signed

_percent = partial(percent, digits=1)
_EXAMPLES, _WORST = 6, 24
_THUMBNAIL = 112
"""Pixels on the longer side of a picture in the report."""
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
_MISREAD = "Each as it is, and as the network sees it after the whole recipe."


def write_report(diagnosis: Diagnosis, advice: Sequence[Advice], path: Path) -> None:
    """Write the report completely or not at all.

    Raises:
        InputError: when the file cannot be written.
    """
    d, stages = diagnosis, diagnosis.sequence()
    kind = "read right" if d.is_labelled else "read as the full recipe reads them"
    explained = f"{count(d.n, 'picture')}. The figures say what share of them is {kind}."
    items = "".join(
        f'<li><span class="topic">{topic}</span> {_rich(text)}</li>' for topic, text in advice
    )
    bars = [
        (name, share, _percent(share), "yours" if 0 < i <= len(REPAIRS) else "end")
        for i, (name, share, _) in enumerate(stages)
    ]
    chart = html.scroll(charts.bars("Share of the pictures after each repair", bars))
    misread = "Misread all the same" if d.is_labelled else "The least certain"
    sections = {
        "What to do": f"<ol>{items}</ol>",
        "In your own script": "".join(
            f"{html.paragraph(title)}\n{html.scroll(f'<pre>{escape(code)}</pre>')}"
            for title, code in scripts(d).items()
        ),
        "One repair after the other": f"{html.paragraph(_SEQUENCE)}\n{chart}",
        "What each mismatch costs": f"{html.paragraph(_COSTS)}\n{_costs(d)}",
        "Class by class": _classes(d) if d.is_labelled else "",
        "How the pictures differ from MNIST": f'{_DRIFTS}\n<div class="cards">{_drifts(d)}</div>',
        "Before and after": _examples(d),
        misread: f"{html.paragraph(_MISREAD)}\n{_worst(d)}",
    }
    recipe = "the whole recipe" + ("" if d.is_labelled else ", by definition")
    names = {"the tutorials' way": stages[0], "six repairs": stages[-2], recipe: stages[-1]}
    figures = html.figures(
        (_percent(share), name, f"mean confidence {_percent(confidence)}")
        for name, (_, share, confidence) in names.items()
    )
    page = html.page(
        title=d.pictures.name,
        command="diagnose",
        heading=f"How {escape(d.model)} reads {escape(d.pictures.name)}",
        header=html.paragraph(explained) + figures,
        sections=[html.section(title, inside) for title, inside in sections.items() if inside],
    )
    html.write_page(page, path)


def _rich(text: str) -> str:
    """Escaped, with commands between backquotes as code."""
    parts = escape(text).replace("+-", "&plusmn;").split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))


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


def _examples(d: Diagnosis) -> str:
    """A table of pictures that the recipe saves, each after every repair."""
    saved = np.flatnonzero(d.right(None) & ~d.right(NONE))
    some = saved if saved.size else np.arange(d.n)
    chosen = some[np.linspace(0, some.size - 1, min(_EXAMPLES, some.size)).round().astype(int)]
    heads = ("as it is", "resized", *(f"+ {name}" for name in REPAIRS), "whole recipe")
    return html.table(heads, [_example(d, int(i)) for i in chosen], "pictures")


def _example(d: Diagnosis, number: int) -> str:
    grey, after = _before_and_after(d, number)
    if grey is None:
        return ""
    squeezed = tutorial(grey)
    try:
        pictures = every_repair(separate_ink(grey), squeezed)
    except NoDigitFound:
        pictures = dict.fromkeys(PLANS, squeezed)
    cells = [_thumbnail(grey) + _name(d, number)]
    for plan in (NONE, *(in_sequence(name) for name in REPAIRS)):
        cells.append(_as_read(pictures[plan]) + _reading(d, number, plan))
    cells.append(_as_read(after) + _reading(d, number, None))
    return html.row(cells, names=0)


def _worst(d: Diagnosis) -> str:
    """Pictures still misread, the most confident errors first; without labels the least certain."""
    confidence = d.confidence[:, -1]
    order = np.argsort(-confidence if d.is_labelled else confidence, kind="stable")
    if d.is_labelled:
        order = order[~d.right(None)[order]]
    if not order.size:
        return html.paragraph("None.")
    cards = "".join(_misread(d, int(i)) for i in order[:_WORST])
    rest = order.size - _WORST
    more = html.paragraph(f"and {rest:,} more") if d.is_labelled and rest > 0 else ""
    return f'<div class="gallery">{cards}</div>{more}'


def _misread(d: Diagnosis, number: int) -> str:
    grey, after = _before_and_after(d, number)
    shown = "<small>not readable</small>"
    if grey is not None:
        shown = _thumbnail(grey) + _as_read(after)
    label = f"is {escape(d.class_names[int(d.truth[number])])}, " if d.is_labelled else ""
    return (
        f'<figure class="bad">{shown}<figcaption>{label}read as {_reading(d, number, None)}'
        f"{_name(d, number)}</figcaption></figure>"
    )


def _reading(d: Diagnosis, number: int, plan: Repairs | None) -> str:
    """The class read after some repairs and its confidence, in the colour of right or wrong."""
    place = place_of(plan)
    found = int(d.found[number, place])
    name = escape(d.class_names[found]) if found >= 0 else "nothing"
    kind = "good" if d.right(plan)[number] else "wrong"
    return f'<span class="{kind}">{name} <small>{d.confidence[number, place]:.0%}</small></span>'


def _before_and_after(d: Diagnosis, number: int) -> tuple[Array | None, Array | None]:
    """A picture as it is and after the whole recipe, as far as it can be read."""
    grey = None
    try:
        grey = decode(d.pictures.sources[number])
        return grey, normalize(grey)
    except InputError:
        return grey, None


def _name(d: Diagnosis, number: int) -> str:
    return f"<small>{escape(Path(d.pictures.name_of(number)).name)}</small>"


def _thumbnail(grey: Array) -> str:
    picture = to_picture(grey)
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
    if (factor := _THUMBNAIL // max(picture.size)) > 1:  # enlarge a bitmap so that pixels show
        size = (picture.width * factor, picture.height * factor)
        picture = picture.resize(size, Resampling.NEAREST)
    return html.image(picture, "the picture", "whole")


def _as_read(image: Array | None) -> str:
    if image is None:
        return "<small>no digit found</small>"
    return html.image(to_picture(image), "28x28", "pixels")
