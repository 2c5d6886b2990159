"""Twelve years of Keras in today's words: names of classes and of settings.

Keras 0 and 1 (2015-2016) said ``Convolution2D(nb_filter, nb_row, nb_col, border_mode)`` for what
has been ``Conv2D(filters, kernel_size, padding)`` since Keras 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
"""What Keras 1's Merge layer did in each of its modes."""


def todays(kind: str, settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
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
