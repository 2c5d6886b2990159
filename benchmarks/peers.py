"""keras-cnn in tinymnist, PyTorch, Keras and ONNX, all with the same weights.

tinymnist's names and layouts are the common ones: images (n, h, w, c), convolution kernels
(kh, kw, in, out), dense kernels (in, out). Frameworks are imported on use, so that threads can be
pinned first, and any of them may be missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinymnist.nn.sequential import Sequential

    Array = NDArray[Any]

OURS = "tinymnist"

Row = dict[str, Any]
"""threads, batch, name, and either figures and ratio, or what is missing."""

INSTALL = {
    "torch": "torch==2.13.0",
    "keras": "keras==3.15.1 tensorflow-cpu==2.21.0",
    "jax": "jax",
    "onnxruntime": "onnx onnxruntime",
}
"""The packages to install for each peer."""

VARIANTS = {"keras jax": 'keras==3.15.1 "jax[cpu]"'}
"""The same for variants of a peer that need other packages."""

CHANNELS = 64
"""Channels of the last convolution, which Flatten reads."""


def build_all(
    builders: Mapping[str, Callable[[], Any]], only: Iterable[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Build tinymnist and the frameworks in ``only``, or all if it is empty.

    Returns:
        What was built, and how to install each framework that is missing, by name.
    """
    wanted = {*only, OURS} if only else {OURS, *INSTALL}
    built: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for name, build in builders.items():
        framework = name.partition(" ")[0]
        try:
            if framework in wanted:
                built[name] = build()
        except ModuleNotFoundError:
            missing[name] = f"missing: pip install {VARIANTS.get(name, INSTALL[framework])}"
    return built, missing


def make_rows(
    where: dict[str, Any], figures: dict[str, dict[str, float]], missing: dict[str, str]
) -> list[Row]:
    """A row per candidate, fastest first; the ratio is that of the first figure."""
    first = {name: next(iter(own.values())) for name, own in figures.items()}
    measured = [
        {**where, "name": name, **figures[name], "ratio": first[name] / first[OURS]}
        for name in sorted(figures, key=first.__getitem__)
    ]
    return measured + [{**where, "name": name, "missing": why} for name, why in missing.items()]


def reference(dropout: float = 0.5, seed: int = 0) -> Sequential:
    """The network in tinymnist, with random biases, as zeros would hide a wrong one."""
    import numpy as np

    from tinymnist.nn.architectures import keras_cnn

    network = keras_cnn(rng=seed)
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.normal(0, 0.1, array.shape) if name.endswith("/bias") else array
        for name, array in network.weights.items()
    }
    network.set_weights(weights)
    layer: Any = network.get_layer("dropout")
    layer.rate = dropout
    return network


def noise(n: int, seed: int = 0) -> tuple[Array, Array]:
    """Random images (n, 28, 28, 1) and labels (n,); the values do not affect the time."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return rng.random((n, 28, 28, 1), np.float32), rng.integers(0, 10, n)


def channels_first(weights: Mapping[str, Array]) -> list[Array]:
    """The weights in PyTorch's and ONNX's layouts: (out, in, ...)."""
    arrays = list(weights.values())
    for i in (0, 2):
        arrays[i] = arrays[i].transpose(3, 2, 0, 1)
    # Flatten goes through (h, w, c) here and through (c, h, w) there.
    inputs, units = arrays[4].shape
    by_channel = arrays[4].reshape(-1, CHANNELS, units).transpose(2, 1, 0)
    arrays[4] = by_channel.reshape(units, inputs)
    return [array.copy() for array in arrays]


def from_channels_first(arrays: Iterable[Array], names: Mapping[str, Array]) -> dict[str, Array]:
    """The inverse of :func:`channels_first`, copied."""
    back = [array.copy() for array in arrays]
    for i in (0, 2):
        back[i] = back[i].transpose(2, 3, 1, 0)
    units, inputs = back[4].shape
    back[4] = back[4].reshape(units, CHANNELS, -1).transpose(2, 1, 0).reshape(inputs, units)
    return dict(zip(names, back, strict=True))


def torch_network(weights: Mapping[str, Array], dropout: float = 0.5, threads: int = 0) -> Any:
    """An ``nn.Sequential`` of (n, 1, 28, 28) that returns logits, as PyTorch's losses expect."""
    import torch
    from torch import nn

    if threads:
        torch.set_num_threads(threads)
    network = nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(1600, 10),
    )
    with torch.no_grad():
        for parameter, array in zip(network.parameters(), channels_first(weights), strict=True):
            parameter.copy_(torch.from_numpy(array))
    return network


def keras_network(
    weights: Mapping[str, Array],
    dropout: float = 0.5,
    threads: int = 0,
    backend: str = "tensorflow",
) -> Any:
    """The ``keras.Sequential`` of the tutorial; a process can have one backend."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = backend
    if backend == "tensorflow":
        import tensorflow as tf

        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras
    from keras import layers

    network = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(dropout),
            layers.Dense(10, activation="softmax"),
        ]
    )
    network.set_weights(list(weights.values()))
    return network
