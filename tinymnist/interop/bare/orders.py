"""In which order other frameworks keep the features behind a Flatten.

A framework whose channels come first lists all pixels of the first channel, then of the second;
tinymnist lists all channels of the first pixel. Whatever has one number (or one row) for each
feature must be put in another order: the next Dense kernel, and the norms before it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.graph import INPUT, Graph
from tinymnist.nn.layers import (
    ELU,
    GELU,
    Activation,
    BatchNormalization,
    Dropout,
    Flatten,
    Layer,
    LayerNormalization,
    LeakyReLU,
    PReLU,
    ReLU,
    Rescaling,
    Reshape,
    Softmax,
)

Order = Array | None
"""For each of our features, where the other framework keeps it; None where nothing differs."""
_FEATUREWISE = (Activation, BatchNormalization, Dropout, ELU, GELU, LayerNormalization, LeakyReLU,
                PReLU, ReLU, Rescaling, Softmax)  # fmt: skip


def order_after(
    layer: Layer, sources: Sequence[str], inputs: Sequence[Shape], orders: Mapping[str, Order]
) -> Order:
    """The order of what a layer puts out.

    Args:
        layer: any.
        sources: what it takes.
        inputs: the shapes of that.
        orders: the order of every output so far, by name.

    Raises:
        ValueError: for a layer that mixes features in a way that no order undoes.
    """
    order = orders[sources[0]]
    if isinstance(layer, Flatten) and len(inputs[0]) == 3:
        h, w, c = inputs[0]
        if 1 in (c, h * w):
            return None
        return np.arange(h * w * c).reshape(c, h, w).transpose(1, 2, 0).ravel()
    if isinstance(layer, Reshape) and _reshape_mixes(inputs[0], order):
        raise ValueError(f"{layer.name} reshapes pictures whose channels come first")
    if len(sources) > 1 and any(orders[s] is not None for s in sources):
        raise ValueError(f"{layer.name} merges what was flattened with channels first")
    return order if isinstance(layer, (*_FEATUREWISE, Flatten)) else None


def _reshape_mixes(shape: Shape, order: Order) -> bool:
    return order is not None or (len(shape) == 3 and 1 not in (shape[-1], math.prod(shape[:-1])))


def orders_into(model: Graph) -> dict[str, Order]:
    """The order of what goes into each layer of a model, by the layer's name.

    Raises:
        ValueError: as :func:`order_after`.
    """
    after: dict[str, Order] = {INPUT: None}
    into: dict[str, Order] = {}
    for layer in model.layers:
        sources = model.sources[layer.name]
        into[layer.name] = after[sources[0]]
        after[layer.name] = order_after(layer, sources, [model.shapes[s] for s in sources], after)
    return into
