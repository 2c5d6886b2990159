"""The settings of layers: normalization, padding, pooling, activations, the softmax at the end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tinymnist.comparison.causes import (
    ACTIVATION,
    EPSILON,
    PADDING,
    POOLING,
    SOFTMAX,
    TRAINING,
    Experiment,
    Experiments,
    Mismatch,
)
from tinymnist.comparison.rerun import Rerun, changed
from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import (
    ACTIVATIONS,
    ELU,
    GELU,
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Layer,
    LeakyReLU,
    MaxPooling2D,
    ReLU,
    Softmax,
    ZeroPadding2D,
)
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.shapes import Pads, Pair, as_pair, resolve_padding

EPSILONS = (1e-3, 1e-5, 1e-4, 1e-6, 1e-2, 2e-5, 1e-7, 1e-8, 1e-12, 0.0)
"""The defaults of Keras, of PyTorch and ONNX, and others in use."""
_HEADS: dict[str, Callable[[Array], Array]] = {
    "no softmax at the end": lambda z: z,
    "one softmax at the end": lambda z: F.softmax(z)[0],
    "two softmaxes at the end": lambda z: F.softmax(F.softmax(z)[0])[0],
    "three softmaxes at the end": lambda z: F.softmax(F.softmax(F.softmax(z)[0])[0])[0],
    "a log-softmax at the end": lambda z: F.log_softmax(z)[0],
    "a log-softmax of the softmax at the end": lambda z: F.log_softmax(F.softmax(z)[0])[0],
    "a sigmoid at the end": lambda z: F.sigmoid(z)[0],
}
_PADDINGS: dict[str, Callable[[int], Pair]] = {
    "all of it first": lambda total: (total, 0),
    "all of it last": lambda total: (0, total),
    "the odd pixel first": lambda total: (total - total // 2, total // 2),
    "the odd pixel last": lambda total: (total // 2, total - total // 2),
}


def epsilons(mismatch: Mismatch) -> Experiments:
    """Another epsilon, in all batch normalizations and in each suspect."""
    layers = [one for one in mismatch.rerun.model.layers if isinstance(one, BatchNormalization)]
    for where, chosen in mismatch.scopes(layers):
        for epsilon in EPSILONS:
            twins = {one.name: changed(one, epsilon=epsilon) for one in chosen}
            change = f"the epsilon of {where} {epsilon:g}"
            yield mismatch.with_layers(EPSILON, change, twins)


def batch_statistics(mismatch: Mismatch) -> Experiments:
    """All batch normalizations use the statistics of the batch, as in training."""
    rerun = mismatch.rerun
    if any(isinstance(layer, BatchNormalization) for layer in rerun.model.layers):
        switched = replace(rerun, batch_statistics=not rerun.batch_statistics)
        change = "BatchNormalization by the statistics of the batch"
        yield Experiment(TRAINING, change, switched)


def padding_sides(mismatch: Mismatch) -> Experiments:
    """Every other division of the padding, in all layers that pad and in each suspect."""
    model = mismatch.rerun.model
    padded = {one.name: pads for one in model.layers if (pads := _pads(model, one)) is not None}
    layers = [layer for layer in model.layers if layer.name in padded]
    for where, chosen in mismatch.scopes(layers):
        for (tall, rows), (wide, columns) in itertools.product(_PADDINGS.items(), repeat=2):
            twins = {}
            for layer in chosen:
                vertical, horizontal = padded[layer.name]
                pads = rows(sum(vertical)), columns(sum(horizontal))
                if pads != padded[layer.name]:
                    twins[layer.name] = changed(layer, padding=pads)
            if twins:
                how = tall if tall == wide else f"{tall} (rows), {wide} (columns)"
                change = f"the padding of {where} with {how}"
                yield mismatch.with_layers(PADDING, change, twins)


def _pads(model: Sequential, layer: Layer) -> Pads | None:
    """The padding of a layer in pixels; None if it does not pad."""
    shape = model.shapes[model.sources[layer.name][0]]
    window, strides, dilation = (1, 1), (1, 1), (1, 1)
    if isinstance(layer, (Conv2D, DepthwiseConv2D)):
        window = as_pair(layer.kernel_size, "kernel_size")
        strides = as_pair(layer.strides, "strides")
        dilation = as_pair(layer.dilation_rate, "dilation_rate")
    elif isinstance(layer, (MaxPooling2D, AveragePooling2D)):
        window = as_pair(layer.pool_size, "pool_size")
        strides = window if layer.strides is None else as_pair(layer.strides, "strides")
    elif not isinstance(layer, ZeroPadding2D):
        return None
    size: Pair = (shape[0], shape[1])
    pads = resolve_padding(layer.padding, size, window, strides, dilation)
    return pads if any(map(any, pads)) else None


def poolings(mismatch: Mismatch) -> Experiments:
    """Padded pixels counted in the mean or not; maximum instead of mean, and back."""
    kinds = (AveragePooling2D, MaxPooling2D)
    layers: list[Layer] = [one for one in mismatch.rerun.model.layers if isinstance(one, kinds)]
    for where, chosen in mismatch.scopes(layers):
        counted: dict[str, Layer] = {}
        exchanged: dict[str, Layer] = {}
        for layer in chosen:
            if isinstance(layer, AveragePooling2D):
                twin = changed(layer, count_include_pad=not layer.count_include_pad)
                counted[layer.name] = twin
                exchanged[layer.name] = MaxPooling2D(**_window(layer))
            elif isinstance(layer, MaxPooling2D):
                exchanged[layer.name] = AveragePooling2D(**_window(layer))
        if counted:
            change = f"padded pixels in the mean of {where} counted the other way"
            yield mismatch.with_layers(POOLING, change, counted)
        change = f"maximum and mean in {where} exchanged"
        yield mismatch.with_layers(POOLING, change, exchanged)


def _window(layer: AveragePooling2D | MaxPooling2D) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in ("pool_size", "strides", "padding", "name")}


def activations(mismatch: Mismatch) -> Experiments:
    """Every other activation, in all layers that have one and in each suspect."""
    layers = [one for one in mismatch.rerun.model.layers if _activation(one) not in ("", "softmax")]
    for where, chosen in mismatch.scopes(layers):
        for name, twins in _other_activations(chosen):
            change = f"the activation of {where} {name}"
            yield mismatch.with_layers(ACTIVATION, change, twins)


def _activation(layer: Layer) -> str:
    """The name of a layer's activation; "" if it has none."""
    if isinstance(layer, (ReLU, LeakyReLU, ELU, GELU)):
        return type(layer).__name__.lower()
    return getattr(layer, "activation", "")


def _other_activations(layers: list[Layer]) -> Iterator[tuple[str, dict[str, Layer]]]:
    for name in ACTIVATIONS:
        if name in ("softmax", "log_softmax"):
            continue
        yield (
            name,
            {
                layer.name: changed(layer, activation=name)
                if hasattr(layer, "activation")
                else Activation(name, name=layer.name)
                for layer in layers
            },
        )
    separate = [layer for layer in layers if not layer.parameters]
    for name, make in (
        ("leaky_relu with the slope 0.01", lambda n: LeakyReLU(0.01, name=n)),
        ("leaky_relu with the slope 0.3", lambda n: LeakyReLU(0.3, name=n)),
        ("gelu by tanh", lambda n: GELU(approximate=True, name=n)),
    ):
        if separate:
            yield name, {layer.name: make(layer.name) for layer in separate}


def heads(mismatch: Mismatch) -> Experiments:
    """Softmax left out, repeated or replaced at the end, if only the last output differs."""
    last, layers = mismatch.pairs[-1].a, mismatch.rerun.model.layers
    if not mismatch.at_end or not layers or last.layer != layers[-1].name:
        return
    bare = _without_softmax(mismatch.rerun)
    for change, head in _HEADS.items():
        yield Experiment(SOFTMAX, change, replace(bare, head=head))


def _without_softmax(rerun: Rerun) -> Rerun:
    """The run with every softmax at its end switched off."""
    twins: dict[str, Layer] = {}
    for layer in reversed(rerun.model.layers):
        is_softmax = getattr(layer, "activation", "") in ("softmax", "log_softmax")
        if isinstance(layer, Softmax) or (isinstance(layer, Activation) and is_softmax):
            twins[layer.name] = Activation("linear", name=layer.name)
            continue
        if is_softmax:
            twins[layer.name] = changed(layer, activation="linear")
        break
    return rerun.with_layers(twins)
