"""A model of tinymnist as a ``torch.nn.Module``: the same weights, computed by PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinymnist.compare.rerun import changed
from tinymnist.compare.runners.torch_layers import modules_of
from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import Dense, Flatten, Layer
from tinymnist.nn.sequential import Sequential


def build(model: Sequential) -> Any:
    """Build the network of PyTorch's own layers, in ``eval()`` mode.

    Args:
        model: of layers that PyTorch has, too.

    Raises:
        InputError: for a layer that has no counterpart here.
    """
    import torch

    layers = {
        layer.name: _as_one(modules_of(layer, model.shapes[model.sources[layer.name][0]]))
        for layer in _by_channel(model)
    }

    class Network(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            for name, module in layers.items():
                plain = name.replace(".", "_")
                self.add_module(f"{plain}_" if hasattr(self, plain) else plain, module)

        def forward(self, x: Any) -> Any:
            outputs = {INPUT: x}
            for layer in model.layers:
                xs = [outputs[source] for source in model.sources[layer.name]]
                kind = type(layer).__name__
                if kind == "Add":
                    outputs[layer.name] = torch.add(xs[0], sum(xs[2:], xs[1]))
                elif kind == "Concatenate":
                    outputs[layer.name] = torch.concat(xs, dim=1)
                else:
                    outputs[layer.name] = layers[layer.name](xs[0])
            return outputs[model.layers[-1].name]

    dtype = torch.float64 if model.dtype == np.float64 else torch.float32
    return Network().to(dtype).eval()


def _by_channel(model: Sequential) -> Iterator[Layer]:
    """The layers; those behind a Flatten get their features channels first, as in PyTorch."""
    orders: dict[str, Array] = {}
    for layer in model.layers:
        source = model.sources[layer.name][0]
        shape, order = model.shapes[source], orders.get(source)
        if isinstance(layer, Flatten) and len(shape) == 3:
            h, w, c = shape
            orders[layer.name] = np.arange(h * w * c).reshape(h, w, c).transpose(2, 0, 1).ravel()
        elif order is not None and isinstance(layer, Dense):
            layer = changed(layer, kernel=layer.kernel[order])  # noqa: PLW2901
        elif order is not None:
            arrays = {name: array[order] for name, array in layer.weights.items()}
            layer = changed(layer, **arrays)  # noqa: PLW2901
            orders[layer.name] = order
        yield layer


def _as_one(modules: list[Any]) -> Any:
    from torch import nn

    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)
