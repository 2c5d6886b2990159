"""Batches that somebody else makes: what ``fit`` takes in place of arrays.

Three kinds of thing give batches ``(x, y)`` or ``(x, y, sample_weight)``:

- a numbered source has ``__len__``, the batches in a round, ``batch(number)``, which gives the same
  batch whenever it is asked, ``plan()``, what its batches depend on, and perhaps ``next_number``,
  of the batch that a training begins with. Only such a training can be resumed;
- a sequence has ``__len__`` and ``__getitem__``, and perhaps ``on_epoch_end``, as Keras's own;
- an iterable gives one batch after the other, for ever, or again from its beginning.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from tinymnist.nn.arrays import Array

Item = TypeVar("Item")

_AHEAD = 2
"""Batches that are made before they are wanted."""
_END: Any = object()


@runtime_checkable
class Numbered(Protocol):
    """A source whose batches have numbers, through all rounds."""

    def __len__(self) -> int: ...
    def batch(self, number: int) -> Any: ...
    def plan(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Batch:
    """Examples for one step of the optimizer, to be cut into pieces.

    Attributes:
        x: examples (m, *input_shape), of which the batch may be a part.
        targets: (m, classes).
        weights: (m,).
        rows: (n,), which of them belong to the batch.
        is_prepared: whether ``x`` is augmented, and through the frozen part, already.
    """

    x: Array
    targets: Array
    weights: Array
    rows: Array
    is_prepared: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def piece(self, part: slice) -> tuple[Array, Array, Array]:
        """The examples, targets and weights of a part of the batch, copied."""
        rows = self.rows[part]
        return self.x[rows], self.targets[rows], self.weights[rows]


class Source:
    """Any of the three kinds, read in steps; the next batches are made while the network learns.

    Attributes:
        origin: where batches come from.
        steps: batches in an epoch. They go on where the epoch before stopped, so an epoch may be
            shorter or longer than a round.
        first: the number of the batch that the first epoch begins with.
    """

    def __init__(
        self,
        origin: Any,
        steps: int | None = None,
        examine: Callable[[Any], Any] = lambda batch: batch,
    ) -> None:
        """Take ``steps`` batches an epoch; None takes a round. Each goes through ``examine``."""
        if steps is None and not hasattr(origin, "__len__"):
            raise ValueError(
                "a generator without a length needs steps_per_epoch (or steps, validation_steps). "
                f"Received: {origin!r}"
            )
        self.origin, self.steps = origin, int(len(origin) if steps is None else steps)
        if self.steps < 1:
            raise ValueError(f"an epoch needs at least one batch. Received: steps={self.steps}")
        self.first: int = getattr(origin, "next_number", 0)
        self._examine = examine
        self._stream: Iterator[Any] | None = None

    def epoch(self, number: int, start: int = 0) -> Iterator[Any]:
        """The batches of an epoch from ``start`` on, made and examined in another thread."""
        first = self.first + number * self.steps
        return ahead(map(self._examine, self._read(first + start, first + self.steps)))

    def seek(self, epoch: int, batch: int) -> None:
        """Let whoever reads the origin next go on with this batch of this epoch."""
        if hasattr(self.origin, "next_number"):
            self.origin.next_number = self.first + epoch * self.steps + batch

    def plan(self) -> dict[str, Any]:
        """What batches depend on, for a checkpoint.

        Raises:
            ValueError: when nobody can tell, so that no training can be resumed.
        """
        if not isinstance(self.origin, Numbered):
            raise ValueError(
                "a training can be resumed when its generator has batch(number) and plan(), as "
                f"ImageDataGenerator.flow(..., seed=0) has. Received: {self.origin!r}"
            )
        return {"source": self.origin.plan(), "steps": self.steps}

    def _read(self, first: int, last: int) -> Iterator[Any]:
        """Batches by their number from the beginning of the training."""
        if isinstance(self.origin, Numbered):
            return map(self.origin.batch, range(first, last))
        if hasattr(self.origin, "__len__") and hasattr(self.origin, "__getitem__"):
            return self._read_sequence(first, last)
        return (self._next() for _ in range(first, last))

    def _read_sequence(self, first: int, last: int) -> Iterator[Any]:
        length = len(self.origin)
        for number in range(first, last):
            yield self.origin[number % length]
            if number % length == length - 1 and hasattr(self.origin, "on_epoch_end"):
                self.origin.on_epoch_end()

    def _next(self) -> Any:
        """The next batch of the stream; a stream that ends begins anew, if it can."""
        if self._stream is None:
            self._stream = iter(self.origin)
        batch = next(self._stream, _END)
        if batch is _END:
            self._stream = iter(self.origin)
            batch = next(self._stream, _END)
        if batch is _END:
            raise ValueError(
                "a generator must give epochs * steps_per_epoch batches, or begin anew. "
                f"Received: {self.origin!r}, which has no more"
            )
        return batch


def is_source(x: Any) -> bool:
    """Whether ``x`` gives batches, and is no array or list of examples."""
    if isinstance(x, (list, tuple, str)) or hasattr(x, "__array__"):
        return False
    return isinstance(x, (Iterable, Numbered)) or hasattr(x, "__getitem__")


def unpack(batch: Any) -> tuple[Any, Any, Any]:
    """``(x, y, sample_weight)`` of a batch; what it lacks is None."""
    if not isinstance(batch, (tuple, list)):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise ValueError(
            f"a batch must be (x, y) or (x, y, sample_weight). Received: {len(batch)} entries"
        )
    x, y, weight = (*batch, None, None)[:3]
    return x, y, weight


def gathered(origin: Any, steps: int | None = None) -> tuple[Array, Array | None, Array | None]:
    """All examples, labels and weights of one round, or of ``steps`` batches, as arrays."""
    source = Source(origin, steps, unpack)
    source.first = 0  # a round is the same whenever it is measured
    x, y, weights = (
        None if parts[0] is None else np.concatenate(parts)
        for parts in zip(*source.epoch(0), strict=True)
    )
    return np.asarray(x), y, weights


def ahead(items: Iterator[Item], depth: int = _AHEAD) -> Iterator[Item]:
    """The same items in the same order, made in a thread of their own before they are wanted."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="tinymnist-ahead")
    try:
        waiting = deque(pool.submit(next, items, _END) for _ in range(depth))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(next, items, _END))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)
