"""The order of numbers: how a picture is flattened, and how the axes of a kernel are laid out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from tinymnist.comparison.causes import FLATTEN, FLIPPED, LAYOUT, Experiments, Mismatch
from tinymnist.comparison.rerun import changed
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers import Conv2D, Dense, DepthwiseConv2D, Flatten, Layer, Reshape
from tinymnist.nn.sequential import Sequential

AXES = ("height", "width", "channel")
Change = Callable[[Array], Array]


def flatten_orders(mismatch: Mismatch) -> Experiments:
    """Every other order of height, width and channel, before each suspected Dense layer."""
    input_agrees = mismatch.first > 0
    for layer in mismatch.suspects:
        shape = _flattened_shape(mismatch.rerun.model, layer)
        if not isinstance(layer, Dense) or shape is None:
            continue
        for axes in itertools.permutations(range(3)):
            places = np.arange(layer.kernel.shape[0]).reshape(shape).transpose(axes).ravel()
            if (places == np.arange(len(places))).all():
                continue
            if shape[2] == 1 and not input_agrees:
                continue  # the same as a transposed picture, which is more likely
            words = ", ".join(AXES[axis] for axis in axes)
            change = f"the picture before {layer.name} flattened by {words}"
            for rows in (places, np.argsort(places)):
                twin = changed(layer, kernel=layer.kernel[rows])
                yield mismatch.with_layers(FLATTEN, change, {layer.name: twin})


def _flattened_shape(model: Sequential, layer: Layer) -> Shape | None:
    """The shape of the picture whose flattened numbers a layer takes; None if there is none."""
    name = model.sources[layer.name][0]
    known = {one.name: one for one in model.layers}
    while (above := known.get(name)) is not None and len(model.sources[name]) == 1:
        shape = model.shapes[model.sources[name][0]]
        if isinstance(above, (Flatten, Reshape)) and len(shape) == 3:
            return shape
        if above.parameters or len(model.shapes[name]) != 1:
            return None
        name = model.sources[name][0]
    return None


def kernel_layouts(mismatch: Mismatch) -> Experiments:
    """Every wrong layout of a kernel: in all convolutions, in each suspect, in suspected Dense."""
    kinds = (Conv2D, DepthwiseConv2D, Dense)
    learned = [one for one in mismatch.rerun.model.layers if isinstance(one, kinds)]
    convolutions = [layer for layer in learned if not isinstance(layer, Dense)]
    for where, layers in mismatch.scopes(convolutions):
        yield from _with_kernels(mismatch, where, layers)
    for layer in learned:
        if isinstance(layer, Dense) and layer in mismatch.suspects:
            yield from _with_kernels(mismatch, layer.name, [layer])


def _with_kernels(mismatch: Mismatch, where: str, layers: list[Layer]) -> Experiments:
    """The kernels of some layers changed together, in every way that fits any of them."""
    found: dict[str, tuple[str, dict[str, Layer]]] = {}
    for layer in layers:
        kernel: Array = layer.kernel  # type: ignore[attr-defined]
        for cause, name, change in _kernel_changes(kernel):
            twin = changed(layer, kernel=change(kernel))
            found.setdefault(name, (cause, {}))[1][layer.name] = twin
    for name, (cause, twins) in found.items():
        kernels = f"the kernel of {where}" if len(layers) == 1 else "all kernels"
        yield mismatch.with_layers(cause, f"{kernels} {name}", twins)


def _kernel_changes(kernel: Array) -> Iterator[tuple[str, str, Change]]:
    """Cause, name and change, for each change that keeps the kernel's shape."""
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
    """Transposed by ``axes``, then reshaped to the old shape instead of transposed back."""
    return lambda k: np.ascontiguousarray(k.transpose(axes)).reshape(k.shape)


def _taken_as(axes: tuple[int, ...]) -> Change:
    """The inverse: reshaped as if transposed by ``axes``, then transposed back."""

    def change(k: Array) -> Array:
        back = np.argsort(axes)
        return k.reshape([k.shape[axis] for axis in axes]).transpose(back)

    return change
