"""Fields of a form: named places that are read one by one from many scans.

A file of fields is JSON, and may be written by hand or by ``tinymnist fields``::

    {"fields": [{"name": "id", "box": [0.62, 0.12, 0.9, 0.15], "length": 6, "allow": "0-9"}]}

A box is left, top, right, bottom in shares of the picture, or in pixels if one of them is above 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.files import parse_json, read_bytes
from tinymnist.imaging.digit.components import Mask, surrounding_box
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.page.boxes import find_boxes, side_by_side, without_holes
from tinymnist.imaging.page.ink import dark_on_light, page_ink
from tinymnist.imaging.page.marks import heights, widths
from tinymnist.imaging.picture.decode import decode_with_size
from tinymnist.imaging.picture.pixels import Array
from tinymnist.pages import PageDigit
from tinymnist.reader import Reader

FIELD_SIDE = 3200
"""Pixels on the longer side of a scan; a larger one is reduced before its fields are cut out."""
_MOST_FIELDS = 1000  # in a file
_MOST_DIGITS = 100  # in a field
_DARKEST = 0.02  # a field's lines and ink are as dark as this share of its pixels, at least
_MIN_BOXED = 0.7  # the share of a field's width that its boxes cover, if all are found
_MARGIN = 0.12  # around a field, in heights of its boxes
_KEYS = {"name", "box", "length", "allow"}


@dataclass(frozen=True)
class Field:
    """A place on a form.

    Attributes:
        name: what it is called in the results.
        box: left, top, right, bottom in shares of the picture, or in pixels if one is above 1.
        length: how many digits it holds; None for any number.
        allow: the digits that may occur, as ``"0-3"`` or ``"0129"``; "" for all.
    """

    name: str
    box: tuple[float, float, float, float]
    length: int | None = None
    allow: str = ""


@dataclass(frozen=True)
class FieldText:
    """What was read in a field; the text of an empty one is "".

    Attributes:
        name: the field's.
        digits: with boxes on the whole picture.
        box: left, top, right, bottom of the field, in pixels of the picture.
    """

    name: str
    digits: tuple[PageDigit, ...]
    box: tuple[int, int, int, int]

    @property
    def text(self) -> str:
        """The digits, without spaces."""
        return "".join(str(digit.digit) for digit in self.digits)

    @property
    def confidence(self) -> float:
        """The probability that all digits are right, if their errors are independent."""
        return math.prod(digit.confidence for digit in self.digits)


def expand_digits(allow: str) -> str:
    """``"0-3,7"`` to ``"01237"``; InputError if it names anything but digits."""
    digits, place = "", 0
    text = allow.replace(",", "").replace(" ", "")
    while place < len(text):
        first = last = text[place]
        if text[place + 1 : place + 2] == "-" and place + 2 < len(text):
            last, place = text[place + 2], place + 2
        place += 1
        if not (first in "0123456789" and last in "0123456789" and first <= last):
            raise InputError(f'allow names digits, such as "0-9" or "0127". Received: {allow!r}')
        digits += "".join(str(digit) for digit in range(int(first), int(last) + 1))
    return "".join(sorted(set(digits)))


def load_fields(path: str | PathLike[str]) -> list[Field]:
    """Read a file of fields; InputError says what is wrong with it."""
    found = parse_json(read_bytes(path, limits.TEXT_BYTES), str(path))
    entries = found.get("fields") if isinstance(found, dict) else found
    if not isinstance(entries, list) or not 0 < len(entries) <= _MOST_FIELDS:
        raise InputError(f'{path}: expected {{"fields": [...]}} with 1 to {_MOST_FIELDS:,} fields')
    fields = [_field(entry, f"{path}: field {number}") for number, entry in enumerate(entries, 1)]
    names = [field.name for field in fields]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: names of fields must differ. Received: {twice!r} twice")
    return fields


def _field(entry: Any, where: str) -> Field:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: expected an object with name and box. Received: {entry!r}")
    if unknown := sorted(set(entry) - _KEYS):
        known = ", ".join(sorted(_KEYS))
        raise InputError(f"{where}: its keys are {known}. Received: {unknown[0]!r}")
    name, box = entry.get("name"), entry.get("box")
    if not isinstance(name, str) or not name:
        raise InputError(f"{where}: expected a name. Received: name={name!r}")
    if not (isinstance(box, list) and len(box) == 4 and all(map(_is_place, box))):
        raise InputError(f"{where}: box is left, top, right, bottom. Received: box={box!r}")
    left, top, right, bottom = map(float, box)
    if not (left < right and top < bottom):
        raise InputError(f"{where}: left < right and top < bottom. Received: box={box!r}")
    length, allow = entry.get("length"), entry.get("allow", "")
    if length is not None and not (type(length) is int and 1 <= length <= _MOST_DIGITS):
        raise InputError(f"{where}: length is 1 to {_MOST_DIGITS}. Received: length={length!r}")
    if not isinstance(allow, str):
        raise InputError(f"{where}: allow is a string of digits. Received: allow={allow!r}")
    return Field(name, (left, top, right, bottom), length, expand_digits(allow))


def _is_place(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0


def read_fields(reader: Reader, source: Any, fields: Sequence[Field]) -> list[FieldText]:
    """Read the fields of one scan.

    Args:
        reader: the network.
        source: a picture, as for :meth:`tinymnist.reader.Reader.read`.
        fields: where to look.

    Raises:
        InputError: if it is not a picture, or a field lies outside it. An empty field is not an
            error.
    """
    grey, size = decode_with_size(source, longest_side=FIELD_SIDE)
    return [_read_field(reader, grey, size, field) for field in fields]


def _read_field(reader: Reader, grey: Array, size: tuple[int, int], field: Field) -> FieldText:
    height, width = grey.shape
    scale = np.array([size[1] / width, size[0] / height] * 2)  # from the grey to the picture
    box = np.array(field.box)
    places = box / scale if box.max() > 1 else box * [width, height, width, height]
    left, top, right, bottom = np.rint(places).astype(int).tolist()
    part = grey[top : min(bottom, height), left : min(right, width)]
    shown = (np.array([left, top, min(right, width), min(bottom, height)]) * scale).astype(int)
    if part.size == 0:
        raise InputError(
            f"field {field.name!r} lies outside the picture of {size[1]}x{size[0]} pixels. "
            f"Received: box={list(field.box)}"
        )
    try:
        digits = reader.read_line(_without_boxes(part), field.length, field.allow).digits
    except NoDigitFound:
        digits = ()
    moved = tuple(
        PageDigit(one.prediction, _moved(one.box, (left, top), scale.tolist())) for one in digits
    )
    return FieldText(field.name, moved, tuple(shown.tolist()))


def _without_boxes(part: Array) -> Array:
    """A field (h, w) as displayed, with paper instead of the lines of its boxes."""
    dark = dark_on_light(part)  # a field's lines are as long as its picture, as ruled lines are
    ink: Mask = dark < (np.quantile(dark, _DARKEST) + np.median(dark)) / 2
    boxes = without_holes(find_boxes(ink, most=1.0))
    if len(boxes) == 0 or (widths(boxes).sum() < _MIN_BOXED * part.shape[1]):
        return part  # it has none, or they were not found
    inside = np.zeros(part.shape, bool)
    for top, left, bottom, right in boxes:
        inside[top:bottom, left:right] = True
    paper = np.float32(np.median(part[inside & ~ink]))
    return np.where(inside, part, paper)


def _moved(
    box: tuple[int, int, int, int], start: tuple[int, int], scale: Sequence[float]
) -> tuple[int, int, int, int]:
    """A box on a part of the grey, on the whole picture."""
    left, top, right, bottom = (
        int((place + start[number % 2]) * scale[number % 2]) for number, place in enumerate(box)
    )
    return left, top, right, bottom


def propose_fields(source: Any) -> list[Field]:
    """Find the boxes and combs of a form, from the top; InputError if it has none.

    A box is paper that lines enclose. Boxes that stand side by side are one field, of as many
    digits.
    """
    grey, _ = decode_with_size(source, longest_side=FIELD_SIDE)
    boxes = without_holes(find_boxes(page_ink(grey).mask))
    height, width = grey.shape
    fields = []
    for number, own in enumerate(side_by_side(boxes), 1):
        margin = _MARGIN * float(np.median(heights(own)))  # its lines are read with it
        shares = (surrounding_box(own) + np.array([-1, -1, 1, 1]) * margin) / ([height, width] * 2)
        top, left, bottom, right = np.clip(shares, 0, 1).round(5).tolist()
        is_comb = len(own) > 1
        fields.append(
            Field(f"field{number}", (left, top, right, bottom), len(own) if is_comb else None)
        )
    if not fields:
        raise InputError(
            "no boxes found; write a file of fields by hand, see tinymnist read --help"
        )
    return fields


def as_json(fields: Sequence[Field]) -> dict[str, Any]:
    """A file of fields, as :func:`load_fields` reads it."""
    entries = []
    for field in fields:
        entry: dict[str, Any] = {"name": field.name, "box": list(field.box)}
        entry |= {} if field.length is None else {"length": field.length}
        entries.append(entry | ({"allow": field.allow} if field.allow else {}))
    return {"fields": entries}
