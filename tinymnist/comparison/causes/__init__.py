"""The known causes of differences, and what an experiment on one of them is.

An experiment changes one thing in a model or its input, to see whether the outputs become those of
the other side. ``inputs``, ``orders``, ``settings`` and ``dropout`` hold the experiments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tinymnist.comparison.matching import Pair
from tinymnist.comparison.rerun import Rerun
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import Layer

SCALING = "input scaling"
POLARITY = "polarity"
LAYOUT = "channel order or layout"
FLATTEN = "flatten order"
EPSILON = "BatchNorm epsilon"
TRAINING = "BatchNorm in training mode"
PADDING = "padding side"
FLIPPED = "flipped kernels"
SOFTMAX = "softmax"
DROPOUT = "dropout active"
ACTIVATION = "activation"
POOLING = "pooling"

CAUSES = {
    SCALING: "pictures in another range: 0..255, 0..1, -1..1, or by mean and deviation",
    POLARITY: "black on white instead of white on black",
    LAYOUT: "axes in another order: channels, height and width, or those of a kernel",
    FLATTEN: "a picture becomes a vector in another order",
    EPSILON: "another number is added to the variance",
    TRAINING: "normalized by this batch, not by the statistics gathered in training",
    PADDING: "the odd pixel of the padding on the other side",
    FLIPPED: "kernels turned by 180 degrees, as true convolution and Theano have them",
    SOFTMAX: "applied once too often, left out, or as a logarithm",
    DROPOUT: "numbers are dropped, as in training",
    ACTIVATION: "another activation, or the same with another slope",
    POOLING: "maximum or mean, with or without padded pixels",
}
"""Every cause that is tested, with what it means."""


class Experiment(NamedTuple):
    """One changed run.

    Attributes:
        cause: one of :data:`CAUSES`.
        change: what is changed, worded to follow "with".
        rerun: the changed model and input.
    """

    cause: str
    change: str
    rerun: Rerun


Experiments = Iterator[Experiment]


@dataclass(frozen=True)
class Mismatch:
    """Where two sides start to differ.

    Attributes:
        rerun: the model that the experiments change.
        pairs: its outputs (a) beside the other side's (b).
        first: the index of the first pair that differs.
        suspects: the layers after the last pair that agrees, up to the one that differs, in order.
        from_start: whether no output after the input is known to agree.
    """

    rerun: Rerun
    pairs: Sequence[Pair]
    first: int
    suspects: Sequence[Layer]
    from_start: bool

    @property
    def at_end(self) -> bool:
        """Whether only the last output differs."""
        return self.first == len(self.pairs) - 1

    def with_input(self, cause: str, change: str, x: Array) -> Experiment:
        """The experiment of running on another input."""
        return Experiment(cause, change, self.rerun.with_input(x))

    def with_layers(self, cause: str, change: str, layers: Mapping[str, Layer]) -> Experiment:
        """The experiment of replacing layers, by name."""
        return Experiment(cause, change, self.rerun.with_layers(layers))

    def scopes(self, layers: Sequence[Layer]) -> Iterator[tuple[str, list[Layer]]]:
        """What to change together: all of some layers, then each of them that is a suspect.

        Yields:
            What to call them, and the layers.
        """
        if len(layers) > 1:
            yield "all of them", list(layers)
        names = {suspect.name for suspect in self.suspects}
        for layer in layers:
            if layer.name in names:
                yield layer.name, [layer]
