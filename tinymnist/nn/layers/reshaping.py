"""Layers that move numbers without changing them, and Dropout, which changes them in training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers.base import Gradients, Layer, Operation, Stateless, picture_shape
from tinymnist.nn.shapes import Pads, resolve_padding


@dataclass(eq=False, repr=False)
class Flatten(Stateless):
    """(h, w, c) -> (h*w*c,), row-major."""

    def output_shape(self, *input_shapes: Shape) -> Shape:
        return (math.prod(input_shapes[0]),)

    def operation(self) -> Operation:
        return F.flatten, F.flatten_backward


@dataclass(eq=False, repr=False)
class Reshape(Stateless):
    """To ``target_shape``, row-major; one axis may be -1."""

    target_shape: Sequence[int]

    def output_shape(self, *input_shapes: Shape) -> Shape:
        numbers, target = math.prod(input_shapes[0]), tuple(self.target_shape)
        known = math.prod(side for side in target if side != -1)
        resolved = tuple(numbers // max(known, 1) if side == -1 else side for side in target)
        if target.count(-1) > 1 or math.prod(resolved) != numbers:
            raise ValueError(
                f"{self.name or 'Reshape'} must keep the number of values, {numbers}. "
                f"Received: target_shape={target}, input_shape={input_shapes[0]}"
            )
        return resolved

    def operation(self) -> Operation:
        return lambda x: F.reshape(x, self.output_shape(x.shape[1:])), F.reshape_backward


@dataclass(eq=False, repr=False)
class Permute(Stateless):
    """Reorder the axes of every example; ``dims`` counts them from 1, as in Keras.

    ``Permute((3, 1, 2))`` turns (h, w, c) into (c, h, w).
    """

    dims: Sequence[int]

    def output_shape(self, *input_shapes: Shape) -> Shape:
        if sorted(self.dims) != list(range(1, len(input_shapes[0]) + 1)):
            raise ValueError(
                f"{self.name or 'Permute'} must name every axis once, from 1. "
                f"Received: dims={tuple(self.dims)}, input_shape={input_shapes[0]}"
            )
        return tuple(input_shapes[0][axis - 1] for axis in self.dims)

    def operation(self) -> Operation:
        return partial(F.permute, dims=self.dims), F.permute_backward


@dataclass(eq=False, repr=False)
class ZeroPadding2D(Stateless):
    """A border of zeros: one number, (vertical, horizontal) or ((top, bottom), (left, right))."""

    padding: int | Sequence[int] | Sequence[Sequence[int]] = 1

    def pads(self) -> Pads:
        """((top, bottom), (left, right)) in pixels."""
        return resolve_padding(self.padding, (1, 1), (1, 1), (1, 1))

    def output_shape(self, *input_shapes: Shape) -> Shape:
        h, w, c = picture_shape(input_shapes[0], self)
        (top, bottom), (left, right) = self.pads()
        return top + h + bottom, left + w + right, c

    def operation(self) -> Operation:
        return partial(F.zero_padding2d, pads=self.pads()), F.zero_padding2d_backward


@dataclass(eq=False, repr=False)
class Dropout(Layer):
    """Zero each number with probability ``rate`` in training; do nothing in inference.

    Raises:
        ValueError: for a rate outside [0, 1).
    """

    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise ValueError(f"rate must be in [0, 1). Received: rate={self.rate!r}")

    @property
    def draws(self) -> bool:
        return self.rate > 0

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        if not training or self.rate == 0:
            return xs[0], None
        if rng is None:
            raise ValueError(f"{self.name or 'Dropout'} needs rng in training. Received: rng=None")
        return F.dropout(xs[0], self.rate, rng)

    def backward(self, dy: Array, cache: Any, *, need_dx: bool = True) -> Gradients:
        return (dy if cache is None else F.dropout_backward(dy, cache),), {}
