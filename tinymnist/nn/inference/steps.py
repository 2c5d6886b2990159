"""Everything in a plan that is not a convolution."""

from __future__ import annotations

import math

import numpy as np

from tinymnist.nn.arrays import Array, Shape, Windows
from tinymnist.nn.inference.fusing import Function, Product
from tinymnist.nn.inference.program import Recorder, examples_first, planes
from tinymnist.nn.layers import ACTIVATIONS, Layer


class Step:
    """One entry of a plan."""

    def record(self, do: Recorder, *xs: Array) -> Array:
        """Record the calls that compute the output of ``xs``; return where it will be.

        Pictures come and go as planes (h, w, n, c), everything else as (n, ...).
        """
        raise NotImplementedError


def finish(do: Recorder, y: Array, activation: str) -> None:
    """Record an activation in place."""
    if activation == "relu":
        do(np.maximum, y, do.zeros(y.shape), out=y)
    elif activation != "linear":
        do(_in_place, ACTIVATIONS[activation][0], y)


def _in_place(function: Function, y: Array) -> None:
    y[...] = function(y)[0]


class DenseProduct(Step):
    """``activation(x @ kernel + bias)``; pictures are flattened first."""

    def __init__(self, product: Product) -> None:
        """The arrays are used as they are."""
        self.product = product

    def record(self, do: Recorder, *xs: Array) -> Array:
        """To (n, units): features * units multiply-adds per example."""
        x, kernel = xs[0], self.product.kernel
        if x.ndim != 2:
            rows = examples_first(x)
            x = np.empty((do.n, math.prod(rows.shape[1:])), np.float32)
            do(np.copyto, x.reshape(rows.shape), rows)
        y = np.empty((do.n, kernel.shape[1]), np.float32)
        do(np.matmul, x, kernel, out=y)
        do(np.add, y, np.broadcast_to(self.product.bias, y.shape).copy(), out=y)
        finish(do, y, self.product.activation)
        return y


class Pooling(Step):
    """The largest value or the mean of each window, by running over the window's taps."""

    def __init__(self, windows: Windows, *, is_mean: bool) -> None:
        """The windows lie inside the picture."""
        self.windows, self.is_mean = windows, is_mean

    def record(self, do: Recorder, *xs: Array) -> Array:
        """From (h, w, n, c) to (oh, ow, n, c): kh * kw maxima or sums per output."""
        x = xs[0]
        (kh, kw), (sh, sw), (oh, ow) = (
            self.windows.kernel, self.windows.strides, self.windows.output,
        )  # fmt: skip
        first, *rest = (
            x[i : i + sh * (oh - 1) + 1 : sh, j : j + sw * (ow - 1) + 1 : sw]
            for i in range(kh)
            for j in range(kw)
        )
        y = np.empty(first.shape, np.float32)
        do(np.copyto, y, first)
        for tap in rest:
            do(np.add if self.is_mean else np.maximum, y, tap, out=y)
        if self.is_mean:
            do(np.multiply, y, np.float32(1 / (kh * kw)), out=y)
        return y


class GlobalAverage(Step):
    """The mean of each channel."""

    def record(self, do: Recorder, *xs: Array) -> Array:
        """From (h, w, n, c) to (n, c)."""
        h, w, n, c = xs[0].shape
        y = np.empty((n, c), np.float32)
        do(np.add.reduce, xs[0], axis=(0, 1), out=y)
        do(np.multiply, y, np.float32(1 / (h * w)), out=y)
        return y


class SoftmaxStep(Step):
    """``e^x / sum e^x`` over the last axis; the maximum is subtracted, so nothing overflows."""

    def record(self, do: Recorder, *xs: Array) -> Array:
        """The same shape."""
        x, y = xs[0], np.empty(xs[0].shape, np.float32)
        one = np.empty((*x.shape[:-1], 1), np.float32)
        do(np.maximum.reduce, x, axis=-1, keepdims=True, out=one)
        do(np.subtract, x, one, out=y)
        do(np.exp, y, out=y)
        do(np.add.reduce, y, axis=-1, keepdims=True, out=one)
        do(np.divide, y, one, out=y)
        return y


class PlainLayer(Step):
    """Any other layer, by its own ``forward``."""

    def __init__(self, layer: Layer, output_shape: Shape) -> None:
        """``output_shape`` is without the batch axis."""
        self.layer, self.output_shape = layer, output_shape

    def record(self, do: Recorder, *xs: Array) -> Array:
        """Whatever the layer takes and gives."""
        y = np.empty((do.n, *self.output_shape), np.float32)
        do(_forward, self.layer, [examples_first(x) for x in xs], y)
        return planes(y)


def _forward(layer: Layer, inputs: list[Array], y: Array) -> None:
    y[...] = layer.forward(*inputs)[0]
