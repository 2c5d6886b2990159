"""The report's pictures: some after each repair, and those that are still misread."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np
from PIL.Image import Resampling

from tinymnist.diagnosis.costs import NONE, in_sequence
from tinymnist.diagnosis.ink_and_paper import separate_ink
from tinymnist.diagnosis.repairs import PLANS, REPAIRS, Repairs, every_repair
from tinymnist.diagnosis.results import Diagnosis, place_of
from tinymnist.errors import InputError
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.digit.recipes import tutorial
from tinymnist.imaging.picture.decode import decode
from tinymnist.imaging.picture.pixels import Array
from tinymnist.reporting import html
from tinymnist.reporting.figures import to_picture

_EXAMPLES, _WORST = 6, 24
_THUMBNAIL = 112


def examples(d: Diagnosis) -> str:
    """A table of pictures that the recipe saves, each after every repair."""
    saved = np.flatnonzero(d.right(None) & ~d.right(NONE))
    some = saved if saved.size else np.arange(d.n)
    chosen = some[np.linspace(0, some.size - 1, min(_EXAMPLES, some.size)).round().astype(int)]
    heads = ("as it is", "resized", *(f"+ {name}" for name in REPAIRS), "whole recipe")
    return html.table(heads, [_example(d, int(i)) for i in chosen], "pictures")


def _example(d: Diagnosis, number: int) -> str:
    grey = _decoded(d, number)
    if grey is None:
        return ""
    squeezed = tutorial(grey)
    try:
        pictures = every_repair(separate_ink(grey), squeezed)
    except NoDigitFound:
        pictures = dict.fromkeys(PLANS, squeezed)
    cells = [f"{_thumbnail(grey)}<small>{escape(_name(d, number))}</small>"]
    for plan in (NONE, *(in_sequence(name) for name in REPAIRS)):
        cells.append(_as_read(pictures[plan]) + _reading(d, number, plan))
    cells.append(_as_read(_normalized(grey)) + _reading(d, number, None))
    return html.row(cells, names=0)


def worst(d: Diagnosis) -> str:
    """Pictures still misread, the most confident errors first; without labels the least certain."""
    confidence = d.confidence[:, -1]
    if d.is_labelled:
        wrong = np.flatnonzero(~d.right(None))
        order = wrong[np.argsort(-confidence[wrong], kind="stable")]
    else:
        order = np.argsort(confidence, kind="stable")
    if not order.size:
        return html.paragraph("None.")
    cards = "".join(_card(d, int(i)) for i in order[:_WORST])
    rest = order.size - _WORST
    more = html.paragraph(f"and {rest:,} more") if d.is_labelled and rest > 0 else ""
    return f'<div class="gallery">{cards}</div>{more}'


def _card(d: Diagnosis, number: int) -> str:
    grey = _decoded(d, number)
    shown = "<small>not readable</small>"
    if grey is not None:
        shown = _thumbnail(grey) + _as_read(_normalized(grey))
    label = f"is {escape(d.class_names[int(d.truth[number])])}, " if d.is_labelled else ""
    return (
        f'<figure class="bad">{shown}<figcaption>{label}read as {_reading(d, number, None)}'
        f"<small>{escape(_name(d, number))}</small></figcaption></figure>"
    )


def _reading(d: Diagnosis, number: int, plan: Repairs | None) -> str:
    """The class read after some repairs and its confidence, in the colour of right or wrong."""
    place = place_of(plan)
    found = int(d.found[number, place])
    name = escape(d.class_names[found]) if found >= 0 else "nothing"
    kind = "good" if d.right(plan)[number] else "wrong"
    return f'<span class="{kind}">{name} <small>{d.confidence[number, place]:.0%}</small></span>'


def _decoded(d: Diagnosis, number: int) -> Array | None:
    try:
        return decode(d.pictures.sources[number])
    except InputError:
        return None


def _normalized(grey: Array) -> Array | None:
    try:
        return normalize(grey)
    except NoDigitFound:
        return None


def _name(d: Diagnosis, number: int) -> str:
    return Path(d.pictures.name_of(number)).name


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
