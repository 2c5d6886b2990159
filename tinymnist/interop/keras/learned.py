"""Keras's layers that learn a kernel."""

from __future__ import annotations

from typing import Any

from tinymnist.interop.keras.building import CHANNELS_FIRST, Builder, Tensor
from tinymnist.interop.keras.config import LayerConfig
from tinymnist.interop.keras.elementwise import with_activation
from tinymnist.interop.keras.registry import handles, refused
from tinymnist.interop.keras.theano import conv_pads
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.layers import Conv2D, Dense, DepthwiseConv2D, Layer, Reshape
from tinymnist.nn.shapes import Pair, as_pair


def _bias(config: LayerConfig, position: int) -> dict[str, Array]:
    """The bias, where the layer has one, from its place among the arrays."""
    if not config.settings.get("use_bias", True):
        return {}
    return {"bias": config.arrays[position]} if len(config.arrays) > position else {}


def _kernel(builder: Builder, config: LayerConfig, rank: int, position: int = 0) -> Array:
    """The kernel; quantized and factored ones are refused."""
    if len(config.arrays) <= position:
        raise refused(builder, config, f"lacks arrays: found {len(config.arrays)}")
    kernel = config.arrays[position]
    if kernel.ndim != rank or kernel.dtype.kind != "f":
        raise refused(
            builder, config, f"has a kernel {kernel.shape} of {kernel.dtype}; expected {rank} axes "
            "of floating-point numbers"
        )  # fmt: skip
    return kernel


@handles("Dense")
def _dense(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    tensor, kernel = builder.in_order(inputs[0]), _kernel(builder, config, 2)
    arrays, units = _bias(config, 1), int(config.settings.get("units") or kernel.shape[1])
    rank, given = len(tensor.shape), bool(_bias(config, 1))
    if rank == 1:

        def make(activation: str, name: str) -> Tensor:
            layer = Dense(units, activation=activation, use_bias=given)
            source = builder.add(layer, name, tensor.source, arrays={"kernel": kernel, **arrays})
            return Tensor(source, (units,), (0,))

        return with_activation(builder, config, (0,), make)
    if rank > 3:
        raise refused(builder, config, f"takes examples of {rank} axes; expected at most three")
    return _dense_on_last_axis(builder, config, tensor, kernel, arrays, units)


def _dense_on_last_axis(
    builder: Builder,
    config: LayerConfig,
    tensor: Tensor,
    kernel: Array,
    arrays: dict[str, Array],
    units: int,
) -> Tensor:
    """At every pixel the same product: a convolution with a window of one pixel."""
    shape = tensor.shape if len(tensor.shape) == 3 else (1, *tensor.shape)
    source = tensor.source
    if shape != tensor.shape:
        source = builder.add(Reshape(shape), f"{config.name}_rows", source)
    weights = {"kernel": kernel.reshape(1, 1, *kernel.shape), **arrays}
    axes = tuple(range(len(tensor.shape)))

    def make(activation: str, name: str) -> Tensor:
        layer = Conv2D(units, 1, activation=activation, use_bias=bool(arrays))
        if shape == tensor.shape:
            end = builder.add(layer, name, source, arrays=weights)
        else:
            end = builder.add(layer, f"{name}_product", source, arrays=weights)
            end = builder.add(Reshape((*tensor.shape[:-1], units)), name, end)
        return Tensor(end, (*tensor.shape[:-1], units), axes)

    return with_activation(builder, config, axes, make)


def picture(builder: Builder, config: LayerConfig, tensor: Tensor) -> Tensor:
    """The tensor as height, width, channels, wherever the layer has its channels."""
    if len(tensor.shape) != 3:
        raise refused(builder, config, f"takes pictures; its input is {tensor.shape}")
    first = config.settings.get("data_format") == "channels_first"
    return builder.arranged(tensor, CHANNELS_FIRST if first else (0, 1, 2))


def keras_shape(held: Shape, axes: Shape) -> Shape:
    """The shape in Keras of what tinymnist holds with its axes in this order."""
    return tuple(held[axes.index(axis)] for axis in range(len(axes)))


def after(builder: Builder, source: str, axes: Shape) -> Tensor:
    """The tensor that a layer gives whose axes stand in this order."""
    held = builder.held(Tensor(source, (), axes))
    return Tensor(source, keras_shape(held, axes), axes)


@handles("Conv2D")
def _conv2d(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    tensor, settings = picture(builder, config, inputs[0]), config.settings
    size = pair(settings.get("kernel_size"), "kernel_size")
    kernel = _conv_kernel(builder, config, size)
    arrays = {"kernel": kernel, **_bias(config, 1)}

    def make(activation: str, name: str) -> Tensor:
        layer = Conv2D(
            int(settings.get("filters") or kernel.shape[-1]),
            size,
            activation=activation,
            use_bias="bias" in arrays,
            groups=int(settings.get("groups") or 1),
            **_window(builder, config, tensor, size),
        )
        source = builder.add(layer, name, tensor.source, arrays=arrays)
        return after(builder, source, tensor.axes or ())

    return with_activation(builder, config, tensor.axes or (), make)


def _conv_kernel(builder: Builder, config: LayerConfig, size: Pair) -> Array:
    """(kh, kw, in, out), whatever the order of axes and the direction in the file.

    Keras 0 and 1 kept (out, in, kh, kw) for channels first. Theano turned the kernel by half a turn
    before laying it on the picture, as the word convolution says; all others do not.
    """
    kernel = _kernel(builder, config, 4)
    filters = config.settings.get("filters", kernel.shape[-1])
    first = config.settings.get("data_format") == "channels_first"
    old = builder.version < 2 and first
    if old and kernel.shape[2:] == size and kernel.shape[0] == filters:
        kernel = kernel.transpose(2, 3, 1, 0)
    return kernel[::-1, ::-1] if builder.theano else kernel


def _window(builder: Builder, config: LayerConfig, tensor: Tensor, size: Pair) -> dict[str, Any]:
    """How the window slides."""
    strides = pair(config.settings.get("strides", 1), "strides")
    dilation = pair(config.settings.get("dilation_rate", 1), "dilation_rate")
    padding = config.settings.get("padding", "valid")
    if padding not in ("valid", "same"):
        raise refused(builder, config, f"has the padding {padding!r}; expected valid or same")
    if padding == "same" and builder.theano:
        if dilation != (1, 1):
            raise refused(builder, config, "is dilated and padded by Theano, which is not known")
        height, width, _ = builder.held(tensor)
        padding = conv_pads((height, width), size, strides)
    return {"strides": strides, "padding": padding, "dilation_rate": dilation}


def pair(value: Any, name: str) -> Pair:
    """One or two whole numbers, from JSON."""
    return as_pair(value if isinstance(value, int) else tuple(value or ()), name)


def _depthwise(
    builder: Builder, config: LayerConfig, tensor: Tensor, use_bias: bool
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Array and settings of the depthwise part; the kernel is (kh, kw, in, multiplier)."""
    if builder.theano:
        raise refused(builder, config, "was written under Theano, where Keras had no such layer")
    kernel = _kernel(builder, config, 4)
    kh, kw, channels, multiplier = kernel.shape
    if channels != builder.held(tensor)[-1]:
        raise refused(builder, config, f"has a kernel {kernel.shape} for {channels} channels")
    settings = {
        "kernel_size": (kh, kw),
        "depth_multiplier": multiplier,
        "use_bias": use_bias,
        **_window(builder, config, tensor, (kh, kw)),
    }
    return {"kernel": kernel.reshape(kh, kw, 1, channels * multiplier)}, settings


@handles("DepthwiseConv2D")
def _depthwise_conv2d(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    tensor, bias = picture(builder, config, inputs[0]), _bias(config, 1)
    arrays, settings = _depthwise(builder, config, tensor, bool(bias))

    def make(activation: str, name: str) -> Tensor:
        layer = DepthwiseConv2D(activation=activation, **settings)
        source = builder.add(layer, name, tensor.source, arrays=arrays | bias)
        return after(builder, source, tensor.axes or ())

    return with_activation(builder, config, tensor.axes or (), make)


@handles("SeparableConv2D")
def _separable_conv2d(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    """A depthwise convolution, then one with a window of one pixel, which mixes the channels."""
    tensor, bias = picture(builder, config, inputs[0]), _bias(config, 2)
    arrays, settings = _depthwise(builder, config, tensor, False)
    middle = builder.add(
        DepthwiseConv2D(**settings), f"{config.name}_depthwise", tensor.source, arrays=arrays
    )
    pointwise = {"kernel": _kernel(builder, config, 4, 1), **bias}

    def make(activation: str, name: str) -> Tensor:
        filters = pointwise["kernel"].shape[-1]
        layer: Layer = Conv2D(filters, 1, activation=activation, use_bias=bool(bias))
        source = builder.add(layer, name, middle, arrays=pointwise)
        return after(builder, source, tensor.axes or ())

    return with_activation(builder, config, tensor.axes or (), make)
