"""Ten models to plant faults in: the four shipped ones, and six with random weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import tinymnist
from tinymnist.nn import layers as L
from tinymnist.nn.sequential import Input, Sequential


def pyramid() -> Sequential:
    """Pairs of convolutions with "same" padding, as in VGG; Keras's fused activations."""
    return Sequential(
        [
            Input((28, 28, 1)),
            L.Conv2D(8, 3, padding="same", activation="relu"),
            L.Conv2D(8, 3, padding="same", activation="relu"),
            L.MaxPooling2D(),
            L.Conv2D(12, 3, padding="same", activation="relu"),
            L.MaxPooling2D(),
            L.Flatten(),
            L.Dropout(0.25),
            L.Dense(32, activation="relu"),
            L.Dropout(0.5),
            L.Dense(10, activation="softmax"),
        ],
        name="pyramid",
    )


def residual() -> Sequential:
    """Strides of 2 with one-sided padding, batch normalization, and a sum."""
    return Sequential(
        [
            Input((28, 28, 1)),
            L.Conv2D(8, 3, 2, "same", use_bias=False, name="stem"),
            L.BatchNormalization(name="stem_bn"),
            L.ReLU(name="stem_relu"),
            L.Conv2D(8, 3, padding="same", use_bias=False, name="branch"),
            L.BatchNormalization(name="branch_bn"),
            L.Add(name="sum"),
            L.ReLU(name="sum_relu"),
            L.Conv2D(16, 3, 2, "same", name="deep"),
            L.BatchNormalization(name="deep_bn"),
            L.ReLU(name="deep_relu"),
            L.Flatten(name="flatten"),
            L.Dense(10, activation="softmax", name="head"),
        ],
        wiring={"sum": ["stem_relu", "branch_bn"]},
        name="residual",
    )


def colour() -> Sequential:
    """Three channels and 32 x 32 pixels, as in SVHN or CIFAR."""
    return Sequential(
        [
            Input((32, 32, 3)),
            L.Conv2D(8, 5, 2, "same", activation="relu"),
            L.Conv2D(12, 3, activation="relu"),
            L.AveragePooling2D(3, 2, "same"),
            L.Flatten(),
            L.Dense(24, activation="tanh"),
            L.Dropout(0.3),
            L.Dense(10, activation="softmax"),
        ],
        name="colour",
    )


def separable() -> Sequential:
    """Depthwise convolutions, as in MobileNet."""
    return Sequential(
        [
            Input((28, 28, 1)),
            L.Conv2D(8, 3, 2, "same", use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.DepthwiseConv2D(3, 2, "same", use_bias=False),
            L.BatchNormalization(epsilon=1e-5),
            L.ReLU(),
            L.Conv2D(16, 1, use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.GlobalAveragePooling2D(),
            L.Dropout(0.2),
            L.Dense(10, activation="softmax"),
        ],
        name="separable",
    )


def normalized_mlp() -> Sequential:
    """Dense layers with batch normalization."""
    return Sequential(
        [
            Input((28, 28, 1)),
            L.Flatten(),
            L.Dense(48, use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.Dropout(0.4),
            L.Dense(24),
            L.BatchNormalization(),
            L.ReLU(),
            L.Dense(10, activation="softmax"),
        ],
        name="normalized-mlp",
    )


def torch_style() -> Sequential:
    """As in PyTorch: padding as numbers, leaky ReLU, an epsilon of 1e-5, log-softmax."""
    return Sequential(
        [
            Input((28, 28, 1)),
            L.Conv2D(6, 5, padding=2),
            L.BatchNormalization(epsilon=1e-5),
            L.LeakyReLU(0.01),
            L.MaxPooling2D(),
            L.Conv2D(10, 4, 2, padding=1),
            L.LeakyReLU(0.01),
            L.Flatten(),
            L.Dropout(0.5),
            L.Dense(10),
            L.Activation("log_softmax"),
        ],
        name="torch-style",
    )


MADE: tuple[Callable[[], Sequential], ...] = (
    pyramid,
    residual,
    colour,
    separable,
    normalized_mlp,
    torch_style,
)
SHIPPED = ("mnist-cnn", "keras-cnn", "lenet5", "mlp")


def all_models() -> list[Sequential]:
    """All ten, the random ones with statistics other than 0 and 1."""
    made = [settled(make(), seed) for seed, make in enumerate(MADE)]
    return [*(tinymnist.load_model(name) for name in SHIPPED), *made]


def settled(model: Sequential, seed: int) -> Sequential:
    """Set biases and statistics to random values, as if trained."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for name, array in layer.weights.items():
            if name in ("gamma", "moving_variance"):
                setattr(layer, name, rng.uniform(0.4, 1.6, array.shape).astype(array.dtype))
            elif name != "kernel":
                setattr(layer, name, rng.normal(0, 0.2, array.shape).astype(array.dtype))
    return model
