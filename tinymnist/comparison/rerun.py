"""tinymnist's own run of a model, with every step visible and open to experiments."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinymnist.comparison.outputs import INPUT_KIND, Output, kind_of
from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import ACTIVATIONS, BatchNormalization, Dropout, Layer
from tinymnist.nn.sequential import Sequential


@dataclass(frozen=True)
class Rerun:
    """A model with its input, and what an experiment may change about the run.

    Attributes:
        model: any model.
        x: (n, *input_shape).
        batch_statistics: whether batch normalization uses this batch's statistics, as in training.
        head: a function applied to the last output; None for none.
        dropout: the generator that Dropout layers draw from; None disables dropout.
        masks: factors that the outputs of some layers are multiplied by, by the layer's name.
    """

    model: Sequential
    x: Array
    batch_statistics: bool = False
    head: Callable[[Array], Array] | None = None
    dropout: np.random.Generator | None = None
    masks: Mapping[str, Array] = field(default_factory=dict)

    def with_input(self, x: Array) -> Rerun:
        """The same run on other examples."""
        return replace(self, x=np.ascontiguousarray(x, self.model.dtype))

    def with_layers(self, replacements: Mapping[str, Layer]) -> Rerun:
        """The same run with some layers replaced, by name; the others are shared."""
        model = Sequential(
            [replacements.get(layer.name, layer) for layer in self.model.layers],
            input_shape=self.model.input_shape,
            wiring=self.model.sources,
            dtype=self.model.dtype,
            name=self.model.name,
        )
        model.metadata = self.model.metadata
        return replace(self, model=model)

    def run(self) -> list[Output]:
        """Every output, in order; a layer with a fused activation gives two."""
        values = {INPUT: self.model.cast(self.x)}
        outputs = [Output(INPUT, INPUT_KIND, values[INPUT])]
        for layer in self.model.layers:
            xs = [values[source] for source in self.model.sources[layer.name]]
            steps = self._steps(layer, xs)
            if (mask := self.masks.get(layer.name)) is not None:
                steps[-1] = replace(steps[-1], values=steps[-1].values * mask)
            values[layer.name] = steps[-1].values
            outputs += steps
        if self.head is not None:
            outputs[-1] = replace(outputs[-1], values=self.head(outputs[-1].values))
        return outputs

    def _steps(self, layer: Layer, xs: list[Array]) -> list[Output]:
        name, kind = layer.name, kind_of(type(layer).__name__)
        activation = getattr(layer, "activation", "linear")
        if activation == "linear" or not hasattr(layer, "product"):
            if self.batch_statistics and isinstance(layer, BatchNormalization):
                y, _ = changed(layer, trainable=True).forward(*xs, training=True)
            elif self.dropout is not None and isinstance(layer, Dropout):
                y, _ = layer.forward(*xs, training=True, rng=self.dropout)
            else:
                y, _ = layer.forward(*xs)
            return [Output(name, kind if activation == "linear" else activation, y, layer=name)]
        z, _ = layer.product(xs[0])
        y = ACTIVATIONS[activation][0](z)[0]
        before = Output(f"{name} before {activation}", kind, z, inner=True, layer=name)
        return [before, Output(name, activation, y, layer=name)]


def changed(layer: Layer, **values: Any) -> Layer:
    """A copy of a layer with other settings or arrays; arrays keep the layer's dtype."""
    twin = copy.copy(layer)
    for name, value in values.items():
        old = getattr(layer, name)
        new = np.ascontiguousarray(value, old.dtype) if isinstance(old, np.ndarray) else value
        setattr(twin, name, new)
    return twin
