"""Endless batches: what a generator's ``flow`` returns, and what ``fit`` takes.

A batch depends on the seed and its number alone. So any thread can make any batch at any time, and
a resumed training continues with the batch at which it stopped.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tinymnist.augmentation.pictures import array_to_img
from tinymnist.augmentation.ranges import Parameters
from tinymnist.errors import InputError
from tinymnist.memory import checksum, reuse_freed_memory

Array = NDArray[Any]

_thread = threading.local()


class Varies(Protocol):
    """What a flow needs of its generator; see :class:`ImageDataGenerator`."""

    validation_split: float

    def draw(self, images: Array, random: np.random.RandomState) -> dict[str, Array]: ...
    def vary_by(
        self, batches: Sequence[Array], parameters: Sequence[Parameters]
    ) -> list[Array]: ...
    def plan(self) -> dict[str, Any]: ...


class Flow(ABC):
    """Endless batches, in rounds that show every image once.

    For a given seed, ``next`` returns what it returns in Keras: batch t is drawn by a generator
    seeded with seed + t, and the first batch of a round draws the order of the round before.

    Attributes:
        generator: what varies the images.
        n: images per round.
        batch_size, shuffle, seed: as passed; for a seed of None, the seed that was drawn.
        saves: folder, prefix and ending of the pictures of every batch that are written, or None.
        next_number: the number of the batch that ``next`` returns, or that a training starts with.
    """

    def __init__(
        self, generator: Varies, n: int, batch_size: int, shuffle: bool, seed: int | None
    ) -> None:
        if batch_size < 1 or n < 1:
            found = f"Received: {n} images, {batch_size=}"
            raise ValueError(f"a flow needs images, and a batch_size of at least 1. {found}")
        self.generator, self.n, self.batch_size, self.shuffle = generator, n, batch_size, shuffle
        self.seed = np.random.randint(2**31) if seed is None else seed  # as np.random.seed says
        self._is_seeded = seed is not None
        self.saves: tuple[Path, str, str] | None = None
        reuse_freed_memory()
        self.next_number = self._round = 0
        self._order: tuple[int, Array] = (-1, np.arange(n))

    def __len__(self) -> int:
        """Batches per round."""
        return math.ceil(self.n / self.batch_size)

    def batch(self, number: int) -> Any:
        """Batch ``number``, counted from 0 through all rounds: (x, y), (x, y, weights), or x."""
        return self.batches([number])[0]

    def batches(self, numbers: Sequence[int]) -> list[Any]:
        """``[batch(number) for number in numbers]``, computed all at once.

        Threads should share the work in groups of batches: with one small batch at a time they
        wait for Python's lock at every step and are slower than a single thread.
        """
        chosen, images, parameters = [], [], []
        for number in numbers:
            this_round, place = divmod(number, len(self))
            random = _seeded(self.seed + number - place)
            order = self._order_of(this_round, random, again=place == 0)
            if place:
                random = _seeded(self.seed + number)
            chosen.append(order[place * self.batch_size : (place + 1) * self.batch_size])
            images.append(self._images(chosen[-1]))
            parameters.append(self.generator.draw(images[-1], random))
        varied = self.generator.vary_by(images, parameters)
        for number, pictures, places in zip(numbers, varied, chosen, strict=True):
            self._save(number, pictures, places)
        return [self._with_targets(*pair) for pair in zip(varied, chosen, strict=True)]

    def save_to(self, folder: str | Path | None, prefix: str, ending: str) -> None:
        """Write the pictures of every batch as files PREFIX_EXAMPLE_BATCH.ENDING; None does not.

        Raises:
            InputError: if there is no such folder.
        """
        if folder is not None and not Path(folder).is_dir():
            raise InputError(f"{folder}: is not a folder; expected one to save pictures in")
        self.saves = None if folder is None else (Path(folder), prefix, ending)

    def _save(self, number: int, pictures: Array, places: Array) -> None:
        if self.saves is None:
            return
        folder, prefix, ending = self.saves
        for picture, place in zip(pictures, places, strict=True):
            array_to_img(picture).save(folder / f"{prefix}_{place}_{number}.{ending}")

    def __getitem__(self, place: int) -> Any:
        """Batch ``place`` of the current round."""
        if not 0 <= place < len(self):
            raise IndexError(f"a round has batches 0..{len(self) - 1}. Received: {place}")
        return self.batch(self._round * len(self) + place)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """The next batch; there is always one."""
        self.next_number += 1
        return self.batch(self.next_number - 1)

    def on_epoch_end(self) -> None:
        """Start a new round for :meth:`__getitem__`."""
        self._round += 1

    def reset(self) -> None:
        """Go back to the first batch."""
        self.next_number = self._round = 0

    @property
    def samples(self) -> int:
        """Keras's other name for ``n``."""
        return self.n

    def plan(self) -> dict[str, Any]:
        """Everything the batches depend on, as plain values for a checkpoint to compare.

        Raises:
            ValueError: if the seed was drawn, as another process would draw a different one.
        """
        if not self._is_seeded:
            rule = "a training that can be resumed needs flow(..., seed=0)"
            raise ValueError(f"{rule}. Received: seed=None")
        own = {"examples": self.n, "batch_size": self.batch_size, "shuffle": self.shuffle}
        named = {"flow": type(self).__name__, **own, "seed": self.seed}
        return named | self.generator.plan()

    @abstractmethod
    def _images(self, chosen: Array) -> Array:
        """The images of these numbers: (k, h, w, c)."""

    @abstractmethod
    def _with_targets(self, images: Array, chosen: Array) -> Any:
        """A batch of the finished images of these numbers."""

    def _order_of(self, this_round: int, random: np.random.RandomState, again: bool) -> Array:
        """The order of the images in a round; drawn ``again`` to advance the generator."""
        if not self.shuffle:
            return self._order[1]
        known, order = self._order
        if again or known != this_round:
            order = random.permutation(self.n)
            self._order = this_round, order  # one assignment: other threads read it
        return order


def _seeded(seed: int) -> np.random.RandomState:
    """This thread's legacy generator, seeded; creating one takes longer than a batch."""
    if not hasattr(_thread, "random"):
        _thread.random = np.random.RandomState()
    random: np.random.RandomState = _thread.random
    random.seed(seed % 2**32)  # NumPy's legacy generator takes seeds below this
    return random


class ArrayFlow(Flow):
    """Batches from arrays; see :meth:`ImageDataGenerator.flow`."""

    def __init__(
        self,
        generator: Varies,
        x: Array,
        y: Array | None,
        batch_size: int,
        shuffle: bool,
        sample_weight: Array | None,
        seed: int | None,
        subset: str | None,
    ) -> None:
        self.x = np.asarray(x)
        if self.x.ndim != 4 or self.x.dtype.kind not in "buif":
            found = f"x.shape={self.x.shape}, x.dtype={self.x.dtype}"
            raise ValueError(f"flow takes numeric images (n, h, w, c). Received: {found}")
        n = len(self.x)
        part = slice(n) if subset is None else part_of(subset, n, generator.validation_split)
        self.y = _aligned("y", y, n, part)
        self.sample_weight = _aligned("sample_weight", sample_weight, n, part)
        if subset is not None and y is not None:
            _check_classes(np.asarray(y), part, subset)
        self.x = self.x[part]
        super().__init__(generator, len(self.x), batch_size, shuffle, seed)

    @cached_property
    def _contents(self) -> int:
        return checksum(a for a in (self.x, self.y, self.sample_weight) if a is not None)

    def plan(self) -> dict[str, Any]:
        """As of any flow; a resumed training needs the same images and labels."""
        return {**super().plan(), "contents": self._contents}

    def _images(self, chosen: Array) -> Array:
        return self.x[chosen]

    def _with_targets(self, images: Array, chosen: Array) -> Any:
        if self.y is None:
            return images
        others = (self.y, self.sample_weight)
        return images, *(array[chosen] for array in others if array is not None)


def _check_classes(y: Array, part: slice, subset: str) -> None:
    """Refuse a split that leaves some classes out of one side, as sorted labels do."""
    other = slice(part.stop, None) if subset == "validation" else slice(0, part.start)
    here, there = np.unique(y[part]), np.unique(y[other])
    if not np.array_equal(here, there):
        raise ValueError(
            "both sides of validation_split must have all classes: shuffle the pictures and labels "
            f"first. Received: {len(here)} and {len(there)} different labels"
        )


def _aligned(name: str, values: Array | None, n: int, part: slice) -> Array | None:
    """The part of an optional array that must have ``n`` entries."""
    if values is None:
        return None
    if len(array := np.asarray(values)) != n:
        raise ValueError(f"x and {name} must have the same length. Received: {n} and {len(array)}")
    return array[part]


def part_of(subset: str, n: int, validation_split: float) -> slice:
    """The part of ``n`` images in a subset: the first ``validation_split`` is for validation."""
    if subset not in ("training", "validation"):
        raise ValueError(f'subset must be "training" or "validation". Received: {subset=}')
    if not validation_split:
        raise ValueError(f"subset needs ImageDataGenerator(validation_split=...). {subset=}")
    cut = int(n * validation_split)
    return slice(0, cut) if subset == "validation" else slice(cut, n)
