"""Labelled sets: their pictures in MNIST's form, and how a model does on them.

Everything that takes a labelled set prepares it here, so that a picture that cannot be read is
treated alike everywhere: it is left out, named in ``failures``, and an error only if none is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.data import LabelledSet, load_set
from tinymnist.data.sets import renumbered
from tinymnist.errors import InputError
from tinymnist.imaging.digit.recipes import PreparedSet, prepare_all
from tinymnist.nn import metrics
from tinymnist.nn.sequential import Sequential
from tinymnist.reader import DEFAULT_MODEL, Reader
from tinymnist.reporting.text import shortened


def in_mnist_form(images: Sequence[Any] | NDArray[Any]) -> NDArray[np.float32]:
    """MNIST's own bytes (n, 28, 28) as a network takes them: (n, 28, 28, 1), 0..1."""
    grey: NDArray[np.float32] = np.divide(images, np.float32(255), dtype=np.float32)
    return grey.reshape(-1, 28, 28, 1)


@dataclass(frozen=True, eq=False, repr=False)
class LabelledPictures:
    """A labelled set after a recipe: ``prepared`` has the m pictures that could be read."""

    source: LabelledSet
    recipe: str
    prepared: PreparedSet

    def __repr__(self) -> str:
        unread = len(self.prepared.failures)
        return f"LabelledPictures({self.source!r}, recipe={self.recipe!r}, unread={unread})"

    @property
    def images(self) -> NDArray[np.float32]:
        """(m, 28, 28, 1), the recipe's own results."""
        return self.prepared.images

    @property
    def labels(self) -> NDArray[np.int64]:
        """(m,) numbers of ``source.class_names``."""
        return self.source.labels[self.prepared.kept]

    @property
    def names(self) -> list[str]:
        """What each of the m pictures is called: its file, or its number in the set."""
        return [self.source.name_of(number) for number in self.prepared.kept]

    @property
    def failures(self) -> dict[str, str]:
        """What was wrong with each picture that could not be read, by its name."""
        return named_failures(self.source.name_of, self.prepared.failures)


Pictures = str | PathLike[str] | tuple[Any, Any] | LabelledSet | LabelledPictures
"""What :func:`tinymnist.load_set` takes or returns, or such a set after a recipe."""


def prepare_set(
    pictures: Pictures,
    recipe: str | None = None,
    default: str = "mnist",
    *,
    only: NDArray[np.int64] | None = None,
    tick: Callable[[], None] = lambda: None,
    workers: int | None = None,
) -> LabelledPictures:
    """Open a labelled set and bring its pictures to MNIST's form.

    Args:
        pictures: see :data:`Pictures`; what is prepared already stays as it is.
        recipe: ``"mnist"``, ``"resize"`` or ``"none"``; None takes MNIST's own pictures as they
            are, and ``default`` for others.
        default: see ``recipe``.
        only: the numbers of the pictures to prepare, ascending; None for all.
        tick: called after every picture that had to be prepared.
        workers: how many processes prepare pictures; None takes one per core. The result does not
            depend on it.

    Raises:
        InputError: when there is no such set, or none of its pictures can be read.
    """
    if isinstance(pictures, LabelledPictures):
        return pictures
    source = pictures if isinstance(pictures, LabelledSet) else load_set(pictures)
    recipe = recipe or ("none" if source.is_mnist else default)
    numbers = np.arange(len(source.labels)) if only is None else only
    images = source.images if only is None else [source.images[i] for i in numbers]
    if source.is_mnist and recipe == "none":
        found = PreparedSet.of(in_mnist_form(images))
    else:
        found = prepare_all(images, recipe, tick, workers=workers)
    failures = {int(numbers[i]): error for i, error in found.failures.items()}
    prepared = PreparedSet(found.readings, found.owners, numbers[found.kept], failures)
    check_any_left(source.name, named_failures(source.name_of, failures), len(prepared.kept))
    return LabelledPictures(source, recipe, prepared)


def spread(count: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` of the numbers from 0 to ``count - 1``, evenly from all of them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def named_failures(
    name_of: Callable[[int], str], failures: Mapping[int, InputError]
) -> dict[str, str]:
    """Failures by the name of the picture, each a line that names it."""
    named = {name_of(number): str(error) for number, error in failures.items()}
    return {name: text if name in text else f"{name}: {text}" for name, text in named.items()}


def check_any_left(name: str, failures: Mapping[str, str], left: int) -> None:
    """Raise an InputError, with the first failure, if no picture of a set could be read."""
    if not left:
        first = next(iter(failures.values()), "it holds none")
        raise InputError(f"no picture of {name} could be read: {first}")


@dataclass(frozen=True, eq=False, repr=False)
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

    def __repr__(self) -> str:
        on = f"{self.model} on {self.pictures.source.name}"
        return f"Evaluation({on}, n={self.n}, accuracy={self.accuracy:.4f})"

    @property
    def n(self) -> int:
        """How many pictures the set has."""
        return len(self.labels)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """(n,) which pictures were read right; one that cannot be read counts as wrong."""
        right = np.zeros(self.n, bool)
        right[self.pictures.prepared.kept] = self.probabilities.argmax(axis=1) == self._known
        return right

    @property
    def accuracy(self) -> float:
        """The share read right, 0..1."""
        return float(self.right.mean())

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes) counts: the label by row, the reading by column."""
        found = self.probabilities.argmax(axis=1)
        return metrics.confusion_matrix(self._known, found, len(self.class_names))

    @property
    def calibration_error(self) -> float:
        """How far confidence and accuracy differ on average, 0..1."""
        return metrics.expected_calibration_error(self._known, self.probabilities)

    @property
    def to_check(self) -> tuple[float, float]:
        """See :func:`tinymnist.nn.metrics.review_share`; those that cannot be read are checked."""
        right = self.probabilities.argmax(axis=1) == self._known
        share, least = metrics.review_share(self.probabilities.max(axis=1), right)
        return (share * len(right) + self.n - len(right)) / self.n, least

    @property
    def misread(self) -> list[dict[str, Any]]:
        """The pictures that were read wrong, the most confident first, without unreadable ones.

        Each has a "picture" (its file, or its number in the set), "label", "read_as" and
        "confidence".
        """
        confidence, found = self.probabilities.max(axis=1), self.probabilities.argmax(axis=1)
        wrong = np.flatnonzero(found != self._known)
        kept = self.pictures.prepared.kept
        return [
            {
                "picture": self.pictures.source.name_of(int(kept[i])),
                "label": self.class_names[self._known[i]],
                "read_as": self.class_names[found[i]],
                "confidence": float(confidence[i]),
            }
            for i in wrong[np.argsort(-confidence[wrong], kind="stable")]
        ]

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
        share, least = self.to_check
        per_class = {}
        for i, name in enumerate(self.class_names):
            right = self.right[self.labels == i]
            per_class[name] = {
                "n": len(right),
                "recall": float(right.mean()) if right.size else None,
                "precision": None if np.isnan(precision[i]) else float(precision[i]),
            }
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "per_class": per_class,
            "confusion": self.confusion.tolist(),
            "calibration_error": self.calibration_error,
            "to_check": {"share": share, "confidence_below": None if share == 1 else least},
            "misread": self.misread,
            "unread": len(self.failures),
            "set": self.pictures.source.name,
            "model": self.model,
            "recipe": self.pictures.recipe,
        }

    @property
    def _known(self) -> NDArray[np.int64]:
        return self.labels[self.pictures.prepared.kept]


def evaluate(
    pictures: Pictures,
    model: str | PathLike[str] | Sequential | Reader = DEFAULT_MODEL,
    recipe: str | None = None,
    *,
    tick: Callable[[], None] = lambda: None,
    workers: int | None = None,
) -> Evaluation:
    """Measure a model on labelled pictures.

    Args:
        pictures: ``"mnist-test"``, a folder with one folder per class, or anything else of
            :data:`Pictures`.
        model: the name of a shipped model, a file, a model, or a reader.
        recipe: ``"mnist"``, ``"resize"`` or ``"none"``; None takes MNIST's own pictures as they
            are, and the model's recipe for others.
        tick: called after every picture that had to be prepared.
        workers: how many processes prepare pictures; None takes one per core.

    Raises:
        InputError: when there is no such set or model, the set has classes that the model does
            not know, or no picture can be read.
    """
    reader = model if isinstance(model, Reader) else Reader(model, recipe)
    if not isinstance(pictures, LabelledSet | LabelledPictures):
        pictures = load_set(pictures)
    source = pictures if isinstance(pictures, LabelledSet) else pictures.source
    labels = known_labels(source, reader)
    found = prepare_set(pictures, recipe, reader.recipe, tick=tick, workers=workers)
    shares = reader.probabilities_of(found.prepared)
    return Evaluation(reader.model.name, reader.class_names, found, labels, shares)


def known_labels(labelled: LabelledSet, reader: Reader) -> NDArray[np.int64]:
    """The labels (n,) of a set as numbers of a model's classes.

    Raises:
        InputError: when the model does not know all of them.
    """
    if unknown := unknown_classes(labelled, reader):
        raise InputError(
            f"{labelled.name} has classes that {reader.model.name} does not know: "
            f"{shortened(str(unknown), 200)}; expected some of "
            f"{shortened(str(list(reader.class_names)), 1000)}"
        )
    return renumbered(labelled.labels, labelled.class_names, reader.class_names)


def unknown_classes(labelled: LabelledSet, reader: Reader) -> list[str]:
    """The classes with pictures in a set that a model does not know."""
    used = {labelled.class_names[i] for i in np.unique(labelled.labels)}
    return sorted(used - set(reader.class_names))


def check_column(labelled: LabelledSet, column: str) -> None:
    """Raise an InputError that lists a set's columns if its labels.csv lacks this one."""
    if column not in labelled.columns:
        raise InputError(
            f"{labelled.name} has no column {column!r}; expected one of {sorted(labelled.columns)}"
        )
