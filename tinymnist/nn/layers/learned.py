"""The layers with a kernel: Dense, Conv2D, DepthwiseConv2D."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.initializers import initialize
from tinymnist.nn.layers.activation import ACTIVATIONS, check_activation
from tinymnist.nn.layers.base import Gradients, Layer, picture_shape
from tinymnist.nn.shapes import Padding, Pads, Pair, as_pair, resolve_padding, window_output

LearnedGradients = tuple[Array | None, Array | None, Array | None]
"""Gradients of the input, the kernel and the bias."""


@dataclass(eq=False, repr=False)
class _Learned(Layer):
    """A product with a kernel, then a bias and an activation.

    Attributes:
        activation: a name of :data:`ACTIVATIONS`, or None for "linear".
        use_bias: whether a bias (filters or units,) is added.
        kernel_initializer: a name of :data:`tinymnist.nn.initializers.INITIALIZERS`.
    """

    parameters: ClassVar[tuple[str, ...]] = ("kernel", "bias")

    activation: str = field(default="linear", kw_only=True)
    use_bias: bool = field(default=True, kw_only=True)
    kernel_initializer: str = field(default="glorot_uniform", kw_only=True)
    kernel: Array = field(init=False, repr=False)
    bias: Array | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.activation = check_activation(self.activation)
        self.bias = None

    def kernel_shape(self, input_shape: Shape) -> Shape:
        """The shape of the kernel for such an input; its last axis is the outputs."""
        raise NotImplementedError

    def product(self, x: Array) -> tuple[Array, Any]:
        """Everything before the activation, and its cache."""
        raise NotImplementedError

    def product_backward(self, dy: Array, cache: Any, need_dx: bool) -> LearnedGradients:
        """The gradients of :meth:`product`."""
        raise NotImplementedError

    def weight_shapes(self, *input_shapes: Shape) -> dict[str, Shape]:
        shapes = {"kernel": self.kernel_shape(input_shapes[0])}
        return shapes | ({"bias": shapes["kernel"][-1:]} if self.use_bias else {})

    def initial_value(self, name: str, shape: Shape, rng: np.random.Generator) -> Array:
        return initialize(self.kernel_initializer if name == "kernel" else "zeros", shape, rng)

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        z, cache = self.product(xs[0])
        y, activation_cache = ACTIVATIONS[self.activation][0](z)
        return y, (cache, activation_cache)

    def backward(self, dy: Array, cache: Any, *, need_dx: bool = True) -> Gradients:
        product_cache, activation_cache = cache
        dz = ACTIVATIONS[self.activation][1](dy, activation_cache)
        dx, dkernel, dbias = self.product_backward(dz, product_cache, need_dx)
        gradients = {"kernel": dkernel, "bias": dbias} if self.trainable else {}
        return (dx,), {name: g for name, g in gradients.items() if g is not None}


@dataclass(eq=False, repr=False)
class Dense(_Learned):
    """``activation(x @ kernel + bias)``; the kernel is (features, units)."""

    units: int

    def kernel_shape(self, input_shape: Shape) -> Shape:
        return *input_shape, self.units

    def output_shape(self, *input_shapes: Shape) -> Shape:
        if len(input_shapes[0]) != 1:
            raise ValueError(
                f"{self.name or 'Dense'} takes vectors; put Flatten() or a global pooling before "
                f"it. Received: input_shape={input_shapes[0]}"
            )
        return (self.units,)

    def multiply_adds(self, *input_shapes: Shape) -> int:
        return input_shapes[0][0] * self.units

    def product(self, x: Array) -> tuple[Array, Any]:
        return F.dense(x, self.kernel, self.bias)

    def product_backward(self, dy: Array, cache: Any, need_dx: bool) -> LearnedGradients:
        return F.dense_backward(dy, cache, need_dx=need_dx, need_dkernel=self.trainable)


class _Convolution(_Learned):
    """How the window of both convolutions slides; settings are one number, or (height, width)."""

    kernel_size: int | Sequence[int]
    strides: int | Sequence[int]
    padding: Padding
    dilation_rate: int | Sequence[int]

    def outputs(self, channels: int) -> int:
        """How many channels come out."""
        raise NotImplementedError

    def groups_of(self, channels: int) -> int:
        """How many groups the channels are cut into."""
        raise NotImplementedError

    def kernel_shape(self, input_shape: Shape) -> Shape:
        c = input_shape[-1]
        return *self._size(), c // self.groups_of(c), self.outputs(c)

    def window(self, input_shape: Shape) -> tuple[Pair, Pair, Pads, Pair]:
        """Size, strides, padding and dilation of the window, in pixels."""
        h, w, _ = picture_shape(input_shape, self)
        kernel, strides = self._size(), as_pair(self.strides, "strides")
        dilation = as_pair(self.dilation_rate, "dilation_rate")
        pads = resolve_padding(self.padding, (h, w), kernel, strides, dilation)
        return kernel, strides, pads, dilation

    def output_shape(self, *input_shapes: Shape) -> Shape:
        h, w, c = picture_shape(input_shapes[0], self)
        return *window_output((h, w), *self.window((h, w, c))), self.outputs(c)

    def multiply_adds(self, *input_shapes: Shape) -> int:
        oh, ow, _ = self.output_shape(*input_shapes)
        return oh * ow * math.prod(self.kernel_shape(input_shapes[0]))

    def product(self, x: Array) -> tuple[Array, Any]:
        return F.conv2d(
            x,
            self.kernel,
            self.bias,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            groups=self.groups_of(x.shape[-1]),
        )

    def product_backward(self, dy: Array, cache: Any, need_dx: bool) -> LearnedGradients:
        return F.conv2d_backward(dy, cache, need_dx=need_dx, need_dkernel=self.trainable)

    def _size(self) -> Pair:
        return as_pair(self.kernel_size, "kernel_size")


@dataclass(eq=False, repr=False)
class Conv2D(_Convolution):
    """Convolution; the kernel is (kh, kw, in / groups, filters).

    See :func:`tinymnist.nn.functional.conv2d` and, for ``padding``,
    :func:`tinymnist.nn.shapes.resolve_padding`.
    """

    filters: int
    kernel_size: int | Sequence[int]
    strides: int | Sequence[int] = 1
    padding: Padding = "valid"
    dilation_rate: int | Sequence[int] = field(default=1, kw_only=True)
    groups: int = field(default=1, kw_only=True)

    def outputs(self, channels: int) -> int:
        if channels % self.groups or self.filters % self.groups:
            raise ValueError(
                f"groups must divide channels and filters. Received: groups={self.groups}, "
                f"channels={channels}, filters={self.filters}"
            )
        return self.filters

    def groups_of(self, channels: int) -> int:
        return self.groups


@dataclass(eq=False, repr=False)
class DepthwiseConv2D(_Convolution):
    """Convolution of each channel separately.

    The kernel is (kh, kw, 1, in * depth_multiplier): Keras's (kh, kw, in, depth_multiplier) with
    the last two axes merged.
    """

    kernel_size: int | Sequence[int]
    strides: int | Sequence[int] = 1
    padding: Padding = "valid"
    dilation_rate: int | Sequence[int] = field(default=1, kw_only=True)
    depth_multiplier: int = field(default=1, kw_only=True)

    def outputs(self, channels: int) -> int:
        return channels * self.depth_multiplier

    def groups_of(self, channels: int) -> int:
        return channels
