"""The model under construction, and the order of axes of every tensor in it.

A tensor of a Keras model is the output of a layer in tinymnist, possibly with its axes in another
order: if Keras keeps the channels first, (c, h, w), tinymnist keeps (h, w, c). Each
:class:`Tensor` carries its order, and a Permute is added only if a layer needs another one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.interop.keras.config import LayerConfig
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import Layer, Permute, Reshape
from tinymnist.nn.layers.base import free_name
from tinymnist.nn.sequential import Sequential

Arrays = dict[str, Array]
CHANNELS_FIRST = (1, 2, 0)
"""The positions of height, width and channels in a Keras tensor (c, h, w)."""
MOST_NUMBERS = 1 << 26
"""Upper limit of numbers in one layer's output for one example; larger models are rejected."""


@dataclass(frozen=True)
class Tensor:
    """An output in the Keras model, and the layer of tinymnist that computes it.

    Attributes:
        source: the name of the tinymnist layer.
        shape: of one example in Keras.
        axes: for each axis in tinymnist, the axis in Keras. None if only the row-by-row order of
            the numbers agrees, in another shape: (28, 28) held as (28, 28, 1).
    """

    source: str
    shape: Shape
    axes: Shape | None

    @property
    def in_order(self) -> Shape:
        """Keras's own order of axes."""
        return tuple(range(len(self.shape)))


class Builder:
    """Collects the layers of the model.

    Attributes:
        path: of the file, for messages.
        version: the major version of Keras that wrote the file.
        theano: whether Keras ran on Theano, which rotates kernels and pads differently.
        layers: those of the model so far.
    """

    def __init__(self, path: str, version: int, theano: bool) -> None:
        self.path, self.version, self.theano = path, version, theano
        self.layers: list[Layer] = []
        self._wiring: dict[str, list[str]] = {}
        self._shapes: dict[str, Shape] = {}
        self._rearranged: dict[tuple[str, Shape], Tensor] = {}

    def start(self, shape: Shape) -> Tensor:
        """The model's input: pictures as (h, w, c), whatever shape Keras takes."""
        picture, axes = _as_picture(shape)
        self._shapes[INPUT] = picture
        return Tensor(INPUT, shape, axes)

    def held(self, tensor: Tensor) -> Shape:
        """The tensor's shape in tinymnist."""
        return self._shapes[tensor.source]

    def add(self, layer: Layer, name: str, *sources: str, arrays: Arrays | None = None) -> str:
        """Add a layer with its arrays, and return its name, made unique.

        Raises:
            InputError: when the arrays do not have the names and shapes of such a layer's.
        """
        layer.name = free_name(name, self._shapes)
        shapes = [self._shapes[source] for source in sources]
        self._shapes[layer.name] = layer.output_shape(*shapes)
        if math.prod(self._shapes[layer.name]) > MOST_NUMBERS:
            raise InputError(f"{self.path}: {name} has more than {MOST_NUMBERS:,} outputs")
        wanted, arrays = layer.weight_shapes(*shapes), arrays or {}
        if (found := {name: array.shape for name, array in arrays.items()}) != wanted:
            raise InputError(
                f"{self.path}: {layer.name} should have the arrays {wanted}; found {found}"
            )
        for key, array in arrays.items():
            setattr(layer, key, np.array(array, np.float32, order="C"))
        self.layers.append(layer)
        self._wiring[layer.name] = list(sources)
        return layer.name

    def after(self, source: str, axes: Shape) -> Tensor:
        """The output of a layer whose axes are in this order."""
        held = self._shapes[source]
        return Tensor(source, tuple(held[axes.index(axis)] for axis in range(len(axes))), axes)

    def arranged(self, tensor: Tensor, axes: Shape) -> Tensor:
        """The same tensor with its axes in another order."""
        if tensor.axes == axes:
            return tensor
        if (key := (tensor.source, axes)) not in self._rearranged:
            source = self._rearranging(tensor, axes)
            self._rearranged[key] = Tensor(source, tensor.shape, axes)
        return self._rearranged[key]

    def _rearranging(self, tensor: Tensor, axes: Shape) -> str:
        shape = tuple(tensor.shape[axis] for axis in axes)
        stem = "picture" if tensor.source == INPUT else tensor.source
        if tensor.axes is None and axes != tensor.in_order:
            return self._rearranging(self.in_order(tensor), axes)
        if tensor.axes is None or _reads_alike(tensor.shape, tensor.axes, axes):
            if self.held(tensor) == shape:
                return tensor.source
            return self.add(Reshape(shape), f"{stem}_reshaped", tensor.source)
        dims = [tensor.axes.index(axis) + 1 for axis in axes]
        return self.add(Permute(dims), f"{stem}_permuted", tensor.source)

    def in_order(self, tensor: Tensor) -> Tensor:
        """The tensor with its axes as Keras has them."""
        return self.arranged(tensor, tensor.in_order)

    def in_sequence(self, tensor: Tensor) -> Tensor:
        """The tensor in any shape, but with its numbers in Keras's row-by-row order."""
        if tensor.axes is None or _reads_alike(tensor.shape, tensor.axes, tensor.in_order):
            return tensor
        return self.in_order(tensor)

    def finish(self, end: Tensor, name: str) -> Sequential:
        """The model whose output is ``end``.

        Raises:
            InputError: when the model has no layers.
        """
        self.in_order(end)
        if not self.layers:
            raise InputError(f"{self.path} describes a model without layers that compute anything")
        shape = self._shapes[INPUT]
        return Sequential(self.layers, input_shape=shape, wiring=self._wiring, name=name)


@dataclass(frozen=True)
class Call:
    """A call of a Keras layer, which a handler adds to the model under construction."""

    builder: Builder
    config: LayerConfig
    inputs: list[Tensor]

    @property
    def name(self) -> str:
        """The layer's name in Keras."""
        return self.config.name

    @property
    def settings(self) -> dict[str, Any]:
        """The layer's settings."""
        return self.config.settings

    def put(
        self, layer: Layer, *inputs: Tensor, suffix: str = "", arrays: Arrays | None = None
    ) -> Tensor:
        """Add a layer whose output has the shape and the axes of its first input."""
        sources = [tensor.source for tensor in inputs]
        source = self.builder.add(layer, self.name + suffix, *sources, arrays=arrays)
        return Tensor(source, inputs[0].shape, inputs[0].axes)

    def refused(self, reason: str) -> InputError:
        """The error for a layer whose settings cannot be converted."""
        layer = f"the layer {self.name!r} ({self.config.kind})"
        return InputError(f"{self.builder.path}: {layer} {reason}")


def _as_picture(shape: Shape) -> tuple[Shape, Shape | None]:
    """The shape and the axes of an input in tinymnist: (h, w, c) if it is a picture."""
    if len(shape) == 1 and (side := math.isqrt(shape[0])) ** 2 == shape[0] and side >= 8:
        return (side, side, 1), None
    if len(shape) == 2 and min(shape) >= 8:
        return (*shape, 1), None
    if len(shape) == 3 and shape[0] in (1, 3) and shape[2] > 4:
        return (shape[1], shape[2], shape[0]), CHANNELS_FIRST
    return shape, tuple(range(len(shape)))


def _reads_alike(shape: Shape, axes: Sequence[int], others: Sequence[int]) -> bool:
    """Whether two orders differ only in axes of length 1, so that no number moves."""
    return [a for a in axes if shape[a] != 1] == [a for a in others if shape[a] != 1]
