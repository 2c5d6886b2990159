"""Keras's layers that pool, pad, flatten and reorder."""

from __future__ import annotations

from typing import Any

from tinymnist.interop.keras.building import CHANNELS_FIRST, Builder, Handler, Tensor
from tinymnist.interop.keras.config import LayerConfig
from tinymnist.interop.keras.learned import checked_padding, pair, picture
from tinymnist.interop.keras.vocabulary import theano_pads
from tinymnist.nn.layers import (
    AveragePooling2D,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
    Permute,
    Reshape,
    ZeroPadding2D,
)

_POOLS = {"MaxPooling2D": MaxPooling2D, "AveragePooling2D": AveragePooling2D}
_GLOBAL_POOLS = {
    "GlobalMaxPooling2D": GlobalMaxPooling2D,
    "GlobalAveragePooling2D": GlobalAveragePooling2D,
}


def _pooling(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    tensor, settings = picture(builder, config, inputs[0]), config.settings
    window = pair(settings.get("pool_size", 2), "pool_size")
    strides = pair(settings.get("strides") or window, "strides")
    padding: Any = checked_padding(builder, config)
    if padding == "same" and builder.theano:
        if config.kind != "MaxPooling2D":
            raise builder.refused(config, "averages over Theano's padding, which changed over time")
        height, width, _ = builder.held(tensor)
        padding = theano_pads((height, width), window, strides, pools=True)
    kind = _POOLS[config.kind]
    source = builder.add(kind(window, strides, padding), config.name, tensor.source)
    return builder.after(source, tensor.axes or ())


def _global_pooling(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    tensor = picture(builder, config, inputs[0])
    kind = _GLOBAL_POOLS[config.kind]
    channels = builder.held(tensor)[-1]
    if not config.settings.get("keepdims"):
        return Tensor(builder.add(kind(), config.name, tensor.source), (channels,), (0,))
    middle = builder.add(kind(), f"{config.name}_values", tensor.source)
    first = tensor.axes == CHANNELS_FIRST
    shape = (channels, 1, 1) if first else (1, 1, channels)
    return Tensor(builder.add(Reshape(shape), config.name, middle), shape, (0, 1, 2))


def _flatten(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    """Row by row in Keras's order; with ``channels_first``, Keras first moves the channels last."""
    tensor = inputs[0]
    if config.settings.get("data_format") == "channels_first" and len(tensor.shape) == 3:
        tensor = builder.arranged(tensor, CHANNELS_FIRST)
    else:
        tensor = builder.in_sequence(tensor)
    return _as_held(builder, builder.add(Flatten(), config.name, tensor.source))


def _reshape(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    target = config.settings.get("target_shape", config.settings.get("dims"))
    layer = Reshape(tuple(int(side) for side in target or ()))
    source = builder.add(layer, config.name, builder.in_sequence(inputs[0]).source)
    return _as_held(builder, source)


def _permute(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    dims = [int(dim) for dim in config.settings.get("dims") or ()]
    source = builder.add(Permute(dims), config.name, builder.in_order(inputs[0]).source)
    return _as_held(builder, source)


def _as_held(builder: Builder, source: str) -> Tensor:
    """A layer's output with the same shape and order of axes in Keras."""
    shape = builder.held(Tensor(source, (), None))
    return Tensor(source, shape, tuple(range(len(shape))))


def _zero_padding(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    tensor = picture(builder, config, inputs[0])
    padding = _four_sides(config.settings.get("padding", 1))
    source = builder.add(ZeroPadding2D(padding), config.name, tensor.source)
    return builder.after(source, tensor.axes or ())


def _four_sides(padding: Any) -> Any:
    """Keras's padding, or Keras 1's: four numbers, or an object with four names."""
    if isinstance(padding, dict):
        sides = [padding.get(f"{side}_pad", 0) for side in ("top", "bottom", "left", "right")]
        return (sides[0], sides[1]), (sides[2], sides[3])
    if isinstance(padding, list) and len(padding) == 4:
        return (padding[0], padding[1]), (padding[2], padding[3])
    if isinstance(padding, list):
        return tuple(tuple(side) if isinstance(side, list) else side for side in padding)
    return padding


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_POOLS, _pooling),
    **dict.fromkeys(_GLOBAL_POOLS, _global_pooling),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "ZeroPadding2D": _zero_padding,
}
"""The functions of this file, by the layer's class."""
