"""A description of layers and the blocks of a file become a model; every shape is checked.

If a framework keeps channels first, the features after a Flatten are in another order. PyTorch
lists all pixels of the first channel, then of the second; tinymnist lists all channels of the first
pixel. So a 2x2 picture with channels a, b flattens to ``a1 a2 a3 a4 b1 b2 b3 b4`` there and to
``a1 b1 a2 b2 a3 b3 a4 b4`` here, and the rows of the next Dense kernel (and the arrays of norms
before it) are reordered by ``[0, 4, 1, 5, 2, 6, 3, 7]``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinymnist.interop.bare.architecture import TENSORS, Description
from tinymnist.interop.bare.blocks import Block
from tinymnist.nn import layers
from tinymnist.nn.arrays import Array, Shape
from tinymnist.nn.graph import INPUT, Graph
from tinymnist.nn.layers.base import Layer, default_name, free_name
from tinymnist.nn.sequential import Sequential

_KINDS: dict[type[Layer], str] = {
    layers.Conv2D: "conv", layers.DepthwiseConv2D: "conv", layers.Dense: "dense",
    layers.BatchNormalization: "norm", layers.LayerNormalization: "layernorm",
    layers.PReLU: "prelu",
}  # fmt: skip
_MOST_LAYER_OUTPUTS = 1 << 26
FeatureOrder = Array | None
"""For each of our features, its position in the other framework; None if nothing differs."""
_FEATUREWISE = (
    *(layers.Activation, layers.BatchNormalization, layers.Dropout, layers.ELU, layers.Flatten),
    *(layers.GELU, layers.LayerNormalization, layers.LeakyReLU, layers.PReLU, layers.ReLU),
    *(layers.Rescaling, layers.Softmax),
)
_WITH_KERNEL = (layers.Dense, layers.Conv2D, layers.DepthwiseConv2D)


def assemble(
    description: Description,
    blocks: Sequence[Block],
    *,
    channels_first: bool = False,
    name: str = "sequential",
) -> Sequential:
    """Make the model.

    Args:
        description: the layers.
        blocks: those of the file; each must find a layer that it fits.
        channels_first: whether the weights were trained with channels first.
        name: of the model.

    Raises:
        ValueError: when a layer lacks a block, a block a layer, or shapes do not fit.
    """
    rest = list(blocks)
    made: list[Layer] = []
    shapes: dict[str, Shape] = {INPUT: tuple(description.input_shape)}
    orders: dict[str, FeatureOrder] = {INPUT: None}
    previous = INPUT
    for config in description.layers:
        layer, block = _make(config, rest, shapes)
        sources = tuple(description.wiring.get(layer.name, (previous,)))
        if missing := [s for s in sources if s not in shapes]:
            raise ValueError(f"{layer.name} takes {missing}; expected outputs that come before it")
        inputs = [shapes[s] for s in sources]
        if block is not None:
            _give(layer, block, inputs, orders[sources[0]])
        shapes[layer.name] = layer.output_shape(*inputs)
        if np.prod(shapes[layer.name], dtype=float) > _MOST_LAYER_OUTPUTS:
            raise ValueError(f"{layer.name} has more than {_MOST_LAYER_OUTPUTS:,} outputs")
        order = _order_after(layer, sources, inputs, orders) if channels_first else None
        orders[layer.name] = order
        made.append(layer)
        previous = layer.name
    if rest:
        raise ValueError(f"no layer takes {[str(block) for block in rest][:4]}")
    wiring = {name: list(sources) for name, sources in description.wiring.items()}
    return Sequential(made, input_shape=description.input_shape, wiring=wiring, name=name)


def _make(
    config: Mapping[str, Any], rest: list[Block], shapes: Mapping[str, Shape]
) -> tuple[Layer, Block | None]:
    """The layer, with a name, and its block, which is taken out of ``rest``."""
    settings = dict(config)
    wanted = settings.pop(TENSORS, None)
    layer = layers.layer_from_config(settings)
    kind = _KINDS.get(type(layer))
    if kind is None and isinstance(layer, layers.LeakyReLU) and wanted is not None:
        kind = "prelu"  # a PReLU with a single slope
    block = None
    if kind is not None:
        block = next((b for b in rest if b.kind == kind and wanted in (None, b.name)), None)
        if block is None:
            what = f"block {wanted!r}" if wanted is not None else f"{kind} block left"
            raise ValueError(f"the file has no {what} for {layer.name or settings['class']}")
        rest.remove(block)
    name = layer.name or (block.name if block else "") or default_name(layer)
    layer.name = free_name(name, shapes)
    return layer, block


def _give(layer: Layer, block: Block, inputs: list[Shape], order: FeatureOrder) -> None:
    """Give the arrays of a block to its layer, in the layer's order of features."""
    arrays = dict(block.arrays)
    if isinstance(layer, layers.LeakyReLU):
        if arrays["alpha"].size != 1:
            raise ValueError(f"{layer.name} has one slope, and {block.name} has {block.outputs}")
        layer.negative_slope = arrays["alpha"].item()
        return
    if isinstance(layer, _WITH_KERNEL) and "bias" not in arrays:
        layer.use_bias = False
    expected = layer.weight_shapes(*inputs)
    if isinstance(layer, layers.Dense):
        if order is not None and len(order) == len(arrays["kernel"]):
            arrays["kernel"] = arrays["kernel"][order]
    elif not isinstance(layer, _WITH_KERNEL):
        if isinstance(layer, layers.PReLU) and arrays["alpha"].size == np.prod(expected["alpha"]):
            arrays = {"alpha": arrays["alpha"].reshape(expected["alpha"])}
        if order is not None:
            arrays = {n: a[order] if len(a) == len(order) else a for n, a in arrays.items()}
    found = {name: tuple(array.shape) for name, array in arrays.items()}
    if found != expected:
        raise ValueError(
            f"{layer.name} takes {expected} here, and {block.name or 'the file'} holds {found}"
        )
    for name, array in arrays.items():
        setattr(layer, name, np.ascontiguousarray(array, np.float32))


def _order_after(
    layer: Layer,
    sources: Sequence[str],
    inputs: Sequence[Shape],
    orders: Mapping[str, FeatureOrder],
) -> FeatureOrder:
    """The order of a layer's outputs, given the names and shapes of its inputs."""
    order = orders[sources[0]]
    if isinstance(layer, layers.Flatten) and len(inputs[0]) == 3:
        h, w, c = inputs[0]
        if 1 in (c, h * w):
            return None
        return np.arange(h * w * c).reshape(c, h, w).transpose(1, 2, 0).ravel()
    moves = len(inputs[0]) == 3 and 1 not in (inputs[0][-1], math.prod(inputs[0][:-1]))
    if isinstance(layer, layers.Reshape) and (order is not None or moves):
        raise ValueError(f"{layer.name} reshapes pictures whose channels come first")
    if len(sources) > 1 and any(orders[s] is not None for s in sources):
        raise ValueError(f"{layer.name} merges features that were flattened with channels first")
    return order if isinstance(layer, _FEATUREWISE) else None


def orders_into(model: Graph) -> dict[str, FeatureOrder]:
    """The order of each layer's input, by the layer's name.

    Raises:
        ValueError: for a layer that mixes features in a way that no reordering undoes.
    """
    after: dict[str, FeatureOrder] = {INPUT: None}
    into: dict[str, FeatureOrder] = {}
    for layer in model.layers:
        sources = model.sources[layer.name]
        into[layer.name] = after[sources[0]]
        after[layer.name] = _order_after(layer, sources, [model.shapes[s] for s in sources], after)
    return into
