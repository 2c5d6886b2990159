"""A contact sheet: pictures as the network sees them, each with what it is and was taken for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_SIDE, _GAP, _CAPTION, _COLUMNS = 84, 10, 49, 10
_LAST = 4  # letters that a shortened line keeps at its end: " 98%", ".png"
_INK, _QUIET = "#222222", "#666666"


class Card(NamedTuple):
    """A picture (28, 28) or (28, 28, 1) in 0..1, a caption "7 > 1 98%", and a fainter line."""

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
        true, arrow, taken = card.caption.rpartition(" > ")
        _write(draw, (left, top + _SIDE + 2), true, _INK, 12)
        _write(draw, (left, top + _SIDE + 17), f"{arrow}{taken}".strip(), _INK, 12)
        _write(draw, (left, top + _SIDE + 32), card.note, _QUIET, 10)
    return sheet


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, ink: str, size: int
) -> None:
    """Write one line, shortened to the width of a picture."""
    font = ImageFont.load_default(size)
    draw.text(place, _shortened(text, font.getlength), ink, font)


def _shortened(text: str, length: Callable[[str], float]) -> str:
    """Leave out the middle of what is too long, and spell out what Pillow's own font lacks."""
    text = text.encode("ascii", "backslashreplace").decode()
    if length(text) <= _SIDE:
        return text
    head, tail = text[:-_LAST], text[-_LAST:]
    while head and length(f"{head}...{tail}") > _SIDE:
        head = head[:-1]
    return f"{head}...{tail}"
