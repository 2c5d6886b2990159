"""Layers in the form in which they run."""

from __future__ import annotations

import numpy as np
import pytest

from tinymnist.nn import functional as F
from tinymnist.nn.layers import (
    Activation,
    Concatenate,
    Conv2D,
    Flatten,
    GlobalMaxPooling2D,
    Layer,
    MaxPooling2D,
    ReLU,
)
from tinymnist.nn.sequential import Input, Sequential


@pytest.mark.parametrize("relu", [ReLU(), Activation("relu"), None], ids=str)
def test_relu_waits_for_the_max_pooling_with_the_same_numbers(relu: Layer | None) -> None:
    """Ties, windows below zero and maxima of exactly 0 included."""
    rng = np.random.default_rng(0)
    convolution = Conv2D(2, 2, activation="linear" if relu else "relu")
    network = Sequential(
        [Input((7, 7, 1)), convolution, *([relu] if relu else []), MaxPooling2D(2, 1), Flatten()],
        dtype="float64",
    )
    network.set_weights(
        {name: rng.integers(-2, 3, array.shape) for name, array in network.weights.items()}
    )
    x = rng.integers(-1, 2, (5, 7, 7, 1)).astype(float)
    y, caches = network.forward(x)
    z, _ = F.conv2d(x, convolution.kernel, convolution.bias)
    active, active_cache = F.relu(z)
    pooled, pooled_cache = F.max_pool2d(active, 2, strides=1)
    assert np.array_equal(y, pooled.reshape(y.shape)) and (y == 0).any() and (y > 0).any()
    assert len(caches) == len(network.layers)
    dy = rng.normal(size=y.shape)
    dz = F.relu_backward(
        F.max_pool2d_backward(dy.reshape(pooled.shape), pooled_cache), active_cache
    )
    dx, gradients = network.backward(dy, caches, need_dx=True)
    expected_dx, expected_dkernel, _ = F.conv2d_backward(
        dz, F.conv2d(x, convolution.kernel, convolution.bias)[1]
    )
    assert dx is not None and expected_dx is not None and expected_dkernel is not None
    assert np.allclose(dx, expected_dx, rtol=1e-13, atol=1e-13)
    assert np.allclose(gradients["conv2d/kernel"], expected_dkernel, rtol=1e-13, atol=1e-13)


def test_a_relu_that_others_read_too_does_not_wait() -> None:
    network = Sequential(
        [Input((4, 4, 1)), Conv2D(1, 1, activation="relu", name="a"),
         MaxPooling2D(name="pool"), GlobalMaxPooling2D(name="b"), Flatten(name="c"),
         Concatenate(name="both")],
        wiring={"b": ["a"], "c": ["pool"], "both": ["b", "c"]},
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=(3, 4, 4, 1)).astype(np.float32)
    assert np.array_equal(network.forward(x)[0], network.capture(x)["both"])
    assert network.forward(-x)[0].min() >= 0
