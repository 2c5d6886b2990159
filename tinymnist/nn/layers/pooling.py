"""Pooling layers: windows, or whole pictures, become single numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers.base import Layer, picture_shape
from tinymnist.nn.shapes import Padding, as_pair, resolve_padding, window_output


class _Pooling(Layer):
    """A window that slides over each channel by itself."""

    pool_size: int | Sequence[int]
    strides: int | Sequence[int] | None
    padding: Padding

    def output_shape(self, *input_shapes: Shape) -> Shape:
        h, w, c = picture_shape(input_shapes[0], self)
        window = as_pair(self.pool_size, "pool_size")
        strides = window if self.strides is None else as_pair(self.strides, "strides")
        pads = resolve_padding(self.padding, (h, w), window, strides)
        return *window_output((h, w), window, strides, pads), c


@dataclass(eq=False)
class MaxPooling2D(_Pooling):
    """The largest value of each window. ``strides=None`` means by the window's own size."""

    pool_size: int | Sequence[int] = 2
    strides: int | Sequence[int] | None = None
    padding: Padding = "valid"

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return F.max_pool2d(xs[0], self.pool_size, strides=self.strides, padding=self.padding)

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        return ((F.max_pool2d_backward(dy, cache) if need_dx else None),), {}


@dataclass(eq=False)
class AveragePooling2D(_Pooling):
    """The mean of each window; padded pixels do not count unless ``count_include_pad``."""

    pool_size: int | Sequence[int] = 2
    strides: int | Sequence[int] | None = None
    padding: Padding = "valid"
    count_include_pad: bool = field(default=False, kw_only=True)

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return F.average_pool2d(
            xs[0],
            self.pool_size,
            strides=self.strides,
            padding=self.padding,
            count_include_pad=self.count_include_pad,
        )

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        return ((F.average_pool2d_backward(dy, cache) if need_dx else None),), {}


class _GlobalPooling(Layer):
    """A window as large as the picture: (h, w, c) -> (c,)."""

    pair: ClassVar[tuple[Callable[[Array], tuple[Array, Any]], Callable[[Array, Any], Array]]]

    def output_shape(self, *input_shapes: Shape) -> Shape:
        return (picture_shape(input_shapes[0], self)[2],)

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return self.pair[0](xs[0])

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        return ((self.pair[1](dy, cache) if need_dx else None),), {}


@dataclass(eq=False)
class GlobalMaxPooling2D(_GlobalPooling):
    """The largest value of each channel."""

    pair = (F.global_max_pool2d, F.global_max_pool2d_backward)


@dataclass(eq=False)
class GlobalAveragePooling2D(_GlobalPooling):
    """The mean of each channel."""

    pair = (F.global_average_pool2d, F.global_average_pool2d_backward)
