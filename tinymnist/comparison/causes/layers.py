"""The layers: their settings, and the order of the numbers in their kernels."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tinymnist.comparison import causes
from tinymnist.comparison.causes import Experiment, Experiments, Mismatch
from tinymnist.comparison.rerun import changed
from tinymnist.nn import layers as L
from tinymnist.nn.arrays import Array, Pads, Pair, Shape
from tinymnist.nn.sequential import Sequential

_EPSILONS = (1e-3, 1e-5, 1e-4, 1e-6, 1e-2, 2e-5, 1e-7, 1e-8, 1e-12, 0.0)
"""The defaults of Keras, of PyTorch and ONNX, and others in use."""
_PADDINGS: dict[str, Callable[[int], Pair]] = {
    "all of it first": lambda total: (total, 0),
    "all of it last": lambda total: (0, total),
    "the odd pixel first": lambda total: (total - total // 2, total // 2),
    "the odd pixel last": lambda total: (total // 2, total - total // 2),
}
_ACTIVATIONS = [name for name in L.ACTIVATIONS if name not in ("softmax", "log_softmax")]
_SEPARATE_ACTIVATIONS: dict[str, Callable[[str], L.Layer]] = {
    "leaky_relu with the slope 0.01": lambda name: L.LeakyReLU(0.01, name=name),
    "leaky_relu with the slope 0.3": lambda name: L.LeakyReLU(0.3, name=name),
    "gelu by tanh": lambda name: L.GELU(approximate=True, name=name),
}
"""Settings that only a layer of its own can have."""


def epsilons(mismatch: Mismatch) -> Experiments:
    """Another epsilon, in all batch normalizations and in each suspect."""
    for where, chosen in mismatch.scopes(lambda one: isinstance(one, L.BatchNormalization)):
        for epsilon in _EPSILONS:
            twins = {one.name: changed(one, epsilon=epsilon) for one in chosen}
            yield mismatch.swap(causes.EPSILON, f"the epsilon of {where} {epsilon:g}", twins)


def batch_statistics(mismatch: Mismatch) -> Experiments:
    """All batch normalizations use the statistics of the batch, as in training."""
    rerun = mismatch.rerun
    if any(isinstance(layer, L.BatchNormalization) for layer in rerun.model.layers):
        switched = replace(rerun, batch_statistics=not rerun.batch_statistics)
        change = "BatchNormalization by the statistics of the batch"
        yield Experiment(causes.TRAINING, change, switched)


def exchanged_arrays(mismatch: Mismatch) -> Experiments:
    """The moving mean and variance exchanged, or gamma and beta: only names distinguish them."""
    for where, chosen in mismatch.scopes(lambda one: isinstance(one, L.BatchNormalization)):
        for one, other in (("moving_mean", "moving_variance"), ("gamma", "beta")):
            twins = {
                layer.name: changed(
                    layer, **{one: getattr(layer, other), other: getattr(layer, one)}
                )
                for layer in chosen
            }
            change = f"{one} and {other} of {where} exchanged"
            yield mismatch.swap(causes.STATISTICS, change, twins)


def biases(mismatch: Mismatch) -> Experiments:
    """No bias, in all layers that have one and in each suspect."""
    for where, chosen in mismatch.scopes(lambda one: getattr(one, "bias", None) is not None):
        twins = {layer.name: changed(layer, bias=np.zeros_like(layer.bias)) for layer in chosen}
        yield mismatch.swap(causes.BIAS, f"the bias of {where} 0", twins)


def padding_sides(mismatch: Mismatch) -> Experiments:
    """Every other division of the padding, in all layers that pad and in each suspect."""
    model = mismatch.rerun.model
    shapes = {one.name: model.shapes[model.sources[one.name][0]] for one in model.layers}
    pads = {one.name: _pads(one, shapes[one.name]) for one in model.layers}
    for where, chosen in mismatch.scopes(lambda one: any(map(any, pads[one.name]))):
        tried: list[Any] = []
        for (tall, rows), (wide, columns) in itertools.product(_PADDINGS.items(), repeat=2):
            twins, paddings = {}, {}
            for layer in chosen:
                vertical, horizontal = pads[layer.name]
                divided = rows(sum(vertical)), columns(sum(horizontal))
                if divided != pads[layer.name]:
                    twins[layer.name] = changed(layer, padding=divided)
                    paddings[layer.name] = divided
            if twins and paddings not in tried:
                tried.append(paddings)
                how = tall if tall == wide else f"{tall} (rows), {wide} (columns)"
                yield mismatch.swap(causes.PADDING, f"the padding of {where} with {how}", twins)


def _pads(layer: Any, shape: Shape) -> Pads:
    """The padding in pixels of a layer whose input is (h, w, c); zeros if it cannot pad."""
    if hasattr(layer, "windows"):
        return layer.windows(shape).pads  # type: ignore[no-any-return]
    return layer.pads() if isinstance(layer, L.ZeroPadding2D) else ((0, 0), (0, 0))


def poolings(mismatch: Mismatch) -> Experiments:
    """Padded pixels counted in the mean or not; maximum instead of mean, and back."""
    mean, maximum = L.AveragePooling2D, L.MaxPooling2D
    for where, chosen in mismatch.scopes(lambda one: isinstance(one, (mean, maximum))):
        counted: dict[str, L.Layer] = {}
        exchanged: dict[str, L.Layer] = {}
        for one in chosen:
            if isinstance(one, mean):
                counted[one.name] = changed(one, count_include_pad=not one.count_include_pad)
            other = maximum if isinstance(one, mean) else mean
            exchanged[one.name] = other(one.pool_size, one.strides, one.padding, name=one.name)
        if counted:
            change = f"padded pixels in the mean of {where} counted the other way"
            yield mismatch.swap(causes.POOLING, change, counted)
        yield mismatch.swap(causes.POOLING, f"maximum and mean in {where} exchanged", exchanged)


def activations(mismatch: Mismatch) -> Experiments:
    """Every other activation, in all layers that have one and in each suspect."""
    for where, chosen in mismatch.scopes(_is_activated):
        for name in _ACTIVATIONS:
            twins = {
                one.name: changed(one, activation=name)
                if hasattr(one, "activation")
                else L.Activation(name, name=one.name)
                for one in chosen
            }
            yield mismatch.swap(causes.ACTIVATION, f"the activation of {where} {name}", twins)
        separate = [one.name for one in chosen if not one.parameters]
        for name, make in _SEPARATE_ACTIVATIONS.items() if separate else ():
            twins = {one: make(one) for one in separate}
            yield mismatch.swap(causes.ACTIVATION, f"the activation of {where} {name}", twins)


def _is_activated(layer: L.Layer) -> bool:
    """Whether a layer has or is an activation other than softmax."""
    separate = isinstance(layer, (L.ReLU, L.LeakyReLU, L.ELU, L.GELU))
    return separate or getattr(layer, "activation", "softmax") != "softmax"


def flatten_orders(mismatch: Mismatch) -> Experiments:
    """Every other order of height, width and channel, before each suspected Dense layer."""
    for layer in mismatch.suspects:
        shape = _flattened_shape(mismatch.rerun.model, layer)
        if not isinstance(layer, L.Dense) or shape is None:
            continue
        for axes in itertools.permutations(range(3)):
            places = np.arange(layer.kernel.shape[0]).reshape(shape).transpose(axes).ravel()
            if (places == np.arange(len(places))).all():
                continue
            if shape[2] == 1 and mismatch.first == 0:
                continue  # the same as a transposed picture, which is more likely
            words = ", ".join(("height", "width", "channel")[axis] for axis in axes)
            change = f"the picture before {layer.name} flattened by {words}"
            for rows in (places, np.argsort(places)):
                twin = changed(layer, kernel=layer.kernel[rows])
                yield mismatch.swap(causes.FLATTEN, change, {layer.name: twin})


def _flattened_shape(model: Sequential, layer: L.Layer) -> Shape | None:
    """The shape of the picture whose flattened numbers a layer takes; None if there is none."""
    name = model.sources[layer.name][0]
    known = {one.name: one for one in model.layers}
    while (above := known.get(name)) is not None and len(model.sources[name]) == 1:
        shape = model.shapes[model.sources[name][0]]
        if isinstance(above, (L.Flatten, L.Reshape)) and len(shape) == 3:
            return shape
        if above.parameters or len(model.shapes[name]) != 1:
            return None
        name = model.sources[name][0]
    return None


def kernel_layouts(mismatch: Mismatch) -> Experiments:
    """Every wrong layout of a kernel: in all convolutions, in each suspect, in suspected Dense."""
    convolutions = (L.Conv2D, L.DepthwiseConv2D)
    for where, layers in mismatch.scopes(lambda one: isinstance(one, convolutions)):
        yield from _with_kernels(mismatch, where, layers)
    for layer in mismatch.suspects:
        if isinstance(layer, L.Dense):
            yield from _with_kernels(mismatch, layer.name, [layer])


def _with_kernels(mismatch: Mismatch, where: str, layers: list[Any]) -> Experiments:
    """The kernels of some layers changed together, in every way that fits any of them."""
    found: dict[tuple[str, str], dict[str, L.Layer]] = {}
    for layer in layers:
        for cause, change, kernel in _kernel_changes(layer.kernel):
            found.setdefault((cause, change), {})[layer.name] = changed(layer, kernel=kernel)
    kernels = f"the kernel of {where}" if len(layers) == 1 else "all kernels"
    for (cause, change), twins in found.items():
        yield mismatch.swap(cause, f"{kernels} {change}", twins)


def _kernel_changes(kernel: Array) -> Iterator[tuple[str, str, Array]]:
    """Cause, change and new kernel, for each change that keeps the kernel's shape."""
    axes: tuple[int, ...] = (3, 2, 0, 1)
    order = "(out, in, h, w)"
    if kernel.ndim == 4:
        kh, kw, c, out = kernel.shape
        if kh * kw > 1:
            yield causes.FLIPPED, "turned by 180 degrees", kernel[::-1, ::-1]
        if kh == kw > 1:
            yield causes.LAYOUT, "with height and width swapped", kernel.swapaxes(0, 1)
        if c == out > 1:
            yield causes.LAYOUT, "with inputs and outputs swapped", kernel.swapaxes(2, 3)
        if c > 1:
            yield causes.LAYOUT, "with the input channels reversed", kernel[:, :, ::-1]
    else:
        axes, order = (1, 0), "(out, in)"
        if kernel.shape[0] == kernel.shape[1] > 1:
            yield causes.LAYOUT, "transposed", kernel.T
    if kernel.size > max(kernel.shape):
        turned = kernel.transpose(axes)
        yield causes.LAYOUT, f"reshaped from {order}", turned.reshape(kernel.shape)
        back = kernel.reshape(turned.shape).transpose(np.argsort(axes))
        yield causes.LAYOUT, f"reshaped to {order}", back
