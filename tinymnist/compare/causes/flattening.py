"""Flatten: the order in which a picture's numbers become a vector."""

from __future__ import annotations

import itertools

import numpy as np

from tinymnist.compare.causes.base import FLATTEN, Experiments, Scene, Variant
from tinymnist.compare.rerun import changed
from tinymnist.nn.arrays import Shape
from tinymnist.nn.layers import Dense, Flatten, Layer, Reshape
from tinymnist.nn.sequential import Sequential

AXES = ("height", "width", "channel")


def orders(scene: Scene) -> Experiments:
    """Every other order of height, width and channel, in front of each suspected Dense layer."""
    model = scene.trial.model
    given = scene.parting > 0  # the other side's input is known to be the same
    for layer in scene.suspects:
        shape = _flattened(model, layer)
        if not isinstance(layer, Dense) or shape is None:
            continue
        for axes in itertools.permutations(range(3)):
            places = np.arange(layer.kernel.shape[0]).reshape(shape).transpose(axes).ravel()
            if (places == np.arange(len(places))).all():
                continue
            if shape[2] == 1 and not given:
                continue  # the same as a transposed picture, and that is the likelier one
            words = ", ".join(AXES[axis] for axis in axes)
            for rows in (places, np.argsort(places)):
                twin = changed(layer, kernel=layer.kernel[rows])
                change = f"the picture before {layer.name} flattened by {words}"
                trial = scene.trial.with_layers({layer.name: twin})
                yield Variant(FLATTEN, change, trial)


def _flattened(model: Sequential, layer: Layer) -> Shape | None:
    """The shape of the picture whose numbers a layer takes in the order of a Flatten."""
    name = model.sources[layer.name][0]
    known = {one.name: one for one in model.layers}
    while (above := known.get(name)) is not None and len(model.sources[name]) == 1:
        shape = model.shapes[model.sources[name][0]]
        if isinstance(above, (Flatten, Reshape)) and len(shape) == 3:
            return shape
        if above.parameters or len(model.shapes[name]) != 1:
            return None
        name = model.sources[name][0]
    return None
