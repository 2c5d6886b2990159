"""Draws what was read where it was read, on the picture in its own colours and pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from tinymnist.imaging.page.lattice import Box
from tinymnist.imaging.picture.decode import decode_with_size, identify, open_binary
from tinymnist.imaging.picture.pixels import Array

_PLAIN_MODES = ("1", "L", "P", "RGB", "CMYK", "YCbCr")
"""Pillow's modes that it converts to the colours as displayed; others are shown as decoded."""
SURE, UNSURE = "#0b8043", "#d5264b"
"""Colours of digits that were read with at least this confidence, and with less:"""
CELL = "#1a73e8"
"""Colour of the frames of cells."""
CLEAR = 0.8
_MIN_TEXT = 12  # pixels; smaller figures cannot be read
_TEXT = 0.38  # the height of a label's text, in heights of a digit,
_MAX_TEXT = 0.05  # and its upper limit as a share of the picture's longer side


def upright_picture(source: Any) -> Image.Image:
    """Open a picture as RGB in its own pixels, turned upright; source and errors: ``decode``'s."""
    if isinstance(source, np.ndarray):
        return _as_rgb(decode_with_size(source)[0])
    if isinstance(source, Image.Image):
        return _shown(source, *decode_with_size(source))
    with open_binary(source) as stream:
        grey, size = decode_with_size(stream)  # reports clearly what is wrong with a broken file
        stream.seek(0)
        with identify(stream, source) as picture:
            return _shown(picture, grey, size)


def _shown(picture: Image.Image, grey: Array, size: tuple[int, int]) -> Image.Image:
    """Upright and in RGB; the decoded grey in modes that Pillow does not convert as displayed."""
    if picture.mode in _PLAIN_MODES and "transparency" not in picture.info:
        return ImageOps.exif_transpose(picture).convert("RGB")
    return _as_rgb(grey).resize((size[1], size[0]))


def _as_rgb(grey: Array) -> Image.Image:
    return Image.fromarray(np.uint8(grey * 255 + 0.5)).convert("RGB")


def annotate(
    picture: Image.Image,
    boxes: Sequence[Box],
    labels: Sequence[str],
    confidences: Sequence[float] | None = None,
) -> Image.Image:
    """Draw a frame around each digit, with its label on a tag.

    Frames and tags are green, and red if the reader was not sure, so that the eye finds what needs
    checking. A tag is above its digit; at the picture's edge, below it or inside.

    Args:
        picture: RGB; it is not changed.
        boxes: (left, top, right, bottom) in its pixels, right and bottom exclusive.
        labels: one for each box.
        confidences: one for each box, 0..1; None means that all are sure.
    """
    drawn = picture.copy()
    draw = ImageDraw.Draw(drawn)
    line = max(1, round(max(picture.size) / 500))
    tall = float(np.median([box[3] - box[1] for box in boxes])) if boxes else 0.0
    text = min(_TEXT * tall, _MAX_TEXT * max(picture.size))
    font = ImageFont.load_default(max(_MIN_TEXT, round(text)))
    frames = [_around(box, 2 * line, picture.size) for box in boxes]
    sure = [True] * len(boxes) if confidences is None else [each >= CLEAR for each in confidences]
    colours = [SURE if is_sure else UNSURE for is_sure in sure]
    for frame, colour in zip(frames, colours, strict=True):
        draw.rounded_rectangle(frame, 2 * line, outline=colour, width=line)
    for frame, label, colour in zip(frames, labels, colours, strict=True):
        _tag(draw, frame, label, colour, font, picture.size)
    return drawn


def frame_cells(picture: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """Draw the cells of grids, (left, top, right, bottom) each, as thin frames on a picture."""
    drawn = picture.copy()
    draw = ImageDraw.Draw(drawn)
    for left, top, right, bottom in boxes:
        draw.rectangle((left, top, right - 1, bottom - 1), outline=CELL)
    return drawn


def _around(box: Box, gap: int, size: tuple[int, int]) -> Box:
    """The frame of a box, ``gap`` pixels away but in the picture; right and bottom inclusive."""
    left, top, right, bottom = box
    end = min(right + gap, size[0]) - 1, min(bottom + gap, size[1]) - 1
    return max(left - gap, 0), max(top - gap, 0), *end


def _tag(
    draw: ImageDraw.ImageDraw,
    frame: Box,
    label: str,
    colour: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    size: tuple[int, int],
) -> None:
    """White on the frame's colour, sitting on the frame's upper left corner."""
    left, top, right, bottom = draw.textbbox((0, 0), label, font)
    high, wide = int(bottom - top), int(right - left)
    margin = max(2, round(0.22 * high))
    height, width = high + 2 * margin, max(wide + 2 * margin, high)
    above, below = frame[1] - height, frame[3] + 1
    fits_below = above < 0 and below + height <= size[1]
    start = below if fits_below else max(above, 0)
    side = min(frame[0], max(size[0] - width, 0))
    tag = (side, start, side + width - 1, start + height - 1)
    draw.rounded_rectangle(tag, margin, fill=colour)
    middle = (side + (width - wide) / 2 - left, start + margin - top)
    draw.text(middle, label, "white", font)
