"""The order of the features after a Flatten, if a framework keeps channels first.

PyTorch lists all pixels of the first channel, then of the second; tinymnist lists all channels of
the first pixel. So a 2x2 picture with channels a, b flattens to ``a1 a2 a3 a4 b1 b2 b3 b4`` there
and to ``a1 b1 a2 b2 a3 b3 a4 b4`` here, and the rows of the next Dense kernel (and the arrays of
norms before it) are reordered by ``[0, 4, 1, 5, 2, 6, 3, 7]``.
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

FeatureOrder = Array | None
"""For each of our features, its position in the other framework; None if nothing differs."""
_FEATUREWISE = (Activation, BatchNormalization, Dropout, ELU, GELU, LayerNormalization, LeakyReLU,
                PReLU, ReLU, Rescaling, Softmax)  # fmt: skip


def order_after(
    layer: Layer,
    sources: Sequence[str],
    inputs: Sequence[Shape],
    orders: Mapping[str, FeatureOrder],
) -> FeatureOrder:
    """The order of a layer's outputs.

    Args:
        layer: any layer.
        sources: the names of its inputs.
        inputs: their shapes.
        orders: the order of every output so far, by name.

    Raises:
        ValueError: for a layer that mixes features in a way that no reordering undoes.
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
        raise ValueError(f"{layer.name} merges features that were flattened with channels first")
    return order if isinstance(layer, (*_FEATUREWISE, Flatten)) else None


def _reshape_mixes(shape: Shape, order: FeatureOrder) -> bool:
    return order is not None or (len(shape) == 3 and 1 not in (shape[-1], math.prod(shape[:-1])))


def orders_into(model: Graph) -> dict[str, FeatureOrder]:
    """The order of each layer's input, by the layer's name.

    Raises:
        ValueError: as :func:`order_after`.
    """
    after: dict[str, FeatureOrder] = {INPUT: None}
    into: dict[str, FeatureOrder] = {}
    for layer in model.layers:
        sources = model.sources[layer.name]
        into[layer.name] = after[sources[0]]
        after[layer.name] = order_after(layer, sources, [model.shapes[s] for s in sources], after)
    return into
