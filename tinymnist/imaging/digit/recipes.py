"""The recipes that turn pictures into a network's input, by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from tinymnist.errors import InputError
from tinymnist.imaging.digit.filters import resize
from tinymnist.imaging.digit.frame import SIDE
from tinymnist.imaging.digit.normalize import Readings, normalize, readings
from tinymnist.imaging.picture.decode import Source, decode, describe
from tinymnist.imaging.picture.pixels import Array

T = TypeVar("T")


def tutorial(grey: Array) -> Array:
    """The tutorials' recipe: resize (h, w) to 28x28 and leave everything else as it is."""
    return np.clip(resize(grey, (SIDE, SIDE), Resampling.BICUBIC), 0, 1)


def as_it_is(grey: Array) -> Array:
    """Change nothing: the picture is (28, 28), white ink on black; InputError if it is not."""
    if grey.shape != (SIDE, SIDE):
        raise InputError(
            f"recipe 'none' takes a picture of {SIDE}x{SIDE} pixels as it is; use recipe 'mnist' "
            f"for others. Received: {grey.shape[1]}x{grey.shape[0]} pixels"
        )
    return grey


RECIPES: dict[str, Callable[[Array], Array]] = {
    "mnist": normalize,
    "resize": tutorial,
    "none": as_it_is,
}
"""Name -> a function of a grey picture (h, w) in 0..1, as displayed, to (28, 28) in 0..1."""


def prepare_image(source: Source, recipe: str = "mnist") -> Array:
    """Turn one picture into a network's input.

    Args:
        source: anything that :func:`tinymnist.imaging.picture.decode.decode` takes.
        recipe: ``"mnist"``, ``"resize"`` or ``"none"``.

    Returns:
        (28, 28, 1) float32 in 0..1. White ink on black if the recipe is ``mnist``; the others
        leave the ink as it is.

    Raises:
        InputError: if the source cannot be read or does not fit the recipe.
        NoDigitFound: an InputError, if recipe ``mnist`` finds a blank picture.
        ValueError: if there is no such recipe.
    """
    if recipe not in RECIPES:
        raise ValueError(f"recipe is one of {', '.join(RECIPES)}. Received: recipe={recipe!r}")
    return _apply(source, RECIPES[recipe])[..., None]


def prepare_readings(source: Source, recipe: str = "mnist") -> Readings:
    """Turn one picture into a network's inputs, one for each way in which it may be understood.

    Arguments and errors are those of :func:`prepare_image`.

    Returns:
        As :func:`tinymnist.imaging.digit.normalize.readings`, each (28, 28, 1): the first is the
        result of :func:`prepare_image`. Other recipes than ``mnist`` give one.
    """
    if recipe == "mnist":
        found = _apply(source, readings)
        return Readings(found.whole[..., None], found.marks[..., None], found.is_gathered)
    return Readings(prepare_image(source, recipe)[None])


def _apply(source: Source, work: Callable[[Array], T]) -> T:
    """Do something with a picture; errors name it."""
    grey = decode(source)
    try:
        return work(grey)
    except InputError as error:
        raise type(error)(f"{describe(source)}: {error}") from None


def specification() -> str:
    """Recipe ``mnist`` in one page, ``RECIPE.md``, for those who write it again elsewhere."""
    with open(os.path.join(os.path.dirname(__file__), "RECIPE.md"), encoding="ascii") as page:
        return page.read().strip()


def recipe_vectors() -> dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Pictures by name, and what recipe ``mnist`` makes of them; ``RECIPE.md`` specifies it.

    Returns:
        Grey pictures (h, w) as displayed, and (28, 28) white ink on black, both 0..255.
    """
    with np.load(os.path.join(os.path.dirname(__file__), "recipe_vectors.npz")) as file:
        names = [key.removesuffix("/input") for key in file.files if key.endswith("/input")]
        return {name: (file[f"{name}/input"], file[f"{name}/expected"]) for name in names}


@dataclass(frozen=True, eq=False, repr=False)
class PreparedSet:
    """Pictures after a recipe: r readings of those m that could be prepared, each taken as one."""

    readings: Array  # (r, 28, 28, 1), at least one per picture; see prepare_readings
    owners: NDArray[np.int64]  # (r,), the position in ``kept`` of each one's picture, ascending
    kept: NDArray[np.int64]  # (m,), the numbers of the pictures that could be prepared
    failures: dict[int, InputError]  # the error of every other picture, by its number

    @property
    def images(self) -> Array:
        """The first reading of every picture, the recipe's own result: (m, 28, 28, 1)."""
        return self.readings[np.unique(self.owners, return_index=True)[1]]

    def only(self, chosen: NDArray[np.bool_]) -> PreparedSet:
        """Some of the kept pictures: ``chosen`` is (m,)."""
        of_chosen = chosen[self.owners]
        owners = (np.cumsum(chosen) - 1)[self.owners[of_chosen]]
        return PreparedSet(self.readings[of_chosen], owners, self.kept[chosen], {})

    @classmethod
    def of(cls, images: Array) -> PreparedSet:
        """Pictures (n, 28, 28, 1) that are in MNIST's form already: one reading of each."""
        numbers = np.arange(len(images))
        return cls(images, numbers, numbers, {})


def prepare_all(
    sources: Iterable[Source | InputError],
    recipe: str,
    tick: Callable[[], None] = lambda: None,
    most: int | None = None,
    workers: int | None = None,
) -> PreparedSet:
    """Bring many pictures to MNIST's form, and note which cannot be, and why.

    Args:
        sources, recipe: as for :func:`prepare_image`.
        tick: called after every picture, for a progress display.
        most: how many prepared pictures are enough; None for all.
        workers: how many processes do it; see :func:`tinymnist.processes.map_in_order`.
    """
    ways: dict[int, Array] = {}
    failures: dict[int, InputError] = {}
    with closing(prepare_in_order(sources, recipe, workers)) as prepared:
        for number, made in enumerate(prepared):
            if isinstance(made, InputError):
                failures[number] = made
            else:
                ways[number] = made.whole
            tick()
            if len(ways) == most:
                break
    readings = np.concatenate([np.zeros((0, SIDE, SIDE, 1), np.float32), *ways.values()])
    owners = np.repeat(np.arange(len(ways)), [len(way) for way in ways.values()])
    return PreparedSet(readings, owners, np.array([*ways], np.int64), failures)


def prepare_in_order(
    sources: Iterable[Source | InputError], recipe: str, workers: int | None = None
) -> Generator[Readings | InputError]:
    """:func:`prepare_readings` of a stream of pictures, or the error of one that is unreadable.

    An InputError among the sources stays what it is. Arguments are those of :func:`prepare_all`.
    """
    from tinymnist.processes import map_in_order  # one picture alone does not need it

    prepare = partial(_prepare_one, recipe=recipe)
    return map_in_order(prepare, sources, workers, stays=is_of_this_process)


def _prepare_one(source: Source | InputError, recipe: str) -> Readings:
    if isinstance(source, InputError):
        raise source
    return prepare_readings(source, recipe)


def is_of_this_process(source: Source | InputError) -> bool:
    """Whether workers cannot be sent a source: an open file, or a Pillow image that may be one."""
    return hasattr(source, "read") or isinstance(source, Image)
