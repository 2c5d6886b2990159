"""How a model does on labelled pictures: accuracy, confusion, calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.data import LabelledSet, load_set
from tinymnist.data.sets import renumbered
from tinymnist.errors import InputError
from tinymnist.nn import metrics
from tinymnist.nn.sequential import Sequential
from tinymnist.prepared import LabelledPictures, Pictures, prepare_set
from tinymnist.reader import DEFAULT_MODEL, Reader


@dataclass(frozen=True)
class Evaluation:
    """What a model makes of a labelled set of n pictures, m of which could be read.

    Attributes:
        model: its name.
        class_names: the model's.
        pictures: the set after the recipe.
        labels: (n,) numbers of ``class_names``.
        probabilities: (m, classes) float32, of the pictures that could be read.
    """

    model: str
    class_names: tuple[str, ...]
    pictures: LabelledPictures
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @property
    def n(self) -> int:
        """How many pictures the set has."""
        return len(self.labels)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """(n,) which pictures were read right; one that cannot be read counts as wrong."""
        right = np.zeros(self.n, bool)
        right[self.pictures.prepared.kept] = self._found == self._known
        return right

    @property
    def accuracy(self) -> float:
        """The share read right, 0..1."""
        return float(self.right.mean())

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes) counts: the label by row, the reading by column."""
        return metrics.confusion_matrix(self._known, self._found, len(self.class_names))

    @property
    def calibration_error(self) -> float:
        """How far confidence and accuracy differ on average, 0..1."""
        return metrics.expected_calibration_error(self._known, self.probabilities)

    @property
    def failures(self) -> dict[str, str]:
        """What was wrong with each picture that could not be read, by its name."""
        return self.pictures.failures

    def accuracy_by(self, column: str) -> dict[str, tuple[int, float]]:
        """The number of pictures and the accuracy for each entry of a column of labels.csv.

        Raises:
            InputError: when the set has no such column.
        """
        check_column(self.pictures.source, column)
        entries = np.array(self.pictures.source.columns[column])
        groups = {entry: self.right[entries == entry] for entry in sorted(set(entries.tolist()))}
        return {entry: (len(right), float(right.mean())) for entry, right in groups.items()}

    def as_record(self) -> dict[str, Any]:
        """All figures, ready for JSON; None stands for shares of nothing."""
        precision, _ = metrics.precision_recall(self.confusion)
        of_class = [self.right[self.labels == i] for i in range(len(self.class_names))]
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "per_class": {
                name: {
                    "n": len(right),
                    "recall": float(right.mean()) if right.size else None,
                    "precision": None if np.isnan(precision[i]) else float(precision[i]),
                }
                for i, (name, right) in enumerate(zip(self.class_names, of_class, strict=True))
            },
            "confusion": self.confusion.tolist(),
            "calibration_error": self.calibration_error,
            "unread": len(self.failures),
            "set": self.pictures.source.name,
            "model": self.model,
            "recipe": self.pictures.recipe,
        }

    @property
    def _known(self) -> NDArray[np.int64]:
        return self.labels[self.pictures.prepared.kept]

    @property
    def _found(self) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return found


def evaluate(
    pictures: Pictures,
    model: str | PathLike[str] | Sequential | Reader = DEFAULT_MODEL,
    recipe: str | None = None,
    *,
    tick: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Measure a model on labelled pictures.

    Args:
        pictures: ``"mnist-test"``, a folder with one folder per class, or anything else that
            :func:`tinymnist.load_set` takes or returns.
        model: the name of a shipped model, a file, a model, or a reader.
        recipe: ``"mnist"``, ``"resize"`` or ``"none"``; None takes MNIST's own pictures as they
            are, and the model's recipe for others.
        tick: called after every picture that had to be prepared.

    Raises:
        InputError: when there is no such set or model, the set has classes that the model does
            not know, or no picture can be read.
    """
    reader = model if isinstance(model, Reader) else Reader(model, recipe)
    if not isinstance(pictures, LabelledSet | LabelledPictures):
        pictures = load_set(pictures)
    source = pictures if isinstance(pictures, LabelledSet) else pictures.source
    labels = known_labels(source, reader)
    prepared = prepare_set(pictures, recipe, reader.recipe, tick=tick)
    probabilities = reader.probabilities_of(prepared.prepared)
    return Evaluation(reader.model.name, reader.class_names, prepared, labels, probabilities)


def known_labels(labelled: LabelledSet, reader: Reader) -> NDArray[np.int64]:
    """The labels (n,) of a set as numbers of a model's classes.

    Raises:
        InputError: when the model does not know all of them.
    """
    if unknown := unknown_classes(labelled, reader):
        raise InputError(
            f"{labelled.name} has classes that {reader.model.name} does not know: {unknown}; "
            f"expected some of {list(reader.class_names)}"
        )
    return renumbered(labelled.labels, labelled.class_names, reader.class_names)


def unknown_classes(labelled: LabelledSet, reader: Reader) -> list[str]:
    """The classes with pictures in a set that a model does not know."""
    used = {labelled.class_names[i] for i in np.unique(labelled.labels)}
    return sorted(used - set(reader.class_names))


def check_column(labelled: LabelledSet, column: str) -> None:
    """Make sure that a set's labels.csv has a column.

    Raises:
        InputError: when it has not; it lists the columns there are.
    """
    if column not in labelled.columns:
        raise InputError(
            f"{labelled.name} has no column {column!r}; expected one of {sorted(labelled.columns)}"
        )
