"""Labelled pictures from MNIST, folders, a labels.csv, or an .npz; and how to split them."""

from __future__ import annotations

import csv
import io
import os
import posixpath
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist import limits
from tinymnist.archives import TABLE, FileContent, is_archive, read_archive
from tinymnist.data.mnist import load_mnist, load_mnist_sample
from tinymnist.errors import InputError, did_you_mean
from tinymnist.files import (
    class_folders,
    describe_skipped,
    files_in,
    is_expected,
    is_path,
    is_picture,
    read_bytes,
    real_path,
)
from tinymnist.nn.archive import read_npz
from tinymnist.reporting.text import count, shortened

DIGITS = tuple("0123456789")


@dataclass(frozen=True, eq=False, repr=False)
class LabelledSet:
    """Pictures and their classes.

    Attributes:
        name: of the set.
        images: an array (n, h, w) or (n, h, w, c), or the paths of n picture files, or the
            contents of n files of an archive.
        labels: (n,) int64, indices into ``class_names``.
        class_names: names of the classes.
        is_mnist: whether the pictures are MNIST's own.
        columns: the other columns of a labels.csv by name, n entries each.
    """

    name: str
    images: NDArray[Any] | list[Path] | list[FileContent]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    is_mnist: bool = False
    columns: dict[str, list[str]] = field(default_factory=dict)

    def __repr__(self) -> str:
        classes = shortened(", ".join(self.class_names), 60)
        return f"LabelledSet({self.name!r}, n={len(self.labels)}, classes: {classes})"

    @property
    def files(self) -> list[Path]:
        """The files of the pictures; empty if they are an array, or lie in an archive."""
        return [file for file in self.images if isinstance(file, Path)]

    def name_of(self, number: int) -> str:
        """What to call a picture: its file, or its number in the set, from 0."""
        is_array = isinstance(self.images, np.ndarray)
        return f"picture {number}" if is_array else str(self.images[number])


def load_set(spec: str | PathLike[str] | tuple[Any, Any]) -> LabelledSet:
    """Open a labelled set.

    Args:
        spec: "mnist-train", "mnist-test", "mnist-sample" (1,000 of MNIST's training pictures, which
            ship with tinymnist), a folder with one folder per class (``3/xyz.png``) or with a
            ``labels.csv`` (columns ``file`` and ``label``, paths relative to it), a .zip or .tar of
            such a folder, such a .csv itself, or an .npz file with ``images`` and ``labels``; or a
            pair of pictures, an array (n, h, w) or (n, h, w, c) or paths, and their labels: numbers
            or names (n,), or one-hot rows (n, classes).

    Raises:
        InputError: if there is no such set, or it cannot be read.

    Warns:
        UserWarning: if the folders hold other files than pictures.
    """
    if isinstance(spec, tuple):
        return _from_pair(*spec) if len(spec) == 2 else _from_pair(spec, ())
    path, table = Path(spec), Path(spec, "labels.csv")
    with limits.opening(spec, "a labelled set"):
        if spec in ("mnist-train", "mnist-test"):
            images, labels = load_mnist(str(spec).removeprefix("mnist-"))
            return LabelledSet(str(spec), images, labels, DIGITS, is_mnist=True)
        if spec == "mnist-sample":
            images, labels = load_mnist_sample()
            return LabelledSet(str(spec), images, labels, DIGITS, is_mnist=True)
        if str(spec) and path.is_dir():  # Path("") is the current folder
            return _from_csv(table) if table.is_file() else _from_folders(path)
        if path.is_file():
            by_name = _from_archive if is_archive(path) else _from_npz
            return (_from_csv if path.suffix == ".csv" else by_name)(path)
    known = ("mnist-test", "mnist-train", "mnist-sample")
    rule = f"expected {', '.join(known)}, a folder, a .zip or .tar of one, a labels.csv or an .npz"
    wrong = f"{spec}: no such file or folder" if is_path(str(spec)) else f"there is no set {spec!r}"
    raise InputError(f"{wrong}; {rule}{did_you_mean(spec, known)}")


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
        warnings.warn(f"{others}: left out", stacklevel=3)
    return _with_labels(str(folder), files, [f.relative_to(folder).parts[0] for f in files])


def _describe_others(found: list[Path]) -> str:
    """Describe the files that are neither pictures nor expected, such as a phone's .heic."""
    others = [file for file in found if not is_picture(file) and not is_expected(file.name)]
    if not others:
        return ""
    place = os.path.commonpath([file.parent for file in others])
    return f"{place}: {describe_skipped(Counter(file.suffix.lower() for file in others))}"


def _from_csv(table: Path) -> LabelledSet:
    folder = table.parent
    with limits.opening(table, "a table"):
        content = read_bytes(table)
        return _from_table(str(folder), content, table, lambda name: _inside(folder, name, table))


def _from_archive(path: Path) -> LabelledSet:
    """Pictures in folders named after their classes, or with a labels.csv, in a .zip or .tar.

    Folders around all of them do not count.
    """
    skipped: Counter[str] = Counter()
    files = {content.name: content for content in read_archive(path, skipped)}
    tables = [name for name in files if posixpath.basename(name) == TABLE]
    table = min(tables, key=lambda name: name.count("/"), default="")
    folder = posixpath.dirname(table)
    if table and all(name.startswith(f"{folder}/") for name in files):

        def listed(name: str | None) -> FileContent:
            inside = posixpath.normpath(posixpath.join(folder, (name or "").strip()))
            if inside not in files:
                raise InputError(f"{table}: names a file that does not exist: {name!r}")
            return files[inside]

        return _from_table(str(path), files[table], table, listed)
    pictures = [file for file in files.values() if is_picture(file.name)]
    pairs = sorted((file.name.removeprefix(f"{path}/").split("/"), file) for file in pictures)
    while len({parts[0] for parts, _ in pairs}) == 1 and min(len(parts) for parts, _ in pairs) > 2:
        pairs = [(parts[1:], file) for parts, file in pairs]
    pairs = [(parts, file) for parts, file in pairs if len(parts) > 1]
    others = describe_skipped(skipped)
    if not pairs:
        rule = f"expected one folder of pictures per class (3/xyz.png) or a {TABLE}"
        raise InputError(f"{path}: is not a labelled set; {rule}{others and f'; {others}'}")
    if others:
        warnings.warn(f"{path}: {others}: left out", stacklevel=3)
    return _with_labels(str(path), [file for _, file in pairs], [parts[0] for parts, _ in pairs])


def _from_table(
    name: str, content: bytes, table: str | Path, find: Callable[[str | None], Any]
) -> LabelledSet:
    """A set from a table with the columns "file" and "label"; ``find`` gives a file by its name."""
    with limits.opening(table, "a table"):
        rows = []
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        for row in reader:
            limits.work(len(reader.fieldnames or ()) + len(row), str(table))
            rows.append(row)
    if not rows:
        raise InputError(f"{table}: holds no pictures; expected a header, and a line per picture")
    if missing := " and ".join(sorted({"file", "label"} - rows[0].keys())):
        raise InputError(f"{table}: has no column {missing}; expected file,label")
    files = [find(row["file"]) for row in rows]
    if duplicates := len(files) - len(set(map(str, files))):
        raise InputError(f"{table}: names {count(duplicates, 'picture')} twice")
    names = [_parse_label(row["label"], f"{table}: line {i}") for i, row in enumerate(rows, 2)]
    others = [name for name in rows[0] if name and name not in ("file", "label")]
    columns = {name: [row[name] or "" for row in rows] for name in others}
    return _with_labels(name, files, names, columns)


def _inside(folder: Path, name: str | None, table: Path) -> Path:
    """The file of this name, which must be inside the folder of the table."""
    path = folder / (name or "").strip()
    with limits.opening(f"{name!r:.200} in {table}", "the name of a file"):
        is_inside = real_path(path).is_relative_to(real_path(folder))
        is_there = path.is_file()
    if not (is_inside and is_there):
        problem = "that does not exist" if is_inside else "outside of its folder"
        raise InputError(f"{table}: names a file {problem}: {name!r}")
    return path


def _parse_label(text: str | None, place: str) -> str:
    """Parse a label: as written, except that ``7.0`` and `` 7 `` become ``7``."""
    label = (text or "").strip()
    if not label:
        raise InputError(f"{place} has no label")
    head, dot, tail = label.partition(".")
    return head if dot and head.isdigit() and not tail.strip("0") else label


def _from_npz(path: Path) -> LabelledSet:
    return _with_array(path.stem, str(path), *_arrays(path))


def _from_pair(pictures: Any, labels: Any) -> LabelledSet:
    names = np.asarray(labels)
    if names.ndim == 2 and names.dtype.kind in "buif":  # one-hot
        names = names.argmax(axis=1)
    if isinstance(pictures, np.ndarray):
        return _with_array("(x, y)", "(x, y)", pictures, names)
    files = [Path(file) for file in pictures if isinstance(file, str | PathLike)]
    if not files or len(files) != len(pictures) or names.shape != (len(files),):
        rule = "expected a pair (pictures, labels) of an array or paths, and as many labels"
        raise InputError(f"{rule}; received {len(pictures)} and {names.shape}")
    return _with_labels("(x, y)", files, _labels(names, "(x, y)"))


def _with_array(name: str, place: str, images: NDArray[Any], labels: NDArray[Any]) -> LabelledSet:
    n, rule, wrong = len(images), "", images
    if images.ndim not in (3, 4) or images.dtype.kind not in "buif" or 0 in images.shape:
        rule = "images must be numbers (n, h, w) or (n, h, w, c), and at least one"
    elif labels.shape != (n,) or labels.dtype.kind not in "uiU":
        rule, wrong = f"labels must be integers or names ({n},)", labels
    if rule:
        raise InputError(f"{place}: {rule}; found {wrong.dtype} {wrong.shape}")
    return _with_labels(name, images, _labels(labels, place))


def _labels(labels: NDArray[Any], place: str) -> list[str]:
    return [_parse_label(str(label), f"{place}: picture {i}") for i, label in enumerate(labels)]


def _arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    with open(path, "rb") as file:
        start = file.read(len(np.lib.format.MAGIC_PREFIX))
    if start == np.lib.format.MAGIC_PREFIX:
        raise InputError(f"{path}: is a single array; save images and labels with np.savez")
    if not start.startswith(b"PK"):
        raise InputError(
            f"{path}: is not a set of pictures; expected a folder with one folder per class, a "
            "labels.csv, or an .npz with images and labels"
        )
    arrays = read_npz(path, ("images", "labels"))
    if missing := " and ".join(sorted({"images", "labels"} - arrays.keys())):
        raise InputError(f"{path}: has no array {missing}; expected images and labels")
    return arrays["images"], arrays["labels"]


def _with_labels(
    name: str,
    images: NDArray[Any] | list[Path] | list[FileContent],
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
    """Translate numbers (n,) into ``names`` to numbers into ``wanted``; -1 if it lacks the name."""
    position = {name: number for number, name in enumerate(wanted)}
    table = np.array([position.get(name, -1) for name in names], np.int64)
    return table[labels]
