"""Layers with several inputs, which bring branches together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers.base import Layer


class _Elementwise(Layer):
    """Merges inputs of one shape, number by number."""

    def output_shape(self, *input_shapes: Shape) -> Shape:
        if len(input_shapes) < 2 or len(set(input_shapes)) != 1:
            raise ValueError(
                f"{self.name or type(self).__name__} takes two or more inputs of one shape. "
                f"Received: input_shapes={list(input_shapes)}"
            )
        return input_shapes[0]


@dataclass(eq=False)
class Add(_Elementwise):
    """The sum of two or more inputs of one shape: the residual connection."""

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return F.add(*xs)

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        return F.add_backward(dy, cache), {}


@dataclass(eq=False)
class Multiply(_Elementwise):
    """The product of two or more inputs of one shape, for gates; of one with itself, its square."""

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return F.multiply(*xs)

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        return (F.multiply_backward(dy, cache) if need_dx else (None,) * len(cache)), {}


@dataclass(eq=False)
class Concatenate(Layer):
    """The channels of all inputs side by side."""

    def output_shape(self, *input_shapes: Shape) -> Shape:
        if len({shape[:-1] for shape in input_shapes}) != 1:
            raise ValueError(
                f"{self.name or 'Concatenate'} takes inputs that differ in their channels only. "
                f"Received: input_shapes={list(input_shapes)}"
            )
        return *input_shapes[0][:-1], sum(shape[-1] for shape in input_shapes)

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return F.concatenate(*xs)

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        return F.concatenate_backward(dy, cache), {}
