"""The networks whose trained weights come with tinymnist, each as one readable list of layers."""

from __future__ import annotations

from collections.abc import Callable

from tinymnist.nn.layers import (
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
    ReLU,
)
from tinymnist.nn.sequential import Input, Sequential


def mnist_cnn(classes: int = 10, rng: int = 0) -> Sequential:
    """The default reader: four convolutions with batch normalization; 132,266 parameters."""

    def block(filters: int, kernel_size: int) -> list[Layer]:
        convolution = Conv2D(filters, kernel_size, use_bias=False, kernel_initializer="he_normal")
        return [convolution, BatchNormalization(momentum=0.95), ReLU()]

    return Sequential(
        [
            Input((28, 28, 1)),
            *block(32, 5),
            MaxPooling2D(),
            *block(64, 3),
            *block(64, 3),
            MaxPooling2D(),
            *block(128, 3),
            GlobalAveragePooling2D(),
            Dropout(0.2),
            Dense(classes, activation="softmax"),
        ],
        rng=rng,
        name="mnist-cnn",
    )


def keras_cnn(classes: int = 10, rng: int = 0) -> Sequential:
    """The convnet of Keras's own MNIST tutorial (keras.io/examples/vision/mnist_convnet)."""
    return Sequential(
        [
            Input((28, 28, 1)),
            Conv2D(32, 3, activation="relu"),
            MaxPooling2D(),
            Conv2D(64, 3, activation="relu"),
            MaxPooling2D(),
            Flatten(),
            Dropout(0.5),
            Dense(classes, activation="softmax"),
        ],
        rng=rng,
        name="keras-cnn",
    )


def lenet5(classes: int = 10, rng: int = 0) -> Sequential:
    """LeNet-5 (LeCun, Bottou, Bengio and Haffner, 1998), as it is taught today.

    The paper's padding to 32x32 is "same" here; its trainable subsampling is plain averaging, its
    partly connected third layer fully connected, and its output units are a softmax.
    """
    return Sequential(
        [
            Input((28, 28, 1)),
            Conv2D(6, 5, padding="same", activation="tanh"),
            AveragePooling2D(),
            Conv2D(16, 5, activation="tanh"),
            AveragePooling2D(),
            Conv2D(120, 5, activation="tanh"),
            Flatten(),
            Dense(84, activation="tanh"),
            Dense(classes, activation="softmax"),
        ],
        rng=rng,
        name="lenet5",
    )


def mlp(classes: int = 10, rng: int = 0) -> Sequential:
    """The multilayer perceptron that every course begins with: one hidden layer."""
    return Sequential(
        [
            Input((28, 28, 1)),
            Flatten(),
            Dense(128, activation="relu"),
            Dropout(0.2),
            Dense(classes, activation="softmax"),
        ],
        rng=rng,
        name="mlp",
    )


ARCHITECTURES: dict[str, Callable[..., Sequential]] = {
    "mnist-cnn": mnist_cnn,
    "keras-cnn": keras_cnn,
    "lenet5": lenet5,
    "mlp": mlp,
}
"""Untrained models by name; call with ``classes`` and ``rng``."""
