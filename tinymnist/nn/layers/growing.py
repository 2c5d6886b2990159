"""Layers whose pictures grow, as in decoders: UpSampling2D and Conv2DTranspose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tinymnist.nn.arrays import Array, Pair, Shape, as_pair
from tinymnist.nn.functional.growing import (
    conv2d_transpose,
    conv2d_transpose_backward,
    transposed_size,
    up_sampling2d,
    up_sampling2d_backward,
)
from tinymnist.nn.layers.base import Operation, Stateless, picture_shape
from tinymnist.nn.layers.learned import LearnedGradients, _Learned


@dataclass(eq=False, repr=False)
class UpSampling2D(Stateless):
    """Repeat every pixel ``size`` times, one number or (height, width)."""

    size: int | Sequence[int] = 2

    def output_shape(self, *input_shapes: Shape) -> Shape:
        h, w, c = picture_shape(input_shapes[0], self)
        high, wide = as_pair(self.size, "size")
        return h * high, w * wide, c

    def operation(self) -> Operation:
        return partial(up_sampling2d, size=as_pair(self.size, "size")), up_sampling2d_backward


@dataclass(eq=False, repr=False)
class Conv2DTranspose(_Learned):
    """The transpose of a convolution; the kernel is (kh, kw, filters, in), as in Keras.

    Attributes:
        filters: channels of the output.
        kernel_size, strides: one number, or (height, width).
        padding: "valid" or "same".
    """

    filters: int
    kernel_size: int | Sequence[int]
    strides: int | Sequence[int] = 1
    padding: str = "valid"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.padding not in ("valid", "same"):
            raise ValueError(f"padding must be valid or same. Received: padding={self.padding!r}")

    def kernel_shape(self, input_shape: Shape) -> Shape:
        return *as_pair(self.kernel_size, "kernel_size"), self.filters, input_shape[-1]

    def weight_shapes(self, *input_shapes: Shape) -> dict[str, Shape]:
        kernel = {"kernel": self.kernel_shape(input_shapes[0])}
        return kernel | {"bias": (self.filters,)} if self.use_bias else kernel

    def output_shape(self, *input_shapes: Shape) -> Shape:
        h, w, _ = picture_shape(input_shapes[0], self)
        (kh, kw), (sh, sw) = as_pair(self.kernel_size, "kernel_size"), self._strides
        high, _ = transposed_size(h, kh, sh, self.padding)
        wide, _ = transposed_size(w, kw, sw, self.padding)
        return high, wide, self.filters

    @property
    def _strides(self) -> Pair:
        return as_pair(self.strides, "strides")

    def multiply_adds(self, *input_shapes: Shape) -> int:
        return math.prod(input_shapes[0][:2]) * math.prod(self.kernel_shape(input_shapes[0]))

    def product(self, x: Array) -> tuple[Array, Any]:
        return conv2d_transpose(x, self.kernel, self.bias, self._strides, self.padding)

    def product_backward(self, dy: Array, cache: Any, need_dx: bool) -> LearnedGradients:
        dx, dkernel, dbias = conv2d_transpose_backward(dy, cache)
        return dx if need_dx else None, dkernel if self.trainable else None, dbias
