"""Labelled pictures, however they are kept: MNIST by name, folders, a labels.csv, or an .npz."""

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
from tinymnist.files import files_in, is_hidden, is_picture

DIGITS = tuple("0123456789")
_DAMAGED = (
    *(OSError, ValueError, EOFError, AttributeError, NotImplementedError, RuntimeError),
    *(MemoryError, zipfile.BadZipFile, zlib.error),
)
"""What reading a damaged .npz raises."""
_BESIDE = frozenset(("labels.csv", "thumbs.db", "desktop.ini"))
_NOTES = frozenset((".txt", ".md"))
"""What may lie beside pictures without a word, by its name in small letters or its end."""


@dataclass(frozen=True)
class LabelledSet:
    """Pictures and what they show.

    Attributes:
        name: what to call the set.
        images: an array (n, h, w) or (n, h, w, c), or the paths of n picture files.
        labels: (n,) int64, numbers of ``class_names``.
        class_names: what the classes are called.
        is_mnist: whether the pictures are MNIST's own.
        columns: further columns of a labels.csv, by name, n entries each.
    """

    name: str
    images: NDArray[Any] | list[Path]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    is_mnist: bool = False
    columns: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_files(self) -> bool:
        """Whether the pictures are files that still have to be decoded."""
        return isinstance(self.images, list)

    @property
    def files(self) -> list[Path]:
        """The pictures' files; none where they are arrays."""
        return self.images if isinstance(self.images, list) else []


def load_set(spec: str | PathLike[str]) -> LabelledSet:
    """Open a labelled set.

    Args:
        spec: "mnist-train", "mnist-test", a folder with one folder a class (``3/xyz.png``) or
            with a ``labels.csv`` (columns ``file`` and ``label``, paths relative to it), or an
            .npz file with ``images`` and ``labels``.

    Raises:
        InputError: when there is no such set or it is not what it should be.

    Warns:
        UserWarning: when files in the folders of classes are no pictures by name.
    """
    try:
        return _opened(spec)
    except OSError as error:
        raise InputError(
            f"{error.filename or spec}: cannot be read: {error.strerror or error}"
        ) from None


def _opened(spec: str | PathLike[str]) -> LabelledSet:
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
    classes = [d for d in sorted(folder.iterdir()) if d.is_dir() and not is_hidden(d.name)]
    found = [file for class_folder in classes for file in files_in(class_folder)]
    files = [file for file in found if is_picture(file)]  # a class may be empty, the set may not
    others = _others(found)
    if not files:
        raise InputError(
            f"{folder}: is no labelled set; expected one folder of pictures a class "
            f"({folder.name}/3/xyz.png) or a labels.csv{others and f'; {others}'}"
        )
    if others:
        warnings.warn(f"{others}: left out", stacklevel=4)
    return _with_labels(str(folder), files, [f.relative_to(folder).parts[0] for f in files])


def _others(found: list[Path]) -> str:
    """What is neither a picture nor usual beside pictures, such as a telephone's .heic."""
    others = [
        file
        for file in found
        if not is_picture(file)
        and file.name.lower() not in _BESIDE
        and file.suffix.lower() not in _NOTES
    ]
    if not others:
        return ""
    ends = ", ".join(sorted({file.suffix.lower() or "no ending" for file in others}))
    place = os.path.commonpath([file.parent for file in others])
    count = "1 file is no picture" if len(others) == 1 else f"{len(others)} files are no pictures"
    return f"{place}: {count} by name ({ends})"


def _from_csv(folder: Path, table: Path | None = None) -> LabelledSet:
    table = table or folder / "labels.csv"
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: cannot be read as a table: {error}") from None
    if not rows:
        raise InputError(f"{table}: holds no pictures; expected a line for each, below a heading")
    if missing := {"file", "label"} - rows[0].keys():
        raise InputError(
            f"{table}: has no column {' and '.join(sorted(missing))}; expected file,label"
        )
    files = [_inside(folder, row["file"], table) for row in rows]
    if twice := len(files) - len(set(files)):
        raise InputError(f"{table}: names {twice} pictures twice")
    names = [_label(row["label"], f"{table}: line {n}") for n, row in enumerate(rows, start=2)]
    further = [name for name in rows[0] if name not in ("file", "label") and name]
    columns = {name: [row[name] or "" for row in rows] for name in further}
    return _with_labels(str(folder), files, names, columns)


def _inside(folder: Path, name: str | None, table: Path) -> Path:
    """The file of that name, which must lie in the folder of the table."""
    path = folder / (name or "").strip()
    try:
        is_inside = path.resolve().is_relative_to(folder.resolve())
        is_there = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, with a zero byte, in a circle
        raise InputError(f"{table}: names a file that cannot be: {name!r}: {error}") from None
    if not is_inside:
        raise InputError(f"{table}: names a file outside of its folder: {name!r}")
    if not is_there:
        raise InputError(f"{table}: names a file that is not there: {name!r}")
    return path


def _label(text: str | None, place: str) -> str:
    """A label as written, but ``7.0`` and `` 7 `` are 7."""
    label = (text or "").strip()
    if not label:
        raise InputError(f"{place} has no label")
    head, dot, tail = label.partition(".")
    return head if dot and head.isdigit() and not tail.strip("0") else label


def _from_npz(path: Path) -> LabelledSet:
    images, labels = _arrays(path)
    if images.ndim not in (3, 4) or images.dtype.kind not in "buif" or 0 in images.shape:
        raise InputError(
            f"{path}: images must be numbers (n, h, w) or (n, h, w, c), not none; "
            f"found {images.dtype} {images.shape}"
        )
    if labels.shape != (len(images),) or labels.dtype.kind not in "uiU":
        raise InputError(
            f"{path}: labels must be whole numbers or names ({len(images)},); "
            f"found {labels.dtype} {labels.shape}"
        )
    names = [_label(str(label), f"{path}: picture {i}") for i, label in enumerate(labels)]
    return _with_labels(path.stem, images, names)


def _arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """The images and labels in the file."""
    with open(path, "rb") as file:
        start = file.read(len(np.lib.format.MAGIC_PREFIX))
    if start == np.lib.format.MAGIC_PREFIX:
        raise InputError(f"{path}: is a single array; save images and labels with np.savez")
    if not start.startswith(b"PK"):
        raise InputError(
            f"{path}: is not a set of pictures; expected a folder with one folder a class, a "
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
            f"{path}: is not a set of pictures in .npz form, or is damaged: {error}"
        ) from None


def _with_labels(
    name: str,
    images: NDArray[Any] | list[Path],
    names: Sequence[str],
    columns: dict[str, list[str]] | None = None,
) -> LabelledSet:
    """Number the classes: as digits where all are digits, else in the order of their names."""
    classes = DIGITS if set(names) <= set(DIGITS) else tuple(sorted(set(names)))
    number = {class_name: i for i, class_name in enumerate(classes)}
    labels = np.array([number[label] for label in names], np.int64)
    return LabelledSet(name, images, labels, classes, columns=columns or {})
