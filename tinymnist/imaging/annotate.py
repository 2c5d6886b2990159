"""What was read, drawn where it was read."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_COLOUR = "#e6194b"
_SMALLEST_TEXT = 10
"""Pixels; smaller figures cannot be read."""


def annotate(
    picture: Image.Image, boxes: Sequence[tuple[int, int, int, int]], labels: Sequence[str]
) -> Image.Image:
    """Draw a box around each digit and what it was taken for at its upper left corner.

    Args:
        picture: RGB; it stays as it is.
        boxes: (left, top, right, bottom) in its pixels, right and bottom exclusive.
        labels: one for each box.
    """
    drawn = picture.copy()
    draw = ImageDraw.Draw(drawn)
    line = max(1, round(max(picture.size) / 600))
    for box, label in zip(boxes, labels, strict=True):
        left, top = (max(side - 2 * line, 0) for side in box[:2])
        right, bottom = (
            min(side + 2 * line, limit) - 1
            for side, limit in zip(box[2:], picture.size, strict=True)
        )
        draw.rectangle((left, top, right, bottom), outline=_COLOUR, width=line)
        size = max(_SMALLEST_TEXT, round((bottom - top) / 3))
        font = ImageFont.load_default(size)
        above = top > size  # else there is no room but inside
        corner = (left, top - line) if above else (left + 2 * line, top + line)
        draw.text(corner, label, _COLOUR, font, anchor="lb" if above else "lt")
    return drawn
