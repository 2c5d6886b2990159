"""tinymnist's own run of a model: every step and gradient visible, and open to experiments."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinymnist.comparison.outputs import INPUT_KIND, Output, kind_of
from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import ACTIVATIONS, BatchNormalization, Dropout, Layer
from tinymnist.nn.sequential import Sequential

_Known = tuple[tuple[Any, ...], list[Output]]
"""A layer's outputs, and before them the layer, its inputs and all else that they depend on."""


@dataclass(frozen=True)
class Rerun:
    """A model with its input, and what an experiment may change about the run.

    Attributes:
        model: any model.
        x: (n, *input_shape).
        batch_statistics: whether batch normalization uses this batch's statistics, as in training.
        dropout: the generator that Dropout layers draw from; None disables dropout.
        after: functions applied to the outputs of some layers, by the layer's name.
        known: outputs of an earlier run by the layer's name, with what they depend on.
    """

    model: Sequential
    x: Array
    batch_statistics: bool = False
    dropout: np.random.Generator | None = None
    after: Mapping[str, Callable[[Array], Array]] = field(default_factory=dict)
    known: Mapping[str, _Known] = field(default_factory=dict)

    def with_input(self, x: Array) -> Rerun:
        """The same run on other examples."""
        return replace(self, x=np.ascontiguousarray(x, self.model.dtype))

    def with_layers(self, replacements: Mapping[str, Layer]) -> Rerun:
        """The same run with some layers replaced, by name; the others are shared."""
        model = copy.copy(self.model)
        model.layers = [replacements.get(layer.name, layer) for layer in model.layers]
        return replace(self, model=model)

    def with_function(self, name: str, function: Callable[[Array], Array]) -> Rerun:
        """The same run with a function applied to a layer's output, after those that are."""
        earlier = self.after.get(name)
        both = function if earlier is None else lambda y: function(earlier(y))
        return replace(self, after={**self.after, name: both})

    def remembered(self) -> Rerun:
        """The same run, whose outputs are reused as far as a run with changes has the same ones."""
        known: dict[str, _Known] = {}
        return replace(self, known=known) if list(self.steps(known)) else self

    def run(self) -> list[Output]:
        """Every output, in order; a layer with a fused activation gives two."""
        return list(self.steps())

    def steps(self, memory: dict[str, _Known] | None = None) -> Iterator[Output]:
        """The same one by one, so that a run can be left before its end; kept in ``memory``."""
        values = {INPUT: self.model.cast(self.x)}
        yield Output(INPUT, INPUT_KIND, values[INPUT])
        for layer in self.model.layers:
            xs = [values[name] for name in self.model.sources[layer.name]]
            after = self.after.get(layer.name)
            causes = (layer, after, self.batch_statistics, self.dropout, *xs)
            before, outputs = self.known.get(layer.name, ((), []))
            if len(before) != len(causes) or not all(map(operator.is_, before, causes)):
                outputs = self._steps(layer, xs)
                if after is not None:
                    outputs[-1] = replace(outputs[-1], values=after(outputs[-1].values))
            if memory is not None:
                memory[layer.name] = causes, outputs
            values[layer.name] = outputs[-1].values
            yield from outputs

    def _steps(self, layer: Layer, xs: list[Array]) -> list[Output]:
        name, kind = layer.name, kind_of(type(layer).__name__)
        activation = getattr(layer, "activation", "linear")
        if activation != "linear" and hasattr(layer, "product"):
            z, _ = layer.product(xs[0])
            before = Output(f"{name} before {activation}", kind, z, inner=True, layer=name)
            return [before, Output(name, activation, ACTIVATIONS[activation][0](z)[0], layer=name)]
        by_batch = self.batch_statistics and isinstance(layer, BatchNormalization)
        drops = self.dropout is not None and isinstance(layer, Dropout)
        layer = changed(layer, trainable=True) if by_batch else layer
        y, _ = layer.forward(*xs, training=by_batch or drops, rng=self.dropout)
        return [Output(name, kind if activation == "linear" else activation, y, layer=name)]


def changed(layer: Layer, **values: Any) -> Layer:
    """A copy of a layer with other settings or arrays; arrays keep the layer's dtype."""
    twin = copy.copy(layer)
    for name, value in values.items():
        old = getattr(layer, name)
        new = np.ascontiguousarray(value, old.dtype) if isinstance(old, np.ndarray) else value
        setattr(twin, name, new)
    return twin


def seed_weights(shape: Any) -> Array:
    """The weights of the outputs in the sum, (n, ...) float64: the same for the same shape."""
    return np.random.default_rng(0).normal(size=tuple(shape))


def gradients_in_tinymnist(model: Sequential, x: Array) -> dict[str, Output]:
    """The gradient at the output of every layer, and at the input, by the layer's name.

    What is differentiated is one number: the outputs, weighted by :func:`seed_weights` and summed.
    These gradients can be compared without matching the names of parameters or the layouts of
    kernels, and if all agree, those of the parameters follow by one product each.
    """
    found = model.capture_gradients(x, lambda y: seed_weights(y.shape).astype(y.dtype))
    return {name: Output(name, "", values) for name, values in found.items()}
