"""Each layer of tinymnist as modules of PyTorch, with its weights in PyTorch's layout."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers import Layer
from tinymnist.nn.shapes import as_pair, resolve_padding


def modules_of(layer: Layer, shape: Shape) -> list[Any]:
    """What a layer is in PyTorch, with its weights in PyTorch's layout."""
    kind = type(layer).__name__
    if kind not in _MAKERS:
        raise InputError(
            f"{layer.name} is a {kind}, for which there is no PyTorch module here; expected one "
            f"of {sorted(_MAKERS)}"
        )
    made = _MAKERS[kind](layer, shape)
    word = getattr(layer, "activation", "linear")
    return made if word == "linear" else [*made, _activation(word, layer)]


def _activation(word: str, layer: Layer) -> Any:
    from torch import nn

    known: dict[str, Any] = {
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
    if word not in known:
        raise InputError(
            f"{layer.name} has the activation {word}, for which there is no PyTorch module here; "
            f"expected one of {sorted(known)}"
        )
    return known[word]()


def _filled(module: Any, **arrays: Array) -> Any:
    """The module with its arrays set."""
    import torch

    with torch.no_grad():
        for name, array in arrays.items():
            getattr(module, name).copy_(torch.as_tensor(np.ascontiguousarray(array)))
    return module


def _convolution(layer: Any, shape: Shape) -> list[Any]:
    from torch import nn

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
    arrays = {"weight": kernel.transpose(3, 2, 0, 1)}
    arrays |= {} if layer.bias is None else {"bias": layer.bias}
    return [*_padding(layer, shape, kernel.shape[:2], 0.0), _filled(made, **arrays)]


def _padding(layer: Any, shape: Shape, window: Any, value: float) -> list[Any]:
    """What the layer pads, as a module of its own: PyTorch's pads alike on both sides only."""
    from torch import nn

    strides = window if layer.strides is None else as_pair(layer.strides, "strides")
    dilation = as_pair(getattr(layer, "dilation_rate", 1), "dilation_rate")
    pads = resolve_padding(layer.padding, (shape[0], shape[1]), window, strides, dilation)
    (top, bottom), (left, right) = pads
    return [nn.ConstantPad2d((left, right, top, bottom), value)] if any(map(any, pads)) else []


def _max_pool(layer: Any, shape: Shape) -> list[Any]:
    from torch import nn

    window = as_pair(layer.pool_size, "pool_size")
    strides = None if layer.strides is None else as_pair(layer.strides, "strides")
    return [*_padding(layer, shape, window, -np.inf), nn.MaxPool2d(window, strides)]


def _average_pool(layer: Any, shape: Shape) -> list[Any]:
    from torch import nn

    window = as_pair(layer.pool_size, "pool_size")
    strides = None if layer.strides is None else as_pair(layer.strides, "strides")
    padding = _padding(layer, shape, window, 0.0)
    if padding and not layer.count_include_pad:
        raise InputError(
            f"{layer.name} leaves padded pixels out of its means, which this build of PyTorch's "
            "layers does not do; compare with another framework"
        )
    return [*padding, nn.AvgPool2d(window, strides)]


def _dense(layer: Any, shape: Shape) -> list[Any]:
    from torch import nn

    features, units = layer.kernel.shape
    made = nn.Linear(features, units, bias=layer.bias is not None)
    arrays = {"weight": layer.kernel.T}
    return [_filled(made, **arrays | ({} if layer.bias is None else {"bias": layer.bias}))]


def _batch_norm(layer: Any, shape: Shape) -> list[Any]:
    from torch import nn

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


def _global(pool: str) -> Any:
    def make(layer: Any, shape: Shape) -> list[Any]:
        from torch import nn

        return [getattr(nn, pool)(1), nn.Flatten()]

    return make


def _of(name: str, *settings: str) -> Any:
    def make(layer: Any, shape: Shape) -> list[Any]:
        from torch import nn

        return [getattr(nn, name)(*(getattr(layer, setting) for setting in settings))]

    return make


def _zero_padding(layer: Any, shape: Shape) -> list[Any]:
    from torch import nn

    (top, bottom), (left, right) = resolve_padding(layer.padding, (1, 1), (1, 1), (1, 1))
    return [nn.ZeroPad2d((left, right, top, bottom))]


_MAKERS: dict[str, Any] = {
    "Activation": lambda layer, shape: [],
    "Add": lambda layer, shape: [],  # the network does it
    "AveragePooling2D": _average_pool,
    "BatchNormalization": _batch_norm,
    "Concatenate": lambda layer, shape: [],
    "Conv2D": _convolution,
    "Dense": _dense,
    "DepthwiseConv2D": _convolution,
    "Dropout": _of("Dropout", "rate"),
    "ELU": _of("ELU", "alpha"),
    "Flatten": _of("Flatten"),
    "GlobalAveragePooling2D": _global("AdaptiveAvgPool2d"),
    "GlobalMaxPooling2D": _global("AdaptiveMaxPool2d"),
    "LeakyReLU": _of("LeakyReLU", "negative_slope"),
    "MaxPooling2D": _max_pool,
    "ReLU": _of("ReLU"),
    "Softmax": lambda layer, shape: [_activation("softmax", layer)],
    "ZeroPadding2D": _zero_padding,
}
