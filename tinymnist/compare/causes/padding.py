"""Padding: the same number of pixels, on other sides."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from tinymnist.compare.causes.base import PADDING, Experiments, Scene, Variant, scopes
from tinymnist.compare.rerun import changed
from tinymnist.nn.layers import (
    AveragePooling2D,
    Conv2D,
    DepthwiseConv2D,
    Layer,
    MaxPooling2D,
    ZeroPadding2D,
)
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.shapes import Pads, Pair, as_pair, resolve_padding

_CHOICES: tuple[tuple[str, Callable[[int], Pair]], ...] = (
    ("all of it first", lambda total: (total, 0)),
    ("all of it last", lambda total: (0, total)),
    ("the odd pixel first", lambda total: (total - total // 2, total // 2)),
    ("the odd pixel last", lambda total: (total // 2, total - total // 2)),
)


def sides(scene: Scene) -> Experiments:
    """Every other way to share the padding out, in all layers that pad and in each suspect."""
    model = scene.trial.model
    padded = {one.name: pads for one in model.layers if (pads := _pads(model, one)) is not None}
    layers = [layer for layer in model.layers if layer.name in padded]
    for where, chosen in scopes(layers, scene.suspects):
        for (tall, rows), (wide, columns) in itertools.product(_CHOICES, repeat=2):
            twins = {}
            for layer in chosen:
                vertical, horizontal = padded[layer.name]
                pads = rows(sum(vertical)), columns(sum(horizontal))
                if pads != padded[layer.name]:
                    twins[layer.name] = changed(layer, padding=pads)
            if twins:
                how = tall if tall == wide else f"{tall} (rows), {wide} (columns)"
                change = f"the padding of {where} with {how}"
                yield Variant(PADDING, change, scene.trial.with_layers(twins))


def _pads(model: Sequential, layer: Layer) -> Pads | None:
    """The padding of a layer in pixels; None without any."""
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
