"""The fast operations against their twins in loops, at odd and even sizes."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist.nn import functional as F
from tinymnist.nn import naive
from tinymnist.nn.arrays import Array
from tinymnist.nn.losses import cross_entropy

CLOSE: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}


def normal(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def windows() -> Iterator[tuple[Any, ...]]:
    """Sizes, windows, strides and paddings, odd and even, that fit."""
    for h, w, k, s in itertools.product((4, 5), (5, 6), (1, 2, 3), (1, 2)):
        kernel = (k, (k + h) % 3 + 1)
        for padding in ("valid", "same", ((1, 0), (0, 1))):
            if min(kernel) > 1 or isinstance(padding, str):  # no window without a pixel
                yield (h, w), kernel, (s, 3 - s), padding


def assert_close(fast: Iterable[Array | None], slow: Iterable[Array]) -> None:
    for a, b in zip(fast, slow, strict=True):
        assert a is not None and a.shape == b.shape
        assert np.allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("size", "kernel", "strides", "padding"), list(windows()))
def test_conv2d(
    size: tuple[int, int], kernel: tuple[int, int], strides: tuple[int, int], padding: Any
) -> None:
    x, k, b = normal(2, *size, 2), normal(*kernel, 2, 3), normal(3)
    fast, cache = F.conv2d(x, k, b, strides=strides, padding=padding)
    assert_close([fast], [naive.conv2d(x, k, b, strides, padding)])
    dy = normal(*fast.shape)
    assert_close(F.conv2d_backward(dy, cache), naive.conv2d_backward(dy, x, k, strides, padding))


@pytest.mark.parametrize("dilation", [(1, 2), (2, 1), (3, 2)])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_conv2d_with_dilation_and_groups(
    dilation: tuple[int, int], groups: int, padding: Any
) -> None:
    x, k = normal(1, 7, 8, 4), normal(3, 2, 4 // groups, 8)
    fast, cache = F.conv2d(x, k, padding=padding, dilation=dilation, groups=groups)
    assert_close([fast], [naive.conv2d(x, k, None, (1, 1), padding, dilation, groups)])
    dy = normal(*fast.shape)
    slow = naive.conv2d_backward(dy, x, k, (1, 1), padding, dilation, groups)
    assert_close(F.conv2d_backward(dy, cache)[:2], slow[:2])


def test_conv2d_of_many_channels() -> None:
    """im2col copies in another order where there are many channels."""
    x, k = normal(1, 5, 4, 11), normal(3, 3, 11, 2)
    fast, cache = F.conv2d(x, k, padding="same")
    assert_close([fast], [naive.conv2d(x, k, pads="same")])
    dy = normal(*fast.shape)
    assert_close(F.conv2d_backward(dy, cache)[:2], naive.conv2d_backward(dy, x, k, pads="same")[:2])


@pytest.mark.parametrize(("size", "window", "strides", "padding"), list(windows()))
def test_pooling(
    size: tuple[int, int], window: tuple[int, int], strides: tuple[int, int], padding: Any
) -> None:
    x = normal(2, *size, 3)
    largest, _ = F.max_pool2d(x, window, strides=strides, padding=padding)
    assert np.array_equal(largest, naive.max_pool2d(x, window, strides, padding))
    for include in (False, True):
        mean, _ = F.average_pool2d(
            x, window, strides=strides, padding=padding, count_include_pad=include
        )
        slow = naive.average_pool2d(x, window, strides, padding, include)
        assert np.allclose(mean, slow, **CLOSE)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 3)])
def test_the_first_of_equal_maxima_takes_the_gradient(strides: tuple[int, int]) -> None:
    x = np.random.default_rng(0).integers(0, 3, (2, 7, 8, 3)).astype(float)  # many ties
    y, cache = F.max_pool2d(x, (2, 3), strides=strides)
    dy = normal(*y.shape)
    slow = naive.max_pool2d_backward(dy, x, (2, 3), strides)
    assert np.allclose(F.max_pool2d_backward(dy, cache), slow, **CLOSE)


def test_global_pooling_is_pooling_with_one_window() -> None:
    x = normal(2, 5, 6, 3)
    most, _ = F.global_max_pool2d(x)
    mean, _ = F.global_average_pool2d(x)
    assert np.array_equal(most, naive.max_pool2d(x, (5, 6), (1, 1))[:, 0, 0])
    assert np.allclose(mean, naive.average_pool2d(x, (5, 6), (1, 1))[:, 0, 0], **CLOSE)


def test_dense() -> None:
    x, k, b = normal(3, 5), normal(5, 4), normal(4)
    assert np.allclose(F.dense(x, k, b)[0], naive.dense(x, k, b), **CLOSE)


def test_softmax_and_cross_entropy() -> None:
    logits, targets = normal(4, 6) * 5, np.eye(6)[[0, 5, 2, 2]] * 0.9 + 0.1 / 6
    for row, p, log_p in zip(logits, F.softmax(logits)[0], F.log_softmax(logits)[0], strict=True):
        assert np.allclose(p, naive.softmax(row), **CLOSE)
        assert np.allclose(log_p, np.log(naive.softmax(row)), **CLOSE)
    losses, _ = cross_entropy(logits, targets)
    slow = [naive.cross_entropy(z, t) for z, t in zip(logits, targets, strict=True)]
    assert np.allclose(losses, slow, **CLOSE)


@pytest.mark.parametrize("shape", [(4, 3, 5, 2), (7, 2)])
def test_batch_normalization(shape: tuple[int, ...]) -> None:
    x, gamma, beta = normal(*shape) * 3 + 1, normal(2), normal(2)
    y, cache = F.batch_normalization(x, gamma, beta, 1e-3)
    slow = naive.batch_normalization(x, gamma, beta, 1e-3)
    assert_close([y], [slow])
    fixed, _ = F.batch_normalization_inference(x, gamma, beta, cache.mean, cache.variance, 1e-3)
    assert_close([fixed], [slow])
    dy = normal(*shape) + x
    slow_gradients = naive.batch_normalization_backward(dy, x, gamma, 1e-3)
    assert_close(F.batch_normalization_backward(dy, cache), slow_gradients)


@pytest.mark.parametrize("shape", [(4, 3, 5, 3), (7, 3)])
def test_layer_normalization(shape: tuple[int, ...]) -> None:
    x, gamma, beta = normal(*shape) * 3 + 1, normal(3), normal(3)
    y, _ = F.layer_normalization(x, gamma, beta, 1e-3)
    assert np.allclose(y, naive.layer_normalization(x, gamma, beta, 1e-3), **CLOSE)


def test_multiply_and_permute() -> None:
    x, y, z = normal(2, 3, 4), normal(2, 3, 4) + 1, normal(2, 3, 4) - 1
    product, permuted = F.multiply(x, y, z)[0], F.permute(x, (2, 1))[0]
    for n, i, j in np.ndindex(x.shape):
        assert np.isclose(product[n, i, j], x[n, i, j] * y[n, i, j] * z[n, i, j], **CLOSE)
        assert permuted[n, j, i] == x[n, i, j]


@pytest.mark.parametrize(
    ("fast", "slow"),
    [
        (F.relu, naive.relu),
        (lambda x: F.leaky_relu(x, 0.1), lambda x: naive.leaky_relu(x, 0.1)),
        (lambda x: F.elu(x, 0.7), lambda x: naive.elu(x, 0.7)),
        (F.gelu, naive.gelu),
        (lambda x: F.gelu(x, approximate=True), naive.gelu_by_tanh),
        (F.sigmoid, naive.sigmoid),
        (F.tanh, np.tanh),
        (lambda x: F.relu_pieces(x, 2, 0.1, -0.5), lambda x: naive.relu_pieces(x, 2, 0.1, -0.5)),
        (F.relu6, lambda x: naive.clip(x, 0, 6)),
        (F.hard_tanh, lambda x: naive.clip(x, -1, 1)),
        (F.hard_sigmoid, naive.hard_sigmoid),
        (F.hard_silu, lambda x: x * naive.hard_sigmoid(x)),
        (F.silu, lambda x: x * naive.sigmoid(x)),
        (F.softplus, naive.softplus),
        (F.softsign, naive.softsign),
        (F.mish, lambda x: x * np.tanh(naive.softplus(x))),
        (F.exponential, np.exp),
        (F.selu, naive.selu),
        (lambda x: F.prelu(x, np.full(9, 0.1)), lambda x: naive.leaky_relu(x, 0.1)),
    ],
    ids=[
        *("relu", "leaky_relu", "elu", "gelu", "gelu by tanh", "sigmoid", "tanh", "relu_pieces"),
        *("relu6", "hard_tanh", "hard_sigmoid", "hard_silu", "silu", "softplus", "softsign"),
        *("mish", "exponential", "selu", "prelu"),
    ],
)
def test_activations(fast: Any, slow: Any) -> None:
    x = np.array([[-30.0, -3, -1e-3, -0.0, 0.0, 1e-3, 0.5, 3, 30]])
    assert np.allclose(fast(x)[0], [[slow(float(v)) for v in x[0]]], **CLOSE)


def test_the_loops_share_nothing_with_the_package() -> None:
    """naive.py imports numpy and the standard library; only lessons, which print it, import it."""
    source = Path(naive.__file__)
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    allowed = {"__future__", "math", "collections.abc", "typing", "numpy", "numpy.typing"}
    assert imported <= allowed
    package = source.parents[1]
    others = [file for file in package.rglob("*.py") if file != source]
    others = [file for file in others if package / "lessons" not in file.parents]
    assert not [file for file in others if "naive import" in file.read_text()]
    assert not [file for file in others if "import naive" in file.read_text()]
