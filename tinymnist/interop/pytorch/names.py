"""A model's arrays as PyTorch names them and lays them out: the way back of ``modules``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinymnist.errors import InputError
from tinymnist.interop.bare.orders import Order, orders_into
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Layer,
    LayerNormalization,
    PReLU,
)
from tinymnist.nn.sequential import Sequential

_LEAVES = {
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def tensors_of(model: Sequential) -> dict[str, Array]:
    """The state_dict of the same network in PyTorch, layer by layer.

    Raises:
        InputError: when a layer's arrays have no counterpart in PyTorch.
    """
    try:
        orders = orders_into(model)
    except ValueError as error:
        raise InputError(f"{model.name} cannot be laid out with channels first: {error}") from None
    return {
        f"{layer.name}.{leaf}": array
        for layer in model.layers
        for leaf, array in _tensors(layer, orders[layer.name])
    }


def _tensors(layer: Layer, order: Order) -> Iterator[tuple[str, Array]]:
    if isinstance(layer, (Conv2D, DepthwiseConv2D)):
        yield "weight", layer.kernel.transpose(3, 2, 0, 1)  # -> (out, in, kh, kw)
    elif isinstance(layer, Dense):
        yield "weight", _reordered(layer.kernel, order).T  # -> (out, in)
    elif isinstance(layer, PReLU):
        yield "weight", _reordered(layer.alpha.reshape(-1), order)
        return
    elif layer.weights and not isinstance(layer, (BatchNormalization, LayerNormalization)):
        raise InputError(f"{layer.name} ({type(layer).__name__}) has no counterpart in PyTorch")
    for name, array in layer.weights.items():
        if name in _LEAVES:
            own = order if not isinstance(layer, (Conv2D, DepthwiseConv2D, Dense)) else None
            yield _LEAVES[name], _reordered(array, own)
    if isinstance(layer, BatchNormalization):
        yield "num_batches_tracked", np.zeros((), np.int64)


def _reordered(array: Array, order: Order) -> Array:
    """From our order of features to the other one: what ``assemble`` does, undone."""
    return array if order is None else array[np.argsort(order)]
