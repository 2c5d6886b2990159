"""Layers that move numbers and change none, and Dropout, which changes them in training only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers.base import Layer, picture_shape
from tinymnist.nn.shapes import Pads, resolve_padding


class _Reshaping(Layer):
    """The backward pass of all that only reshape."""

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        return (F.reshape_backward(dy, cache),), {}


@dataclass(eq=False)
class Flatten(_Reshaping):
    """(h, w, c) -> (h*w*c,), row-major."""

    def output_shape(self, *input_shapes: Shape) -> Shape:
        return (math.prod(input_shapes[0]),)

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return F.flatten(xs[0])


@dataclass(eq=False)
class Reshape(_Reshaping):
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

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return F.reshape(xs[0], self.output_shape(xs[0].shape[1:]))


@dataclass(eq=False)
class Permute(Layer):
    """The axes of every example in another order; ``dims`` counts them from 1, as Keras does.

    ``Permute((3, 1, 2))`` makes (c, h, w) of (h, w, c).
    """

    dims: Sequence[int]

    def output_shape(self, *input_shapes: Shape) -> Shape:
        if sorted(self.dims) != list(range(1, len(input_shapes[0]) + 1)):
            raise ValueError(
                f"{self.name or 'Permute'} must name every axis once, from 1. "
                f"Received: dims={tuple(self.dims)}, input_shape={input_shapes[0]}"
            )
        return tuple(input_shapes[0][axis - 1] for axis in self.dims)

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return F.permute(xs[0], self.dims)

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        return (F.permute_backward(dy, cache),), {}


@dataclass(eq=False)
class ZeroPadding2D(Layer):
    """A frame of zeros: one number, (vertical, horizontal) or ((top, bottom), (left, right))."""

    padding: int | Sequence[int] | Sequence[Sequence[int]] = 1

    def _pads(self) -> Pads:
        return resolve_padding(self.padding, (1, 1), (1, 1), (1, 1))

    def output_shape(self, *input_shapes: Shape) -> Shape:
        h, w, c = picture_shape(input_shapes[0], self)
        (top, bottom), (left, right) = self._pads()
        return top + h + bottom, left + w + right, c

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return F.zero_padding2d(xs[0], self._pads())

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        return (F.zero_padding2d_backward(dy, cache),), {}


@dataclass(eq=False)
class Dropout(Layer):
    """Zero each number with probability ``rate`` in training; do nothing afterwards."""

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
            raise ValueError(f"{self.name or 'Dropout'} draws while training. Received: rng=None")
        return F.dropout(xs[0], self.rate, rng)

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        return (dy if cache is None else F.dropout_backward(dy, cache),), {}
