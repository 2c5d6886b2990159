"""Each layer of tinymnist as modules of PyTorch, with its weights in PyTorch's layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers import Layer
from tinymnist.nn.shapes import as_pair, resolve_padding


def modules_of(layer: Layer, shape: Shape) -> list[Any]:
    """The modules that compute a layer in PyTorch, in order; none for what joins several inputs.

    Args:
        layer: a built layer.
        shape: of its input (h, w, c) or (features,).

    Raises:
        InputError: when there is no counterpart.
    """
    from torch import nn

    kind = type(layer).__name__
    if kind not in _MAKERS:
        raise InputError(
            f"{layer.name} is a {kind}, for which there is no PyTorch module here; expected one "
            f"of {sorted(_MAKERS)}"
        )
    made = _MAKERS[kind](nn, layer, shape)
    activation = getattr(layer, "activation", "linear")
    return made if activation == "linear" else [*made, _activation(nn, activation, layer)]


def _activation(nn: Any, name: str, layer: Layer) -> Any:
    known: dict[str, Callable[[], Any]] = {
        "relu": nn.ReLU,
        "leaky_relu": lambda: nn.LeakyReLU(0.2),
        "elu": nn.ELU,
        "gelu": nn.GELU,
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
        "softmax": lambda: nn.Softmax(1),
        "log_softmax": lambda: nn.LogSoftmax(1),
        "silu": nn.SiLU,
        "softplus": nn.Softplus,
        "relu6": nn.ReLU6,
        "mish": nn.Mish,
        "selu": nn.SELU,
    }
    if name not in known:
        raise InputError(
            f"{layer.name} has the activation {name}, for which there is no PyTorch module here; "
            f"expected one of {sorted(known)}"
        )
    return known[name]()


def _filled(module: Any, **arrays: Array | None) -> Any:
    """The module with its arrays set; None for one that it does not have."""
    import torch

    with torch.no_grad():
        for name, array in arrays.items():
            if array is not None:
                getattr(module, name).copy_(torch.as_tensor(np.ascontiguousarray(array)))
    return module


def _convolution(nn: Any, layer: Any, shape: Shape) -> list[Any]:
    kernel, groups = layer.kernel, layer.groups_of(shape[-1])
    made = nn.Conv2d(
        shape[-1],
        kernel.shape[-1],
        kernel.shape[:2],
        as_pair(layer.strides, "strides"),
        dilation=as_pair(layer.dilation_rate, "dilation_rate"),
        groups=groups,
        bias=layer.bias is not None,
    )
    filled = _filled(made, weight=kernel.transpose(3, 2, 0, 1), bias=layer.bias)
    return [*_padding(nn, layer, shape, kernel.shape[:2], 0.0), filled]


def _padding(nn: Any, layer: Any, shape: Shape, window: Any, value: float) -> list[Any]:
    """The layer's padding as a module of its own: PyTorch's layers pad both sides alike."""
    strides = window if layer.strides is None else as_pair(layer.strides, "strides")
    dilation = as_pair(getattr(layer, "dilation_rate", 1), "dilation_rate")
    pads = resolve_padding(layer.padding, (shape[0], shape[1]), window, strides, dilation)
    (top, bottom), (left, right) = pads
    return [nn.ConstantPad2d((left, right, top, bottom), value)] if any(map(any, pads)) else []


def _max_pool(nn: Any, layer: Any, shape: Shape) -> list[Any]:
    window = as_pair(layer.pool_size, "pool_size")
    strides = None if layer.strides is None else as_pair(layer.strides, "strides")
    return [*_padding(nn, layer, shape, window, -np.inf), nn.MaxPool2d(window, strides)]


def _average_pool(nn: Any, layer: Any, shape: Shape) -> list[Any]:
    window = as_pair(layer.pool_size, "pool_size")
    strides = None if layer.strides is None else as_pair(layer.strides, "strides")
    padding = _padding(nn, layer, shape, window, 0.0)
    if padding and not layer.count_include_pad:
        raise InputError(
            f"{layer.name} leaves padded pixels out of its means, which these PyTorch modules "
            "cannot do; compare with another framework"
        )
    return [*padding, nn.AvgPool2d(window, strides)]


def _dense(nn: Any, layer: Any, shape: Shape) -> list[Any]:
    made = nn.Linear(*layer.kernel.shape, bias=layer.bias is not None)
    return [_filled(made, weight=layer.kernel.T, bias=layer.bias)]


def _batch_norm(nn: Any, layer: Any, shape: Shape) -> list[Any]:
    kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
    made = kind(shape[-1], layer.epsilon)
    return [
        _filled(
            made,
            weight=layer.gamma,
            bias=layer.beta,
            running_mean=layer.moving_mean,
            running_var=layer.moving_variance,
        )
    ]


def _zero_padding(nn: Any, layer: Any, shape: Shape) -> list[Any]:
    (top, bottom), (left, right) = resolve_padding(layer.padding, (1, 1), (1, 1), (1, 1))
    return [nn.ZeroPad2d((left, right, top, bottom))]


_MAKERS: dict[str, Callable[[Any, Any, Shape], list[Any]]] = {
    "Activation": lambda nn, layer, shape: [],
    "Add": lambda nn, layer, shape: [],  # the network adds
    "AveragePooling2D": _average_pool,
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
    "MaxPooling2D": _max_pool,
    "ReLU": lambda nn, layer, shape: [nn.ReLU()],
    "Softmax": lambda nn, layer, shape: [nn.Softmax(1)],
    "ZeroPadding2D": _zero_padding,
}
"""Kind of layer -> its modules, from ``torch.nn``, the layer and the shape of its input."""
