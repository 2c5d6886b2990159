"""Keras's words since 2015, in the words of today: classes, settings, activations, padding.

Keras 0 and 1 (2015-2016) said ``Convolution2D(nb_filter, nb_row, nb_col, border_mode)`` for what
has been ``Conv2D(filters, kernel_size, padding)`` since Keras 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tinymnist.errors import InputError
from tinymnist.nn.layers import ACTIVATIONS, Activation, Layer, Rescaling
from tinymnist.nn.shapes import Pads, Pair

CLASSES = {
    "AtrousConvolution2D": "Conv2D",
    "AvgPool2D": "AveragePooling2D",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "Convolution2D": "Conv2D",
    "Convolution2DTranspose": "Conv2DTranspose",
    "Deconvolution2D": "Conv2DTranspose",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "MaxPool2D": "MaxPooling2D",
    "Model": "Functional",
    "SeparableConvolution2D": "SeparableConv2D",
    "SyncBatchNormalization": "BatchNormalization",
}
SETTINGS = {
    "atrous_rate": "dilation_rate",
    "bias": "use_bias",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "nb_filter": "filters",
    "output_dim": "units",
    "p": "rate",
    "subsample": "strides",
}
FORMATS = {"th": "channels_first", "tf": "channels_last"}
MERGES = {
    "sum": "Add",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
    "concat": "Concatenate",
}
"""The class for each mode of Keras 1's Merge layer."""
FUNCTIONS = {
    "swish": "silu",
    "hard_swish": "hard_silu",
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
}
_OLD_HARD_SIGMOID = 1.2
"""Keras 1 and 2 had ``clip(0.2 x + 0.5)``; Keras 3's ``clip(x / 6 + 0.5)`` equals it at 1.2 x."""


def in_todays_words(kind: str, settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A layer's class and settings in the words of Keras 2 and 3."""
    if kind == "Merge" and settings.get("mode") in MERGES:
        axis = settings.get("concat_axis", -1)
        return MERGES[settings["mode"]], {"name": settings.get("name"), "axis": axis}
    renamed = {SETTINGS.get(key, key): value for key, value in settings.items()}
    if "nb_row" in settings:
        renamed["kernel_size"] = [settings["nb_row"], settings["nb_col"]]
    if (old := renamed.get("data_format")) in FORMATS:
        renamed["data_format"] = FORMATS[old]
    return CLASSES.get(kind, kind), renamed


def snake_case(name: str) -> str:
    """``Conv2D`` -> ``conv2d``, ``PReLU`` -> ``p_re_lu``: Keras's own two substitutions."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def numbered(name: str) -> tuple[str, int]:
    """``dense_12`` -> ``("dense", 12)``, and ``dense`` -> ``("dense", 0)``."""
    stem, _, number = name.rpartition("_")
    return (stem, int(number)) if stem and number.isdecimal() else (name, 0)


def activation_word(value: Any) -> str | None:
    """The name of an activation function; None for a layer or an unknown object."""
    if value is None:
        return "linear"
    if isinstance(value, dict):
        is_function = value.get("class_name") in ("function", "Activation")
        if not is_function and value.get("module") != "builtins":
            return None
        inside = value.get("config")
        return activation_word(inside.get("activation") if isinstance(inside, dict) else inside)
    return FUNCTIONS.get(value, value) if isinstance(value, str) else None


def activation_layers(word: str, version: int, owner: str) -> list[Layer]:
    """The layers that compute an activation function of a Keras version.

    Raises:
        InputError: when tinymnist has no such function.
    """
    if word not in ACTIVATIONS:
        raise InputError(
            f"{owner} uses the activation {word!r}, which tinymnist lacks; it has "
            f"{sorted(ACTIVATIONS)}"
        )
    if word == "hard_sigmoid" and version < 3:
        return [Rescaling(_OLD_HARD_SIGMOID), Activation(word)]
    return [Activation(word)]


def theano_pads(size: Pair, kernel: Pair, strides: Pair, *, pools: bool) -> Pads:
    """Padding "same" on Theano: a fixed amount in front, the rest at the end.

    A convolution has ``kernel // 2`` in front; a maximum ``kernel - 2`` for odd windows of 3 or
    more, else ``kernel - 1``. TensorFlow pads as little as it can, and the odd pixel last: for a
    window of 3 and strides of 2 over 28 pixels it pads (0, 1), Theano (1, 1). Source:
    ``keras/backend/theano_backend.py`` of Keras 2.
    """

    def along(n: int, k: int, stride: int) -> Pair:
        front = k // 2
        if pools:
            front = k - 2 if k > 2 and k % 2 else k - 1
        windows = -(-n // stride)
        return front, max((windows - 1) * stride + k - n - front, 0)

    return (
        along(size[0], kernel[0], strides[0]),
        along(size[1], kernel[1], strides[1]),
    )
