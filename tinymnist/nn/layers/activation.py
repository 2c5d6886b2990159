"""Activations by name, and as layers of their own."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np

from tinymnist.errors import did_you_mean
from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers.base import Gradients, Layer, Operation, Stateless


def _linear(x: Array) -> tuple[Array, None]:
    return x, None


def _linear_backward(dy: Array, cache: None) -> Array:
    return dy


ACTIVATIONS: dict[str, Operation] = {
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
    "exponential": (F.exponential, F.exponential_backward),
    "hard_sigmoid": (F.hard_sigmoid, F.hard_sigmoid_backward),
    "hard_silu": (F.hard_silu, F.hard_silu_backward),
    "hard_tanh": (F.hard_tanh, F.hard_tanh_backward),
    "mish": (F.mish, F.mish_backward),
    "relu6": (F.relu6, F.relu6_backward),
    "selu": (F.selu, F.selu_backward),
    "silu": (F.silu, F.silu_backward),
    "softplus": (F.softplus, F.softplus_backward),
    "softsign": (F.softsign, F.softsign_backward),
}
"""Each activation and its gradient by Keras's name."""


def check_activation(name: str | None) -> str:
    """Check the name of an activation; Keras's ``None`` is "linear", its "swish" is "silu".

    Raises:
        ValueError: for an unknown name.
    """
    chosen = {None: "linear", "swish": "silu"}.get(name, name)
    if chosen not in ACTIVATIONS:
        rule = f"activation must be one of {list(ACTIVATIONS)}. Received: {name!r}"
        raise ValueError(f"{rule}{did_you_mean(name, ACTIVATIONS)}")
    return chosen


@dataclass(eq=False, repr=False)
class Activation(Stateless):
    """Any activation by its name, for instance ``Activation("relu")``.

    Raises:
        ValueError: for an unknown name.
    """

    activation: str

    def __post_init__(self) -> None:
        self.activation = check_activation(self.activation)

    def operation(self) -> Operation:
        return ACTIVATIONS[self.activation]


@dataclass(eq=False, repr=False)
class ReLU(Stateless):
    """``max(x, 0)``; with settings, Keras's general form.

    That is ``negative_slope * (x - threshold)`` up to ``threshold``, and ``min(x, max_value)``
    above it.
    """

    max_value: float | None = None
    negative_slope: float = 0.0
    threshold: float = 0.0

    def operation(self) -> Operation:
        if self.max_value is None and self.negative_slope == 0 and self.threshold == 0:
            return ACTIVATIONS["relu"]
        pieces = partial(
            F.relu_pieces,
            max_value=math.inf if self.max_value is None else self.max_value,
            negative_slope=self.negative_slope,
            threshold=self.threshold,
        )
        return pieces, F.relu_pieces_backward


@dataclass(eq=False, repr=False)
class LeakyReLU(Stateless):
    """``x`` above 0, ``negative_slope * x`` below."""

    negative_slope: float = 0.3

    def operation(self) -> Operation:
        return partial(F.leaky_relu, negative_slope=self.negative_slope), F.leaky_relu_backward


@dataclass(eq=False, repr=False)
class ELU(Stateless):
    """``x`` above 0, ``alpha (e^x - 1)`` below."""

    alpha: float = 1.0

    def operation(self) -> Operation:
        return partial(F.elu, alpha=self.alpha), F.elu_backward


@dataclass(eq=False, repr=False)
class GELU(Stateless):
    """``x * Phi(x)``, exactly or by the tanh formula."""

    approximate: bool = False

    def operation(self) -> Operation:
        return partial(F.gelu, approximate=self.approximate), F.gelu_backward


class Softmax(Stateless):
    """Probabilities over the last axis."""

    def operation(self) -> Operation:
        return ACTIVATIONS["softmax"]


@dataclass(eq=False, repr=False)
class PReLU(Layer):
    """``x`` above 0, ``alpha * x`` below, where ``alpha`` is learned (He et al., 2015).

    There is one slope for each value of an example. Values along ``shared_axes``, counted from 1,
    share theirs: ``PReLU([1, 2])`` has one slope per channel.
    """

    parameters: ClassVar[tuple[str, ...]] = ("alpha",)

    shared_axes: Sequence[int] = ()
    alpha: Array = field(init=False, repr=False)

    def weight_shapes(self, *input_shapes: Shape) -> dict[str, Shape]:
        sides = enumerate(input_shapes[0], 1)
        return {"alpha": tuple(1 if axis in self.shared_axes else side for axis, side in sides)}

    def initial_value(self, name: str, shape: Shape, rng: np.random.Generator) -> Array:
        return np.zeros(shape)

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        return F.prelu(xs[0], self.alpha)

    def backward(self, dy: Array, cache: Any, *, need_dx: bool = True) -> Gradients:
        dx, dalpha = F.prelu_backward(dy, cache)
        return (dx if need_dx else None,), ({"alpha": dalpha} if self.trainable else {})


def without_activation(layer: Layer) -> Layer:
    """The layer with its activation switched off; it shares the arrays of ``layer``."""
    if isinstance(layer, (ReLU, Softmax)):
        return Activation("linear", name=layer.name)
    twin = copy.copy(layer)
    twin.activation = "linear"  # type: ignore[attr-defined]
    return twin
