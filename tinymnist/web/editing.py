"""A model with some numbers changed and some filters switched off; the model itself stays."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers.base import Layer
from tinymnist.nn.sequential import Sequential

MAX_EDITS = 1000


@dataclass(frozen=True)
class Edits:
    """What to change.

    Attributes:
        weights: ("layer/array", index in the flat array, new value).
        off: (layer, channel): the last axis of the layer's output is 0 there.
    """

    weights: tuple[tuple[str, int, float], ...] = ()
    off: tuple[tuple[str, int], ...] = ()

    @classmethod
    def parse(cls, weights: Any, off: Any) -> Edits:
        """From JSON: ``[["conv2d/kernel", 3, 0.5], ...]`` and ``[["conv2d", 7], ...]``.

        Raises:
            InputError: unless they look like that.
        """
        if not (isinstance(weights, Sequence) and isinstance(off, Sequence)) or (
            len(weights) + len(off) > MAX_EDITS
        ):
            raise InputError(f"edits and off must be lists of at most {MAX_EDITS} changes")
        changes, switches = [], []
        for change in weights:
            match change:
                case [str(name), int(index), int() | float() as value] if abs(value) < 1e30:
                    changes.append((name, index, float(value)))
                case _:
                    raise InputError(f"an edit is [array, index, value]; received {change!r:.80}")
        for switch in off:
            match switch:
                case [str(layer), int(channel)]:
                    switches.append((layer, channel))
                case _:
                    raise InputError(f"off lists [layer, channel]; received {switch!r:.80}")
        return cls(tuple(changes), tuple(switches))


@dataclass(eq=False, repr=False)
class Switched(Layer):
    """A layer some of whose output channels are set to 0."""

    inner: Layer
    off: Sequence[int]

    def output_shape(self, *input_shapes: Shape) -> Shape:
        return self.inner.output_shape(*input_shapes)

    def forward(
        self, *xs: Array, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Array, Any]:
        y, cache = self.inner.forward(*xs, training=training, rng=rng)
        y = np.array(y)
        y[..., list(self.off)] = 0
        return y, cache

    def backward(
        self, dy: Array, cache: Any, *, need_dx: bool = True
    ) -> tuple[tuple[Array | None, ...], dict[str, Array]]:
        dy = np.array(dy)
        dy[..., list(self.off)] = 0
        return self.inner.backward(dy, cache, need_dx=need_dx)[0], {}


def edited(model: Sequential, edits: Edits) -> Sequential:
    """A model with the changes; arrays that do not change are shared.

    Raises:
        InputError: when there is no such layer, array, number or channel.
    """
    if not edits.weights and not edits.off:
        return model
    layers = {layer.name: copy.copy(layer) for layer in model.layers}
    for name, index, value in edits.weights:
        layer, _, key = name.partition("/")
        array = layers[layer].weights.get(key) if layer in layers else None
        if array is None or not 0 <= index < array.size:
            raise InputError(f"there is no number {index} in an array {name!r:.80}")
        changed = array.copy()
        changed.flat[index] = value
        setattr(layers[layer], key, changed)
    switched: dict[str, list[int]] = {}
    for name, channel in edits.off:
        if name not in layers or not 0 <= channel < model.shapes[name][-1]:
            raise InputError(f"there is no channel {channel} in a layer {name!r:.80}")
        switched.setdefault(name, []).append(channel)
    for name, channels in switched.items():
        layers[name] = Switched(layers[name], channels, name=name)
    twin = Sequential(
        layers.values(), input_shape=model.input_shape, wiring=model.wiring, dtype=model.dtype,
        name=model.name,
    )  # fmt: skip
    twin.metadata = model.metadata
    return twin
