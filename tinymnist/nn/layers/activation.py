"""Activations by name, and as layers of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers.base import Layer

Forward = Callable[[Array], tuple[Array, Any]]
Backward = Callable[[Array, Any], Array]


def _linear(x: Array) -> tuple[Array, None]:
    return x, None


def _linear_backward(dy: Array, cache: None) -> Array:
    return dy


ACTIVATIONS: dict[str, tuple[Forward, Backward]] = {
    "linear": (_linear, _linear_backward),
    "relu": (F.relu, F.relu_backward),
    # Keras's "leaky_relu" as a word has the slope 0.2, its layer LeakyReLU has 0.3.
    "leaky_relu": (partial(F.leaky_relu, negative_slope=0.2), F.leaky_relu_backward),
    "elu": (F.elu, F.elu_backward),
    "gelu": (F.gelu, F.gelu_backward),
    "sigmoid": (F.sigmoid, F.sigmoid_backward),
    "tanh": (F.tanh, F.tanh_backward),
    "softmax": (F.softmax, F.softmax_backward),
    "log_softmax": (F.log_softmax, F.log_softmax_backward),
}


def check_activation(name: str | None) -> str:
    """Keras's ``None`` is "linear"; an unknown name is refused."""
    chosen = "linear" if name is None else name
    if chosen not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {list(ACTIVATIONS)}. Received: {name!r}")
    return chosen


class _Elementwise(Layer):
    """A layer that is one function and its derivative."""

    def _pair(self) -> tuple[Forward, Backward]:
        raise NotImplementedError

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return self._pair()[0](xs[0])

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        return ((self._pair()[1](dy, cache) if need_dx else None),), {}


@dataclass(eq=False)
class Activation(_Elementwise):
    """Any activation by its name, for instance ``Activation("relu")``."""

    activation: str

    def __post_init__(self) -> None:
        self.activation = check_activation(self.activation)

    def _pair(self) -> tuple[Forward, Backward]:
        return ACTIVATIONS[self.activation]


@dataclass(eq=False)
class ReLU(_Elementwise):
    """``max(x, 0)``."""

    def _pair(self) -> tuple[Forward, Backward]:
        return ACTIVATIONS["relu"]


@dataclass(eq=False)
class LeakyReLU(_Elementwise):
    """``x`` above 0, ``negative_slope * x`` below."""

    negative_slope: float = 0.3

    def _pair(self) -> tuple[Forward, Backward]:
        return partial(F.leaky_relu, negative_slope=self.negative_slope), F.leaky_relu_backward


@dataclass(eq=False)
class ELU(_Elementwise):
    """``x`` above 0, ``alpha (e^x - 1)`` below."""

    alpha: float = 1.0

    def _pair(self) -> tuple[Forward, Backward]:
        return partial(F.elu, alpha=self.alpha), F.elu_backward


@dataclass(eq=False)
class GELU(_Elementwise):
    """``x * Phi(x)``, exactly or by the tanh formula."""

    approximate: bool = False

    def _pair(self) -> tuple[Forward, Backward]:
        return partial(F.gelu, approximate=self.approximate), F.gelu_backward


@dataclass(eq=False)
class Softmax(_Elementwise):
    """Probabilities over the last axis."""

    def _pair(self) -> tuple[Forward, Backward]:
        return ACTIVATIONS["softmax"]
