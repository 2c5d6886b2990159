"""A contact sheet: pictures as the network sees them, each with what it is and was taken for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_SIDE, _GAP, _CAPTION, _COLUMNS = 84, 10, 34, 10
_INK, _QUIET = "#222222", "#666666"


class Card(NamedTuple):
    """A picture (28, 28) or (28, 28, 1) in 0..1, a line below it, and a fainter second one."""

    image: NDArray[np.float32]
    caption: str
    note: str


def contact_sheet(cards: Sequence[Card]) -> Image.Image:
    """Lay the cards out in rows, from the left."""
    columns = max(min(len(cards), _COLUMNS), 1)
    rows = max(-(-len(cards) // columns), 1)
    width, height = _SIDE + _GAP, _SIDE + _CAPTION + _GAP
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for number, card in enumerate(cards):
        row, column = divmod(number, columns)
        left, top = _GAP + column * width, _GAP + row * height
        bytes_ = np.uint8(np.clip(card.image.reshape(28, 28), 0, 1) * 255 + 0.5)
        picture = Image.fromarray(bytes_).resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
        sheet.paste(picture, (left, top))
        _write(draw, (left, top + _SIDE + 2), card.caption, _INK, 12)
        _write(draw, (left, top + _SIDE + 17), card.note, _QUIET, 10)
    return sheet


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, ink: str, size: int
) -> None:
    """Write one line, cut to the width of a picture."""
    font = ImageFont.load_default(size)
    if font.getlength(text) > _SIDE:
        while text and font.getlength(text + "...") > _SIDE:
            text = text[:-1]
        text += "..."
    draw.text(place, text, ink, font)
