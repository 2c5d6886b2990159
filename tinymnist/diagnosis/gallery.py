"""The report's pictures: some after each repair, and those that are misread all the same."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tinymnist.diagnosis.costs import NONE, in_sequence
from tinymnist.diagnosis.repairs import PLANS, REPAIRS, every_repair
from tinymnist.diagnosis.results import Diagnosis
from tinymnist.diagnosis.strokes_and_loops import dissect
from tinymnist.errors import InputError
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.digit.recipes import tutorial
from tinymnist.imaging.picture.decode import decode
from tinymnist.imaging.picture.pixels import Array

_EXAMPLES, _WORST = 6, 24
_THUMBNAIL = 112


def examples(d: Diagnosis) -> str:
    """Pictures that the recipe saves, each after every repair."""
    saved = np.flatnonzero(d.right(None) & ~d.right(NONE))
    some = saved if saved.size else np.arange(d.n)
    chosen = some[np.linspace(0, some.size - 1, min(_EXAMPLES, some.size)).round().astype(int)]
    heads = ("as it is", "resized", *(f"+ {name}" for name in REPAIRS), "whole recipe")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<thead><tr>{head}</tr></thead>" + "".join(_example(d, int(i)) for i in chosen)


def _example(d: Diagnosis, number: int) -> str:
    plans = (NONE, *(in_sequence(name) for name in REPAIRS), None)
    grey = _decoded(d, number)
    if grey is None:
        return ""
    squeezed, final = tutorial(grey), _or_none(grey)
    try:
        pictures = every_repair(dissect(grey), squeezed)
    except NoDigitFound:
        pictures = dict.fromkeys(PLANS, squeezed)
    cells = [f"<td>{_thumbnail(grey)}<small>{escape(_name(d, number))}</small></td>"]
    for plan in plans:
        image = final if plan is None else pictures[plan]
        place = -1 if plan is None else PLANS.index(plan)
        good = bool(d.right(plan)[number])
        cells.append(f"<td>{_small(image)}{_reading(d, number, place, good)}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def worst(d: Diagnosis) -> str:
    """What the recipe does not save, the surest errors first; without labels the least sure."""
    sure = d.confidence[:, -1]
    if d.is_labelled:
        wrong = np.flatnonzero(~d.right(None))
        order = wrong[np.argsort(-sure[wrong], kind="stable")]
    else:
        order = np.argsort(sure, kind="stable")
    if not order.size:
        return "<p>None.</p>"
    cards = "".join(_bad(d, int(i)) for i in order[:_WORST])
    more = f"<p>and {order.size - _WORST} more</p>" if d.is_labelled and order.size > _WORST else ""
    return f'<div class="gallery">{cards}</div>{more}'


def _bad(d: Diagnosis, number: int) -> str:
    grey = _decoded(d, number)
    shown = "<small>not readable</small>" if grey is None else _thumbnail(grey)
    final = "" if grey is None else _small(_or_none(grey))
    label = f"is {escape(d.class_names[int(d.truth[number])])}, " if d.is_labelled else ""
    good = bool(d.right(None)[number])
    return (
        f'<figure class="bad">{shown}{final}<figcaption>{label}read as '
        f"{_reading(d, number, -1, good)}<small>{escape(_name(d, number))}</small></figcaption>"
        "</figure>"
    )


def _reading(d: Diagnosis, number: int, place: int, good: bool) -> str:
    found = int(d.found[number, place])
    name = escape(d.class_names[found]) if found >= 0 else "nothing"
    kind = "good" if good else "wrong"
    return f'<span class="{kind}">{name} <small>{d.confidence[number, place]:.0%}</small></span>'


def _decoded(d: Diagnosis, number: int) -> Array | None:
    try:
        return decode(d.pictures.sources[number])
    except InputError:
        return None


def _or_none(grey: Array) -> Array | None:
    try:
        return normalize(grey)
    except NoDigitFound:
        return None


def _name(d: Diagnosis, number: int) -> str:
    source: Any = d.pictures.sources[number]
    return f"number {number}" if isinstance(source, np.ndarray) else Path(source).name


def _thumbnail(grey: Array) -> str:
    picture = Image.fromarray(_bytes(grey))
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
    factor = _THUMBNAIL // max(picture.size)
    if factor > 1:  # a bitmap shows its pixels
        size = (picture.width * factor, picture.height * factor)
        picture = picture.resize(size, Image.Resampling.NEAREST)
    return f'<img class="whole" alt="the picture" src="{_uri(picture)}">'


def _small(image: Array | None) -> str:
    if image is None:
        return "<small>no digit found</small>"
    return f'<img class="pixels" alt="28x28" src="{_uri(Image.fromarray(_bytes(image)))}">'


def _bytes(image: Array) -> NDArray[np.uint8]:
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _uri(picture: Image.Image) -> str:
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
