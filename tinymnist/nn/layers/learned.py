"""Layers with a kernel (Dense, Conv2D, DepthwiseConv2D), normalizations with a learned scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array, Padding, Shape, Windows, as_pair, fit_windows
from tinymnist.nn.functional.normalizing import NormCache
from tinymnist.nn.layers.activation import ACTIVATIONS, check_activation
from tinymnist.nn.layers.base import Gradients, Layer, picture_shape, whole
from tinymnist.nn.layers.initializers import Initializer, initialize

_OPTIONAL = {"optional": True}
"""A field that files leave out if it has its default."""
LearnedGradients = tuple[Array | None, Array | None, Array | None]
"""Gradients of the input, the kernel and the bias."""


@dataclass(eq=False, repr=False)
class _Learned(Layer):
    """A product with a kernel, then a bias and an activation.

    Attributes:
        activation: a name of :data:`ACTIVATIONS`, or None for "linear".
        use_bias: whether a bias (filters or units,) is added.
        kernel_initializer, bias_initializer: see :mod:`tinymnist.nn.layers.initializers`.
        kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint: see
            :mod:`tinymnist.nn.layers.regularizers`.
    """

    parameters: ClassVar[tuple[str, ...]] = ("kernel", "bias")

    activation: str = field(default="linear", kw_only=True)
    use_bias: bool = field(default=True, kw_only=True)
    kernel_initializer: Initializer = field(default="glorot_uniform", kw_only=True)
    bias_initializer: Initializer = field(default="zeros", kw_only=True, metadata=_OPTIONAL)
    kernel_regularizer: Any = field(default=None, kw_only=True, metadata=_OPTIONAL)
    bias_regularizer: Any = field(default=None, kw_only=True, metadata=_OPTIONAL)
    kernel_constraint: Any = field(default=None, kw_only=True, metadata=_OPTIONAL)
    bias_constraint: Any = field(default=None, kw_only=True, metadata=_OPTIONAL)
    kernel: Array = field(init=False, repr=False)
    bias: Array | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
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
        kernel = self.kernel_shape(input_shapes[0])
        return {"kernel": kernel, "bias": kernel[-1:]} if self.use_bias else {"kernel": kernel}

    def initial_value(self, name: str, shape: Shape, rng: np.random.Generator) -> Array:
        initializer = self.kernel_initializer if name == "kernel" else self.bias_initializer
        return initialize(initializer, shape, rng)

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

    def check(self) -> None:
        whole(self.units, "units")

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

    def check(self) -> None:
        fit_windows((1 << 30,) * 2, self.kernel_size, self.strides, self.padding)
        if self.dilation_rate != 1:
            as_pair(self.dilation_rate, "dilation_rate")

    def outputs(self, channels: int) -> int:
        """How many channels come out."""
        raise NotImplementedError

    def groups_of(self, channels: int) -> int:
        """How many groups the channels are cut into."""
        raise NotImplementedError

    def windows(self, input_shape: Shape) -> Windows:
        """How the window slides over one picture (h, w, c)."""
        h, w, _ = picture_shape(input_shape, self)
        return fit_windows((h, w), self.kernel_size, self.strides, self.padding, self.dilation_rate)

    def kernel_shape(self, input_shape: Shape) -> Shape:
        c = input_shape[-1]
        size = self.kernel_size  # as checked: a number or a pair
        pair = (size, size) if isinstance(size, int) else size
        return *pair, c // self.groups_of(c), self.outputs(c)

    def output_shape(self, *input_shapes: Shape) -> Shape:
        return *self.windows(input_shapes[0]).output, self.outputs(input_shapes[0][2])

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


@dataclass(eq=False, repr=False)
class Conv2D(_Convolution):
    """Convolution; the kernel is (kh, kw, in / groups, filters).

    For ``padding`` see :func:`tinymnist.nn.arrays.fit_windows`.
    """

    filters: int
    kernel_size: int | Sequence[int]
    strides: int | Sequence[int] = 1
    padding: Padding = "valid"
    dilation_rate: int | Sequence[int] = field(default=1, kw_only=True)
    groups: int = field(default=1, kw_only=True)

    def check(self) -> None:
        super().check()
        whole(self.filters, "filters")
        whole(self.groups, "groups")

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

    def check(self) -> None:
        super().check()
        whole(self.depth_multiplier, "depth_multiplier")

    def outputs(self, channels: int) -> int:
        return channels * self.depth_multiplier

    def groups_of(self, channels: int) -> int:
        return channels


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

    def check(self) -> None:
        if not (0 <= self.momentum <= 1 and self.epsilon > 0):
            found = f"momentum={self.momentum!r}, epsilon={self.epsilon!r}"
            raise ValueError(f"momentum must be in [0, 1], epsilon above 0. Received: {found}")

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        if training and self.trainable:
            return F.batch_normalization(xs[0], self.gamma, self.beta, self.epsilon)
        return F.batch_normalization_inference(
            xs[0], self.gamma, self.beta, self.moving_mean, self.moving_variance, self.epsilon
        )

    @property
    def inference_scale(self) -> Array:
        """What inference multiplies each channel by: gamma / sqrt(variance + epsilon), (c,)."""
        return np.asarray(self.gamma / np.sqrt(self.moving_variance + self.epsilon))

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
