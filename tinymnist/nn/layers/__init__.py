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
from tinymnist.nn.layers.fixed import (
    Add,
    AveragePooling2D,
    Concatenate,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
    Multiply,
    Normalization,
    Permute,
    Rescaling,
    Reshape,
    ZeroPadding2D,
)
from tinymnist.nn.layers.growing import Conv2DTranspose, UpSampling2D
from tinymnist.nn.layers.learned import (
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    LayerNormalization,
)
from tinymnist.nn.layers.recurrent import GRU, LSTM, SimpleRNN

LAYERS: dict[str, type[Layer]] = {
    name: kind
    for name, kind in sorted(globals().items())
    if isinstance(kind, type) and issubclass(kind, Layer) and kind is not Layer
}
"""Every layer by the name of its class."""

MaxPool2D, AvgPool2D, Convolution2D = MaxPooling2D, AveragePooling2D, Conv2D
GlobalAvgPool2D, GlobalMaxPool2D = GlobalAveragePooling2D, GlobalMaxPooling2D
"""Keras's other names for the same layers."""


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
        layer: Layer = type.__call__(LAYERS[kind], **settings)  # in our words already
        return layer
    except TypeError as error:
        raise ValueError(f"{kind} cannot be made from {settings}: {error}") from None


__all__ = [
    "Layer", "LAYERS", "layer_from_config",
    "Conv2D", "Convolution2D", "Dense", "DepthwiseConv2D",
    "ACTIVATIONS", "ELU", "GELU", "Activation", "LeakyReLU", "PReLU", "ReLU", "Softmax",
    "Conv2DTranspose", "UpSampling2D", "GRU", "LSTM", "SimpleRNN",
    "BatchNormalization", "LayerNormalization", "Normalization", "Rescaling",
    "AveragePooling2D", "AvgPool2D", "MaxPooling2D", "MaxPool2D",
    "GlobalAveragePooling2D", "GlobalAvgPool2D", "GlobalMaxPooling2D", "GlobalMaxPool2D",
    "Dropout", "Flatten", "Permute", "Reshape", "ZeroPadding2D",
    "Add", "Concatenate", "Multiply",
]  # fmt: skip
