"""Recurrent layers: SimpleRNN, LSTM and GRU, as Keras computes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.functional.recurrent import (
    Step,
    StepBack,
    gru_cell,
    lstm_cell,
    recurrent,
    recurrent_backward,
    simple_cell,
)
from tinymnist.nn.layers.activation import ACTIVATIONS, check_activation
from tinymnist.nn.layers.base import Gradients, Layer
from tinymnist.nn.layers.initializers import initialize


@dataclass(eq=False, repr=False)
class _Recurrent(Layer):
    """Reads rows (t, features) one after another, and returns its last state (units,).

    Attributes:
        units: the size of the state.
        activation: a name of :data:`ACTIVATIONS`.
        use_bias: whether a bias is added.
        return_sequences: whether all states are returned, (t, units), in the order of reading.
        go_backwards: whether the last row is read first.
        in_input_order: whether all states are returned in the order of the input even then, as in
            Keras's Bidirectional.
    """

    parameters: ClassVar[tuple[str, ...]] = ("kernel", "recurrent_kernel", "bias")
    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1

    units: int
    activation: str = field(default="tanh", kw_only=True)
    use_bias: bool = field(default=True, kw_only=True)
    return_sequences: bool = field(default=False, kw_only=True)
    go_backwards: bool = field(default=False, kw_only=True)
    in_input_order: bool = field(default=False, kw_only=True)
    kernel: Array = field(init=False, repr=False)
    recurrent_kernel: Array = field(init=False, repr=False)
    bias: Array | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.activation = check_activation(self.activation)
        self.bias = None

    def cell(self) -> tuple[Step, StepBack]:
        """What is done at each row, and its gradient."""
        raise NotImplementedError

    def bias_shape(self) -> Shape:
        """The shape of the bias."""
        return (self.gates * self.units,)

    def weight_shapes(self, *input_shapes: Shape) -> dict[str, Shape]:
        wide = self.gates * self.units
        bias = {"bias": self.bias_shape()} if self.use_bias else {}
        kernels = {"kernel": (input_shapes[0][-1], wide), "recurrent_kernel": (self.units, wide)}
        return {**kernels, **bias}

    def initial_value(self, name: str, shape: Shape, rng: np.random.Generator) -> Array:
        if (
            name == "recurrent_kernel"
        ):  # each gate turns the state, and neither shrinks nor grows it
            squares = rng.normal(size=(self.gates, self.units, self.units))
            return np.concatenate([np.linalg.qr(square)[0] for square in squares], axis=1)
        return initialize("glorot_uniform" if name == "kernel" else "zeros", shape, rng)

    def output_shape(self, *input_shapes: Shape) -> Shape:
        if len(input_shapes[0]) != 2:
            raise ValueError(
                f"{self.name or type(self).__name__} takes rows (t, features); put Reshape((28, "
                f"28)) before it. Received: input_shape={input_shapes[0]}"
            )
        return (input_shapes[0][0], self.units) if self.return_sequences else (self.units,)

    def multiply_adds(self, *input_shapes: Shape) -> int:
        rows, features = input_shapes[0]
        return rows * (features + self.units) * self.gates * self.units

    @property
    def _turns_back(self) -> bool:
        return self.return_sequences and self.go_backwards and self.in_input_order

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        x = xs[0][:, ::-1] if self.go_backwards else xs[0]
        step, _ = self.cell()
        y, cache = recurrent(x, self.kernel, self.recurrent_kernel, self.bias, step, self.states)
        if self.return_sequences:
            return y[:, ::-1] if self._turns_back else y, (cache, y.shape)
        last = y[:, -1] if y.shape[1] else np.zeros((len(x), self.units), y.dtype)
        return last, (cache, y.shape)

    def backward(self, dy: Array, cache: Any, *, need_dx: bool = True) -> Gradients:
        inner, shape = cache
        if not self.return_sequences:
            last, dy = dy, np.zeros(shape, dy.dtype)
            dy[:, -1] = last
        dy = dy[:, ::-1] if self._turns_back else dy
        dx, *rest = recurrent_backward(dy, inner, self.cell()[1])
        gradients = dict(zip(self.parameters, rest, strict=True)) if self.trainable else {}
        dx = dx[:, ::-1] if self.go_backwards else dx
        return (dx if need_dx else None,), {k: g for k, g in gradients.items() if g is not None}


@dataclass(eq=False, repr=False)
class SimpleRNN(_Recurrent):
    """``h = activation(x @ kernel + bias + h_before @ recurrent_kernel)``."""

    def cell(self) -> tuple[Step, StepBack]:
        return simple_cell(ACTIVATIONS[self.activation])


@dataclass(eq=False, repr=False)
class _Gated(_Recurrent):
    """A cell with gates.

    Attributes:
        recurrent_activation: the gates', a name of :data:`ACTIVATIONS`.
    """

    recurrent_activation: str = field(default="sigmoid", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.recurrent_activation = check_activation(self.recurrent_activation)


@dataclass(eq=False, repr=False)
class LSTM(_Gated):
    """Long short-term memory; see :func:`tinymnist.nn.functional.recurrent.lstm_cell`."""

    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    def initial_value(self, name: str, shape: Shape, rng: np.random.Generator) -> Array:
        value = super().initial_value(name, shape, rng)
        if name == "bias":  # it begins by forgetting nothing (Jozefowicz et al., 2015)
            value[self.units : 2 * self.units] = 1
        return value

    def cell(self) -> tuple[Step, StepBack]:
        return lstm_cell(ACTIVATIONS[self.activation], ACTIVATIONS[self.recurrent_activation])


@dataclass(eq=False, repr=False)
class GRU(_Gated):
    """Gated recurrent unit; see :func:`tinymnist.nn.functional.recurrent.gru_cell`.

    Attributes:
        reset_after: whether the reset gate multiplies the recurrent product, which then has a bias
            of its own; False in Keras before 2.3 and in the paper.
    """

    gates: ClassVar[int] = 3

    reset_after: bool = field(default=True, kw_only=True)

    def bias_shape(self) -> Shape:
        wide = self.gates * self.units
        return (2, wide) if self.reset_after else (wide,)

    def cell(self) -> tuple[Step, StepBack]:
        f, gate = ACTIVATIONS[self.activation], ACTIVATIONS[self.recurrent_activation]
        return gru_cell(f, gate, self.reset_after)
