"""Batches of image files in one folder per class: Keras's ``flow_from_directory``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinymnist.augmentation.flows import Array, Flow, Varies, part_of
from tinymnist.augmentation.pictures import COLOR_MODES, check_choices, load_img
from tinymnist.errors import InputError
from tinymnist.files import class_folders, files_in, is_picture
from tinymnist.imaging.digit.recipes import RECIPES, prepare_image

_CLASS_MODES = ("categorical", "sparse", "binary", "input", None)


class DirectoryFlow(Flow):
    """Batches from files, read on demand; see ``flow_from_directory``.

    Attributes:
        class_indices: the number of each class by the name of its folder.
        directory: the folder that holds the classes.
        filepaths: the files, class by class.
        classes: (n,) int64, the class number of each file.
        image_shape: of each image in a batch.
    """

    def __init__(
        self,
        generator: Varies,
        directory: str | Path,
        *,
        target_size: tuple[int, int],
        color_mode: str,
        classes: Sequence[str] | None,
        class_mode: str | None,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        subset: str | None,
        interpolation: str,
        recipe: str | None,
    ) -> None:
        for name, value, known in (
            ("class_mode", class_mode, _CLASS_MODES),
            ("recipe", recipe, [None, *RECIPES]),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {list(known)}. Received: {name}={value!r}")
        check_choices(color_mode, interpolation)
        self.directory = folder = Path(directory)
        self.class_mode, self.recipe = class_mode, recipe
        self.color_mode, self.interpolation = color_mode, interpolation
        self.target_size = (28, 28) if recipe else tuple(target_size)
        self.image_shape = (*self.target_size, 1 if recipe else len(COLOR_MODES[color_mode]))
        self.class_indices, self.filepaths, labels = self._find(
            folder, classes, subset, generator.validation_split
        )
        self.classes = np.array(labels, np.int64)
        super().__init__(generator, len(labels), batch_size, shuffle, seed)

    def _find(
        self, folder: Path, classes: Sequence[str] | None, subset: str | None, split: float
    ) -> tuple[dict[str, int], list[Path], list[int]]:
        """The numbers of the classes by name, the files, and the class number of each."""
        if not classes and not folder.is_dir():
            raise InputError(f"{folder}: is not a folder; expected one with a folder per class")
        names = classes or [entry.name for entry in class_folders(folder)]
        indices = {name: i for i, name in enumerate(names)}
        found: list[Path] = []
        labels: list[int] = []
        for name, number in indices.items():
            files = [file for file in files_in(folder / name) if is_picture(file)]
            if subset is not None:
                files = files[part_of(subset, len(files), split)]
            found += files
            labels += [number] * len(files)
        if not labels:
            expected = f"one folder of pictures per class ({folder.name}/3/xyz.png)"
            raise InputError(f"{folder}: holds no pictures; expected {expected}")
        return indices, found, labels

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_indices)

    @property
    def filenames(self) -> list[str]:
        """The files, relative to ``directory``."""
        return [str(path.relative_to(self.directory)) for path in self.filepaths]

    @property
    def labels(self) -> Array:
        """Keras's other name for ``classes``."""
        return self.classes

    def plan(self) -> dict[str, Any]:
        """As of any flow; a resumed training needs files of the same names."""
        return {**super().plan(), "files": [path.name for path in self.filepaths]}

    def _images(self, chosen: Array) -> Array:
        return np.stack([self._image(self.filepaths[i]) for i in chosen])

    def _image(self, path: Path) -> Array:
        """(h, w, c) float32, converted and resized exactly as Keras does it."""
        if self.recipe is not None:
            return prepare_image(path, self.recipe)
        how = self.color_mode, self.target_size, self.interpolation
        image = load_img(path, False, *how)
        return np.asarray(image, np.float32).reshape(self.image_shape)

    def _with_targets(self, images: Array, chosen: Array) -> Any:
        labels = self.classes[chosen]
        if self.class_mode is None:
            return images
        if self.class_mode == "input":
            return images, images.copy()
        if self.class_mode == "categorical":
            return images, np.eye(self.num_classes, dtype=np.float32)[labels]
        return images, labels


class TableFlow(DirectoryFlow):
    """Batches from the files in a table; see ``flow_from_dataframe``."""

    def __init__(
        self,
        generator: Varies,
        table: Any,
        folder: str | Path | None,
        columns: tuple[str, str],
        **settings: Any,
    ) -> None:
        self._table = _columns(table) if isinstance(table, (str, Path)) else table
        self._names = columns
        beside = Path(table).parent if isinstance(table, (str, Path)) else Path()
        super().__init__(generator, beside if folder is None else folder, recipe=None, **settings)

    def _find(
        self, folder: Path, classes: Sequence[str] | None, subset: str | None, split: float
    ) -> tuple[dict[str, int], list[Path], list[int]]:
        try:
            files, labels = ([str(value) for value in self._table[name]] for name in self._names)
        except (KeyError, TypeError, IndexError):
            rule = f"the table must have the columns {list(self._names)}"
            raise ValueError(f"{rule}. Received: {list(self._table)!r:.200}") from None
        names = list(classes) if classes else sorted(set(labels))
        indices = {name: i for i, name in enumerate(names)}
        rows = [
            (folder / f, indices[c]) for f, c in zip(files, labels, strict=True) if c in indices
        ]
        if subset is not None:
            rows = rows[part_of(subset, len(rows), split)]
        if not rows or (missing := [path for path, _ in rows if not path.is_file()]):
            found = f"{len(missing)} missing files, {missing[0]} first" if rows else "no rows"
            raise InputError(f"{folder}: expected the pictures that the table lists; found {found}")
        return indices, [path for path, _ in rows], [number for _, number in rows]


def _columns(path: str | Path) -> dict[str, list[str]]:
    """The columns of a .csv with a header."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from None
    whole = [row for row in rows[1:] if len(row) == len(rows[0])]
    return {name: [row[i] for row in whole] for i, name in enumerate(rows[0])} if rows else {}
