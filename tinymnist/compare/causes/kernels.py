"""Kernels: turned, transposed, or reshaped where they should have been transposed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tinymnist.compare.causes.base import (
    FLIPPED,
    LAYOUT,
    Experiments,
    Scene,
    Variant,
    scopes,
)
from tinymnist.compare.rerun import changed
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import Conv2D, Dense, DepthwiseConv2D, Layer

Change = Callable[[Array], Array]


def _ways(layer: Layer) -> Iterator[tuple[str, str, Change]]:
    """Cause, name and change, of everything that keeps the kernel's shape."""
    kernel: Array = layer.kernel  # type: ignore[attr-defined]
    if kernel.ndim == 4:
        kh, kw, c, out = kernel.shape
        if kh * kw > 1:
            yield FLIPPED, "turned by 180 degrees", lambda k: k[::-1, ::-1]
        if kh == kw > 1:
            yield LAYOUT, "with height and width swapped", lambda k: k.swapaxes(0, 1)
        if c == out > 1:
            yield LAYOUT, "with inputs and outputs swapped", lambda k: k.swapaxes(2, 3)
        if c > 1:
            yield LAYOUT, "with the input channels reversed", lambda k: k[:, :, ::-1]
        if kernel.size > max(kernel.shape):
            yield LAYOUT, "reshaped from (out, in, h, w)", _reshaped((3, 2, 0, 1))
            yield LAYOUT, "reshaped to (out, in, h, w)", _taken_as((3, 2, 0, 1))
    elif min(kernel.shape) > 1:
        if kernel.shape[0] == kernel.shape[1]:
            yield LAYOUT, "transposed", lambda k: k.T
        yield LAYOUT, "reshaped from (out, in)", _reshaped((1, 0))
        yield LAYOUT, "reshaped to (out, in)", _taken_as((1, 0))


def _reshaped(axes: tuple[int, ...]) -> Change:
    """Laid out as ``axes`` say, then taken for the old layout without a transpose."""
    return lambda k: np.ascontiguousarray(k.transpose(axes)).reshape(k.shape)


def _taken_as(axes: tuple[int, ...]) -> Change:
    """The opposite: taken for a layout of ``axes``, then transposed back."""

    def change(k: Array) -> Array:
        back = np.argsort(axes)
        return k.reshape([k.shape[axis] for axis in axes]).transpose(back)

    return change


def kernels(scene: Scene) -> Experiments:
    """Every way to get a kernel's layout wrong, in all convolutions and in each suspect."""
    kinds = (Conv2D, DepthwiseConv2D, Dense)
    learned = [layer for layer in scene.trial.model.layers if isinstance(layer, kinds)]
    convolutions = [layer for layer in learned if not isinstance(layer, Dense)]
    for where, layers in scopes(convolutions, scene.suspects):
        yield from _changed(scene, where, layers)
    dense = [layer for layer in learned if isinstance(layer, Dense)]
    for layer in dense:
        if layer in scene.suspects:
            yield from _changed(scene, layer.name, [layer])


def _changed(scene: Scene, where: str, layers: list[Layer]) -> Experiments:
    ways: dict[str, tuple[str, dict[str, Layer]]] = {}
    for layer in layers:
        for cause, name, change in _ways(layer):
            kernel: Array = layer.kernel  # type: ignore[attr-defined]
            twin = changed(layer, kernel=change(kernel))
            ways.setdefault(name, (cause, {}))[1][layer.name] = twin
    for name, (cause, twins) in ways.items():
        kernel_of = f"the kernel of {where}" if len(layers) == 1 else "all kernels"
        yield Variant(cause, f"{kernel_of} {name}", scene.trial.with_layers(twins))
