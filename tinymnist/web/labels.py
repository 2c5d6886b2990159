"""A table of labels (file,label) that is written again, whole, with every change."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tinymnist.errors import InputError
from tinymnist.files import is_picture, real_path, whole_file
from tinymnist.web.doubtful import Item, Pictures


class Labels:
    """``labels.csv``, as ``finetune`` and ``evaluate`` take it, and beside it what is not a digit.

    A picture in the folder of the table is named there by its path from that folder. What is not,
    such as a digit on a page or a picture in an archive, is copied into ``labels-pictures/`` when
    it gets its label.

    Attributes:
        path: of the table.
        rejected_path: of the list of pictures that show no digit.
        labels: the label of each file in the table, by the file's name there.
        rejected: the names of the pictures that show no digit.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there already.

        Raises:
            InputError: if a table is there that is not one of these.
        """
        self.path, self.rejected_path = path, path.with_name(f"{path.stem}-not-digits.csv")
        self.labels: dict[str, str] = {}
        for row in _rows(path, ["file", "label"]):
            self.labels[row[0]] = row[1]
        self.rejected = dict.fromkeys(row[0] for row in _rows(self.rejected_path, ["file"]))

    def entry(self, item: Item) -> str:
        """What an item is called in the table."""
        folder, path = Path(os.path.abspath(self.path.parent)), Path(os.path.abspath(item.name))
        if item.box is None and path.is_relative_to(folder) and os.path.isfile(item.name):
            entry = path.relative_to(folder).as_posix()
            # A reader of the table strips names, and takes no links that lead out of the folder.
            is_plain = entry == entry.strip() and entry.isprintable()
            if is_plain and real_path(path).is_relative_to(real_path(folder)):
                return entry
        name = Path(item.name).name
        stem = re.sub(r"[^\w.-]+", "-", Path(name).stem, flags=re.ASCII).strip("-.") or "picture"
        ending = Path(name).suffix if is_picture(name) and item.box is None else ".png"
        key = f"{item.name}|{item.box}".encode(errors="surrogateescape")
        digest = hashlib.sha256(key).hexdigest()[:8]
        return f"{self.path.stem}-pictures/{stem[:60]}-{digest}{ending}"

    def put(self, item: Item, pictures: Pictures, label: str | None, rejected: bool) -> None:
        """Give an item its label, or none, and write the tables.

        Raises:
            InputError: if the picture is missing, or nothing can be written; nothing changes.
        """
        entry = self.entry(item)
        target = self.path.parent / entry
        if label is not None and not target.is_file():
            pictures.copy(item, target)
        labels = {name: old for name, old in self.labels.items() if name != entry}
        others = {name: None for name in self.rejected if name != entry}
        if label is not None:
            labels[entry] = label
        if rejected:
            others[entry] = None
        if labels or self.path.exists():
            _write(self.path, table(labels))
        if others or self.rejected_path.exists():
            _write(self.rejected_path, "file\n" + _lines([name] for name in others))
        self.labels, self.rejected = labels, others


def table(labels: Mapping[str, str]) -> str:
    """The text of a table of labels."""
    return "file,label\n" + _lines(labels.items())


def _lines(rows: Iterable[Iterable[str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _write(path: Path, text: str) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _rows(path: Path, columns: list[str]) -> list[list[str]]:
    """The rows of a table that has just these columns; none if there is no file."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from None
    if rows[:1] not in ([], [columns]) or any(len(row) != len(columns) for row in rows):
        rule = f"has other columns than {','.join(columns)}, so review did not write it"
        raise InputError(f"{path}: {rule}; give --labels another name")
    return rows[1:]
