"""Keras's layers that bring branches together."""

from __future__ import annotations

from tinymnist.interop.keras.building import Builder, Tensor
from tinymnist.interop.keras.config import LayerConfig
from tinymnist.interop.keras.elementwise import axis_last
from tinymnist.interop.keras.registry import handles, refused
from tinymnist.nn.arrays import Shape
from tinymnist.nn.layers import Add, Concatenate, Layer, Multiply, Rescaling


def _alike(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> list[Tensor]:
    """The inputs with their axes in one order."""
    if len(inputs) < 2 or len({tensor.shape for tensor in inputs}) != 1:
        shapes = [tensor.shape for tensor in inputs]
        raise refused(builder, config, f"takes inputs of one shape; found {shapes}")
    axes = inputs[0].axes or inputs[0].in_order
    return [builder.arranged(tensor, axes) for tensor in inputs]


def _merge(
    builder: Builder, layer: Layer, name: str, inputs: list[Tensor], shape: Shape | None = None
) -> Tensor:
    source = builder.add(layer, name, *(tensor.source for tensor in inputs))
    return Tensor(source, shape or inputs[0].shape, inputs[0].axes)


@handles("Add", "Multiply", merges=True)
def _elementwise(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    layer = Add() if config.kind == "Add" else Multiply()
    return _merge(builder, layer, config.name, _alike(builder, config, inputs))


@handles("Average", merges=True)
def _average(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    total = _merge(builder, Add(), f"{config.name}_sum", _alike(builder, config, inputs))
    return _merge(builder, Rescaling(1 / len(inputs)), config.name, [total])


@handles("Subtract", merges=True)
def _subtract(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    inputs = _alike(builder, config, inputs)
    if len(inputs) != 2:
        raise refused(builder, config, f"takes {len(inputs)} inputs; expected two")
    negative = _merge(builder, Rescaling(-1.0), f"{config.name}_negative", inputs[1:])
    return _merge(builder, Add(), config.name, [inputs[0], negative])


@handles("Concatenate", merges=True)
def _concatenate(builder: Builder, config: LayerConfig, inputs: list[Tensor]) -> Tensor:
    if len({len(tensor.shape) for tensor in inputs}) != 1:
        raise refused(builder, config, "takes inputs of as many axes")
    first = axis_last(builder, config, inputs[0])
    axes = first.axes or first.in_order
    tensors = [first, *(builder.arranged(tensor, axes) for tensor in inputs[1:])]
    axis = axes[-1]
    shape = list(first.shape)
    shape[axis] = sum(tensor.shape[axis] for tensor in tensors)
    return _merge(builder, Concatenate(), config.name, tensors, tuple(shape))
