"""The frozen part at the bottom of a model: what it gives need not be computed twice.

While the layers up to some point neither learn nor draw, their output for an example is the same
in every epoch. So ``fit`` cuts the model there, and runs only the rest again and again.
"""

from __future__ import annotations

import math

from tinymnist.nn.graph import INPUT
from tinymnist.nn.sequential import Sequential

MOST_BYTES = 1 << 30
"""So much memory may the outputs of the frozen part take; beyond, they are computed anew."""


def split_frozen(model: Sequential) -> tuple[Sequential, Sequential] | None:
    """Cut a model where its frozen part ends.

    The cut is the last one below which no layer learns or draws, and over which one output alone
    is carried. Dropout draws in training even in a frozen base (as in Keras), so it belongs to the
    upper part.

    Returns:
        The frozen part and the rest, which share their layers with ``model``; None where there is
        no frozen part. The rest is never empty.
    """
    still = 0
    while still < len(model.layers) - 1 and not _changes(model, still):
        still += 1
    for cut in range(still, 0, -1):
        if _is_bridge(model, cut):
            return _part(model, 0, cut), _part(model, cut, len(model.layers))
    return None


def _changes(model: Sequential, number: int) -> bool:
    layer = model.layers[number]
    return layer.learns or layer.draws


def _is_bridge(model: Sequential, cut: int) -> bool:
    """Whether the layers from ``cut`` on take nothing from below but the output just there."""
    inside = {layer.name for layer in model.layers[cut:]}
    carried = {s for name in inside for s in model.sources[name]} - inside
    return carried == {model.layers[cut - 1].name}


def _part(model: Sequential, start: int, stop: int) -> Sequential:
    below = model.layers[start - 1].name if start else INPUT
    layers = model.layers[start:stop]
    wiring = {
        layer.name: [INPUT if s == below else s for s in model.sources[layer.name]]
        for layer in layers
    }
    return Sequential(
        layers,
        input_shape=model.shapes[below],
        wiring=wiring,
        dtype=model.dtype,
        name=model.name,
    )


def features_fit(front: Sequential, examples: int) -> bool:
    """Whether the frozen part's outputs for so many examples may be kept."""
    return examples * math.prod(front.output_shape) * front.dtype.itemsize <= MOST_BYTES
