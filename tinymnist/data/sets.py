"""Labelled pictures from MNIST, folders, a labels.csv, or an .npz."""

from __future__ import annotations

import csv
import os
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.data.mnist import load_mnist
from tinymnist.errors import InputError
from tinymnist.files import class_folders, files_in, is_picture

DIGITS = tuple("0123456789")
_DAMAGED = (
    *(OSError, ValueError, EOFError, AttributeError, NotImplementedError, RuntimeError),
    *(MemoryError, zipfile.BadZipFile, zlib.error),
)
"""The errors that reading a damaged .npz raises."""
_KNOWN_NAMES = frozenset(("labels.csv", "thumbs.db", "desktop.ini"))
_KNOWN_SUFFIXES = frozenset((".txt", ".md"))
"""Files that are skipped without a warning, by their name or suffix in lower case."""


@dataclass(frozen=True)
class LabelledSet:
    """Pictures and their classes.

    Attributes:
        name: of the set.
        images: an array (n, h, w) or (n, h, w, c), or the paths of n picture files.
        labels: (n,) int64, indices into ``class_names``.
        class_names: names of the classes.
        is_mnist: whether the pictures are MNIST's own.
        columns: the other columns of a labels.csv by name, n entries each.
    """

    name: str
    images: NDArray[Any] | list[Path]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    is_mnist: bool = False
    columns: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_files(self) -> bool:
        """Whether the pictures are files to be decoded."""
        return isinstance(self.images, list)

    @property
    def files(self) -> list[Path]:
        """The files of the pictures; empty if they are an array."""
        return self.images if isinstance(self.images, list) else []

    def name_of(self, number: int) -> str:
        """What to call a picture: its file, or its number in the set, from 0."""
        return str(self.images[number]) if self.is_files else f"picture {number}"


def load_set(spec: str | PathLike[str]) -> LabelledSet:
    """Open a labelled set.

    Args:
        spec: "mnist-train", "mnist-test", a folder with one folder per class (``3/xyz.png``) or
            with a ``labels.csv`` (columns ``file`` and ``label``, paths relative to it), such a
            .csv itself, or an .npz file with ``images`` and ``labels``.

    Raises:
        InputError: if there is no such set, or it cannot be read.

    Warns:
        UserWarning: if the folders hold other files than pictures.
    """
    try:
        return _open(spec)
    except OSError as error:
        raise InputError(
            f"{error.filename or spec}: cannot be read: {error.strerror or error}"
        ) from None


def _open(spec: str | PathLike[str]) -> LabelledSet:
    if spec in ("mnist-train", "mnist-test"):
        images, labels = load_mnist(str(spec).removeprefix("mnist-"))
        return LabelledSet(str(spec), images, labels, DIGITS, is_mnist=True)
    path = Path(spec)
    if str(spec) and path.is_dir():  # Path("") is the current folder
        return _from_csv(path) if (path / "labels.csv").is_file() else _from_folders(path)
    if path.is_file():
        return _from_csv(path.parent, path) if path.suffix == ".csv" else _from_npz(path)
    raise InputError(
        f"there is no set {str(spec)!r}; expected mnist-test, mnist-train, a folder or an .npz"
    )


def _from_folders(folder: Path) -> LabelledSet:
    found = [file for class_folder in class_folders(folder) for file in files_in(class_folder)]
    files = [file for file in found if is_picture(file)]  # a class may be empty, the set may not
    others = _describe_others(found)
    if not files:
        raise InputError(
            f"{folder}: is not a labelled set; expected one folder of pictures per class "
            f"({folder.name}/3/xyz.png) or a labels.csv{others and f'; {others}'}"
        )
    if others:
        warnings.warn(f"{others}: left out", stacklevel=4)
    return _with_labels(str(folder), files, [f.relative_to(folder).parts[0] for f in files])


def _describe_others(found: list[Path]) -> str:
    """Describe the files that are neither pictures nor expected, such as a phone's .heic."""
    others = [
        file
        for file in found
        if not is_picture(file)
        and file.name.lower() not in _KNOWN_NAMES
        and file.suffix.lower() not in _KNOWN_SUFFIXES
    ]
    if not others:
        return ""
    suffixes = ", ".join(sorted({file.suffix.lower() or "no suffix" for file in others}))
    place = os.path.commonpath([file.parent for file in others])
    are = "1 file is not a picture" if len(others) == 1 else f"{len(others)} files are not pictures"
    return f"{place}: {are} by name ({suffixes})"


def _from_csv(folder: Path, table: Path | None = None) -> LabelledSet:
    table = table or folder / "labels.csv"
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: cannot be read as a table: {error}") from None
    if not rows:
        raise InputError(f"{table}: holds no pictures; expected a header, and a line per picture")
    if missing := {"file", "label"} - rows[0].keys():
        raise InputError(
            f"{table}: has no column {' and '.join(sorted(missing))}; expected file,label"
        )
    files = [_inside(folder, row["file"], table) for row in rows]
    if duplicates := len(files) - len(set(files)):
        raise InputError(f"{table}: names {duplicates} pictures twice")
    names = [_parse_label(row["label"], f"{table}: line {i}") for i, row in enumerate(rows, 2)]
    further = [name for name in rows[0] if name not in ("file", "label") and name]
    columns = {name: [row[name] or "" for row in rows] for name in further}
    return _with_labels(str(folder), files, names, columns)


def _inside(folder: Path, name: str | None, table: Path) -> Path:
    """The file of this name, which must be inside the folder of the table."""
    path = folder / (name or "").strip()
    try:
        is_inside = path.resolve().is_relative_to(folder.resolve())
        is_there = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a zero byte, a loop
        raise InputError(f"{table}: names an invalid file: {name!r}: {error}") from None
    if not is_inside:
        raise InputError(f"{table}: names a file outside of its folder: {name!r}")
    if not is_there:
        raise InputError(f"{table}: names a file that does not exist: {name!r}")
    return path


def _parse_label(text: str | None, place: str) -> str:
    """Parse a label: as written, except that ``7.0`` and `` 7 `` become ``7``."""
    label = (text or "").strip()
    if not label:
        raise InputError(f"{place} has no label")
    head, dot, tail = label.partition(".")
    return head if dot and head.isdigit() and not tail.strip("0") else label


def _from_npz(path: Path) -> LabelledSet:
    images, labels = _arrays(path)
    if images.ndim not in (3, 4) or images.dtype.kind not in "buif" or 0 in images.shape:
        raise InputError(
            f"{path}: images must be numbers (n, h, w) or (n, h, w, c), and at least one; "
            f"found {images.dtype} {images.shape}"
        )
    if labels.shape != (len(images),) or labels.dtype.kind not in "uiU":
        raise InputError(
            f"{path}: labels must be integers or names ({len(images)},); "
            f"found {labels.dtype} {labels.shape}"
        )
    names = [_parse_label(str(label), f"{path}: picture {i}") for i, label in enumerate(labels)]
    return _with_labels(path.stem, images, names)


def _arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """The images and labels in the file."""
    with open(path, "rb") as file:
        start = file.read(len(np.lib.format.MAGIC_PREFIX))
    if start == np.lib.format.MAGIC_PREFIX:
        raise InputError(f"{path}: is a single array; save images and labels with np.savez")
    if not start.startswith(b"PK"):
        raise InputError(
            f"{path}: is not a set of pictures; expected a folder with one folder per class, a "
            "labels.csv, or an .npz with images and labels"
        )
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if missing := {"images", "labels"} - set(arrays.files):
                raise InputError(
                    f"{path}: has no array {' and '.join(sorted(missing))}; expected images and "
                    f"labels, found {sorted(arrays.files)}"
                )
            return arrays["images"], arrays["labels"]
    except InputError:
        raise
    except _DAMAGED as error:
        raise InputError(
            f"{path}: is not an .npz of images and labels, or is damaged: {error}"
        ) from None


def _with_labels(
    name: str,
    images: NDArray[Any] | list[Path],
    names: Sequence[str],
    columns: dict[str, list[str]] | None = None,
) -> LabelledSet:
    """Number the classes: by digit if all are digits, else in the order of their names."""
    classes = DIGITS if set(names) <= set(DIGITS) else tuple(sorted(set(names)))
    number = {class_name: i for i, class_name in enumerate(classes)}
    labels = np.array([number[label] for label in names], np.int64)
    return LabelledSet(name, images, labels, classes, columns=columns or {})


def renumbered(
    labels: NDArray[np.int64], names: Sequence[str], wanted: Sequence[str]
) -> NDArray[np.int64]:
    """Translate class numbers from one list of names to another.

    Args:
        labels: (n,), numbers into ``names``.
        names, wanted: the two lists.

    Returns:
        (n,), numbers into ``wanted``; -1 for a class that it lacks.
    """
    position = {name: number for number, name in enumerate(wanted)}
    table = np.array([position.get(name, -1) for name in names], np.int64)
    return table[labels]
