"""Keras's functional style: layers are called on what others return, and a Model is made of it.

::

    inputs = Input((28, 28, 1))
    x = Conv2D(8, 3, padding="same")(inputs)
    x = Add()([x, Conv2D(8, 3, padding="same")(x)])
    model = Model(inputs, Dense(10, activation="softmax")(Flatten()(x)))

It is a Sequential like any other, with a wiring. Parts of models can be used, too:
``Dense(10)(base.output)``, or ``base(inputs)`` for a whole one. A subclass may have a ``call(self,
x)`` that calls its layers; it is run once, on a tensor.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinymnist.nn.graph import INPUT, Input
from tinymnist.nn.layers import Layer
from tinymnist.nn.layers.base import Tensor, default_name, free_name
from tinymnist.nn.sequential import Sequential


class Model(Sequential):
    """A model between two tensors, with every layer in between.

    Attributes:
        output_names: the layers whose outputs :meth:`predict` returns, if there are several.
    """

    output_names: Sequence[str] = ()

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str = "functional", **settings: Any
    ) -> None:
        """Collect and wire the layers, in Keras's order.

        Args:
            inputs: an ``Input``, or the output of a layer to start behind.
            outputs: what a layer returned. Of a list, ``predict`` returns a list; such a model can
                show layers at work, but not be trained.
            name: of the model.
            settings: ``dtype`` and ``rng``, as of a Graph.

        Raises:
            ValueError: if the output does not depend on the input alone, or a layer with weights is
                used twice.
        """
        if hasattr(self, "call"):
            super().__init__(name=name, **settings)
        else:
            self._wire(inputs, outputs, name, settings)

    def _wire(self, inputs: Any, outputs: Any, name: str, settings: Mapping[str, Any]) -> None:
        start, ends = _one(inputs, "inputs"), _list(outputs)
        order = _in_keras_order(start, ends)
        layers, names = _named(order)
        names[id(start)] = INPUT
        wiring = {names[id(t)]: [names[id(s)] for s in t.sources] for t in order}
        super().__init__(layers, input_shape=start.shape, wiring=wiring, name=name, **settings)
        self.output_names = [names[id(end)] for end in ends] if len(ends) > 1 else []
        self.tensors = {names[id(t)]: t for t in (start, *order)}

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Wire the layers of a subclass as its ``call`` uses them; see :meth:`Sequential.build`."""
        if self.shapes or not hasattr(self, "call"):
            super().build(input_shape)
            return
        start = Input(batch_shape=input_shape)
        self._wire(start, self(start), self.name, {"dtype": self.dtype, "rng": self._seed})

    def __call__(self, x: Any, training: bool = False) -> Any:
        """The same as of any model; a subclass calls its layers as it says."""
        if isinstance(x, Tensor) and hasattr(self, "call"):
            return self.call(x)
        return super().__call__(x, training)

    def predict(self, x: Any, *args: Any, **settings: Any) -> Any:
        """As of any model; with several outputs, a list of arrays."""
        if not self.shapes and isinstance(x, np.ndarray):
            self.build(x.shape)
        if not self.output_names:
            return super().predict(x, *args, **settings)
        captured = self.capture(np.asarray(x))
        return [captured[name] for name in self.output_names]


def _one(tensors: Any, what: str) -> Tensor:
    given = _list(tensors)
    if len(given) != 1:
        raise ValueError(f"{what} must be one tensor. Received: {len(given)}")
    return given[0]


def _list(tensors: Any) -> list[Tensor]:
    given = list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]
    if not given or not all(isinstance(tensor, Tensor) for tensor in given):
        rule = "Model takes what Input(...) and layers called on it return"
        raise ValueError(f"{rule}. Received: {tensors!r}")
    return given


def _in_keras_order(start: Tensor, ends: Sequence[Tensor]) -> list[Tensor]:
    """Every tensor after the start, those furthest from the ends first, as Keras orders layers."""
    found: dict[int, Tensor] = {}  # in the order in which they are found, from the ends down
    after: list[Tensor] = []  # every tensor after its sources
    waiting: list[tuple[Tensor, bool]] = [(end, False) for end in reversed(ends)]
    while waiting:
        tensor, is_done = waiting.pop()
        if is_done:
            after.append(tensor)
        elif tensor is not start and id(tensor) not in found:
            if not tensor.sources:
                raise ValueError(
                    "outputs must depend on the inputs of the model alone. Received: an output "
                    f"that takes another input, of shape {tensor.shape}"
                )
            found[id(tensor)] = tensor
            waiting.append((tensor, True))
            waiting += [(source, False) for source in reversed(tensor.sources)]
    depth = {id(end): 0 for end in ends}
    for tensor in reversed(after):
        for source in tensor.sources:
            depth[id(source)] = max(depth.get(id(source), 0), depth.get(id(tensor), 0) + 1)
    return sorted(found.values(), key=lambda tensor: -depth[id(tensor)])


def _named(order: Sequence[Tensor]) -> tuple[list[Layer], dict[int, str]]:
    """The layer of each tensor and its name. One without weights that is used again is copied."""
    layers: list[Layer] = []
    names: dict[int, str] = {}
    taken = {t.layer.name for t in order if t.layer is not None and t.layer.name}
    for tensor in order:
        layer: Any = tensor.layer
        if any(layer is other for other in layers):
            if layer.parameters or layer.statistics:
                raise ValueError(
                    f"a layer with weights can be used once in a model. Received: {layer.name}, "
                    "which is called twice"
                )
            layer = copy.copy(layer)
            layer.name = ""
        if layer.name in names.values():
            raise ValueError(
                "every layer of a model needs a name of its own: Dense(10, name=...). "
                f"Received: two layers named {layer.name!r}"
            )
        if not layer.name:
            layer.name = free_name(default_name(layer), taken)
            taken.add(layer.name)
        layers.append(layer)
        names[id(tensor)] = layer.name
    return layers, names
