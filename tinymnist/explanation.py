"""What the recipe did to a picture, stage by stage, in pictures and in words."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageDraw

from tinymnist.adapter import Prediction
from tinymnist.errors import InputError
from tinymnist.imaging.digit.components import bounds, find_components
from tinymnist.imaging.digit.frame import centre_of_mass, stroke_width
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.digit.normalize import stages
from tinymnist.imaging.digit.paper import noise_level
from tinymnist.imaging.picture.decode import decode, describe
from tinymnist.nn.sequential import Sequential
from tinymnist.reader import DEFAULT_MODEL, Reader
from tinymnist.reporting.figures import INK, QUIET, to_picture, write
from tinymnist.reporting.html import image

Image = NDArray[np.float32]
_PANEL, _GAP, _TITLE, _NOTE = 180, 14, 26, 52
"""Pixels of a drawn stage's side, between stages, and for the text above and below a stage."""

_USUAL = {"slant"}  # the stages that predict leaves out


@dataclass(frozen=True)
class Step:
    """One stage: its name, the picture (h, w) in 0..1 after it, and what it did in a few words.

    The first is "grey", the picture as it comes.
    """

    name: str
    image: Image
    note: str


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """All stages in order, and what the network made of the last. A notebook shows the stages."""

    steps: tuple[Step, ...]
    prediction: Prediction

    def __repr__(self) -> str:
        names = " > ".join(step.name for step in self.steps)
        return f"Explanation({names}: {self.prediction!r})"

    def _repr_html_(self) -> str:
        """The figure of :func:`draw_explanation`."""
        return image(draw_explanation(self), f"read as {self.prediction.digit}")


def explain(
    source: Any,
    model: str | PathLike[str] | Sequential | Reader = DEFAULT_MODEL,
    skip: Collection[str] = ("slant",),
) -> Explanation:
    """Follow one picture through the recipe and the network.

    The answer is that of :meth:`tinymnist.reader.Reader.predict`, unless stages are left out. If
    the recipe is in doubt and another reading than its own counts most, that one is the last step.

    Args:
        source: as for :meth:`tinymnist.reader.Reader.predict`.
        model: the name of a shipped model, a file, a model, or a reader.
        skip: stages to leave out, as for :func:`tinymnist.imaging.digit.normalize.normalize`.

    Raises:
        InputError: when the source is not a picture, or no digit is found on it.
    """
    grey = decode(source)
    try:
        made = stages(grey, skip=skip)
    except NoDigitFound as error:
        raise InputError(f"{describe(source)}: {error}") from None
    steps, before = [], made["grey"]
    for name, after in made.items():
        steps.append(Step(name, after, _NOTES[name](before, after)))
        before = after
    if len(steps) == 2:  # in MNIST's form already
        steps[1] = Step("centre", before, "in MNIST's form already: nothing to do")
    reader = model if isinstance(model, Reader) else Reader(model)
    if set(skip) != _USUAL or reader.recipe != "mnist":
        return Explanation(tuple(steps), reader.predict_prepared(before[None, ..., None])[0])
    prediction = reader.predict(grey)
    if prediction.picture is not None and not np.array_equal(prediction.picture, before):
        note = "another way to read the picture, of which the network is surer"
        steps.append(Step("reading", prediction.picture, note))
    return Explanation(tuple(steps), prediction)


def _polarity(before: Image, after: Image) -> str:
    is_kept = np.array_equal(before, after)
    return "dark ink on light: kept" if is_kept else "light ink on dark: inverted"


def _background(before: Image, after: Image) -> str:
    paper = before[after < 0.05] if (after < 0.05).any() else before
    low, high = np.percentile(paper, (2, 98))
    return f"the light on the paper varies by {100 * (1 - low / max(high, 1e-6)):.0f} %: evened out"


def _noise(before: Image, after: Image) -> str:
    if min(after.shape) < 3:
        return "too small for noise"
    first, last = (100 * noise_level(image) for image in (before, after))
    done = "kept" if abs(first - last) < 1e-3 else f"averaged to {last:.1f} %"
    return f"noise {first:.1f} %: {done}"


def _rules(before: Image, after: Image) -> str:
    erased = int(((before > 0.5) & (after <= 0.5)).sum())
    return f"lines from edge to edge: {erased} pixels taken out" if erased else "no ruled lines"


def _components(before: Image, after: Image) -> str:
    marks, kept = (len(find_components(image > 0).boxes) for image in (before, after))
    return f"{kept} of {marks} mark{'s'[: marks != 1]} kept"


def _box(before: Image, after: Image) -> str:
    sizes = f"{_size(before[bounds(before > 0.5)])} pixels become {_size(after)}"
    return f"{sizes}, strokes {stroke_width(np.pad(after, 1)):.1f} wide"


def _centre(before: Image, after: Image) -> str:
    row, column = centre_of_mass(after)
    return f"centre of mass at {column:.1f}, {row:.1f} of 28x28"


def _size(image: Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


_NOTES: dict[str, Callable[[Image, Image], str]] = {
    "grey": lambda _, after: (
        f"{_size(after)} pixels, brightness {after.min():.2f} to {after.max():.2f}"
    ),
    "polarity": _polarity,
    "background": _background,
    "noise": _noise,
    "threshold": lambda _, after: (
        f"{100 * float((after > 0.5).mean()):.1f} % of the picture is ink"
    ),
    "rules": _rules,
    "components": _components,
    "slant": lambda *_: "set upright",
    "box": _box,
    "centre": _centre,
}
"""(picture before, picture after) -> what the stage did."""


def draw_explanation(explanation: Explanation) -> PIL.Image.Image:
    """The stages in a row, each with its name and what it did, and the prediction at the end."""
    total = (len(explanation.steps) + 1) * (_PANEL + _GAP) + _GAP
    figure = PIL.Image.new("RGB", (total, _TITLE + _PANEL + _NOTE + 2 * _GAP), "white")
    draw = ImageDraw.Draw(figure)
    for number, step in enumerate(explanation.steps):
        left, top = _GAP + number * (_PANEL + _GAP), _GAP + _TITLE
        write(draw, (left, _GAP), step.name, INK, 15)
        scale = _PANEL / max(step.image.shape)
        height, width = (max(1, round(side * scale)) for side in step.image.shape)
        figure.paste(to_picture(step.image, (width, height)), (left, top))
        draw.rectangle((left - 1, top - 1, left + width, top + height), outline="#bbbbbb")
        write(draw, (left, top + _PANEL + 6), textwrap.fill(step.note, 28), QUIET, 12)
    left, prediction = _GAP + len(explanation.steps) * (_PANEL + _GAP), explanation.prediction
    write(draw, (left, _GAP), f"read as {prediction.digit}", INK, 15)
    row = _PANEL / len(prediction.probabilities)
    for number, share in enumerate(prediction.probabilities):
        y = _GAP + _TITLE + number * row
        write(draw, (left, y), prediction.class_names[number][:8], QUIET, 12)
        end = left + 20 + share * (_PANEL - 70)
        draw.rectangle((left + 20, y + 3, end, y + row - 4), "#3b6ea5")
        if share >= 0.005:
            write(draw, (end + 6, y), f"{100 * share:.0f} %", QUIET, 12)
    return figure
