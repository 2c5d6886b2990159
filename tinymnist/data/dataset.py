"""Examples in a stream, as ``tf.data.Dataset`` has them: for scripts that feed ``fit`` so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from tinymnist.nn.arrays import Eager

AUTOTUNE = -1
"""TensorFlow's word for "as many as are good"; accepted wherever it is."""


class Dataset:
    """Elements, made again for each ``for`` loop; an element is an array or a tuple of arrays.

    Every method returns a new dataset, so that they can be chained::

        Dataset.from_tensor_slices((x, y)).shuffle(1000).batch(32)
    """

    def __init__(self, elements: Callable[[], Iterator[Any]], length: int | None) -> None:
        """Take a function that starts a round, and how many elements one has; None: endless."""
        self._elements, self._length = elements, length

    @classmethod
    def from_tensor_slices(cls, tensors: Any) -> Dataset:
        """One element per row of an array, or per row of all arrays of a tuple.

        Raises:
            ValueError: if they differ in length.
        """
        is_tuple = isinstance(tensors, tuple)
        arrays = [np.asarray(array) for array in (tensors if is_tuple else [tensors])]
        if len({len(array) for array in arrays}) != 1:
            lengths = [*map(len, arrays)]
            raise ValueError(f"arrays must be of one length, one at least. Received: {lengths}")

        def rows() -> Iterator[Any]:
            for row in range(len(arrays[0])):
                entries = tuple(np.asarray(array[row]).view(Eager) for array in arrays)
                yield entries if is_tuple else entries[0]

        return cls(rows, len(arrays[0]))

    def __iter__(self) -> Iterator[Any]:
        return self._elements()

    def __len__(self) -> int:
        """How many elements a round has.

        Raises:
            TypeError: if it has no end.
        """
        if self._length is None:
            raise TypeError("a dataset that repeats without end has no length")
        return self._length

    def batch(self, batch_size: int, drop_remainder: bool = False, **ignored: Any) -> Dataset:
        """Stack this many elements at a time; the last batch may be smaller, or dropped.

        Raises:
            ValueError: unless ``batch_size`` is at least 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {batch_size=}")

        def batches() -> Iterator[Any]:
            rest = iter(self)
            while group := list(islice(rest, batch_size)):
                if len(group) < batch_size and drop_remainder:
                    return
                columns = zip(*group, strict=True) if isinstance(group[0], tuple) else [group]
                stacked = tuple(np.stack([*column]).view(Eager) for column in columns)
                yield stacked if isinstance(group[0], tuple) else stacked[0]

        n = self._length
        whole, rest = (0, 0) if n is None else divmod(n, batch_size)
        return Dataset(batches, None if n is None else whole + (rest > 0 and not drop_remainder))

    def shuffle(
        self, buffer_size: int, seed: int | None = None, reshuffle_each_iteration: bool = True
    ) -> Dataset:
        """Draw each element from the next ``buffer_size``, in another order in every round.

        Without a seed, the order follows :func:`tinymnist.utils.set_random_seed`.
        """
        rngs: list[np.random.Generator] = []

        def drawn() -> Iterator[Any]:
            from tinymnist.nn.randomness import next_generator

            if not rngs or not reshuffle_each_iteration:
                rngs[:] = [next_generator() if seed is None else np.random.default_rng(seed)]
            rest = iter(self)
            waiting = list(islice(rest, buffer_size))
            for element in rest:
                place = int(rngs[0].integers(len(waiting)))
                yield waiting[place]
                waiting[place] = element
            yield from (waiting[place] for place in rngs[0].permutation(len(waiting)))

        return Dataset(drawn, self._length)

    def map(self, function: Callable[..., Any], *ignored: Any, **settings: Any) -> Dataset:
        """Pass every element through a NumPy function; a tuple becomes its arguments."""

        def mapped() -> Iterator[Any]:
            for element in self:
                yield function(*element) if isinstance(element, tuple) else function(element)

        return Dataset(mapped, self._length)

    def repeat(self, count: int | None = None) -> Dataset:
        """This many rounds one after the other; None or -1: without end."""
        rounds = None if count in (None, -1) else count

        def repeated() -> Iterator[Any]:
            done = 0
            while rounds is None or done < rounds:
                yield from self
                done += 1

        endless = rounds is None or self._length is None
        return Dataset(repeated, None if endless else (rounds or 0) * len(self))

    def take(self, count: int) -> Dataset:
        """The first elements alone."""
        length = count if self._length is None else min(count, self._length)
        return Dataset(lambda: islice(iter(self), count), length)

    def skip(self, count: int) -> Dataset:
        """All except the first elements."""
        length = None if self._length is None else max(self._length - count, 0)
        return Dataset(lambda: islice(iter(self), count, None), length)

    def cache(self, filename: str = "") -> Dataset:
        """The same: arrays lie in memory already."""
        return self

    def prefetch(self, buffer_size: int = AUTOTUNE) -> Dataset:
        """The same: ``fit`` makes the next batches while it learns."""
        return self
