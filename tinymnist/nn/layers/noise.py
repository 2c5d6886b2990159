"""Dropout's relatives, which disturb numbers in training and do nothing in inference."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers.base import picture_shape
from tinymnist.nn.layers.fixed import Dropout


@dataclass(eq=False, repr=False)
class SpatialDropout2D(Dropout):
    """Zero each channel of each picture, as a whole, with probability ``rate`` in training.

    Neighbouring pixels say much the same, so that dropping single ones removes little (Tompson et
    al., 2015, "Efficient Object Localization Using Convolutional Networks").

    Raises:
        ValueError: for a rate outside [0, 1).
    """

    def output_shape(self, *input_shapes: Shape) -> Shape:
        return picture_shape(input_shapes[0], self)

    def disturb(self, x: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        channels = np.ones((len(x), 1, 1, x.shape[-1]), x.dtype)
        _, mask = F.dropout(channels, self.rate, rng)
        return x * mask, mask


@dataclass(eq=False, repr=False)
class GaussianNoise(Dropout):
    """Add normal noise of standard deviation ``stddev`` in training.

    The gradient passes through unchanged, as noise does not depend on the input.

    Raises:
        ValueError: for a negative standard deviation.
    """

    rate: float = field(init=False, repr=False, default=0.0)
    stddev: float

    def __post_init__(self) -> None:
        if not self.stddev >= 0:
            raise ValueError(f"stddev must be at least 0. Received: stddev={self.stddev!r}")

    @property
    def draws(self) -> bool:
        return self.stddev > 0

    def disturb(self, x: Array, rng: np.random.Generator) -> tuple[Array, None]:
        return x + rng.normal(0, self.stddev, x.shape).astype(x.dtype), None
