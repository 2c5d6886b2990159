"""A new head on keras-cnn's frozen convolutions, in tinymnist, PyTorch and Keras.

``benchmarks.finetuning`` runs ``python -m benchmarks.heads NAME IMAGES EPOCHS TASK`` in child
processes; it prints one JSON object. It imports little, since start-up is measured too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import peers
from benchmarks.common import at_least, command_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinymnist.nn.sequential import Sequential

    Array = NDArray[Any]

BATCH, RATE, FEATURES = 32, 0.001, 1600


class Task(NamedTuple):
    """The examples, and the initial kernels of the new head."""

    x: Array
    y: Array
    hidden: Array
    head: Array


class Learner(NamedTuple):
    """A frozen network with a new head."""

    fit: Callable[[int, bool], None]
    """``fit(epochs, shuffle)``"""
    predict: Callable[[], Array]


def task(n: int) -> Task:
    """Noise with a bright row for each class, so that there is something to learn."""
    import numpy as np

    x, y = peers.noise(n)
    x *= np.float32(0.3)
    for picture, label in zip(x, y, strict=True):
        picture[2 * label + 4] += np.float32(0.7)
    rng = np.random.default_rng(1)
    hidden = rng.normal(0, 0.03, (FEATURES, 128)).astype(np.float32)
    return Task(x, y, hidden, rng.normal(0, 0.1, (128, 10)).astype(np.float32))


def new_head() -> Sequential:
    """Two new layers on frozen ones, compiled."""
    base = peers.reference()
    base.freeze()
    model = base.replace_head(classes=10, hidden=128, until="flatten")
    model.compile("adam")
    return model


def ours(data: Task, threads: int) -> Learner:
    """Use ``replace_head`` and ``fit``."""
    model = new_head()
    for name, kernel in (("head_hidden", data.hidden), ("head", data.head)):
        layer: Any = model.get_layer(name)
        layer.kernel[:] = kernel

    def fit(epochs: int, shuffle: bool) -> None:
        settings: dict[str, Any] = {"epochs": epochs, "shuffle": shuffle, "workers": threads}
        model.fit(data.x, data.y, batch_size=BATCH, verbose=0, **settings)

    return Learner(fit, lambda: model.predict(data.x))


def keras(data: Task, threads: int) -> Learner:
    """Freeze the layers, add two, ``fit``."""
    import numpy as np

    base = peers.keras_network(peers.reference().weights, 0.0, threads)
    import keras
    from keras import layers

    base.trainable = False
    hidden = layers.Dense(128, activation="relu")
    head = layers.Dense(10, activation="softmax")
    model = keras.Sequential([keras.Input((28, 28, 1)), *base.layers[:-2], hidden, head])
    hidden.set_weights([data.hidden, np.zeros(128)])
    head.set_weights([data.head, np.zeros(10)])
    optimizer = keras.optimizers.Adam(RATE)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])

    def fit(epochs: int, shuffle: bool) -> None:
        model.fit(data.x, data.y, batch_size=BATCH, epochs=epochs, shuffle=shuffle, verbose=0)

    return Learner(fit, lambda: model.predict(data.x, verbose=0))


def torch(data: Task, threads: int) -> Learner:
    """An eager loop; the base runs without gradients."""
    base = peers.torch_network(peers.reference().weights, 0.0, threads)
    import torch
    from torch import nn

    features = base[:-2].requires_grad_(False)
    hidden, head = nn.Linear(FEATURES, 128), nn.Linear(128, 10)
    order = data.hidden.reshape(-1, peers.CHANNELS, 128).transpose(2, 1, 0).reshape(128, -1)
    with torch.no_grad():
        hidden.weight.copy_(torch.from_numpy(order.copy()))
        head.weight.copy_(torch.from_numpy(data.head.T.copy()))
        hidden.bias.zero_(), head.bias.zero_()
    model = nn.Sequential(features, hidden, nn.ReLU(), head)
    optimizer = torch.optim.Adam([*hidden.parameters(), *head.parameters()], lr=RATE)
    loss_of = nn.CrossEntropyLoss()
    x, y = torch.from_numpy(data.x.reshape(-1, 1, 28, 28)), torch.from_numpy(data.y)

    def fit(epochs: int, shuffle: bool) -> None:
        for _ in range(epochs):
            numbers: Any = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
            for chosen in numbers.split(BATCH):
                optimizer.zero_grad()
                loss_of(model(x[chosen]), y[chosen]).backward()
                optimizer.step()

    def predict() -> Array:
        with torch.inference_mode():
            probabilities: Array = model(x).softmax(1).numpy()
        return probabilities

    return Learner(fit, predict)


LEARNERS = {peers.OURS: ours, "torch": torch, "keras": keras}


def check(learner: Learner, epochs: int) -> dict[str, Any]:
    """The probabilities after an epoch in a fixed order."""
    learner.fit(1, False)
    return {"probabilities": learner.predict().tolist()}


def measure(learner: Learner, epochs: int) -> dict[str, Any]:
    """Fit twice, as Keras traces in the first: seconds by the clock, and of the processors."""
    seconds, cpu = [], []
    for _ in range(2):
        began, used = time.perf_counter(), time.process_time()
        learner.fit(epochs, True)
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    return {"fit": seconds[0], "again": seconds[1], "fit_cpu": cpu[0]}


TASKS = {"check": check, "measure": measure}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, and print what the parent cannot measure from outside."""
    parser = command_line("heads", "Train a new head: a child process of benchmarks.finetuning.")
    parser.add_argument("name", choices=LEARNERS)
    parser.add_argument("images", type=at_least(1))
    parser.add_argument("epochs", type=at_least(1))
    parser.add_argument("task", choices=TASKS)
    options = parser.parse_args(arguments)
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    learner = LEARNERS[options.name](task(options.images), threads)
    print(json.dumps(TASKS[options.task](learner, options.epochs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
