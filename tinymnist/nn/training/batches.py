"""Examples in arrays, sources that make batches of them, and how well a network does on them.

In place of arrays, ``fit``, ``evaluate`` and ``predict`` take three kinds of source, whose batches
are ``(x, y)`` or ``(x, y, sample_weight)``:

- a numbered source has ``__len__``, the number of batches in a round; ``batch(number)``, which
  returns the same batch whenever it is called; ``plan()``, what its batches depend on; and
  optionally ``next_number``, the batch that a training begins with. Only a training on such a
  source can be resumed;
- a sequence has ``__len__`` and ``__getitem__``, and optionally ``on_epoch_end``, as Keras's own;
- an iterable yields one batch after the other, endlessly, or again from the start.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import Graph
from tinymnist.nn.layers.regularizers import penalty_of
from tinymnist.nn.losses import Loss, example_weights, get_loss
from tinymnist.nn.training.metrics import Metric, results_of, sums_of

Item = TypeVar("Item")

_PREFETCHED = 2
_END: Any = object()


@runtime_checkable
class Numbered(Protocol):
    """A source whose batches have numbers, counted on through all rounds."""

    def __len__(self) -> int: ...
    def batch(self, number: int) -> Any: ...
    def plan(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Examples:
    """Examples as the network takes them.

    Attributes:
        x: (n, *input_shape).
        targets: (n, classes).
        weights: (n,), how much each counts in the loss.
    """

    x: Array
    targets: Array
    weights: Array

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Any) -> Examples:
        """Some of them, by a slice, which copies nothing, or by their numbers, which copies."""
        return Examples(self.x[rows], self.targets[rows], self.weights[rows])


class Source:
    """A source of any kind, read in steps; the next batches are made while the network learns.

    Attributes:
        origin: where batches come from.
        steps: batches per epoch. Each epoch continues where the one before stopped, so it may be
            shorter or longer than a round.
        first: the number of the batch that epoch 0 begins with.
    """

    def __init__(
        self, origin: Any, steps: int | None, convert: Callable[[Any], Any], first_epoch: int = 0
    ) -> None:
        """Plan ``steps`` batches per epoch (None: a round), each passed through ``convert``.

        The source's next batch is the first of ``first_epoch``.

        Raises:
            ValueError: if the steps are unknown, or less than 1.
        """
        if steps is None and not hasattr(origin, "__len__"):
            raise ValueError(
                "a generator without a length needs steps_per_epoch (or steps, validation_steps). "
                f"Received: {origin!r}"
            )
        self.origin, self.steps = origin, int(len(origin) if steps is None else steps)
        if self.steps < 1:
            raise ValueError(f"an epoch needs at least one batch. Received: steps={self.steps}")
        self.first: int = getattr(origin, "next_number", 0) - first_epoch * self.steps
        self._convert = convert
        self._stream = self._endless()

    def epoch(self, number: int, start: int = 0) -> Iterator[Any]:
        """The batches of an epoch from ``start`` on, made and converted in another thread."""
        first, last = (self.first + number * self.steps + n for n in (start, self.steps))
        made: Iterator[Any] = islice(self._stream, last - first)
        if isinstance(self.origin, Numbered):
            made = map(self.origin.batch, range(first, last))
        return prefetch(map(self._convert, made))

    def seek(self, epoch: int, batch: int) -> None:
        """Let the next reader of the origin continue with this batch of this epoch."""
        if hasattr(self.origin, "next_number"):
            self.origin.next_number = self.first + epoch * self.steps + batch

    def plan(self) -> dict[str, Any]:
        """What batches depend on, for a checkpoint.

        Raises:
            ValueError: if the origin cannot say, so that no training can be resumed.
        """
        if not isinstance(self.origin, Numbered):
            raise ValueError(
                "a training can be resumed if its generator has batch(number) and plan(), as "
                f"ImageDataGenerator.flow(..., seed=0) has. Received: {self.origin!r}"
            )
        return {"source": self.origin.plan(), "steps": self.steps}

    def _endless(self) -> Iterator[Any]:
        """One round after the other."""
        is_sequence = hasattr(self.origin, "__len__") and hasattr(self.origin, "__getitem__")
        while True:
            batch = _END
            for batch in self._sequence() if is_sequence else self.origin:
                yield batch
            if batch is _END:
                raise ValueError(
                    "a generator must give epochs * steps_per_epoch batches, or start again. "
                    f"Received: {self.origin!r}, which has no more"
                )

    def _sequence(self) -> Iterator[Any]:
        for number in range(len(self.origin)):
            batch = self.origin[number]
            if number == len(self.origin) - 1 and hasattr(self.origin, "on_epoch_end"):
                self.origin.on_epoch_end()
            yield batch


def is_source(x: Any) -> bool:
    """Whether ``x`` makes batches, rather than being an array or a list of examples."""
    if isinstance(x, (list, tuple, str)) or hasattr(x, "__array__"):
        return False
    return isinstance(x, (Iterable, Numbered)) or hasattr(x, "__getitem__")


def first_shape(x: Any) -> tuple[int, ...]:
    """The shape of the examples, or of a source's first batch, which is not used up.

    Raises:
        ValueError: if the source cannot show it beforehand.
    """
    if not is_source(x):
        return np.shape(x)
    if isinstance(x, Numbered):
        return np.shape(unpack(x.batch(0))[0])
    if hasattr(x, "__getitem__"):
        return np.shape(unpack(x[0])[0])
    raise ValueError(
        f"a model must know its input: begin with Input((28, 28, 1)). Received: a generator {x!r}"
    )


def unpack(batch: Any) -> tuple[Any, Any, Any]:
    """``(x, y, sample_weight)`` of a batch of one to three entries; None for what it lacks."""
    if not isinstance(batch, (tuple, list)):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise ValueError(
            f"a batch must be (x, y) or (x, y, sample_weight). Received: {len(batch)} entries"
        )
    x, y, weight = (*batch, None, None)[:3]
    return x, y, weight


def read_round(origin: Any, steps: int | None = None) -> tuple[Array, Array | None, Array | None]:
    """All examples, labels and weights of a source's first round, or first ``steps`` batches."""
    source = Source(origin, steps, unpack)
    source.first = 0  # a round is the same whenever it is measured
    x, y, weights = (
        None if parts[0] is None else np.concatenate(parts)
        for parts in zip(*source.epoch(0), strict=True)
    )
    return np.asarray(x), y, weights


def prefetch(items: Iterator[Item]) -> Iterator[Item]:
    """The same items in the same order, each made in a thread before it is needed."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1, thread_name_prefix="tinymnist-prefetch")
    try:
        waiting = deque(pool.submit(next, items, _END) for _ in range(_PREFETCHED))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(next, items, _END))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)


def examples_of(
    model: Graph,
    loss: Loss | None,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | str | None = None,
) -> Examples:
    """Check examples, labels and weights, and convert them to the model's shape and dtype.

    Without a ``loss``, labels may be class numbers or rows of probabilities.

    Raises:
        ValueError: if there are none, they do not fit the model or each other, or are not finite.
    """
    if y is None:
        raise ValueError("expected examples with labels (x, y). Received: x alone")
    if loss is None:
        is_sparse = np.shape(np.asarray(y))[1:] in ((), (1,))
        loss = get_loss(f"{'sparse_' if is_sparse else ''}categorical_crossentropy")
    x = model.cast(x)
    targets = loss.targets(y, model.output_shape[-1], model.dtype)
    shape = (len(targets), *model.output_shape)
    if targets.shape != shape:
        if targets.size != math.prod(shape):
            expected = ", ".join(map(str, shape[1:]))
            raise ValueError(f"y must be of shape (n, {expected}). Received: {targets.shape}")
        targets = targets.reshape(shape)
    if len(x) != len(targets) or not len(x):
        raise ValueError(
            f"x and y must have the same length, not 0. Received: {len(x)} and {len(targets)}"
        )
    labels = targets.argmax(axis=1) if shape[1] > 1 else targets.reshape(len(x), -1)[:, 0]
    labels = labels if len(shape) == 2 else np.zeros(len(x), int)
    for name, array in (("x", x), ("y", targets)):
        if not np.isfinite([array.min(), array.max()]).all():  # NaN is passed on by both
            raise ValueError(f"{name} must be finite. Received: NaN or infinity in {name}")
    classes = max(shape[1], 2) if len(shape) == 2 else None
    weights = example_weights(labels, class_weight, sample_weight, model.dtype, classes)
    return Examples(x, targets, weights)


def measure(
    model: Graph,
    examples: Examples,
    workers: int | None,
    batch_size: int | None = None,
    *,
    loss: Loss,
    metrics: Sequence[Metric],
    plain: bool = False,
) -> dict[str, float]:
    """The loss, in which examples count by their weights, and the metrics, as in Keras.

    ``plain`` as for :meth:`Graph.predict`.
    """
    fused = loss.fuses_softmax
    outputs = model.predict(examples.x, batch_size, workers=workers, logits=fused, plain=plain)
    losses, _ = loss.losses(outputs, examples.targets)
    mean = float((losses * examples.weights).mean()) + penalty_of(model.layers)
    sums = sums_of(metrics, outputs, examples.targets, fused)
    return {"loss": mean} | results_of(metrics, sums, len(outputs))
