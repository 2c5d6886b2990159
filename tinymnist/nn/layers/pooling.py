"""Pooling layers: each window, or each whole picture, becomes one number per channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Shape
from tinymnist.nn.layers.base import Operation, Stateless, picture_shape
from tinymnist.nn.shapes import Padding, Pads, Pair, as_pair, resolve_padding, window_output


@dataclass(eq=False, repr=False)
class _Pooling(Stateless):
    """A window that slides over each channel separately.

    Attributes:
        pool_size: the window, one number or (height, width).
        strides: how far it moves; None means by its own size.
        padding: see :func:`tinymnist.nn.shapes.resolve_padding`.
    """

    pool_size: int | Sequence[int] = 2
    strides: int | Sequence[int] | None = None
    padding: Padding = "valid"

    def window(self, input_shape: Shape) -> tuple[Pair, Pair, Pads]:
        """Size, strides and padding of the window, in pixels."""
        h, w, _ = picture_shape(input_shape, self)
        window = as_pair(self.pool_size, "pool_size")
        strides = window if self.strides is None else as_pair(self.strides, "strides")
        return window, strides, resolve_padding(self.padding, (h, w), window, strides)

    def output_shape(self, *input_shapes: Shape) -> Shape:
        h, w, c = picture_shape(input_shapes[0], self)
        return *window_output((h, w), *self.window((h, w, c))), c


@dataclass(eq=False, repr=False)
class MaxPooling2D(_Pooling):
    """The largest value of each window."""

    def operation(self) -> Operation:
        pool = partial(
            F.max_pool2d, pool_size=self.pool_size, strides=self.strides, padding=self.padding
        )
        return pool, F.max_pool2d_backward


@dataclass(eq=False, repr=False)
class AveragePooling2D(_Pooling):
    """The mean of each window; padded pixels do not count unless ``count_include_pad``."""

    count_include_pad: bool = field(default=False, kw_only=True)

    def operation(self) -> Operation:
        pool = partial(
            F.average_pool2d,
            pool_size=self.pool_size,
            strides=self.strides,
            padding=self.padding,
            count_include_pad=self.count_include_pad,
        )
        return pool, F.average_pool2d_backward


class _GlobalPooling(Stateless):
    """A window as large as the picture: (h, w, c) -> (c,)."""

    def output_shape(self, *input_shapes: Shape) -> Shape:
        return (picture_shape(input_shapes[0], self)[2],)


@dataclass(eq=False, repr=False)
class GlobalMaxPooling2D(_GlobalPooling):
    """The largest value of each channel."""

    def operation(self) -> Operation:
        return F.global_max_pool2d, F.global_max_pool2d_backward


@dataclass(eq=False, repr=False)
class GlobalAveragePooling2D(_GlobalPooling):
    """The mean of each channel."""

    def operation(self) -> Operation:
        return F.global_average_pool2d, F.global_average_pool2d_backward
