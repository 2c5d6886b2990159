"""From Keras's layers to tinymnist's, and from Keras's orders of axes to height, width, channels.

Each tensor of a Keras model is held by a layer's output in tinymnist, whose axes may stand in
another order: where Keras keeps the channels first, (c, h, w), tinymnist keeps (h, w, c). What
order it is travels along, and a Permute is put in only where a layer asks for another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import Layer, Permute, Reshape
from tinymnist.nn.sequential import Sequential

CHANNELS_FIRST = (1, 2, 0)
"""Where height, width and channels stand in a Keras tensor (c, h, w)."""
_MOST_NUMBERS = 1 << 26
"""In one layer's output for one example; beyond, a file is broken or hostile."""


@dataclass(frozen=True)
class Tensor:
    """What a layer of a Keras model gives, and where tinymnist has it.

    Attributes:
        source: the tinymnist layer that gives it.
        shape: of one example in Keras.
        axes: which of Keras's axes each of tinymnist's is. None where only the numbers stand in the
            same order, row by row, in another shape: (28, 28) held as (28, 28, 1).
    """

    source: str
    shape: Shape
    axes: Shape | None

    @property
    def in_order(self) -> Shape:
        """Keras's own order of axes."""
        return tuple(range(len(self.shape)))


class Builder:
    """Gathers the layers of the model that is being made.

    Attributes:
        path: of the file, for messages.
        version: Keras's major version that wrote it.
        theano: whether it computed on Theano, which turns kernels and pads in its own way.
    """

    def __init__(self, path: str, version: int, theano: bool) -> None:
        """Begin a model that has no layers yet."""
        self.path, self.version, self.theano = path, version, theano
        self._layers: list[Layer] = []
        self._wiring: dict[str, list[str]] = {}
        self._shapes: dict[str, Shape] = {}
        self._rearranged: dict[tuple[str, Shape], Tensor] = {}

    def start(self, shape: Shape) -> Tensor:
        """What goes in: MNIST's pictures as (h, w, c), however Keras wants them."""
        picture, axes = _as_picture(shape)
        self._shapes[INPUT] = picture
        return Tensor(INPUT, shape, axes)

    def held(self, tensor: Tensor) -> Shape:
        """The shape in which tinymnist has it."""
        return self._shapes[tensor.source]

    def add(
        self, layer: Layer, name: str, *sources: str, arrays: dict[str, Array] | None = None
    ) -> str:
        """Put a layer in, with its arrays; give the name that it got.

        Raises:
            InputError: when the arrays are not those that such a layer has.
        """
        layer.name = self._free(name)
        shapes = [self._shapes[source] for source in sources]
        self._shapes[layer.name] = layer.output_shape(*shapes)
        if math.prod(self._shapes[layer.name]) > _MOST_NUMBERS:
            raise InputError(f"{self.path}: {name} gives more than {_MOST_NUMBERS:,} numbers")
        self._give(layer, layer.weight_shapes(*shapes), arrays or {})
        self._layers.append(layer)
        self._wiring[layer.name] = list(sources)
        return layer.name

    def _give(self, layer: Layer, wanted: dict[str, Shape], arrays: dict[str, Array]) -> None:
        found = {name: array.shape for name, array in arrays.items()}
        if found != wanted:
            raise InputError(
                f"{self.path}: {layer.name} should have the arrays {wanted}; found {found}"
            )
        for name, array in arrays.items():
            setattr(layer, name, np.array(array, np.float32, order="C"))

    def _free(self, name: str) -> str:
        free, number = name, 0
        while free in self._shapes:
            number += 1
            free = f"{name}_{number}"
        return free

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
        """The tensor in whatever shape, as long as its numbers follow each other as in Keras."""
        if tensor.axes is None or _reads_alike(tensor.shape, tensor.axes, tensor.in_order):
            return tensor
        return self.in_order(tensor)

    def freeze_from(self, count: int) -> None:
        """Freeze the layers from the ``count``-th on: Keras says of them that they do not learn."""
        for layer in self._layers[count:]:
            layer.trainable = False

    def __len__(self) -> int:
        """How many layers there are."""
        return len(self._layers)

    def finish(self, end: Tensor, name: str) -> Sequential:
        """The model whose output is ``end``.

        Raises:
            InputError: when no layer is left in it.
        """
        self.in_order(end)
        if not self._layers:
            raise InputError(f"{self.path} describes a model that does nothing")
        return Sequential(
            self._layers,
            input_shape=self._shapes[INPUT],
            wiring=self._wiring,
            name=name,
        )


def _as_picture(shape: Shape) -> tuple[Shape, Shape | None]:
    """How tinymnist takes an input of Keras: (h, w, c) where it is a picture."""
    if len(shape) == 1 and (side := math.isqrt(shape[0])) ** 2 == shape[0] and side >= 8:
        return (side, side, 1), None
    if len(shape) == 2 and min(shape) >= 8:
        return (*shape, 1), None
    if len(shape) == 3 and shape[0] in (1, 3) and shape[2] > 4:
        return (shape[1], shape[2], shape[0]), CHANNELS_FIRST
    return shape, tuple(range(len(shape)))


def _reads_alike(shape: Shape, axes: Sequence[int], others: Sequence[int]) -> bool:
    """Whether two orders differ in axes of length 1 alone, so that no number moves."""
    return [a for a in axes if shape[a] != 1] == [a for a in others if shape[a] != 1]
