"""Batch normalization: another epsilon, or the statistics of the batch."""

from __future__ import annotations

from dataclasses import replace

from tinymnist.compare.causes.base import (
    EPSILON,
    TRAINING,
    Experiments,
    Scene,
    Variant,
    scopes,
)
from tinymnist.compare.rerun import changed
from tinymnist.nn.layers import BatchNormalization

EPSILONS = (1e-3, 1e-5, 1e-4, 1e-6, 1e-2, 2e-5, 1e-7, 1e-8, 1e-12, 0.0)
"""Keras's, PyTorch's, ONNX's and Caffe's, and what else is met."""


def statistics(scene: Scene) -> Experiments:
    """All layers normalize by the batch, as in training."""
    model = scene.trial.model
    if any(isinstance(layer, BatchNormalization) for layer in model.layers):
        trial = replace(scene.trial, batch_statistics=not scene.trial.batch_statistics)
        yield Variant(TRAINING, "BatchNormalization by the statistics of the batch", trial)


def epsilons(scene: Scene) -> Experiments:
    """Another epsilon, in all layers and in each suspect."""
    layers = [one for one in scene.trial.model.layers if isinstance(one, BatchNormalization)]
    for where, chosen in scopes(layers, scene.suspects):
        for epsilon in EPSILONS:
            twins = {one.name: changed(one, epsilon=epsilon) for one in chosen}
            name = f"the epsilon of {where} {epsilon:g}"
            yield Variant(EPSILON, name, scene.trial.with_layers(twins))
