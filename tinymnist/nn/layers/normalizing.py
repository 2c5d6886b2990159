"""Layers that bring numbers to a common scale: by batch, by example, or by fixed numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.functional.normalizing import NormCache
from tinymnist.nn.layers.base import Layer


@dataclass(eq=False)
class BatchNormalization(Layer):
    """Normalize every channel, in training by its batch, afterwards by the moving statistics.

    Frozen, it uses the moving statistics in training too, and leaves them alone. ``momentum`` is
    Keras's: the share of the old moving value that is kept (PyTorch's is one minus that).
    """

    parameters: ClassVar[tuple[str, ...]] = ("gamma", "beta")
    statistics: ClassVar[tuple[str, ...]] = ("moving_mean", "moving_variance")
    mixes_batch: ClassVar[bool] = True

    momentum: float = 0.99
    epsilon: float = 1e-3
    gamma: Array = field(init=False, repr=False)
    beta: Array = field(init=False, repr=False)
    moving_mean: Array = field(init=False, repr=False)
    moving_variance: Array = field(init=False, repr=False)

    def weight_shapes(self, *input_shapes: Shape) -> dict[str, Shape]:
        return dict.fromkeys((*self.parameters, *self.statistics), input_shapes[0][-1:])

    def initial_value(self, name: str, shape: Shape, rng: np.random.Generator) -> Array:
        return np.ones(shape) if name in ("gamma", "moving_variance") else np.zeros(shape)

    def multiply_adds(self, *input_shapes: Shape) -> int:
        return int(np.prod(input_shapes[0]))

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        if training and self.trainable:
            return F.batch_normalization(xs[0], self.gamma, self.beta, self.epsilon)
        return F.batch_normalization_inference(
            xs[0], self.gamma, self.beta, self.moving_mean, self.moving_variance, self.epsilon
        )

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        if isinstance(cache, NormCache):
            dx, dgamma, dbeta = F.batch_normalization_backward(dy, cache)
        else:
            dx, dgamma, dbeta = F.batch_normalization_inference_backward(dy, cache)
        return (dx if need_dx else None,), (
            {"gamma": dgamma, "beta": dbeta} if self.trainable else {}
        )

    def new_statistics(self, cache: Any) -> dict[str, Array]:
        if not isinstance(cache, NormCache):
            return {}
        old, new = self.momentum, 1 - self.momentum
        return {
            "moving_mean": old * self.moving_mean + new * cache.mean,
            "moving_variance": old * self.moving_variance + new * cache.variance,
        }


@dataclass(eq=False)
class LayerNormalization(Layer):
    """Normalize every example (of pictures, every pixel) by its own channels, the last axis."""

    parameters: ClassVar[tuple[str, ...]] = ("gamma", "beta")

    epsilon: float = 1e-3
    gamma: Array = field(init=False, repr=False)
    beta: Array = field(init=False, repr=False)

    def weight_shapes(self, *input_shapes: Shape) -> dict[str, Shape]:
        return dict.fromkeys(self.parameters, input_shapes[0][-1:])

    def initial_value(self, name: str, shape: Shape, rng: np.random.Generator) -> Array:
        return np.ones(shape) if name == "gamma" else np.zeros(shape)

    def multiply_adds(self, *input_shapes: Shape) -> int:
        return int(np.prod(input_shapes[0]))

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return F.layer_normalization(xs[0], self.gamma, self.beta, self.epsilon)

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        dx, dgamma, dbeta = F.layer_normalization_backward(dy, cache)
        return (dx if need_dx else None,), (
            {"gamma": dgamma, "beta": dbeta} if self.trainable else {}
        )


@dataclass(eq=False)
class Rescaling(Layer):
    """``x * scale + offset``; both one number, or one for each channel."""

    scale: float | Sequence[float]
    offset: float | Sequence[float] = 0.0

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return F.rescaling(xs[0], np.asarray(self.scale), np.asarray(self.offset))

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        return ((F.rescaling_backward(dy, cache) if need_dx else None),), {}


@dataclass(eq=False)
class Normalization(Layer):
    """``(x - mean) / sqrt(variance)``, with fixed statistics: numbers, or one for each channel."""

    mean: float | Sequence[float]
    variance: float | Sequence[float]

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return F.normalization(xs[0], np.asarray(self.mean), np.asarray(self.variance))

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        return ((F.normalization_backward(dy, cache) if need_dx else None),), {}
