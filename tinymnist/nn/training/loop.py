"""The training loop: cut a batch into pieces, sum their gradients, step, and notify the callbacks.

Everything random follows from one key and the position in the training, so neither the number of
threads nor an interruption changes a single bit of the result. :mod:`tinymnist.nn.plain_training`
is the same loop without pieces, threads and callbacks.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import Graph
from tinymnist.nn.layers.regularizers import add_penalty_gradients, constrain, penalty_of
from tinymnist.nn.parallel import Workers, pieces
from tinymnist.nn.training.batches import Examples, measure
from tinymnist.nn.training.frozen import Stages
from tinymnist.nn.training.metrics import sums_of
from tinymnist.nn.training.state import Training

MICRO_BATCH_SIZES = (16, 64)
"""The fewest and the most examples that a thread carries through the network at a time: few enough
to stay in its cache, and enough to keep Python's own share of the work small."""


class PieceResult(NamedTuple):
    """What one piece of a batch contributes.

    Attributes:
        loss: weighted sum over the examples.
        sums: of all metrics, over the examples.
        share: of the batch's examples.
        gradients: of the batch's mean loss, by ``"layer/array"``; summed over the pieces.
        statistics: new moving statistics, by ``"layer/array"``; averaged by ``share``.
    """

    loss: float
    sums: list[float]
    share: float
    gradients: dict[str, Array]
    statistics: dict[str, Array]


@dataclass(frozen=True)
class Loop:
    """Runs a training to its end.

    Attributes:
        training: what callbacks see and change.
        stages: its model and examples, cut where the frozen part ends.
        is_dense: whether the network takes a small batch as one piece.
        workers: the threads.
    """

    training: Training
    stages: Stages
    is_dense: bool
    workers: Workers

    def run(self) -> None:
        """Train from the position to the end."""
        training = self.training
        training.notify("on_train_begin")
        while not training.is_over:
            with closing(self._batches()) as batches:
                for batch in batches:
                    self._step(*batch)
                    training.position.batch += 1
                    training.notify("on_batch_end")
                    if training.interrupted:
                        break
            if not training.interrupted:
                self._end_epoch()
        training.notify("on_train_end")

    def _batches(self) -> Generator[tuple[Examples, Array], None, None]:
        """What is left of the epoch: examples, and the rows of them that make the batch."""
        training, examples = self.training, self.stages.examples
        epoch, start = training.position.epoch, training.position.batch
        if training.data.source is not None:
            for made in training.data.source.epoch(epoch, start):
                yield made, np.arange(len(made))
        if examples is not None:
            order = np.arange(len(examples))
            if training.shuffle:
                order = self._rng(epoch).permutation(order)
            for part in pieces(len(order), training.batch_size)[start:]:
                yield examples, order[part]

    def _step(self, examples: Examples, rows: Array) -> None:
        """Gradients of all pieces, summed in their order, then one step of the optimizer."""
        training, position, n = self.training, self.training.position, len(rows)
        size = training.micro_batch_size or default_micro_batch_size(training.model, n)

        def learn(part: tuple[int, slice]) -> PieceResult:
            rng = self._rng_of_piece(part[0])
            return self._learn_from(self._prepared(examples.take(rows[part[1]]), rng), rng, n)

        if self.is_dense and n <= MICRO_BATCH_SIZES[1]:
            batch = self._prepared_in_pieces(examples.take(rows), size)
            results = [self._learn_from(batch, self._rng_of_piece(0), n)]
        else:
            results = self.workers.map(learn, list(enumerate(pieces(n, size))))
        position.loss += sum(result.loss for result in results)
        sums = [*filter(None, [position.sums]), *(result.sums for result in results)]
        position.sums = [sum(column) for column in zip(*sums, strict=True)]
        position.examples += n
        # Sums in the order of the pieces do not depend on which thread was quicker.
        gradients = {
            name: reduce(np.add, [result.gradients[name] for result in results])
            for name in results[0].gradients
        }
        layers = self.stages.network.layers
        position.loss += n * penalty_of(layers)
        add_penalty_gradients(layers, gradients)
        training.optimizer.apply(training.model.trainable_weights, gradients)
        constrain(layers)
        for name in results[0].statistics:
            value = reduce(np.add, [r.statistics[name] * r.share for r in results])
            layer, key = name.rsplit("/", 1)
            setattr(training.model.get_layer(layer), key, value)

    def _prepared_in_pieces(self, batch: Examples, size: int) -> Examples:
        """A whole batch, prepared in the threads; its pieces count from 1, as the network is 0."""
        if self.training.augment is None and self.stages.front is None:
            return batch
        prepared = self.workers.map(
            lambda part: self._prepared(batch.take(part[1]), self._rng_of_piece(part[0])).x,
            list(enumerate(pieces(len(batch), size), start=1)),
        )
        return Examples(np.concatenate(prepared), batch.targets, batch.weights)

    def _prepared(self, piece: Examples, rng: np.random.Generator | None) -> Examples:
        """Augmented, and passed through the frozen part, if either must happen in every step."""
        x, augment, front = piece.x, self.training.augment, self.stages.front
        if augment is not None and rng is not None:
            x = self.training.model.cast(augment(x, rng))
        return Examples(x if front is None else front.run(x), piece.targets, piece.weights)

    def _learn_from(
        self, piece: Examples, rng: np.random.Generator | None, batch_size: int
    ) -> PieceResult:
        """Forward and backward for one piece; changes nothing, so it may run in any thread."""
        network, x, targets, weights = self.stages.network, piece.x, piece.targets, piece.weights
        loss_of = self.training.loss
        fused = loss_of.fuses_softmax  # then the outputs are logits
        outputs, caches = network.forward(x, training=True, rng=rng, logits=fused)
        losses, cache = loss_of.losses(outputs, loss_of.smooth(targets))
        doutputs = loss_of.backward(weights / batch_size, cache)
        _, gradients = network.backward(doutputs, caches, logits=fused)
        statistics = {
            f"{layer.name}/{key}": value
            for layer, layer_cache in zip(network.layers, caches, strict=True)
            for key, value in layer.new_statistics(layer_cache).items()
        }
        sums = sums_of(self.training.metrics, outputs, targets, fused)
        loss = float((losses * weights).sum())
        return PieceResult(loss, sums, len(x) / batch_size, gradients, statistics)

    def _end_epoch(self) -> None:
        training, position = self.training, self.training.position
        logs = training.figures
        if self.stages.validation is not None:
            figures = measure(
                self.stages.measured,
                self.stages.validation,
                self.workers.count,
                loss=training.loss,
                metrics=training.metrics,
                plain=True,
            )
            logs |= {f"val_{name}": figure for name, figure in figures.items()}
        logs["learning_rate"] = training.optimizer.current_learning_rate()
        training.history.append(position.epoch, logs)
        position.next_epoch()
        training.notify("on_epoch_end", logs)

    def _rng(self, *where: int) -> np.random.Generator:
        """A generator for this place in the training, the same however it was reached."""
        return np.random.default_rng([self.training.position.key, *where])

    def _rng_of_piece(self, number: int) -> np.random.Generator | None:
        """A piece's own; None if nothing draws, since making one costs as much as a layer."""
        layers = self.stages.network.layers
        if self.training.augment is None and not any(layer.draws for layer in layers):
            return None
        return self._rng(self.training.position.epoch, self.training.position.batch, number)


def default_micro_batch_size(model: Graph, batch_size: int) -> int:
    """How many examples a thread takes at a time if the user names no number: see ``fit``."""
    if any(layer.mixes_batch and layer.learns for layer in model.layers):
        return batch_size
    fewest, most = MICRO_BATCH_SIZES
    return min(max(batch_size // 2, fewest), most)


def has_dense_gradients(network: Graph) -> bool:
    """Whether a piece has more numbers in its gradients than its examples have in all layers.

    Dense layers on many features do. There, cutting a small batch and summing the gradients of its
    pieces would take longer than multiplying it as a whole.
    """
    learning = sum(array.size for array in network.trainable_weights.values())
    outputs = sum(math.prod(network.shapes[layer.name]) for layer in network.layers)
    return learning > MICRO_BATCH_SIZES[1] * outputs
