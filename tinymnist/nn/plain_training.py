"""Training a network, all of it: shuffle, batch, forward, loss, backward, step.

Start reading here. ``Sequential.fit`` is the same loop with threads, callbacks and checkpoints, and
ends in the same bytes as this one.
"""

from __future__ import annotations

import numpy as np

from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import Graph
from tinymnist.nn.losses import cross_entropy, cross_entropy_backward, one_hot
from tinymnist.nn.optimizers import Optimizer


def train(
    model: Graph,
    optimizer: Optimizer,
    images: Array,
    labels: Array,
    *,
    epochs: int = 1,
    batch_size: int = 32,
    seed: int = 0,
) -> list[float]:
    """Train a model in place.

    Args:
        model: layers from (h, w, c) to one number per class.
        optimizer: moves the model's arrays along their gradients.
        images: (n, h, w, c), 0..1.
        labels: (n,), class numbers from 0.
        epochs: how often to go through all images.
        batch_size: images per step of the optimizer.
        seed: the order of the images and all dropout follow from it.

    Returns:
        The mean loss of each epoch.
    """
    targets = one_hot(labels, classes=model.output_shape[-1], dtype=model.dtype)
    key = int(np.random.default_rng(seed).integers(2**63))
    history = []
    for epoch in range(epochs):
        order = np.random.default_rng([key, epoch]).permutation(len(images))
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        total = 0.0
        for number, batch in enumerate(batches):
            rng = np.random.default_rng([key, epoch, number, 0])  # for dropout
            total += train_on_batch(model, optimizer, images[batch], targets[batch], rng)
        history.append(total / len(images))
    return history


def train_on_batch(
    model: Graph, optimizer: Optimizer, x: Array, targets: Array, rng: np.random.Generator
) -> float:
    """Make one step along the gradient of the batch's mean loss; return the sum of its losses."""
    logits, caches = model.forward(x, training=True, rng=rng, logits=True)
    losses, cache = cross_entropy(logits, targets)
    shares = np.ones_like(losses) / len(x)  # of each image in the mean
    dlogits = cross_entropy_backward(shares, cache)
    _, gradients = model.backward(dlogits, caches, logits=True)
    optimizer.apply(model.trainable_weights, gradients)
    for layer, layer_cache in zip(model.layers, caches, strict=True):
        for name, average in layer.new_statistics(layer_cache).items():
            setattr(layer, name, average)  # what batch normalization has seen so far
    return float(losses.sum())
