"""What the training loop and its callbacks share: a training, where it stands, its history."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import Graph
from tinymnist.nn.losses import Loss
from tinymnist.nn.optimizers import Optimizer
from tinymnist.nn.training.batches import Examples, Source
from tinymnist.nn.training.metrics import Metric, results_of
from tinymnist.reporting.text import count

Augment = Callable[[Array, np.random.Generator], Array]
"""``augment(images, rng) -> images``: draws a new variant of every picture."""
_CURVES = {"loss": "#4c72b0", "val_loss": "#dd8452"}
"""The columns that a notebook shows as curves, and their colours."""


class Callback:
    """The base of all callbacks: ``fit`` calls these methods, each with the whole training."""

    order: ClassVar[int] = 0
    """Callbacks of a higher order are called later."""
    remembered: ClassVar[tuple[str, ...]] = ()
    """The attributes, plain numbers, that a checkpoint keeps."""

    def on_train_begin(self, training: Training) -> None:
        """Before the first batch, also after resuming."""

    def on_batch_end(self, training: Training) -> None:
        """After every step of the optimizer."""

    def on_epoch_end(self, training: Training, logs: dict[str, float]) -> None:
        """After every epoch; ``logs`` is the newest row of the history."""

    def on_train_end(self, training: Training) -> None:
        """After the last batch, also when the training was stopped or interrupted."""

    def get_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What a checkpoint must keep of this callback: notes for JSON, and arrays."""
        return {name: getattr(self, name) for name in self.remembered}, {}

    def set_state(self, notes: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Restore what :meth:`get_state` returned."""
        for name in self.remembered:
            setattr(self, name, notes[name])


class History:
    """What ``fit`` returns. A notebook shows it as curves and a table.

    Attributes:
        history: the columns ``"loss"``, ``"accuracy"``, ``"val_loss"`` ..., one number per epoch.
        epoch: the numbers of the epochs, from 0.
        params: how many ``epochs`` and ``steps`` per epoch were asked for, as in Keras.
        interrupted: whether Ctrl-C ended the training early.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.params: dict[str, Any] = {}
        self.interrupted = False

    def append(self, epoch: int, logs: dict[str, float]) -> None:
        """Add the figures of one epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {column[-1]:.4g}" for name, column in self.history.items())
        ending = ", interrupted" if self.interrupted else ""
        return f"<History of {count(len(self.epoch), 'epoch')}{ending}; last: {last or 'none'}>"

    def _repr_html_(self) -> str:
        """Curves of the losses above a table of all figures."""
        from tinymnist.reporting import html

        columns = {"epoch": [str(number + 1) for number in self.epoch]} | {
            name: [f"{value:.4g}" for value in column] for name, column in self.history.items()
        }
        rows = zip(*columns.values(), strict=False)  # callbacks may add columns later
        table = html.table(list(columns), map(html.row, rows))
        losses = {n: self.history[n] for n in _CURVES if len(self.history.get(n, ())) > 1}
        return f"<div>{_curves(losses) if losses else ''}{table}</div>"


def _curves(columns: dict[str, list[float]]) -> str:
    """An inline SVG with one line per column, all on one scale that starts at 0."""
    width, height, margin = 320, 110, 8  # pixels
    top = max((v for column in columns.values() for v in column if 0 <= v < math.inf), default=0)
    lines = names = ""
    for name, column in columns.items():
        right, up = (width - 2 * margin) / (len(column) - 1), (height - 2 * margin) / (top or 1)
        points = " ".join(
            f"{margin + i * right:.1f},{height - margin - v * up:.1f}"
            for i, v in enumerate(column)
            if 0 <= v <= top
        )
        style = f'fill="none" stroke="{_CURVES[name]}" stroke-width="2"'
        lines += f'<polyline {style} points="{points}"/>'
        names += f' <span style="color:{_CURVES[name]}">{name}</span>'
    image = f'<svg width="{width}" height="{height}" role="img">{lines}</svg>'
    return f"{image}<p>0 to {top:.4g}:{names}</p>"


class Data(NamedTuple):
    """What a training learns from, and what it validates on.

    Attributes:
        examples: all examples; or, if ``source`` makes batches, None.
        source: where batches come from, or None.
        validation: the examples measured after each epoch, or None.
        contents: CRC-32 of all of it, by which a checkpoint recognizes it.
    """

    examples: Examples | None
    source: Source | None
    validation: Examples | None
    contents: int


@dataclass
class Position:
    """Where a training stands; ``batch`` and the sums count within the epoch.

    Attributes:
        key: all random numbers of the training follow from it and from the position.
        epoch, batch: how many are done; also the number of the next one.
        first: the number of the batch, in a source, that epoch 0 begins with.
        loss, examples: sums over the epoch so far.
        hits: what checkpoints of version 0.2 have instead of sums.
        sums: of all metrics, over the epoch so far.
        finished: set by a callback to end the training after this epoch.
    """

    key: int
    epoch: int = 0
    batch: int = 0
    first: int = 0
    loss: float = 0.0
    hits: int = 0
    examples: int = 0
    finished: bool = False
    sums: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.hits and not self.sums:
            self.sums = [float(self.hits)]

    @property
    def mean_loss(self) -> float:
        """The mean loss per example in this epoch so far."""
        return self.loss / max(self.examples, 1)

    @property
    def accuracy(self) -> float:
        """The first metric in this epoch so far, on the examples as the network saw them."""
        return sum(self.sums[:1]) / max(self.examples, 1)

    def next_epoch(self) -> None:
        """Move to the beginning of the next epoch."""
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss, self.hits, self.examples, self.sums = 0.0, 0, 0, []


@dataclass
class Training:
    """One training under way: everything that callbacks may look at or change.

    Attributes:
        model: the model that learns, all of it.
        optimizer, loss: what ``compile`` chose.
        data: what it learns from and validates on.
        epochs, batch_size, shuffle, augment: as in :meth:`Sequential.fit`.
        micro_batch_size: examples per piece; None if it depends on the batch.
        callbacks: in the order in which they are called.
        seed: the number given as ``rng``, or None.
        position: where it stands; a callback ends the training by ``position.finished = True``.
        metrics: what is measured beside the loss.
        history: the figures of all epochs so far.
        is_resumed: whether it goes on from a checkpoint.
        interrupted: set it to end the training after this batch, as Ctrl-C does.
    """

    model: Graph
    optimizer: Optimizer
    loss: Loss
    data: Data
    epochs: int
    batch_size: int
    micro_batch_size: int | None
    shuffle: bool
    augment: Augment | None
    callbacks: list[Callback]
    seed: int | None
    position: Position
    metrics: list[Metric] = field(default_factory=list)
    history: History = field(default_factory=History)
    is_resumed: bool = False
    interrupted: bool = False

    @property
    def figures(self) -> dict[str, float]:
        """The loss and the metrics of this epoch so far."""
        position = self.position
        figures = {"loss": position.mean_loss}
        return figures | results_of(self.metrics, position.sums, position.examples)

    @property
    def batches(self) -> int:
        """Batches per epoch; the last may be smaller."""
        if self.data.source is not None:
            return self.data.source.steps
        return math.ceil(len(self.data.examples or ()) / self.batch_size)

    @property
    def is_over(self) -> bool:
        """Whether no epoch is left, or something ended the training early."""
        position = self.position
        return self.interrupted or position.finished or position.epoch >= self.epochs

    def notify(self, moment: str, *details: Any) -> None:
        """Call this method of every callback."""
        for callback in self.callbacks:
            getattr(callback, moment)(self, *details)
