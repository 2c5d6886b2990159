"""Layers with Keras's names: settings and arrays over the functions of ``nn.functional``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinymnist.errors import did_you_mean
from tinymnist.lazy import lazy_names
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
from tinymnist.nn.layers.learned import (
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    LayerNormalization,
)

if TYPE_CHECKING:
    from tinymnist.nn.layers.growing import Conv2DTranspose, UpSampling2D
    from tinymnist.nn.layers.noise import GaussianNoise, SpatialDropout2D
    from tinymnist.nn.layers.recurrent import GRU, LSTM, SimpleRNN

_RARE = {
    "growing": "Conv2DTranspose UpSampling2D",
    "noise": "GaussianNoise SpatialDropout2D",
    "recurrent": "GRU LSTM SimpleRNN",
}
"""Layers that few digit readers have, by module: imported when one is named."""
_USUAL: dict[str, type[Layer]] = {
    name: kind
    for name, kind in globals().items()
    if isinstance(kind, type) and issubclass(kind, Layer) and kind is not Layer
}
LAYERS: dict[str, type[Layer]]
"""Every layer by the name of its class."""
_rare, _ = lazy_names(__name__, _RARE)


def __getattr__(name: str) -> Any:
    if name != "LAYERS":
        return _rare(name)
    known = _USUAL | {rare: _rare(rare) for rare in " ".join(_RARE.values()).split()}
    return globals().setdefault("LAYERS", dict(sorted(known.items())))


MaxPool2D, AvgPool2D, Convolution2D = MaxPooling2D, AveragePooling2D, Conv2D
GlobalAvgPool2D, GlobalMaxPool2D = GlobalAveragePooling2D, GlobalMaxPooling2D
"""Keras's other names for the same layers."""


def layer_from_config(config: dict[str, Any]) -> Layer:
    """Make a layer, without arrays yet, from the result of :meth:`Layer.config`.

    Raises:
        ValueError: for an unknown class or setting.
    """
    settings = dict(config)
    for key, of, rule in (("name", str, "a text"), ("trainable", bool, "true or false")):
        if not isinstance(settings.get(key, of()), of):
            raise ValueError(f"{key} must be {rule}. Received: {key}={settings[key]!r}")
    name = settings.pop("class", None)
    kind = _USUAL.get(name) or __getattr__("LAYERS").get(name)
    if kind is None:
        known = sorted(__getattr__("LAYERS"))
        rule = f"class must be one of {known}. Received: class={name!r}"
        raise ValueError(f"{rule}{did_you_mean(name, known)}")
    try:
        layer: Layer = type.__call__(kind, **settings)  # in our words already
        return layer
    except TypeError as error:
        raise ValueError(f"{name} cannot be made from {settings}: {error}") from None


__all__ = [
    "Layer", "LAYERS", "layer_from_config",
    "Conv2D", "Convolution2D", "Dense", "DepthwiseConv2D",
    "ACTIVATIONS", "ELU", "GELU", "Activation", "LeakyReLU", "PReLU", "ReLU", "Softmax",
    "Conv2DTranspose", "UpSampling2D", "GRU", "LSTM", "SimpleRNN",
    "BatchNormalization", "LayerNormalization", "Normalization", "Rescaling",
    "AveragePooling2D", "AvgPool2D", "MaxPooling2D", "MaxPool2D",
    "GlobalAveragePooling2D", "GlobalAvgPool2D", "GlobalMaxPooling2D", "GlobalMaxPool2D",
    "Dropout", "GaussianNoise", "SpatialDropout2D",
    "Flatten", "Permute", "Reshape", "ZeroPadding2D",
    "Add", "Concatenate", "Multiply",
]  # fmt: skip
