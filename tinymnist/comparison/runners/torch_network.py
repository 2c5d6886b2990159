"""A model of tinymnist as a PyTorch network: its own layers, with weights in PyTorch's layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinymnist.comparison.rerun import changed
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array, Pads, Shape
from tinymnist.nn.graph import INPUT
from tinymnist.nn.layers import Dense, Flatten, Layer, MaxPooling2D
from tinymnist.nn.sequential import Sequential

_ACTIVATIONS: dict[str, tuple[Any, ...]] = {
    "relu": ("ReLU",),
    "leaky_relu": ("LeakyReLU", 0.2),
    "elu": ("ELU",),
    "gelu": ("GELU",),
    "sigmoid": ("Sigmoid",),
    "tanh": ("Tanh",),
    "softmax": ("Softmax", 1),
    "log_softmax": ("LogSoftmax", 1),
    "silu": ("SiLU",),
    "softplus": ("Softplus",),
    "relu6": ("ReLU6",),
    "mish": ("Mish",),
    "selu": ("SELU",),
}
"""Activation -> the module in ``torch.nn`` and its arguments."""


def build(model: Sequential) -> Any:
    """Build a network of PyTorch's own layers with a model's weights, in ``eval()`` mode.

    Raises:
        InputError: for a layer that has no PyTorch counterpart here.
    """
    import torch

    layers = {
        layer.name: _module_of(layer, model.shapes[model.sources[layer.name][0]])
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
    """The layers; after a Flatten, weights are reordered for features channels first."""
    orders: dict[str, Array] = {}
    for layer in model.layers:
        source = model.sources[layer.name][0]
        shape, order = model.shapes[source], orders.get(source)
        if isinstance(layer, Flatten) and len(shape) == 3:
            places = np.arange(np.prod(shape)).reshape(shape)
            orders[layer.name] = places.transpose(2, 0, 1).ravel()
        elif order is not None and isinstance(layer, Dense):
            layer = changed(layer, kernel=layer.kernel[order])  # noqa: PLW2901
        elif order is not None:
            arrays = {name: array[order] for name, array in layer.weights.items()}
            layer = changed(layer, **arrays)  # noqa: PLW2901
            orders[layer.name] = order
        yield layer


def _module_of(layer: Layer, shape: Shape) -> Any:
    """The module that computes a layer whose input is (h, w, c) or (features,)."""
    from torch import nn

    kind, activation = type(layer).__name__, getattr(layer, "activation", "linear")
    for name, known in ((kind, _MODULES), (activation, {"linear", *_ACTIVATIONS})):
        if name not in known:
            raise InputError(f"{layer.name}: no PyTorch module for {name}; known: {sorted(known)}")
    made = _MODULES[kind](nn, layer, shape)
    if activation != "linear":
        name, *arguments = _ACTIVATIONS[activation]
        made.append(getattr(nn, name)(*arguments))
    return made[0] if len(made) == 1 else nn.Sequential(*made)


def _filled(module: Any, **arrays: Array | None) -> Any:
    """The module with its arrays set; None for one that it does not have."""
    import torch

    with torch.no_grad():
        for name, array in arrays.items():
            if array is not None:
                getattr(module, name).copy_(torch.as_tensor(np.ascontiguousarray(array)))
    return module


def _padding(nn: Any, pads: Pads, value: float = 0.0) -> list[Any]:
    """Padding as a module of its own: PyTorch's layers pad both sides alike."""
    (top, bottom), (left, right) = pads
    return [nn.ConstantPad2d((left, right, top, bottom), value)] if any(map(any, pads)) else []


def _convolution(nn: Any, layer: Any, shape: Shape) -> list[Any]:
    _, window, strides, dilation, pads, _ = layer.windows(shape)
    channels = shape[-1], layer.kernel.shape[-1]
    settings = {"groups": layer.groups_of(shape[-1]), "bias": layer.bias is not None}
    made = nn.Conv2d(*channels, window, strides, dilation=dilation, **settings)
    filled = _filled(made, weight=layer.kernel.transpose(3, 2, 0, 1), bias=layer.bias)
    return [*_padding(nn, pads), filled]


def _pool(nn: Any, layer: Any, shape: Shape) -> list[Any]:
    _, window, strides, _, pads, _ = layer.windows(shape)
    if isinstance(layer, MaxPooling2D):
        return [*_padding(nn, pads, -np.inf), nn.MaxPool2d(window, strides)]
    if any(map(any, pads)) and not layer.count_include_pad:
        raise InputError(f"{layer.name}: no PyTorch module that leaves padded pixels out of means")
    return [*_padding(nn, pads), nn.AvgPool2d(window, strides)]


def _dense(nn: Any, layer: Any, shape: Shape) -> list[Any]:
    made = nn.Linear(*layer.kernel.shape, bias=layer.bias is not None)
    return [_filled(made, weight=layer.kernel.T, bias=layer.bias)]


def _batch_norm(nn: Any, layer: Any, shape: Shape) -> list[Any]:
    made = (nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d)(shape[-1], layer.epsilon)
    statistics = {"running_mean": layer.moving_mean, "running_var": layer.moving_variance}
    return [_filled(made, weight=layer.gamma, bias=layer.beta, **statistics)]


_MODULES: dict[str, Callable[[Any, Any, Shape], list[Any]]] = {
    "Activation": lambda nn, layer, shape: [],
    "Add": lambda nn, layer, shape: [],  # the network adds
    "AveragePooling2D": _pool,
    "BatchNormalization": _batch_norm,
    "Concatenate": lambda nn, layer, shape: [],
    "Conv2D": _convolution,
    "Dense": _dense,
    "DepthwiseConv2D": _convolution,
    "Dropout": lambda nn, layer, shape: [nn.Dropout(layer.rate)],
    "ELU": lambda nn, layer, shape: [nn.ELU(layer.alpha)],
    "Flatten": lambda nn, layer, shape: [nn.Flatten()],
    "GlobalAveragePooling2D": lambda nn, layer, shape: [nn.AdaptiveAvgPool2d(1), nn.Flatten()],
    "GlobalMaxPooling2D": lambda nn, layer, shape: [nn.AdaptiveMaxPool2d(1), nn.Flatten()],
    "LeakyReLU": lambda nn, layer, shape: [nn.LeakyReLU(layer.negative_slope)],
    "MaxPooling2D": _pool,
    "ReLU": lambda nn, layer, shape: [nn.ReLU()],
    "Softmax": lambda nn, layer, shape: [nn.Softmax(1)],
    "ZeroPadding2D": lambda nn, layer, shape: _padding(nn, layer.pads()),
}
"""Kind of layer -> its modules, from ``torch.nn``, the layer and the shape of its input."""
