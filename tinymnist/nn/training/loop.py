"""The training loop: cut a batch into pieces, sum their gradients, step, and tell the callbacks.

Everything random follows from one key and the position in the training, so neither the number of
threads nor an interruption changes a single bit of the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.losses import (
    CategoricalCrossentropy,
    cross_entropy,
    cross_entropy_backward,
)
from tinymnist.nn.optimizers import Optimizer
from tinymnist.nn.training.batches import Batch, Source
from tinymnist.nn.training.callbacks import Callback
from tinymnist.nn.training.evaluation import measure
from tinymnist.nn.training.parallel import Workers, pieces

if TYPE_CHECKING:
    from tinymnist.nn.sequential import Sequential

Augment = Callable[[Array, np.random.Generator], Array]
"""``augment(images, rng) -> images``: draws a new variant of every picture."""

MICRO_BATCH_SIZES = (16, 32)
"""Examples that a thread carries through the network at a time: as many as stay in its cache, but
no fewer than keep Python's own share of the work small."""


class History:
    """What ``fit`` returns.

    Attributes:
        history: ``history["loss"]`` and the like, one number an epoch.
        epoch: the epochs' numbers, from 0.
        interrupted: whether Ctrl-C broke the training off.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.interrupted = False

    def append(self, epoch: int, logs: dict[str, float]) -> None:
        """Add the figures of one epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)


@dataclass
class Position:
    """Where a training stands. ``batch`` and the sums are within the epoch.

    All random numbers follow from ``key``; ``first`` is what epoch 0 begins with of a generator.
    """

    key: int
    epoch: int = 0
    batch: int = 0
    first: int = 0
    loss: float = 0.0
    hits: int = 0
    examples: int = 0
    finished: bool = False

    @property
    def mean_loss(self) -> float:
        """The loss of this epoch so far, by example."""
        return self.loss / max(self.examples, 1)

    @property
    def accuracy(self) -> float:
        """The accuracy of this epoch so far, on what the network was trained on."""
        return self.hits / max(self.examples, 1)

    def next_epoch(self) -> None:
        """Move to the beginning of the next epoch."""
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss, self.hits, self.examples = 0.0, 0, 0


class PieceResult(NamedTuple):
    """What one piece of a batch contributes.

    Attributes:
        loss: weighted sum over the examples.
        hits: how many were right.
        share: of the batch's examples.
        gradients: of the batch's mean loss, by ``"layer/array"``; those of all pieces add up.
        statistics: new moving statistics, by ``"layer/array"``; their mean by share counts.
    """

    loss: float
    hits: int
    share: float
    gradients: dict[str, Array]
    statistics: dict[str, Array]


class Validation(NamedTuple):
    """What is measured after each epoch: a network, and examples as in :class:`Training`."""

    network: Sequential
    x: Array
    targets: Array
    weights: Array


@dataclass
class Training:
    """One training under way: everything that callbacks may look at or change.

    Batches come from the arrays ``x`` (n, *input_shape), ``targets`` (n, classes) and ``weights``
    (n,), how much each example counts; or else from ``source``.

    Where the lower part of the model is frozen, ``network`` is the rest of it. Then ``x`` and
    ``validation`` hold the frozen part's outputs, or ``front`` is the frozen part, to be run in
    every step. With ``has_dense_gradients``, ``network`` takes a small batch in one piece. ``contents`` is a
    checksum of everything that was given to learn from and to validate by.
    """

    model: Sequential
    network: Sequential
    front: Sequential | None
    optimizer: Optimizer
    loss: CategoricalCrossentropy
    x: Array
    targets: Array
    weights: Array
    validation: Validation | None
    epochs: int
    batch_size: int
    micro_batch_size: int | None
    shuffle: bool
    augment: Augment | None
    callbacks: Sequence[Callback]
    position: Position
    seed: int | None = None
    source: Source | None = None
    contents: int = 0
    has_dense_gradients: bool = False
    is_resumed: bool = False
    history: History = field(default_factory=History)
    interrupted: bool = False

    @property
    def batches(self) -> int:
        """Batches in an epoch; the last may be smaller."""
        return self.source.steps if self.source else math.ceil(len(self.x) / self.batch_size)

    def run(self, workers: Workers) -> None:
        """Train from the position to the end."""
        self._tell("on_train_begin")
        while self.position.epoch < self.epochs and not self.position.finished:
            self._run_epoch(workers)
            if self.interrupted:
                break
            self._end_epoch(workers)
        self._tell("on_train_end")

    def _run_epoch(self, workers: Workers) -> None:
        with closing(self._batches()) as batches:
            for batch in batches:
                self._step(batch, workers)
                self.position.batch += 1
                self._tell("on_batch_end")
                if self.interrupted:
                    break

    def _batches(self) -> Generator[Batch, None, None]:
        """What is left of the epoch."""
        epoch, start = self.position.epoch, self.position.batch
        if self.source is not None:
            yield from self.source.epoch(epoch, start)
            return
        order = np.arange(len(self.x))
        if self.shuffle:
            order = self._rng(epoch).permutation(order)
        for rows in pieces(len(order), self.batch_size)[start:]:
            yield Batch(self.x, self.targets, self.weights, order[rows])

    def _step(self, batch: Batch, workers: Workers) -> None:
        """Gradients of all pieces, summed in their order, then one step of the optimizer."""
        size = self.micro_batch_size or default_micro_batch_size(self.model, len(batch))
        if self.has_dense_gradients and len(batch) <= MICRO_BATCH_SIZES[1]:
            batch, size = self._prepared_batch(batch, size, workers), len(batch)
        parts = list(enumerate(pieces(len(batch), size)))
        results = workers.map(lambda part: self._learn_from(batch, *part), parts)
        position = self.position
        position.loss += sum(result.loss for result in results)
        position.hits += sum(result.hits for result in results)
        position.examples += len(batch)
        gradients = {
            name: sum_in_order([result.gradients[name] for result in results])
            for name in results[0].gradients
        }
        self.optimizer.apply(self.model.trainable_weights, gradients)
        for name in results[0].statistics:
            value = sum_in_order([r.statistics[name] * r.share for r in results])
            layer, key = name.rsplit("/", 1)
            setattr(self.model.get_layer(layer), key, value)

    def _prepared_batch(self, batch: Batch, size: int, workers: Workers) -> Batch:
        """The batch as the network takes it, prepared in pieces in the threads."""
        if self.augment is None and self.front is None:
            return batch

        def prepare(part: tuple[int, slice]) -> Array:
            number = part[0] + 1  # the network itself draws as piece 0
            return self._prepared(batch.piece(part[1])[0], self._rng_of_piece(number))

        x = np.concatenate(workers.map(prepare, list(enumerate(pieces(len(batch), size)))))
        _, targets, weights = batch.piece(slice(None))
        return Batch(x, targets, weights, np.arange(len(x)), is_prepared=True)

    def _prepared(self, x: Array, rng: np.random.Generator | None) -> Array:
        """Augmented, and through the frozen part, where these must be done in every step."""
        if self.augment is not None and rng is not None:
            x = self.model.cast(self.augment(x, rng))
        return x if self.front is None else self.front.run(x)

    def _learn_from(self, batch: Batch, number: int, part: slice) -> PieceResult:
        """Forward and backward for one piece; changes nothing, so it may run in any thread."""
        rng = self._rng_of_piece(number)
        x, targets, weights = batch.piece(part)
        if not batch.is_prepared:
            x = self._prepared(x, rng)
        logits, caches = self.network.forward(x, training=True, rng=rng, logits=True)
        losses, cache = cross_entropy(logits, self.loss.smooth(targets))
        dlogits = cross_entropy_backward(weights / len(batch), cache)
        _, gradients = self.network.backward(dlogits, caches, logits=True)
        statistics = {
            f"{layer.name}/{key}": value
            for layer, layer_cache in zip(self.network.layers, caches, strict=True)
            for key, value in layer.new_statistics(layer_cache).items()
        }
        hits = int((logits.argmax(axis=1) == targets.argmax(axis=1)).sum())
        loss = float((losses * weights).sum())
        return PieceResult(loss, hits, len(x) / len(batch), gradients, statistics)

    def _end_epoch(self, workers: Workers) -> None:
        position = self.position
        logs = {"loss": position.mean_loss, "accuracy": position.accuracy}
        if self.validation is not None:
            loss, accuracy = measure(*self.validation, workers.count)
            logs |= {"val_loss": loss, "val_accuracy": accuracy}
        logs["learning_rate"] = self.optimizer.current_learning_rate()
        self.history.append(position.epoch, logs)
        position.next_epoch()
        self._tell("on_epoch_end", logs)

    def _rng(self, *where: int) -> np.random.Generator:
        """A generator for this place in the training, the same however one came here."""
        return np.random.default_rng([self.position.key, *where])

    def _rng_of_piece(self, number: int) -> np.random.Generator | None:
        """A piece's own; None where nobody draws, since to make one costs as much as a layer."""
        if self.augment is None and not any(layer.draws for layer in self.network.layers):
            return None
        return self._rng(self.position.epoch, self.position.batch, number)

    def _tell(self, moment: str, *details: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, moment)(self, *details)


def sum_in_order(arrays: list[Array]) -> Array:
    """Add from first to last, so that the result never depends on which thread was quicker."""
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total


def default_micro_batch_size(model: Sequential, batch_size: int) -> int:
    """How many examples a thread takes at a time where nobody says: see ``fit``."""
    coupled = any(layer.mixes_batch and layer.learns for layer in model.layers)
    if coupled:
        return batch_size
    fewest, most = MICRO_BATCH_SIZES
    return min(max(batch_size // 2, fewest), most)
