"""Train the convnet of Keras's tutorial in Keras, plainly, and convert it: weights/keras-cnn.npz.

This is the model that everybody has and that fails on people's own pictures, so nothing is done to
make it better: no augmentation, no choice among runs. Keras's layouts are tinymnist's own, so the
conversion copies arrays by name.

    pip install keras==3.15.1 tensorflow-cpu==2.21.0
    KERAS_BACKEND=tensorflow python weights/keras_cnn.py

About five minutes on two cores. The architecture, batch size, epochs, optimizer and validation
split are those of https://keras.io/examples/vision/mnist_convnet.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers

from tinymnist.data import load_mnist
from tinymnist.labelled import in_mnist_form
from tinymnist.nn.architectures import keras_cnn

SEED, EPOCHS, BATCH_SIZE = 0, 15, 128
OUT = Path(__file__).parent / "keras-cnn.npz"


def train() -> keras.Model:
    """The tutorial, with a seed."""
    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(
        [
            keras.Input(shape=(28, 28, 1)),
            layers.Conv2D(32, kernel_size=(3, 3), activation="relu", name="conv2d"),
            layers.MaxPooling2D(pool_size=(2, 2), name="max_pooling2d"),
            layers.Conv2D(64, kernel_size=(3, 3), activation="relu", name="conv2d_1"),
            layers.MaxPooling2D(pool_size=(2, 2), name="max_pooling2d_1"),
            layers.Flatten(name="flatten"),
            layers.Dropout(0.5, name="dropout"),
            layers.Dense(10, activation="softmax", name="dense"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    images, labels = load_mnist("train")
    targets = keras.utils.to_categorical(labels, 10)
    model.fit(
        in_mnist_form(images),
        targets,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        validation_split=0.1,
        verbose=2,
    )
    return model


def convert(source: keras.Model) -> None:
    """Copy the arrays, compare the two on the test pictures, and save."""
    model = keras_cnn()
    model.set_weights(
        {
            f"{layer.name}/{variable.name}": np.asarray(variable)
            for layer in source.layers
            for variable in layer.weights
            if variable.name in ("kernel", "bias")
        }
    )
    images, labels = load_mnist("test")
    x = in_mnist_form(images)
    apart = np.abs(model.predict(x) - source.predict(x, verbose=0)).max()
    if apart > 1e-5:
        raise SystemExit(f"the conversion changed the probabilities by up to {apart:.1e}")
    figures = model.evaluate(x, labels, return_dict=True)
    model.metadata = {
        "class_names": [str(digit) for digit in range(10)],
        "preprocessing": {"recipe": "mnist"},
        "source": f"trained in Keras {keras.__version__} ({keras.backend.backend()}) by "
        f"weights/keras_cnn.py with seed {SEED}; converted, probabilities within {apart:.0e}",
        "metrics": {"mnist-test": {"n": len(labels), **figures}},
    }
    model.save(OUT)
    print(f"{OUT.name}: accuracy {figures['accuracy']:.4f}, apart from Keras {apart:.1e}")


if __name__ == "__main__":
    convert(train())
