"""Figures as pictures, drawn with Pillow."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tinymnist.errors import InputError
from tinymnist.explain import Explanation
from tinymnist.files import PICTURE_SUFFIXES, whole_file
from tinymnist.reader import Prediction

_PANEL, _GAP, _TITLE, _NOTE = 180, 14, 26, 52
_SMALL, _SPACE, _NAMES = 84, 4, 116  # of contact sheets
_INK, _QUIET, _BAR = "#222222", "#666666", "#3b6ea5"


def draw_explanation(explanation: Explanation) -> Image.Image:
    """The stages in a row, each with its name and what it did; the prediction at the end."""
    count = len(explanation.steps) + 1
    size = (count * (_PANEL + _GAP) + _GAP, _TITLE + _PANEL + _NOTE + 2 * _GAP)
    figure = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(figure)
    for number, step in enumerate(explanation.steps):
        left = _GAP + number * (_PANEL + _GAP)
        _write(draw, (left, _GAP), step.name, _INK, 15)
        thumbnail, top = _fitted(step.image), _GAP + _TITLE
        figure.paste(thumbnail, (left, top))
        box = (left - 1, top - 1, left + thumbnail.width, top + thumbnail.height)
        draw.rectangle(box, outline="#bbbbbb")
        note = textwrap.fill(step.note, 28)
        _write(draw, (left, _GAP + _TITLE + _PANEL + 6), note, _QUIET, 12)
    _draw_prediction(draw, _GAP + (count - 1) * (_PANEL + _GAP), explanation.prediction)
    return figure


def draw_sheet(rows: NDArray[np.float32], names: Sequence[str]) -> Image.Image:
    """A contact sheet: a row of variants for each picture, the picture itself in front.

    Args:
        rows: (pictures, 1 + variants, h, w) in 0..1.
        names: of the pictures.
    """
    count, columns, height, width = rows.shape
    scale = max(1, round(_SMALL / max(height, width)))
    cell_width, cell_height = width * scale + _SPACE, height * scale + _SPACE
    left, top = _GAP + _NAMES + _SPACE, _GAP + _TITLE
    size = (left + columns * cell_width + 2 * _GAP, top + count * cell_height + _GAP)
    figure = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(figure)
    _write(draw, (left, _GAP), "before", _INK, 13)
    _write(draw, (left + cell_width + _GAP, _GAP), "after", _INK, 13)
    for row, (name, pictures) in enumerate(zip(names, rows, strict=True)):
        y = top + row * cell_height
        _write(draw, (_GAP, y + cell_height // 2 - 8), _shortened(name), _QUIET, 12)
        for column, values in enumerate(pictures):
            picture = Image.fromarray(np.uint8(np.clip(values, 0, 1) * 255 + 0.5))
            place = left + column * cell_width + (_GAP if column else 0), y
            shown = picture.resize((width * scale, height * scale), Image.Resampling.NEAREST)
            figure.paste(shown, place)
    return figure


def _shortened(name: str, most: int = 18) -> str:
    return name if len(name) <= most else f"{name[: most - 3]}..."


def save_figure(figure: Image.Image, path: str | os.PathLike[str]) -> None:
    """Write a figure completely or not at all, in the format that the name ends in.

    Raises:
        InputError: when the format is unknown or cannot hold the figure, or the file cannot be
            written.
    """
    target = Path(path)
    known = Image.registered_extensions()  # also of formats that are only read
    kind = known.get(target.suffix.lower())
    if kind not in Image.SAVE:
        ends = ", ".join(end for end in sorted(PICTURE_SUFFIXES) if known.get(end) in Image.SAVE)
        raise InputError(
            f"{target}: unknown kind of picture; expected a name that ends in .png, or "
            f"another of {ends}"
        )
    with whole_file(target) as temporary:
        try:
            figure.save(temporary, format=kind)
        except Exception as error:  # Pillow's plug-ins raise whatever they trip over
            if getattr(error, "errno", None):
                raise  # the disk's fault, not the format's
            raise InputError(
                f"{target}: {kind} cannot hold this figure of {figure.width}x{figure.height} "
                f"pixels: {error}; expected a name that ends in .png, or a smaller figure (fewer "
                "variants, fewer pictures)"
            ) from None


def _draw_prediction(draw: ImageDraw.ImageDraw, left: int, prediction: Prediction) -> None:
    _write(draw, (left, _GAP), f"read as {prediction.digit}", _INK, 15)
    row = _PANEL / len(prediction.probabilities)
    for number, share in enumerate(prediction.probabilities):
        top = _GAP + _TITLE + number * row
        _write(draw, (left, top), prediction.class_names[number][:8], _QUIET, 12)
        draw.rectangle((left + 20, top + 3, left + 20 + share * (_PANEL - 70), top + row - 4), _BAR)
        if share >= 0.005:
            end = left + 26 + share * (_PANEL - 70)
            _write(draw, (end, top), f"{100 * share:.0f} %", _QUIET, 12)


def _fitted(image: NDArray[np.float32]) -> Image.Image:
    """As large as fits the panel; small pictures show their pixels."""
    picture = Image.fromarray(np.uint8(np.clip(image, 0, 1) * 255 + 0.5))
    scale = _PANEL / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    return picture.resize(size, how)


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, ink: str, size: int
) -> None:
    draw.text(place, text, ink, ImageFont.load_default(size))
