"""The doubtful and failed results in a file of records, and the pictures that they are about."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tinymnist.data.sets import DIGITS
from tinymnist.errors import InputError
from tinymnist.files import is_picture, open_regular
from tinymnist.imaging.page.annotate import upright_picture
from tinymnist.imaging.picture.decode import decode
from tinymnist.reporting.figures import to_picture
from tinymnist.sources import Inputs

_AROUND = 0.15
"""How much of the page is shown around a digit, as a share of its longer side."""


class Item(NamedTuple):
    """One reading to look at.

    Attributes:
        name: of the picture, as in the record.
        reading: the most probable class; "" if nothing could be read.
        confidence: 0..1, or -1 if nothing could be read.
        ranked: the most probable classes and their probabilities.
        error: why nothing could be read, or "".
        box: left, top, right, bottom of a digit on a page, in pixels of the upright picture.
        turned: by how many degrees to the left the page was turned to be read.
    """

    name: str
    reading: str = ""
    confidence: float = -1.0
    ranked: tuple[tuple[str, float], ...] = ()
    error: str = ""
    box: tuple[int, int, int, int] | None = None
    turned: int = 0


class Doubtful(NamedTuple):
    """Items, the worst first; the names of all classes; how many readings there were in all."""

    items: list[Item]
    classes: tuple[str, ...]
    total: int


def read_records(path: str | os.PathLike[str], below: float) -> Doubtful:
    """The results of ``predict --out`` or ``read --out`` that are doubtful or failed.

    Args:
        path: JSON lines; a last one that was cut off is left out.
        below: the confidence, 0..1, from which on a reading is not doubtful.

    Raises:
        InputError: if the file cannot be read, or a line is not such a result.
    """
    found: dict[tuple[str, Any], Item] = {}
    classes: dict[str, None] = {}
    total = 0
    try:
        with open_regular(path) as lines:
            for number, line in enumerate(lines, 1):
                try:
                    record = json.loads(line)
                    items = list(_items(record))
                    classes |= dict.fromkeys(map(str, record.get("class_names", ())))
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    if not line.endswith(b"\n"):
                        break
                    rule = "is not a result of predict or read"
                    raise InputError(f"{path}: line {number} {rule}") from None
                total += len(items)
                for item in items:
                    found.pop((item.name, item.box), None)  # the last result of a picture counts
                    classes |= dict.fromkeys(filter(None, [item.reading]))
                    if item.confidence < below:
                        found[item.name, item.box] = item
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    known = DIGITS if set(classes) <= set(DIGITS) else tuple(classes)
    return Doubtful(sorted(found.values(), key=lambda item: item.confidence), known, total)


def _items(record: dict[str, Any]) -> Iterator[Item]:
    name = str(record["file"])
    if record.get("error"):
        yield Item(name, error=str(record["error"]))
    elif "digits" in record:
        turned = int(record.get("turned", 0))
        for digit in record["digits"]:
            left, top, right, bottom = map(int, digit["box"])
            reading, confidence = str(digit["digit"]), float(digit["confidence"])
            box = left, top, right, bottom
            yield Item(name, reading, confidence, ((reading, confidence),), "", box, turned)
    else:
        reading, confidence = str(record["digit"]), float(record["confidence"])
        names, shares = record.get("class_names", DIGITS), record.get("probabilities", ())
        pairs = zip(map(str, names), map(float, shares), strict=False)
        ranked = sorted(pairs, key=lambda pair: -pair[1])[:3] or [(reading, confidence)]
        yield Item(name, reading, confidence, tuple(ranked))


class Pictures:
    """The pictures that records name: files, and what lies in archives, arrays and documents."""

    def __init__(self, names: Iterable[str]) -> None:
        """Note which names may be asked for; no other file is ever opened."""
        self._names = set(names)
        self._inside: dict[str, Path | None] = {}
        self._folder = ""
        self._lock = threading.Lock()
        self._page: tuple[Path, Image.Image] | None = None

    def file(self, name: str) -> Path | None:
        """The picture as a file; None if it is missing.

        What lies in an archive is unpacked into a temporary folder when one of it is asked for.
        """
        if name not in self._names:
            return None
        if os.path.isfile(name):
            return Path(name)
        with self._lock:
            if name not in self._inside:
                self._unpack(name)
            return self._inside[name]

    def shown(self, item: Item, side: int) -> Image.Image:
        """An item's picture, upright, its longer side at most ``side`` pixels.

        Raises:
            InputError: if it is missing or cannot be decoded.
        """
        file = self._existing(item)
        picture = _reduced(file, side) if item.box is None else self._digit(file, item)
        picture.thumbnail((side, side))
        return picture

    def copy(self, item: Item, target: Path) -> None:
        """Write an item's picture into a file: of a page the digit alone.

        Raises:
            InputError: if it is missing, or cannot be written.
        """
        file = self._existing(item)
        try:
            target.parent.mkdir(exist_ok=True)
            if item.box is None:
                shutil.copyfile(file, target)
            else:
                self._digit(file, item).save(target, "PNG")
        except OSError as error:
            raise InputError(f"{target}: cannot be written: {error.strerror or error}") from None

    def _existing(self, item: Item) -> Path:
        if (file := self.file(item.name)) is None:
            raise InputError(f"{item.name}: the picture is missing")
        return file

    def _digit(self, file: Path, item: Item) -> Image.Image:
        """A digit and a little around it; one page is kept for the next digit on it."""
        page = self._page
        if page is None or page[0] != file:
            self._page = page = file, upright_picture(file)
        left, top, right, bottom = item.box or (0, 0, *page[1].size)
        margin = round(_AROUND * max(right - left, bottom - top)) + 1
        box = left - margin, top - margin, right + margin, bottom + margin
        width, height = page[1].size
        inside = max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height)
        if inside[0] >= inside[2] or inside[1] >= inside[3]:
            raise InputError(f"{item.name}: the digit's box lies outside of the picture")
        return page[1].crop(inside).rotate(item.turned, expand=True)

    def _unpack(self, name: str) -> None:
        """Write all pictures from the file that holds this one into the temporary folder."""
        self._inside[name] = None
        if (holder := holder_of(name)) is None:
            return
        if not self._folder:
            self._folder = tempfile.mkdtemp(prefix="tinymnist-")
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        for found, source in Inputs([str(holder)]):
            if found not in self._names or isinstance(source, InputError):
                continue
            ending = Path(found).suffix if is_picture(found) else ".png"
            file = Path(self._folder, f"{len(self._inside)}{ending}")
            if isinstance(source, np.ndarray):
                to_picture(decode(source)).save(file, "PNG")
            elif isinstance(source, bytes):
                file.write_bytes(source)
            else:
                file = Path(source)
            self._inside[found] = file


def holder_of(name: str) -> Path | None:
    """The file that a picture's name refers to, or the archive or document that would hold it."""
    outside = Path(re.sub(r"(#\d+|\[\d+\])$", "", name))
    with suppress(OSError, ValueError):  # names that no file can have
        return next((p for p in (Path(name), outside, *outside.parents) if p.is_file()), None)
    return None


def _reduced(file: Path, side: int) -> Image.Image:
    """A picture, decoded in less than its own pixels if it is a JPEG."""
    try:
        with Image.open(file, formats=["JPEG"]) as picture:
            picture.draft("RGB", (2 * side, 2 * side))
            return upright_picture(picture)
    except (OSError, SyntaxError, ValueError):  # another format
        return upright_picture(file)
