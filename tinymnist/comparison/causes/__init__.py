"""The known causes of differences, and what an experiment on one of them is.

An experiment changes one thing in a model or its input, to see whether the outputs become those of
the other side. ``inputs``, ``layers``, ``results`` and ``dropout`` hold the experiments.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tinymnist.comparison.matching import Pair
from tinymnist.comparison.measuring import mean_error
from tinymnist.comparison.rerun import Rerun
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import Layer

SCALING = "input scaling"  # pictures in another range: 0..255, -1..1, or by mean and deviation
POLARITY = "polarity"  # black on white instead of white on black
LAYOUT = "channel order or layout"  # axes in another order: of a picture or a kernel
FLATTEN = "flatten order"  # a picture becomes a vector in another order
EPSILON = "BatchNorm epsilon"  # another number is added to the variance
STATISTICS = "BatchNorm arrays exchanged"  # mean and variance, or gamma and beta
TRAINING = "BatchNorm in training mode"  # by this batch, not by the statistics of the training
PADDING = "padding side"  # the odd pixel of the padding on the other side
FLIPPED = "flipped kernels"  # turned by 180 degrees, as true convolution and Theano have them
BIAS = "bias left out"  # not carried over
SOFTMAX = "softmax"  # applied once too often, left out, as a logarithm, or over another axis
CLASSES = "class order"  # the same outputs, sorted otherwise
OUTPUT = "output scaling"  # in percent, or with a temperature
DROPOUT = "dropout active"  # numbers are dropped, as in training
ACTIVATION = "activation"  # another activation, or the same with another slope
POOLING = "pooling"  # maximum or mean, with or without padded pixels
CAUSES = (SCALING, POLARITY, LAYOUT, FLATTEN, EPSILON, STATISTICS, TRAINING, PADDING, FLIPPED, BIAS,
          SOFTMAX, CLASSES, OUTPUT, DROPOUT, ACTIVATION, POOLING)  # fmt: skip
"""Every cause that is tested."""
RESULTS = (SOFTMAX, CLASSES, OUTPUT)
"""Those that act on what the model computes last."""


class Experiment(NamedTuple):
    """A cause, what is changed (worded to follow "with"), and the changed model and input."""

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

    @functools.cached_property
    def error(self) -> float:
        """The mean error at the first mismatch."""
        return mean_error(*self.pairs[self.first])

    @property
    def depth(self) -> int:
        """How many layers lie between what is known to agree and the first mismatch."""
        layers = self.rerun.model.layers
        last = self.pairs[self.first].a.layer or layers[-1].name
        known = len(self.before(self.suspects[0].name)) if self.suspects else 0
        return max(len(self.before(last)) + 1 - known, 1)

    def feed(self, cause: str, change: str, x: Array) -> Experiment:
        """The experiment of running on another input."""
        return Experiment(cause, change, self.rerun.with_input(x))

    def swap(self, cause: str, change: str, layers: Mapping[str, Layer]) -> Experiment:
        """The experiment of replacing layers, by name."""
        return Experiment(cause, change, self.rerun.with_layers(layers))

    def before(self, name: str) -> list[str]:
        """The names of the layers before one."""
        names = [layer.name for layer in self.rerun.model.layers]
        return names[: names.index(name)]

    def scopes(self, fits: Callable[[Layer], bool]) -> Iterator[tuple[str, list[Any]]]:
        """A name and what to change together: all layers that fit, then each suspect that does.

        Layers before the suspects are known to agree, and are left out.
        """
        skipped = self.before(self.suspects[0].name) if self.suspects else []
        layers = [one for one in self.rerun.model.layers if one.name not in skipped and fits(one)]
        if len(layers) > 1:
            yield "all of them", layers
        yield from ((layer.name, [layer]) for layer in self.suspects if fits(layer))
