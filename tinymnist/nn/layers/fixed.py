"""Layers with nothing to learn: fixed numbers, pooling, merging, reshaping, dropout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array, Padding, Pads, Shape, Windows, fit_windows
from tinymnist.nn.layers.base import Gradients, Layer, Operation, Stateless, picture_shape


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
    """``(x - mean) / sqrt(variance)`` with fixed statistics: one number, or one per channel.

    :meth:`adapt` measures them; until then the layer changes nothing.
    """

    mean: float | Sequence[float] = 0.0
    variance: float | Sequence[float] = 1.0

    def adapt(self, data: Any) -> None:
        """Measure mean and variance of each channel, the last axis, over all examples."""
        numbers = np.asarray(data, np.float64).reshape(-1, np.shape(data)[-1])
        self.mean, self.variance = numbers.mean(axis=0).tolist(), numbers.var(axis=0).tolist()

    def operation(self) -> Operation:
        mean, variance = np.asarray(self.mean), np.asarray(self.variance)
        return partial(F.normalization, mean=mean, variance=variance), F.normalization_backward


@dataclass(eq=False, repr=False)
class _Pooling(Stateless):
    """A window that slides over each channel separately.

    Attributes:
        pool_size: the window, one number or (height, width).
        strides: how far it moves; None means by its own size.
        padding: see :func:`tinymnist.nn.arrays.fit_windows`.
    """

    pool_size: int | Sequence[int] = 2
    strides: int | Sequence[int] | None = None
    padding: Padding = "valid"

    def check(self) -> None:
        strides = 1 if self.strides is None else self.strides
        fit_windows((1 << 30,) * 2, self.pool_size, strides, self.padding)

    @property
    def _settings(self) -> dict[str, Any]:
        return {"pool_size": self.pool_size, "strides": self.strides, "padding": self.padding}

    def windows(self, input_shape: Shape) -> Windows:
        """How the window slides over one picture (h, w, c)."""
        h, w, _ = picture_shape(input_shape, self)
        strides = self.pool_size if self.strides is None else self.strides
        return fit_windows((h, w), self.pool_size, strides, self.padding)

    def output_shape(self, *input_shapes: Shape) -> Shape:
        return *self.windows(input_shapes[0]).output, input_shapes[0][2]


class MaxPooling2D(_Pooling):
    """The largest value of each window."""

    def operation(self) -> Operation:
        return partial(F.max_pool2d, **self._settings), F.max_pool2d_backward


@dataclass(eq=False, repr=False)
class AveragePooling2D(_Pooling):
    """The mean of each window; padded pixels do not count unless ``count_include_pad``."""

    count_include_pad: bool = field(default=False, kw_only=True)

    def operation(self) -> Operation:
        pool = partial(F.average_pool2d, **self._settings, count_include_pad=self.count_include_pad)
        return pool, F.average_pool2d_backward


class _GlobalPooling(Stateless):
    """A window as large as the picture: (h, w, c) -> (c,)."""

    def output_shape(self, *input_shapes: Shape) -> Shape:
        return (picture_shape(input_shapes[0], self)[2],)


class GlobalMaxPooling2D(_GlobalPooling):
    """The largest value of each channel."""

    def operation(self) -> Operation:
        return F.global_max_pool2d, F.global_max_pool2d_backward


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean of each channel."""

    def operation(self) -> Operation:
        return F.global_average_pool2d, F.global_average_pool2d_backward


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


class Add(_Merging):
    """The sum of two or more inputs of one shape: the residual connection."""

    def operation(self) -> Operation:
        return F.add, F.add_backward


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
        return fit_windows((1, 1), 1, padding=self.padding).pads

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
        if not training or not self.draws:
            return xs[0], None
        if rng is None:
            kind = type(self).__name__
            raise ValueError(f"{self.name or kind} needs rng in training. Received: rng=None")
        return self.disturb(xs[0], rng)

    def disturb(self, x: Array, rng: np.random.Generator) -> tuple[Array, Any]:
        """The output in training, and what the gradient is multiplied by; None for 1."""
        return F.dropout(x, self.rate, rng)

    def backward(self, dy: Array, cache: Any, *, need_dx: bool = True) -> Gradients:
        return (dy if cache is None else F.dropout_backward(dy, cache),), {}
