"""The frozen part at the bottom of a model, whose outputs need not be computed twice.

As long as the layers up to some point neither learn nor draw random numbers, their output for an
example is the same in every epoch. So ``fit`` cuts the model there, and repeats only the rest.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import INPUT, Graph
from tinymnist.nn.training.batches import Examples
from tinymnist.nn.training.state import Training

MAX_FEATURE_BYTES = 1 << 30
"""Upper limit for the stored outputs of a frozen part; larger ones are computed in every step."""


class Stages(NamedTuple):
    """A model cut for training, and the examples as the upper part takes them.

    Attributes:
        front: the frozen part, to be run in every step; None if ``examples`` have passed it, or
            nothing is frozen.
        network: the part that learns.
        examples: what it learns from; None if a source makes batches.
        validation: what is measured after each epoch, or None.
        measured: the network that takes ``validation``.
    """

    front: Graph | None
    network: Graph
    examples: Examples | None
    validation: Examples | None
    measured: Graph


def cut_off_frozen_part(training: Training, keep: bool, workers: int | None) -> Stages:
    """Leave the frozen part out of all steps, or if it must run, at least out of backward.

    Args:
        training: its model and data.
        keep: whether to compute the frozen part's outputs once, if memory allows it and nothing
            augments the examples.
        workers: threads for that.
    """
    model, examples, validation = training.model, training.data.examples, training.data.validation
    parts = None if training.is_over else split_frozen(model)
    if parts is None:
        return Stages(None, model, examples, validation, model)
    front, rest = parts
    is_new_each_time = training.augment is not None or examples is None
    count = (0 if is_new_each_time else len(examples or ())) + len(validation or ())
    kept_bytes = count * math.prod(front.output_shape) * front.dtype.itemsize
    if not keep or kept_bytes > MAX_FEATURE_BYTES:
        return Stages(front, rest, examples, validation, model)

    def through(given: Examples | None) -> Examples | None:
        if given is None:
            return None
        x: Array = front.predict(given.x, training.micro_batch_size, workers=workers, plain=True)
        return Examples(x, given.targets, given.weights)

    if is_new_each_time:
        return Stages(front, rest, examples, through(validation), rest)
    return Stages(None, rest, through(examples), through(validation), rest)


def split_frozen(model: Graph) -> tuple[Graph, Graph] | None:
    """Cut a model where its frozen part ends.

    The cut is the last one below which no layer learns or draws, and across which only one output
    is carried. Dropout draws in training even in a frozen base (as in Keras), so it belongs to the
    upper part.

    Returns:
        The frozen part and the rest, which share their layers with ``model``; None if nothing is
        frozen. The rest is never empty.
    """
    changing = [i for i, layer in enumerate(model.layers) if layer.learns or layer.draws]
    for cut in range(min([*changing, len(model.layers) - 1]), 0, -1):
        if _is_bridge(model, cut):
            return _part(model, 0, cut), _part(model, cut, len(model.layers))
    return None


def _is_bridge(model: Graph, cut: int) -> bool:
    """Whether the layers from ``cut`` on use only the output just below, of all below."""
    inside = {layer.name for layer in model.layers[cut:]}
    carried = {s for name in inside for s in model.sources[name]} - inside
    return carried == {model.layers[cut - 1].name}


def _part(model: Graph, start: int, stop: int) -> Graph:
    below = model.layers[start - 1].name if start else INPUT
    layers, shape = model.layers[start:stop], model.shapes[below]
    wiring = {
        layer.name: [INPUT if s == below else s for s in model.sources[layer.name]]
        for layer in layers
    }
    return Graph(layers, input_shape=shape, wiring=wiring, dtype=model.dtype, name=model.name)
