"""Layers with several inputs, which merge branches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers.base import Gradients, Operation, Stateless


class _Merging(Stateless):
    """One operation on all inputs."""

    def backward(self, dy: Array, cache: Any, *, need_dx: bool = True) -> Gradients:
        dxs = self.operation()[1](dy, cache)
        return (dxs if need_dx else (None,) * len(dxs)), {}

    def output_shape(self, *input_shapes: Shape) -> Shape:
        if len(input_shapes) < 2 or len(set(input_shapes)) != 1:
            raise ValueError(
                f"{self.name or type(self).__name__} takes two or more inputs of one shape. "
                f"Received: input_shapes={list(input_shapes)}"
            )
        return input_shapes[0]


@dataclass(eq=False, repr=False)
class Add(_Merging):
    """The sum of two or more inputs of one shape: the residual connection."""

    def operation(self) -> Operation:
        return F.add, F.add_backward


@dataclass(eq=False, repr=False)
class Multiply(_Merging):
    """The product of two or more inputs, as for gates.

    Sides of length 1 are repeated: (1, 1, c) weights the channels of (h, w, c).
    """

    def operation(self) -> Operation:
        return F.multiply, F.multiply_backward

    def output_shape(self, *input_shapes: Shape) -> Shape:
        largest = tuple(max(sides) for sides in zip(*input_shapes, strict=False))
        return super().output_shape(
            *(
                largest
                if len(shape) == len(largest)
                and all(side in (1, most) for side, most in zip(shape, largest, strict=True))
                else shape
                for shape in input_shapes
            )
        )


@dataclass(eq=False, repr=False)
class Concatenate(_Merging):
    """The channels of all inputs side by side."""

    def operation(self) -> Operation:
        return F.concatenate, F.concatenate_backward

    def output_shape(self, *input_shapes: Shape) -> Shape:
        if len({shape[:-1] for shape in input_shapes}) != 1:
            raise ValueError(
                f"{self.name or 'Concatenate'} takes inputs that differ in their channels only. "
                f"Received: input_shapes={list(input_shapes)}"
            )
        return *input_shapes[0][:-1], sum(shape[-1] for shape in input_shapes)
