"""Layers that bring numbers to a common scale: by batch, by example, or by fixed numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np

from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.functional.normalizing import NormCache
from tinymnist.nn.layers.base import Gradients, Layer, Operation, Stateless


@dataclass(eq=False, repr=False)
class _LearnedScale(Layer):
    """A normalization followed by a learned scale ``gamma`` and shift ``beta`` per channel."""

    parameters: ClassVar[tuple[str, ...]] = ("gamma", "beta")

    gamma: Array = field(init=False, repr=False)
    beta: Array = field(init=False, repr=False)

    def weight_shapes(self, *input_shapes: Shape) -> dict[str, Shape]:
        return dict.fromkeys((*self.parameters, *self.statistics), input_shapes[0][-1:])

    def initial_value(self, name: str, shape: Shape, rng: np.random.Generator) -> Array:
        return np.ones(shape) if name in ("gamma", "moving_variance") else np.zeros(shape)

    def multiply_adds(self, *input_shapes: Shape) -> int:
        return math.prod(input_shapes[0])

    def norm_backward(self, dy: Array, cache: Any) -> tuple[Array, Array, Array]:
        """The gradients dx, dgamma and dbeta."""
        raise NotImplementedError

    def backward(self, dy: Array, cache: Any, *, need_dx: bool = True) -> Gradients:
        dx, dgamma, dbeta = self.norm_backward(dy, cache)
        gradients = {"gamma": dgamma, "beta": dbeta} if self.trainable else {}
        return (dx if need_dx else None,), gradients


@dataclass(eq=False, repr=False)
class BatchNormalization(_LearnedScale):
    """Normalize every channel: in training by its batch, in inference by the moving statistics.

    A frozen layer uses the moving statistics in training too, and leaves them unchanged.

    Attributes:
        momentum: the share of the old moving value that is kept, as in Keras (PyTorch's is one
            minus that).
        epsilon: added to the variance.
    """

    statistics: ClassVar[tuple[str, ...]] = ("moving_mean", "moving_variance")
    mixes_batch: ClassVar[bool] = True

    momentum: float = 0.99
    epsilon: float = 1e-3
    moving_mean: Array = field(init=False, repr=False)
    moving_variance: Array = field(init=False, repr=False)

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        if training and self.trainable:
            return F.batch_normalization(xs[0], self.gamma, self.beta, self.epsilon)
        return F.batch_normalization_inference(
            xs[0], self.gamma, self.beta, self.moving_mean, self.moving_variance, self.epsilon
        )

    def norm_backward(self, dy: Array, cache: Any) -> tuple[Array, Array, Array]:
        if isinstance(cache, NormCache):
            return F.batch_normalization_backward(dy, cache)
        return F.batch_normalization_inference_backward(dy, cache)

    def new_statistics(self, cache: Any) -> dict[str, Array]:
        if not isinstance(cache, NormCache):
            return {}
        old, new = self.momentum, 1 - self.momentum
        return {
            "moving_mean": old * self.moving_mean + new * cache.mean,
            "moving_variance": old * self.moving_variance + new * cache.variance,
        }


@dataclass(eq=False, repr=False)
class LayerNormalization(_LearnedScale):
    """Normalize every example (of pictures, every pixel) over its channels, the last axis."""

    epsilon: float = 1e-3

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return F.layer_normalization(xs[0], self.gamma, self.beta, self.epsilon)

    def norm_backward(self, dy: Array, cache: Any) -> tuple[Array, Array, Array]:
        return F.layer_normalization_backward(dy, cache)


@dataclass(eq=False, repr=False)
class Rescaling(Stateless):
    """``x * scale + offset``; each is one number, or one per channel."""

    scale: float | Sequence[float]
    offset: float | Sequence[float] = 0.0

    def operation(self) -> Operation:
        scale, offset = np.asarray(self.scale), np.asarray(self.offset)
        return partial(F.rescaling, scale=scale, offset=offset), F.rescaling_backward


@dataclass(eq=False, repr=False)
class Normalization(Stateless):
    """``(x - mean) / sqrt(variance)`` with fixed statistics: one number, or one per channel."""

    mean: float | Sequence[float]
    variance: float | Sequence[float]

    def operation(self) -> Operation:
        mean, variance = np.asarray(self.mean), np.asarray(self.variance)
        return partial(F.normalization, mean=mean, variance=variance), F.normalization_backward
