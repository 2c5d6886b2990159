"""Figures as pictures, drawn with Pillow: contact sheets, and what other figures need."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tinymnist.errors import InputError
from tinymnist.files import PICTURE_SUFFIXES, whole_file
from tinymnist.reporting.text import shortened

INK, QUIET = "#222222", "#666666"
"""Colours of text: what matters, and what is said beside it."""
_SIDE = 84
"""The side of a picture on a sheet, in pixels."""
_VARIANTS_ON_A_LINE = 16
"""On a sheet of variants, which so fits a screen."""
_SOFTWARE, _OWN = 0x0131, "tinymnist"
"""The EXIF tag that says what drew a picture, and what it says in ours."""
_MARKED = frozenset(("JPEG", "PNG", "WEBP", "TIFF"))
"""The formats in which pictures carry it."""
_KEPT_END = 4
"""Characters that a shortened caption keeps at its end: " 98%", ".png"."""


class Card(NamedTuple):
    """A picture (h, w) or (h, w, 1) in 0..1, a caption "7 > 1 98%", and a fainter line."""

    image: NDArray[np.float32]
    caption: str
    note: str


def contact_sheet(cards: Sequence[Card], columns: int = 10) -> Image.Image:
    """Pictures in a grid, each above its caption, which breaks behind "7" in "7 > 1 98%"."""
    gap, caption = 10, 49
    columns = max(min(len(cards), columns), 1)
    rows = max(-(-len(cards) // columns), 1)
    width, height = _SIDE + gap, _SIDE + caption + gap
    sheet = Image.new("RGB", (columns * width + gap, rows * height + gap), "white")
    draw = ImageDraw.Draw(sheet)
    for number, card in enumerate(cards):
        row, column = divmod(number, columns)
        left, top = gap + column * width, gap + row * height
        values = card.image.reshape(card.image.shape[:2])
        sheet.paste(to_picture(values, (_SIDE, _SIDE)), (left, top))
        truth, arrow, taken = card.caption.rpartition(" > ")
        lines = ((truth, INK, 12), (f"{arrow}{taken}".strip(), INK, 12), (card.note, QUIET, 10))
        for line, (text, colour, size) in enumerate(lines):
            place = (left, top + _SIDE + 2 + 15 * line)
            write(draw, place, fit_caption(text, size, _SIDE), colour, size)
    return sheet


def variant_sheet(rows: NDArray[np.float32], names: Sequence[str]) -> Image.Image:
    """Pictures below each other, and beside each its variants: (pictures, 1 + variants, h, w).

    Many variants take several lines.
    """
    margin, gap, title, name_width = 14, 4, 26, 116
    count, columns, height, width = rows.shape
    scale = max(1, round(_SIDE / max(height, width)))
    size = width * scale, height * scale
    left, top = margin + name_width + gap, margin + title
    step = size[0] + gap, size[1] + gap
    beside = max(1, min(columns - 1, _VARIANTS_ON_A_LINE))
    lines = -(-(columns - 1) // beside)
    tall = lines * step[1] + (gap if lines > 1 else 0)

    def place(row: int, column: int) -> tuple[int, int]:
        line, right = divmod(max(column - 1, 0), beside)
        x = left + (1 + right) * step[0] + margin if column else left
        return x, top + row * tall + line * step[1]

    right, bottom = place(0, beside)[0] + step[0], place(count, 0)[1]
    sheet = Image.new("RGB", (right + margin, bottom + margin), "white")
    draw = ImageDraw.Draw(sheet)
    write(draw, (left, margin), "before", INK, 13)
    write(draw, (place(0, 1)[0], margin), "after", INK, 13)
    for row, (name, pictures) in enumerate(zip(names, rows, strict=True)):
        middle = place(row, 0)[1] + (size[1] + gap) // 2
        write(draw, (margin, middle - 8), shortened(name, 18), QUIET, 12)
        for column, values in enumerate(pictures):
            sheet.paste(to_picture(values, size), place(row, column))
    return sheet


def to_picture(values: NDArray[np.float32], size: tuple[int, int] | None = None) -> Image.Image:
    """An 8-bit picture of values (h, w), clipped to 0..1; 0 is black.

    With a ``size`` (width, height) it is enlarged so that pixels show, or reduced by averaging.
    """
    picture = Image.fromarray(np.uint8(np.clip(values, 0, 1) * 255 + 0.5))
    if size is None:
        return picture
    how = Image.Resampling.NEAREST if max(size) > max(picture.size) else Image.Resampling.BOX
    return picture.resize(size, how)


def write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, colour: str, size: int
) -> None:
    """Write text in Pillow's own font; ``place`` is its top left corner."""
    draw.text(place, text, colour, ImageFont.load_default(size))


def fit_caption(text: str, size: int, width: float) -> str:
    """Cut out the middle of text that is wider than ``width`` pixels at a font size.

    Characters that Pillow's own font lacks become escape sequences first.
    """
    length = ImageFont.load_default(size).getlength
    text = text.encode("ascii", "backslashreplace").decode()
    if length(text) <= width:
        return text
    head, tail = text[:-_KEPT_END], text[-_KEPT_END:]
    while head and length(f"{head}...{tail}") > width:
        head = head[:-1]
    return f"{head}...{tail}"


def picture_format(path: str | os.PathLike[str]) -> str:
    """Pillow's name of the format that a file name ends in.

    Raises:
        InputError: when the ending is unknown, or Pillow only reads its format.
    """
    known = {end: kind for end, kind in Image.registered_extensions().items() if kind in Image.SAVE}
    kind = known.get(Path(path).suffix.lower())
    if kind is None:
        ends = ", ".join(sorted(PICTURE_SUFFIXES & known.keys()))
        rule = "expected a name that ends in .png, or another of"
        raise InputError(f"{path}: unknown kind of picture; {rule} {ends}")
    return kind


def is_own_figure(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a picture that :func:`save_figure` wrote, as far as its format says."""
    try:
        with Image.open(path) as picture:
            software = picture.getexif().get(_SOFTWARE)
            return software == _OWN if picture.format in _MARKED else True
    except Exception:  # each of Pillow's plug-ins raises errors of its own
        return False


def save_figure(figure: Image.Image, path: str | os.PathLike[str]) -> None:
    """Write a figure completely or not at all, in the format that the name ends in.

    Raises:
        InputError: when the format is unknown or cannot hold the figure, or nothing can be written.
    """
    target, kind = Path(path), picture_format(path)
    with whole_file(target) as temporary:
        try:
            if kind in _MARKED:
                mark = Image.Exif()
                mark[_SOFTWARE] = _OWN
                figure.save(temporary, format=kind, exif=mark)
            else:
                figure.save(temporary, format=kind)
        except Exception as error:  # each of Pillow's plug-ins raises errors of its own
            if getattr(error, "errno", None):
                raise  # the disk's fault, not the format's
            size = f"{figure.width}x{figure.height} pixels"
            rule = "a name that ends in .png, or a smaller figure (fewer variants, fewer pictures)"
            problem = f"{kind} cannot hold this figure of {size}: {error}"
            raise InputError(f"{target}: {problem}; expected {rule}") from None
