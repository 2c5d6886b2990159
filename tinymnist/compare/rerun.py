"""tinymnist's own run of a model, with every step visible, and open to experiments."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinymnist.compare.outputs import INPUT_KIND, Output, kind_of
from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import ACTIVATIONS, BatchNormalization, Dropout, Layer
from tinymnist.nn.sequential import Sequential

Head = Callable[[Array], Array]


@dataclass(frozen=True)
class Trial:
    """A model and what it is given: the state that an experiment changes.

    Attributes:
        model: any model.
        x: (n, *input_shape).
        batch_statistics: whether batch normalization looks at this batch, as in training.
        head: what happens to the last output afterwards.
        dropout: where dropout takes its choices from; None drops nothing.
        masks: factors for the outputs of some layers, as dropout multiplies them.
    """

    model: Sequential
    x: Array
    batch_statistics: bool = False
    head: Head | None = None
    dropout: np.random.Generator | None = None
    masks: Mapping[str, Array] = field(default_factory=dict)

    def with_input(self, x: Array) -> Trial:
        """The same with other pictures."""
        return replace(self, x=np.ascontiguousarray(x, self.model.dtype))

    def with_layers(self, changed: Mapping[str, Layer]) -> Trial:
        """The same with some layers replaced, by name."""
        return replace(self, model=with_layers(self.model, changed))

    def run(self) -> list[Output]:
        """Every output, in order; activations that are fused with a layer are told apart."""
        outputs = {INPUT: self.model.cast(self.x)}
        told = [Output(INPUT, INPUT_KIND, outputs[INPUT])]
        for layer in self.model.layers:
            xs = [outputs[source] for source in self.model.sources[layer.name]]
            steps = self._steps(layer, xs)
            if (mask := self.masks.get(layer.name)) is not None:
                steps[-1] = replace(steps[-1], values=steps[-1].values * mask)
            outputs[layer.name] = steps[-1].values
            told += steps
        if self.head is not None:
            told[-1] = replace(told[-1], values=self.head(told[-1].values))
        return told

    def _steps(self, layer: Layer, xs: list[Array]) -> list[Output]:
        name, kind = layer.name, kind_of(type(layer).__name__)
        word = getattr(layer, "activation", "linear")
        if word == "linear" or not hasattr(layer, "product"):
            if self.batch_statistics and isinstance(layer, BatchNormalization):
                y, _ = changed(layer, trainable=True).forward(*xs, training=True)
            elif self.dropout is not None and isinstance(layer, Dropout):
                y, _ = layer.forward(*xs, training=True, rng=self.dropout)
            else:
                y, _ = layer.forward(*xs)
            return [Output(name, kind if word == "linear" else word, y, layer=name)]
        z, _ = layer.product(xs[0])
        y = ACTIVATIONS[word][0](z)[0]
        before = Output(f"{name} before {word}", kind, z, inner=True, layer=name)
        return [before, Output(name, word, y, layer=name)]


def with_layers(model: Sequential, changed: Mapping[str, Layer]) -> Sequential:
    """A copy of a model with some layers replaced; the others are shared."""
    twin = Sequential(
        [changed.get(layer.name, layer) for layer in model.layers],
        input_shape=model.input_shape,
        wiring=model.sources,
        dtype=model.dtype,
        name=model.name,
    )
    twin.metadata = model.metadata
    return twin


def changed(layer: Layer, **values: Any) -> Layer:
    """A copy of a layer with other settings or arrays; arrays keep the layer's dtype."""
    twin = copy.copy(layer)
    for name, value in values.items():
        old = getattr(layer, name)
        new = np.ascontiguousarray(value, old.dtype) if isinstance(old, np.ndarray) else value
        setattr(twin, name, new)
    return twin
