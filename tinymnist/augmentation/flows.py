"""Endless batches: what a generator's ``flow`` gives, and what ``fit`` learns from.

A batch follows from the seed and from its number alone, so any thread may make any batch at any
time, and a training that was broken off finds the batch where it stopped.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinymnist.checksum import checksum
from tinymnist.memory import reuse_freed_memory

if TYPE_CHECKING:
    from tinymnist.augmentation.generator import ImageDataGenerator

Array = NDArray[Any]

_own = threading.local()
_SEEDS = 2**32
"""NumPy's old generator takes seeds below this."""


class Flow(ABC):
    """Batches without end, in rounds: each round shows every picture once.

    For a seed, ``next`` gives what it gives in Keras: batch t is drawn by a generator that is
    seeded with seed + t, and the first batch of a round draws the round's order before.

    Attributes:
        generator: what bends the pictures.
        n: pictures in a round.
        batch_size, shuffle, seed: as asked for; of a None, the seed that was drawn.
        next_number: of the batch that ``next`` gives, or that a training begins with.
    """

    def __init__(
        self,
        generator: ImageDataGenerator,
        n: int,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
    ) -> None:
        if batch_size < 1 or n < 1:
            raise ValueError(
                "a flow needs pictures, and a batch_size of at least 1. "
                f"Received: {n} pictures, {batch_size=}"
            )
        self.generator, self.n, self.batch_size, self.shuffle = generator, n, batch_size, shuffle
        self.seed = np.random.randint(2**31) if seed is None else seed  # as np.random.seed says
        self._is_seeded = seed is not None
        reuse_freed_memory()
        self.next_number = self._round = 0
        self._order: tuple[int, Array] = (-1, np.arange(n))

    def __len__(self) -> int:
        """Batches in a round."""
        return math.ceil(self.n / self.batch_size)

    def batch(self, number: int) -> Any:
        """Batch ``number``, counted from 0 through all rounds; the same whenever it is asked for.

        Returns:
            (x, y), (x, y, sample_weight), or x alone.
        """
        return self.batches([number])[0]

    def batches(self, numbers: Sequence[int]) -> list[Any]:
        """``[batch(number) for number in numbers]``, with the arithmetic over all of them at once.

        This is how threads share the work: give each several batches. With one small batch at a
        time they meet at Python's lock at every step, and are slower than a single one.
        """
        chosen, pictures, parameters = [], [], []
        for number in numbers:
            rows, random = self._drawn(number)
            chosen.append(rows)
            pictures.append(self._pictures(rows))
            parameters.append(self.generator.draw(pictures[-1], random))
        varied = self.generator.vary_by(pictures, parameters)
        return [self._with_targets(*pair) for pair in zip(varied, chosen, strict=True)]

    def _drawn(self, number: int) -> tuple[Array, np.random.RandomState]:
        """The pictures of a batch, and the generator that draws how they are bent."""
        this_round, place = divmod(number, len(self))
        random = _seeded(self.seed + number - place)
        order = self._order_of(this_round, random, again=place == 0)
        if place:
            random = _seeded(self.seed + number)
        return order[place * self.batch_size : (place + 1) * self.batch_size], random

    def __getitem__(self, place: int) -> Any:
        """Batch ``place`` of the present round."""
        if not 0 <= place < len(self):
            raise IndexError(f"a round has batches 0..{len(self) - 1}. Received: {place}")
        return self.batch(self._round * len(self) + place)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """The next batch, for ever."""
        self.next_number += 1
        return self.batch(self.next_number - 1)

    def on_epoch_end(self) -> None:
        """Begin a new round for :meth:`__getitem__`."""
        self._round += 1

    def reset(self) -> None:
        """Go back to the first batch."""
        self.next_number = self._round = 0

    @property
    def samples(self) -> int:
        """Keras's other name for ``n``."""
        return self.n

    def plan(self) -> dict[str, Any]:
        """What batches depend on, for a checkpoint to compare.

        Raises:
            ValueError: when the seed was drawn, since another process would draw another.
        """
        if not self._is_seeded:
            raise ValueError(
                "a training to be resumed needs flow(..., seed=0). Received: seed=None"
            )
        return {
            "flow": type(self).__name__,
            "examples": self.n,
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "seed": self.seed,
            **self.generator.plan(),
        }

    @abstractmethod
    def _pictures(self, chosen: Array) -> Array:
        """The pictures of these numbers: (k, h, w, c)."""

    @abstractmethod
    def _with_targets(self, images: Array, chosen: Array) -> Any:
        """A batch of the finished pictures of these numbers."""

    def _order_of(self, this_round: int, random: np.random.RandomState, again: bool) -> Array:
        """The order of the pictures in a round; drawn ``again`` to move the generator on."""
        if not self.shuffle:
            return self._order[1]
        known, order = self._order
        if again or known != this_round:
            order = random.permutation(self.n)
            self._order = this_round, order  # at one go: other threads read it
        return order


def _seeded(seed: int) -> np.random.RandomState:
    """NumPy's old generator. Each thread has one, since making one takes longer than a batch."""
    if not hasattr(_own, "random"):
        _own.random = np.random.RandomState()
    random: np.random.RandomState = _own.random
    random.seed(seed % _SEEDS)
    return random


class ArrayFlow(Flow):
    """Batches from arrays; see :meth:`ImageDataGenerator.flow`.

    Attributes:
        x, y, sample_weight: the subset's arrays.
    """

    def __init__(
        self,
        generator: ImageDataGenerator,
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
            raise ValueError(
                "flow takes pictures as numbers (n, h, w, c). "
                f"Received: x.shape={self.x.shape}, x.dtype={self.x.dtype}"
            )
        self.y = None if y is None else np.asarray(y)
        self.sample_weight = None if sample_weight is None else np.asarray(sample_weight)
        for name in ("y", "sample_weight"):
            array = getattr(self, name)
            if array is not None and len(array) != len(self.x):
                raise ValueError(
                    f"x and {name} must have the same length. "
                    f"Received: {len(self.x)} and {len(array)}"
                )
        if subset is not None:
            part = part_of(subset, len(self.x), generator.validation_split)
            self.x = self.x[part]
            self.y = None if self.y is None else self.y[part]
            self.sample_weight = None if self.sample_weight is None else self.sample_weight[part]
        super().__init__(generator, len(self.x), batch_size, shuffle, seed)

    @cached_property
    def _contents(self) -> int:
        return checksum(a for a in (self.x, self.y, self.sample_weight) if a is not None)

    def plan(self) -> dict[str, Any]:
        """Like that of any flow; the same pictures and labels must be given again."""
        return {**super().plan(), "contents": self._contents}

    def _pictures(self, chosen: Array) -> Array:
        return self.x[chosen]

    def _with_targets(self, images: Array, chosen: Array) -> Any:
        if self.y is None:
            return images
        if self.sample_weight is None:
            return images, self.y[chosen]
        return images, self.y[chosen], self.sample_weight[chosen]


def part_of(subset: str, n: int, validation_split: float) -> slice:
    """Which of ``n`` pictures belong to a subset: the first share is for validation.

    Raises:
        ValueError: when there is no such subset, or nothing to split.
    """
    if subset not in ("training", "validation"):
        raise ValueError(f'subset must be "training" or "validation". Received: {subset=}')
    if not validation_split:
        raise ValueError(f"subset needs ImageDataGenerator(validation_split=...). {subset=}")
    cut = int(n * validation_split)
    return slice(0, cut) if subset == "validation" else slice(cut, n)
