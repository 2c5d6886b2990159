"""Keras's layers that have a kernel, pool, pad, flatten or reorder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.interop.keras.building import CHANNELS_FIRST, Arrays, Call, Tensor
from tinymnist.interop.keras.elementwise import (
    OVER_THE_LAST_AXIS,
    activate,
    activation_layers,
    activation_word,
)
from tinymnist.nn import layers
from tinymnist.nn.arrays import Array, Pair, Shape, as_pair

_Kind = Callable[..., layers.Layer]


def _add(
    call: Call, tensor: Tensor, kind: _Kind, arrays: Arrays, end: Shape | None = None, **rest: Any
) -> Tensor:
    """Add a layer and its activation: in one layer if tinymnist has it, else in two or three.

    The last one gets Keras's name. The output has the axes of the input, and the shape ``end`` if
    it differs from the layer's.
    """
    axes = tensor.axes or tensor.in_order
    value = call.settings.get("activation")
    word = activation_word(value)
    is_turned = word in OVER_THE_LAST_AXIS and axes[-1] != len(axes) - 1
    is_one = word is not None and not is_turned and len(activation_layers(call, word)) == 1
    name = call.name if is_one else f"{call.name}_linear"
    activation = word if is_one else "linear"
    layer = kind(activation=activation, use_bias="bias" in arrays, **rest)
    if end is None:
        source = call.builder.add(layer, name, tensor.source, arrays=arrays)
    else:
        source = call.builder.add(layer, f"{name}_product", tensor.source, arrays=arrays)
        source = call.builder.add(layers.Reshape(end), name, source)
    output = call.builder.after(source, axes)
    return output if is_one else activate(call, value, output)


def _bias(call: Call, position: int = 1) -> Arrays:
    """The bias, if the layer has one, by its position among the arrays."""
    arrays = call.config.arrays
    has_bias = call.settings.get("use_bias", True) and len(arrays) > position
    return {"bias": arrays[position]} if has_bias else {}


def _kernel(call: Call, rank: int, position: int = 0) -> Array:
    """The kernel, in floats; factored ones are refused."""
    arrays = call.config.arrays
    if len(arrays) <= position:
        raise call.refused(f"lacks arrays: found {len(arrays)}")
    kernel = arrays[position]
    if kernel.dtype == np.int8 and arrays[-1].shape == kernel.shape[-1:] and len(arrays) > 1:
        kernel = kernel.astype(np.float32) / arrays[-1]  # Keras's int8: kernel * scale, rounded
    if kernel.ndim != rank or kernel.dtype.kind != "f":
        raise call.refused(
            f"has a kernel {kernel.shape} of {kernel.dtype}; expected {rank} axes of floats"
        )
    return kernel


def _dense(call: Call) -> Tensor:
    """On pictures and rows, a convolution with a window of one pixel does the same at each."""
    tensor = call.builder.in_order(call.inputs[0])
    kernel, bias, rank = _kernel(call, 2), _bias(call), len(tensor.shape)
    units = int(call.settings.get("units") or kernel.shape[1])
    if rank > 3:
        raise call.refused(f"takes examples of {rank} axes; expected at most three")
    if rank == 1:
        return _add(call, tensor, layers.Dense, {"kernel": kernel, **bias}, units=units)
    end = None
    if rank == 2:
        rows = layers.Reshape((1, *tensor.shape))
        source = call.builder.add(rows, f"{call.name}_rows", tensor.source)
        tensor, end = Tensor(source, tensor.shape, tensor.axes), (tensor.shape[0], units)
    arrays = {"kernel": kernel.reshape(1, 1, *kernel.shape), **bias}
    return _add(call, tensor, layers.Conv2D, arrays, end=end, filters=units, kernel_size=1)


def _picture(call: Call) -> Tensor:
    """The input as height, width, channels, wherever the layer has its channels."""
    tensor = call.inputs[0]
    if len(tensor.shape) != 3:
        raise call.refused(f"takes pictures; its input is {tensor.shape}")
    first = call.settings.get("data_format") == "channels_first"
    return call.builder.arranged(tensor, CHANNELS_FIRST if first else (0, 1, 2))


def _pair(value: Any, name: str) -> Pair:
    """One or two whole numbers, from JSON."""
    return as_pair(value if isinstance(value, int) else tuple(value or ()), name)


def _conv2d(call: Call) -> Tensor:
    tensor, settings = _picture(call), call.settings
    size = _pair(settings.get("kernel_size"), "kernel_size")
    kernel = _conv_kernel(call, size)
    return _add(
        call, tensor, layers.Conv2D, {"kernel": kernel, **_bias(call)}, kernel_size=size,
        filters=int(settings.get("filters") or kernel.shape[-1]),
        groups=int(settings.get("groups") or 1), **_window(call, tensor, size),
    )  # fmt: skip


def _conv_kernel(call: Call, size: Pair) -> Array:
    """(kh, kw, in, out), from any order of axes and orientation in the file.

    Keras 0 and 1 kept (out, in, kh, kw) for channels first. Theano computes a true convolution,
    with the kernel rotated by 180 degrees; all other backends do not rotate it.
    """
    kernel = _kernel(call, 4)
    filters = call.settings.get("filters", kernel.shape[-1])
    is_old = call.builder.version < 2 and call.settings.get("data_format") == "channels_first"
    if is_old and kernel.shape[2:] == size and kernel.shape[0] == filters:
        kernel = kernel.transpose(2, 3, 1, 0)
    return kernel[::-1, ::-1] if call.builder.theano else kernel


def _window(call: Call, tensor: Tensor, size: Pair) -> dict[str, Any]:
    """Strides, padding and dilation."""
    strides = _pair(call.settings.get("strides", 1), "strides")
    dilation = _pair(call.settings.get("dilation_rate", 1), "dilation_rate")
    padding = _padding(call, tensor, size, strides)
    if isinstance(padding, tuple) and dilation != (1, 1):
        raise call.refused("is dilated and padded by Theano; expected only one")
    return {"strides": strides, "padding": padding, "dilation_rate": dilation}


def _padding(call: Call, tensor: Tensor, size: Pair, strides: Pair) -> Any:
    """As in Keras; for "same" on Theano a fixed amount in front, the rest at the end.

    A convolution has ``size // 2`` in front; a maximum ``size - 2`` for odd windows of 3 or more,
    else ``size - 1``. TensorFlow pads as little as it can, and the odd pixel last: for a window of
    3 and strides of 2 over 28 pixels it pads (0, 1), Theano (1, 1). Source:
    ``keras/backend/theano_backend.py`` of Keras 2.
    """
    padding = call.settings.get("padding", "valid")
    if padding not in ("valid", "same"):
        raise call.refused(f"has the padding {padding!r}; expected valid or same")
    if padding == "valid" or not call.builder.theano:
        return padding
    if call.config.kind == "AveragePooling2D":
        raise call.refused("averages over Theano's padding, which changed over time")

    def along(n: int, k: int, stride: int) -> Pair:
        front = k // 2
        if call.config.kind == "MaxPooling2D":
            front = k - 2 if k > 2 and k % 2 else k - 1
        windows = -(-n // stride)
        return front, max((windows - 1) * stride + k - n - front, 0)

    height, width, _ = call.builder.held(tensor)
    return along(height, size[0], strides[0]), along(width, size[1], strides[1])


def _conv2d_transpose(call: Call) -> Tensor:
    tensor, settings = _picture(call), call.settings
    kernel = _kernel(call, 4)
    if call.builder.theano or _pair(settings.get("dilation_rate", 1), "dilation_rate") != (1, 1):
        raise call.refused("is dilated, or was written under Theano; expected neither")
    if settings.get("output_padding") is not None:
        raise call.refused("has an output_padding; expected none")
    return _add(
        call, tensor, layers.Conv2DTranspose, {"kernel": kernel, **_bias(call)},
        filters=int(settings.get("filters") or kernel.shape[2]), kernel_size=kernel.shape[:2],
        strides=_pair(settings.get("strides", 1), "strides"),
        padding=str(settings.get("padding", "valid")),
    )  # fmt: skip


def _up_sampling(call: Call) -> Tensor:
    if call.settings.get("interpolation", "nearest") != "nearest":
        raise call.refused("interpolates; expected pixels that are repeated (nearest)")
    tensor = _picture(call)
    layer = layers.UpSampling2D(_pair(call.settings.get("size", 2), "size"))
    return call.builder.after(call.builder.add(layer, call.name, tensor.source), tensor.axes or ())


def _depthwise(call: Call, tensor: Tensor) -> tuple[Array, dict[str, Any]]:
    """Kernel and settings of the depthwise part; in Keras (kh, kw, in, multiplier)."""
    if call.builder.theano:
        raise call.refused("was written under Theano, which never had this layer")
    kernel = _kernel(call, 4)
    kh, kw, channels, multiplier = kernel.shape
    if channels != call.builder.held(tensor)[-1]:
        raise call.refused(f"has a kernel {kernel.shape} for {channels} channels")
    settings = {"kernel_size": (kh, kw), "depth_multiplier": multiplier}
    settings |= _window(call, tensor, (kh, kw))
    return kernel.reshape(kh, kw, 1, channels * multiplier), settings


def _depthwise_conv2d(call: Call) -> Tensor:
    tensor = _picture(call)
    kernel, settings = _depthwise(call, tensor)
    return _add(call, tensor, layers.DepthwiseConv2D, {"kernel": kernel, **_bias(call)}, **settings)


def _separable_conv2d(call: Call) -> Tensor:
    """A depthwise convolution, then one with a window of one pixel, which mixes the channels."""
    tensor = _picture(call)
    kernel, settings = _depthwise(call, tensor)
    layer, name = layers.DepthwiseConv2D(use_bias=False, **settings), f"{call.name}_depthwise"
    middle = call.builder.add(layer, name, tensor.source, arrays={"kernel": kernel})
    mixing = _kernel(call, 4, 1)
    return _add(
        call, call.builder.after(middle, tensor.axes or ()), layers.Conv2D,
        {"kernel": mixing, **_bias(call, 2)}, filters=mixing.shape[-1], kernel_size=1,
    )  # fmt: skip


def _kind(call: Call) -> _Kind:
    """The class with the same name as Keras's."""
    return layers.LAYERS[call.config.kind]


def _pooling(call: Call) -> Tensor:
    tensor, settings = _picture(call), call.settings
    window = _pair(settings.get("pool_size", 2), "pool_size")
    strides = _pair(settings.get("strides") or window, "strides")
    padding = _padding(call, tensor, window, strides)
    layer = _kind(call)(window, strides, padding)
    return call.builder.after(call.builder.add(layer, call.name, tensor.source), tensor.axes or ())


def _global_pooling(call: Call) -> Tensor:
    tensor, builder, layer = _picture(call), call.builder, _kind(call)()
    channels = builder.held(tensor)[-1]
    if not call.settings.get("keepdims"):
        return Tensor(builder.add(layer, call.name, tensor.source), (channels,), (0,))
    middle = builder.add(layer, f"{call.name}_values", tensor.source)
    shape = (channels, 1, 1) if tensor.axes == CHANNELS_FIRST else (1, 1, channels)
    return Tensor(builder.add(layers.Reshape(shape), call.name, middle), shape, (0, 1, 2))


def _flatten(call: Call) -> Tensor:
    """Row by row in Keras's order; with ``channels_first``, Keras first moves the channels last."""
    tensor = call.inputs[0]
    if call.settings.get("data_format") == "channels_first" and len(tensor.shape) == 3:
        return _ordered(call, layers.Flatten(), call.builder.arranged(tensor, CHANNELS_FIRST))
    return _ordered(call, layers.Flatten(), call.builder.in_sequence(tensor))


def _reshape(call: Call) -> Tensor:
    target = call.settings.get("target_shape", call.settings.get("dims"))
    layer = layers.Reshape(tuple(int(side) for side in target or ()))
    return _ordered(call, layer, call.builder.in_sequence(call.inputs[0]))


def _permute(call: Call) -> Tensor:
    layer = layers.Permute([int(dim) for dim in call.settings.get("dims") or ()])
    return _ordered(call, layer, call.builder.in_order(call.inputs[0]))


def _ordered(call: Call, layer: layers.Layer, tensor: Tensor) -> Tensor:
    """Add a layer whose output has the same shape and order of axes in Keras."""
    source = call.builder.add(layer, call.name, tensor.source)
    shape = call.builder.held(Tensor(source, (), None))
    return Tensor(source, shape, tuple(range(len(shape))))


def _zero_padding(call: Call) -> Tensor:
    """By Keras's padding, or Keras 1's: four numbers, or an object with four names."""
    tensor, padding = _picture(call), call.settings.get("padding", 1)
    if isinstance(padding, dict):
        padding = [padding.get(f"{side}_pad", 0) for side in ("top", "bottom", "left", "right")]
    if isinstance(padding, list) and len(padding) == 4:
        padding = [padding[:2], padding[2:]]
    if isinstance(padding, list):
        padding = tuple(tuple(side) if isinstance(side, list) else side for side in padding)
    source = call.builder.add(layers.ZeroPadding2D(padding), call.name, tensor.source)
    return call.builder.after(source, tensor.axes or ())


HANDLERS: dict[str, Callable[[Call], Tensor]] = {
    "Dense": _dense, "Flatten": _flatten, "Reshape": _reshape, "Permute": _permute,
    "Conv2D": _conv2d, "Conv2DTranspose": _conv2d_transpose,
    "DepthwiseConv2D": _depthwise_conv2d, "SeparableConv2D": _separable_conv2d,
    "UpSampling2D": _up_sampling, "ZeroPadding2D": _zero_padding,
    **{f"{kind}Pooling2D": _pooling for kind in ("Max", "Average")},
    **{f"Global{kind}Pooling2D": _global_pooling for kind in ("Max", "Average")},
}  # fmt: skip
"""What converts each class of these layers."""
