"""What an experiment is: one thing changed in one model, to see whether it explains the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tinymnist.compare.matching import Pair
from tinymnist.compare.rerun import Trial
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
"""Every cause that is tried out, with what it means."""


class Variant(NamedTuple):
    """One experiment.

    Attributes:
        cause: one of :data:`CAUSES`.
        change: what is changed, to be read behind "with".
        trial: the changed model and input.
    """

    cause: str
    change: str
    trial: Trial


@dataclass(frozen=True)
class Scene:
    """Where two sides part, as the experimenter sees it.

    Attributes:
        trial: the model that is experimented on.
        pairs: its outputs (a) beside those that are to be explained (b).
        parting: the number of the first pair that parts.
        suspects: layers behind the last pair that agrees, up to the one that parts, in order.
        from_start: whether nothing behind the input is known to agree.
    """

    trial: Trial
    pairs: Sequence[Pair]
    parting: int
    suspects: Sequence[Layer]
    from_start: bool

    @property
    def at_end(self) -> bool:
        """Whether only the last output parts."""
        return self.parting == len(self.pairs) - 1


Experiments = Iterator[Variant]


def scopes(layers: Sequence[Layer], suspects: Sequence[Layer]) -> Iterator[tuple[str, list[Layer]]]:
    """Where to change something: in all layers of a kind at once, then in each suspect alone.

    Yields:
        What to call them, and the layers.
    """
    if len(layers) > 1:
        yield "all of them", list(layers)
    names = {suspect.name for suspect in suspects}
    for layer in layers:
        if layer.name in names:
            yield layer.name, [layer]
