"""Recurrent layers and transposed convolutions against loops that share no code with them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tinymnist.nn.layers import GRU, LSTM, Conv2DTranspose, SimpleRNN, UpSampling2D

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 3))


def built(layer: Any, *shape: int) -> Any:
    layer.build(shape, rng=RNG, dtype=np.dtype("float64"))
    layer.set_weights({name: RNG.normal(size=a.shape) for name, a in layer.weights.items()})
    return layer


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def unit_by_unit(layer: Any, rows: Any) -> list[list[float]]:
    """The states of one example, number by number, from the formulas of the papers."""
    units, kind = layer.units, type(layer).__name__
    h, c, states = [0.0] * units, [0.0] * units, []
    bias = np.zeros_like(layer.kernel[0]) if layer.bias is None else layer.bias
    down = np.zeros_like(layer.kernel[0])
    if bias.ndim == 2:
        bias, down = bias

    def of_x(x: Any, column: int) -> float:
        return float(sum(x[f] * layer.kernel[f, column] for f in range(len(x))) + bias[column])

    def of_h(h: Any, column: int) -> float:
        terms = (h[v] * layer.recurrent_kernel[v, column] for v in range(units))
        return float(sum(terms) + down[column])

    for x in rows:
        new = list(h)
        reset = [sigmoid(of_x(x, units + u) + of_h(h, units + u)) for u in range(units)] \
            if kind == "GRU" else []  # fmt: skip
        for u in range(units):
            if kind == "SimpleRNN":
                new[u] = math.tanh(of_x(x, u) + of_h(h, u))
            elif kind == "LSTM":
                i, f, g, o = (of_x(x, k * units + u) + of_h(h, k * units + u) for k in range(4))
                c[u] = sigmoid(f) * c[u] + sigmoid(i) * math.tanh(g)
                new[u] = sigmoid(o) * math.tanh(c[u])
            else:
                z, last = sigmoid(of_x(x, u) + of_h(h, u)), 2 * units + u
                kept = [r * v for r, v in zip(reset, h, strict=True)]
                inner = reset[u] * of_h(h, last) if layer.reset_after else of_h(kept, last)
                new[u] = z * h[u] + (1 - z) * math.tanh(of_x(x, last) + inner)
        h = new
        states.append(h)
    return states


@pytest.mark.parametrize(
    "make",
    [
        lambda **s: SimpleRNN(4, **s),
        lambda **s: LSTM(4, **s),
        lambda **s: GRU(4, **s),
        lambda **s: GRU(4, reset_after=False, **s),
    ],
    ids=["SimpleRNN", "LSTM", "GRU", "GRU of the paper"],
)
@pytest.mark.parametrize("go_backwards", [False, True])
def test_every_state_is_that_of_the_formula(make: Any, go_backwards: bool) -> None:
    layer = built(make(return_sequences=True, go_backwards=go_backwards), 5, 3)
    order = slice(None, None, -1 if go_backwards else 1)
    expected = np.array([unit_by_unit(layer, rows[order]) for rows in X])
    assert np.allclose(layer.forward(X)[0], expected, atol=1e-12)
    layer.return_sequences = False
    assert np.allclose(layer.forward(X)[0], expected[:, -1], atol=1e-12)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("k", "stride"), [(3, 1), (3, 2), (2, 3), (4, 2), (1, 2)])
def test_a_transposed_convolution_spreads_every_pixel(padding: str, k: int, stride: int) -> None:
    layer = built(Conv2DTranspose(2, k, stride, padding), 4, 5, 3)
    x = RNG.normal(size=(4, 5, 3))
    overlap = max(k - stride, 0)
    front = overlap // 2 if padding == "same" else 0
    high, wide = ((n * stride + (0 if padding == "same" else overlap)) for n in (4, 5))
    y = np.zeros((high, wide, 2)) + layer.bias
    for i, j, a, b in np.ndindex(4, 5, k, k):
        row, column = i * stride + a - front, j * stride + b - front
        if 0 <= row < high and 0 <= column < wide:
            y[row, column] += layer.kernel[a, b] @ x[i, j]  # (out, in) @ (in,)
    assert layer.output_shape((4, 5, 3)) == y.shape
    assert np.allclose(layer.forward(x[None])[0][0], y, atol=1e-12)


def test_up_sampling_repeats_pixels() -> None:
    x = np.arange(6.0).reshape(1, 2, 3, 1)
    y = UpSampling2D((2, 1)).forward(x)[0]
    assert y[0, :, :, 0].tolist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5], [3, 4, 5]]


def test_pictures_are_not_rows() -> None:
    with pytest.raises(ValueError, match="Reshape"):
        LSTM(3).output_shape((28, 28, 1))
