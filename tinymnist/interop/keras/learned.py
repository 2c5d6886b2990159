"""Keras's layers that have a kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinymnist.interop.keras.building import CHANNELS_FIRST, Builder, Handler, Tensor
from tinymnist.interop.keras.config import LayerConfig
from tinymnist.interop.keras.elementwise import with_activation
from tinymnist.interop.keras.vocabulary import theano_pads
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers import Conv2D, Dense, DepthwiseConv2D, Layer, Reshape
from tinymnist.nn.shapes import Pair, as_pair


def _add(
    builder: Builder,
    config: LayerConfig,
    tensor: Tensor,
    make: Callable[[str], Layer],
    arrays: dict[str, Array],
    end: Shape | None = None,
) -> Tensor:
    """Add the layer ``make(activation)`` and its activation.

    Args:
        builder, config: the model, and the layer in Keras.
        tensor: the input, whose order of axes the output has too.
        make: makes the layer.
        arrays: its kernel and bias.
        end: the shape of the output, if it differs from the layer's.
    """
    axes = tensor.axes or tensor.in_order

    def add(activation: str, name: str) -> Tensor:
        layer = make(activation)
        if end is None:
            source = builder.add(layer, name, tensor.source, arrays=arrays)
        else:
            source = builder.add(layer, f"{name}_product", tensor.source, arrays=arrays)
            source = builder.add(Reshape(end), name, source)
        return builder.after(source, axes)

    return with_activation(builder, config, axes, add)


def _bias(config: LayerConfig, position: int = 1) -> dict[str, Array]:
    """The bias, if the layer has one, by its position among the arrays."""
    has_bias = config.settings.get("use_bias", True) and len(config.arrays) > position
    return {"bias": config.arrays[position]} if has_bias else {}


def _kernel(builder: Builder, config: LayerConfig, rank: int, position: int = 0) -> Array:
    """The kernel; quantized and factored ones are refused."""
    if len(config.arrays) <= position:
        raise builder.refused(config, f"lacks arrays: found {len(config.arrays)}")
    kernel = config.arrays[position]
    if kernel.ndim != rank or kernel.dtype.kind != "f":
        raise builder.refused(
            config, f"has a kernel {kernel.shape} of {kernel.dtype}; expected {rank} axes of floats"
        )
    return kernel


def _dense(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    """On pictures and rows, a convolution with a window of one pixel does the same at each."""
    tensor, kernel, bias = builder.in_order(inputs[0]), _kernel(builder, config, 2), _bias(config)
    units, rank = int(config.settings.get("units") or kernel.shape[1]), len(tensor.shape)
    if rank > 3:
        raise builder.refused(config, f"takes examples of {rank} axes; expected at most three")
    if rank == 1:
        return _add(
            builder, config, tensor,
            lambda activation: Dense(units, activation=activation, use_bias=bool(bias)),
            {"kernel": kernel, **bias},
        )  # fmt: skip
    end = None
    if rank == 2:
        rows = builder.add(Reshape((1, *tensor.shape)), f"{config.name}_rows", tensor.source)
        tensor, end = Tensor(rows, tensor.shape, tensor.axes), (tensor.shape[0], units)
    return _add(
        builder, config, tensor,
        lambda activation: Conv2D(units, 1, activation=activation, use_bias=bool(bias)),
        {"kernel": kernel.reshape(1, 1, *kernel.shape), **bias}, end,
    )  # fmt: skip


def picture(builder: Builder, config: LayerConfig, tensor: Tensor) -> Tensor:
    """The tensor as height, width, channels, wherever the layer has its channels."""
    if len(tensor.shape) != 3:
        raise builder.refused(config, f"takes pictures; its input is {tensor.shape}")
    first = config.settings.get("data_format") == "channels_first"
    return builder.arranged(tensor, CHANNELS_FIRST if first else (0, 1, 2))


def pair(value: Any, name: str) -> Pair:
    """One or two whole numbers, from JSON."""
    return as_pair(value if isinstance(value, int) else tuple(value or ()), name)


def _conv2d(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    tensor, settings = picture(builder, config, inputs[0]), config.settings
    size = pair(settings.get("kernel_size"), "kernel_size")
    kernel, bias = _conv_kernel(builder, config, size), _bias(config)
    window = _window(builder, config, tensor, size)

    def make(activation: str) -> Layer:
        filters, groups = settings.get("filters") or kernel.shape[-1], settings.get("groups") or 1
        return Conv2D(
            int(filters), size, activation=activation, use_bias=bool(bias), groups=int(groups),
            **window,
        )  # fmt: skip

    return _add(builder, config, tensor, make, {"kernel": kernel, **bias})


def _conv_kernel(builder: Builder, config: LayerConfig, size: Pair) -> Array:
    """(kh, kw, in, out), from any order of axes and orientation in the file.

    Keras 0 and 1 kept (out, in, kh, kw) for channels first. Theano computes a true convolution,
    with the kernel rotated by 180 degrees; all other backends do not rotate it.
    """
    kernel = _kernel(builder, config, 4)
    filters = config.settings.get("filters", kernel.shape[-1])
    first = config.settings.get("data_format") == "channels_first"
    if builder.version < 2 and first and kernel.shape[2:] == size and kernel.shape[0] == filters:
        kernel = kernel.transpose(2, 3, 1, 0)
    return kernel[::-1, ::-1] if builder.theano else kernel


def _window(builder: Builder, config: LayerConfig, tensor: Tensor, size: Pair) -> dict[str, Any]:
    """Strides, padding and dilation."""
    strides = pair(config.settings.get("strides", 1), "strides")
    dilation = pair(config.settings.get("dilation_rate", 1), "dilation_rate")
    padding: Any = checked_padding(builder, config)
    if padding == "same" and builder.theano:
        if dilation != (1, 1):
            raise builder.refused(config, "is dilated and padded by Theano; expected only one")
        height, width, _ = builder.held(tensor)
        padding = theano_pads((height, width), size, strides, pools=False)
    return {"strides": strides, "padding": padding, "dilation_rate": dilation}


def checked_padding(builder: Builder, config: LayerConfig) -> str:
    """The layer's padding: "valid" or "same"."""
    padding = config.settings.get("padding", "valid")
    if padding not in ("valid", "same"):
        raise builder.refused(config, f"has the padding {padding!r}; expected valid or same")
    return str(padding)


def _depthwise(
    builder: Builder, config: LayerConfig, tensor: Tensor, use_bias: bool
) -> tuple[Array, dict[str, Any]]:
    """Kernel and settings of the depthwise part; in Keras (kh, kw, in, multiplier)."""
    if builder.theano:
        raise builder.refused(config, "was written under Theano, which never had this layer")
    kernel = _kernel(builder, config, 4)
    kh, kw, channels, multiplier = kernel.shape
    if channels != builder.held(tensor)[-1]:
        raise builder.refused(config, f"has a kernel {kernel.shape} for {channels} channels")
    settings = {
        "kernel_size": (kh, kw),
        "depth_multiplier": multiplier,
        "use_bias": use_bias,
        **_window(builder, config, tensor, (kh, kw)),
    }
    return kernel.reshape(kh, kw, 1, channels * multiplier), settings


def _depthwise_conv2d(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    tensor, bias = picture(builder, config, inputs[0]), _bias(config)
    kernel, settings = _depthwise(builder, config, tensor, bool(bias))
    return _add(
        builder, config, tensor,
        lambda activation: DepthwiseConv2D(activation=activation, **settings),
        {"kernel": kernel, **bias},
    )  # fmt: skip


def _separable_conv2d(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    """A depthwise convolution, then one with a window of one pixel, which mixes the channels."""
    tensor, bias = picture(builder, config, inputs[0]), _bias(config, 2)
    kernel, settings = _depthwise(builder, config, tensor, False)
    middle = builder.add(
        DepthwiseConv2D(**settings), f"{config.name}_depthwise", tensor.source,
        arrays={"kernel": kernel},
    )  # fmt: skip
    mixing = _kernel(builder, config, 4, 1)
    filters = mixing.shape[-1]
    return _add(
        builder, config, builder.after(middle, tensor.axes or ()),
        lambda activation: Conv2D(filters, 1, activation=activation, use_bias=bool(bias)),
        {"kernel": mixing, **bias},
    )  # fmt: skip


HANDLERS: dict[str, Handler] = {
    "Dense": _dense,
    "Conv2D": _conv2d,
    "DepthwiseConv2D": _depthwise_conv2d,
    "SeparableConv2D": _separable_conv2d,
}
"""The functions of this file, by the layer's class."""
