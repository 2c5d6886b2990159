"""Many pictures in MNIST's form: labelled sets after a recipe, and what could not be read.

Every command that takes a labelled set prepares it here, so that all treat a picture that cannot
be read alike: it is left out, named in ``failures``, and an error only if none is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.data import LabelledSet, load_set
from tinymnist.errors import InputError
from tinymnist.imaging.digit.recipes import prepare_readings


@dataclass(frozen=True)
class PreparedSet:
    """Pictures after a recipe.

    Attributes:
        readings: (r, 28, 28, 1) float32, at least one per picture that could be prepared; see
            :func:`tinymnist.imaging.digit.recipes.prepare_readings`.
        owners: (r,) the position in ``kept`` of each reading's picture, ascending.
        kept: (m,) the numbers of the pictures that could be prepared.
        failures: the error of every other picture, by its number.
    """

    readings: NDArray[np.float32]
    owners: NDArray[np.int64]
    kept: NDArray[np.int64]
    failures: dict[int, InputError]

    @property
    def images(self) -> NDArray[np.float32]:
        """The first reading of every picture, the recipe's own result: (m, 28, 28, 1)."""
        return self.readings[np.unique(self.owners, return_index=True)[1]]

    def only(self, chosen: NDArray[np.bool_]) -> PreparedSet:
        """Some of the kept pictures: ``chosen`` is (m,)."""
        of_chosen = chosen[self.owners]
        numbers = np.cumsum(chosen) - 1
        owners = numbers[self.owners[of_chosen]]
        return PreparedSet(self.readings[of_chosen], owners, self.kept[chosen], {})

    @classmethod
    def of(cls, images: NDArray[np.float32]) -> PreparedSet:
        """Pictures (n, 28, 28, 1) that are in MNIST's form already: one reading of each."""
        numbers = np.arange(len(images))
        return cls(images, numbers, numbers, {})


def prepare_all(
    sources: Iterable[Any],
    recipe: str,
    tick: Callable[[], None] = lambda: None,
    most: int | None = None,
) -> PreparedSet:
    """Bring many pictures to MNIST's form, and note which cannot be, and why.

    Args:
        sources: as for :func:`tinymnist.imaging.digit.recipes.prepare_image`.
        recipe: ``"mnist"``, ``"resize"`` or ``"none"``.
        tick: called after every picture, for a progress display.
        most: how many prepared pictures are enough; None for all.
    """
    ways: list[NDArray[np.float32]] = []
    kept: list[int] = []
    failures: dict[int, InputError] = {}
    for number, source in enumerate(sources):
        if len(kept) == most:
            break
        try:
            ways.append(prepare_readings(source, recipe))
            kept.append(number)
        except InputError as error:
            failures[number] = error
        tick()
    stacked = np.concatenate(ways) if ways else np.zeros((0, 28, 28, 1), np.float32)
    owners = np.repeat(np.arange(len(ways)), [len(way) for way in ways])
    return PreparedSet(stacked, owners, np.array(kept, np.int64), failures)


def in_mnist_form(images: Sequence[Any] | NDArray[Any]) -> NDArray[np.float32]:
    """MNIST's own bytes (n, 28, 28) as a network takes them: (n, 28, 28, 1), 0..1."""
    scaled = np.asarray(images, np.float32) / np.float32(255)
    return scaled.reshape(-1, 28, 28, 1)


@dataclass(frozen=True)
class LabelledPictures:
    """A labelled set after a recipe.

    Attributes:
        source: the set.
        recipe: what its pictures were prepared with.
        prepared: the m pictures that could be read, numbered as in the set.
    """

    source: LabelledSet
    recipe: str
    prepared: PreparedSet

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


Pictures = str | PathLike[str] | LabelledSet | LabelledPictures
"""What :func:`tinymnist.load_set` takes or returns, or such a set after a recipe."""


def prepare_set(
    pictures: Pictures,
    recipe: str | None = None,
    default: str = "mnist",
    *,
    only: NDArray[np.int64] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> LabelledPictures:
    """Open a labelled set and bring its pictures to MNIST's form.

    Args:
        pictures: see :data:`Pictures`; what is prepared already stays as it is.
        recipe: ``"mnist"``, ``"resize"`` or ``"none"``; None takes MNIST's own pictures as they
            are, and ``default`` for others.
        default: see ``recipe``.
        only: the numbers of the pictures to prepare, ascending; None for all.
        tick: called after every picture that had to be prepared.

    Raises:
        InputError: when there is no such set, or none of its pictures can be read.
    """
    if isinstance(pictures, LabelledPictures):
        return pictures
    source = pictures if isinstance(pictures, LabelledSet) else load_set(pictures)
    recipe = recipe or ("none" if source.is_mnist else default)
    numbers = np.arange(len(source.labels)) if only is None else only
    images = [source.images[i] for i in numbers] if only is not None else source.images
    if source.is_mnist and recipe == "none":
        found = PreparedSet.of(in_mnist_form(images))
    else:
        found = prepare_all(images, recipe, tick)
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
    """Make sure that some pictures of a set could be read.

    Raises:
        InputError: when none could; it says what was wrong with the first.
    """
    if not left:
        first = next(iter(failures.values()), "it holds none")
        raise InputError(f"no picture of {name} could be read: {first}")
