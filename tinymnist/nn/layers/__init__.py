"""Layers with Keras's names: settings and arrays over the functions of ``nn.functional``."""

from __future__ import annotations

from typing import Any

from tinymnist.nn.layers.activation import (
    ACTIVATIONS,
    ELU,
    GELU,
    Activation,
    LeakyReLU,
    PReLU,
    ReLU,
    Softmax,
)
from tinymnist.nn.layers.base import Layer
from tinymnist.nn.layers.learned import Conv2D, Dense, DepthwiseConv2D
from tinymnist.nn.layers.merging import Add, Concatenate, Multiply
from tinymnist.nn.layers.normalizing import (
    BatchNormalization,
    LayerNormalization,
    Normalization,
    Rescaling,
)
from tinymnist.nn.layers.pooling import (
    AveragePooling2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
)
from tinymnist.nn.layers.reshaping import Dropout, Flatten, Permute, Reshape, ZeroPadding2D

MaxPool2D, AvgPool2D = MaxPooling2D, AveragePooling2D
"""Keras's short names for the same layers."""

LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        Activation,
        Add,
        AveragePooling2D,
        BatchNormalization,
        Concatenate,
        Conv2D,
        Dense,
        DepthwiseConv2D,
        Dropout,
        ELU,
        Flatten,
        GELU,
        GlobalAveragePooling2D,
        GlobalMaxPooling2D,
        LayerNormalization,
        LeakyReLU,
        MaxPooling2D,
        Multiply,
        Normalization,
        PReLU,
        Permute,
        ReLU,
        Rescaling,
        Reshape,
        Softmax,
        ZeroPadding2D,
    )
}
"""Every layer by the name of its class."""


def layer_from_config(config: dict[str, Any]) -> Layer:
    """Make a layer, without arrays yet, from the result of :meth:`Layer.config`.

    Raises:
        ValueError: for an unknown class or setting.
    """
    settings = dict(config)
    kind = settings.pop("class", None)
    if kind not in LAYERS:
        raise ValueError(f"class must be one of {sorted(LAYERS)}. Received: class={kind!r}")
    try:
        return LAYERS[kind](**settings)
    except TypeError as error:
        raise ValueError(f"{kind} cannot be made from {settings}: {error}") from None


__all__ = [
    "Layer", "LAYERS", "layer_from_config",
    "Conv2D", "Dense", "DepthwiseConv2D",
    "ACTIVATIONS", "ELU", "GELU", "Activation", "LeakyReLU", "PReLU", "ReLU", "Softmax",
    "BatchNormalization", "LayerNormalization", "Normalization", "Rescaling",
    "AveragePooling2D", "AvgPool2D", "MaxPooling2D", "MaxPool2D",
    "GlobalAveragePooling2D", "GlobalMaxPooling2D",
    "Dropout", "Flatten", "Permute", "Reshape", "ZeroPadding2D",
    "Add", "Concatenate", "Multiply",
]  # fmt: skip
