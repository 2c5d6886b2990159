"""Labelled pictures, however they are kept: MNIST by name, folders, a labels.csv, or an .npz."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.data.mnist import load_mnist
from tinymnist.errors import InputError
from tinymnist.files import pictures_in

DIGITS = tuple("0123456789")


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


def load_set(spec: str | PathLike[str]) -> LabelledSet:
    """Open a labelled set.

    Args:
        spec: "mnist-train", "mnist-test", a folder with one folder a class (``3/xyz.png``) or
            with a ``labels.csv`` (columns ``file`` and ``label``, paths relative to it), or an
            .npz file with ``images`` and ``labels``.

    Raises:
        InputError: when there is no such set or it is not what it should be.
    """
    if spec in ("mnist-train", "mnist-test"):
        images, labels = load_mnist(str(spec).removeprefix("mnist-"))
        return LabelledSet(str(spec), images, labels, DIGITS, is_mnist=True)
    path = Path(spec)
    if path.is_dir():
        labelled = _from_csv(path) if (path / "labels.csv").is_file() else _from_folders(path)
    elif path.suffix == ".csv" and path.is_file():
        labelled = _from_csv(path.parent, path)
    elif path.is_file():
        labelled = _from_npz(path)
    else:
        raise InputError(
            f"there is no set {str(spec)!r}; expected mnist-test, mnist-train, a folder or an .npz"
        )
    return labelled


def _from_folders(folder: Path) -> LabelledSet:
    classes = [d for d in sorted(folder.iterdir()) if d.is_dir() and not d.name.startswith(".")]
    files: list[Path] = []
    names: list[str] = []
    for class_folder in classes:
        try:
            found = pictures_in(class_folder)
        except InputError:
            continue  # a class may be empty, the set may not
        files += found
        names += [class_folder.name] * len(found)
    if not files:
        raise InputError(
            f"{folder}: is no labelled set; expected one folder of pictures a class "
            f"({folder.name}/3/xyz.png) or a labels.csv"
        )
    return _with_labels(str(folder), files, names)


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
    names = [_label(row["label"], table, line) for line, row in enumerate(rows, start=2)]
    further = [name for name in rows[0] if name not in ("file", "label") and name]
    columns = {name: [row[name] or "" for row in rows] for name in further}
    return _with_labels(str(folder), files, names, columns)


def _inside(folder: Path, name: str | None, table: Path) -> Path:
    """The file of that name, which must lie in the folder of the table."""
    path = folder / (name or "").strip()
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{table}: names a file outside of its folder: {name!r}")
    if not path.is_file():
        raise InputError(f"{table}: names a file that is not there: {name!r}")
    return path


def _label(text: str | None, table: Path, line: int) -> str:
    """A label as written, but ``7.0`` and `` 7 `` are 7."""
    label = (text or "").strip()
    if not label:
        raise InputError(f"{table}: line {line} has no label")
    head, dot, tail = label.partition(".")
    return head if dot and head.isdigit() and not tail.strip("0") else label


def _from_npz(path: Path) -> LabelledSet:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if missing := {"images", "labels"} - set(arrays.files):
                raise InputError(
                    f"{path}: has no array {' and '.join(sorted(missing))}; expected images and "
                    f"labels, found {sorted(arrays.files)}"
                )
            images, labels = arrays["images"], arrays["labels"]
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is not a set of pictures in .npz form: {error}") from None
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
    return _with_labels(path.stem, images, [str(label) for label in labels])


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
