"""How long does a new head take? ``python -m benchmarks.finetuning``.

keras-cnn's convolutions, frozen, under Dense(128, relu) and Dense(10, softmax): 500 pictures, 10
epochs in batches of 32, Adam, in tinymnist, PyTorch and Keras as their users write it. Each runs in
a process of its own, in turns, so that start-up can be told apart. First, an epoch in a fixed order
must lead to the same probabilities.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import peers, timing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

EXAMPLES = """\
examples:
  python -m benchmarks.finetuning                 three rounds on 2 threads
  python -m benchmarks.finetuning --rounds 1 --only torch
"""
TOLERANCE = 0.02
"""Of probabilities after an epoch; PyTorch's Adam has another epsilon."""
BATCH, RATE, FEATURES = 32, 0.001, 1600


class Task(NamedTuple):
    """What to learn from, and the kernels that the new head starts with."""

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
    """Noise with a bright row by class, so that there is something to learn."""
    import numpy as np

    x, y = peers.pictures(n)
    x *= np.float32(0.3)
    for picture, label in zip(x, y, strict=True):
        picture[2 * label + 4] += np.float32(0.7)
    rng = np.random.default_rng(1)
    hidden = rng.normal(0, 0.03, (FEATURES, 128)).astype(np.float32)
    return Task(x, y, hidden, rng.normal(0, 0.1, (128, 10)).astype(np.float32))


def ours(data: Task, threads: int) -> Learner:
    """Use ``replace_head`` and ``fit``."""
    base = peers.reference()
    base.freeze()
    model = base.replace_head(classes=10, hidden=128, until="flatten")
    model.get_layer("head_hidden").kernel[:] = data.hidden
    model.get_layer("head").kernel[:] = data.head
    model.compile("adam")

    def fit(epochs: int, shuffle: bool) -> None:
        settings = {"epochs": epochs, "shuffle": shuffle, "workers": threads}
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
    """Write the loop out, eagerly; the base runs without gradients."""
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
            numbers = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
            for chosen in numbers.split(BATCH):
                optimizer.zero_grad()
                loss_of(model(x[chosen]), y[chosen]).backward()
                optimizer.step()

    def predict() -> Array:
        with torch.inference_mode():
            return model(x).softmax(1).numpy()

    return Learner(fit, predict)


LEARNERS = {peers.OURS: ours, "torch": torch, "keras": keras}


def child(name: str, threads: int, n: int, epochs: int, check: bool) -> None:
    """In a process of its own: print what the parent cannot measure from outside."""
    timing.pin_threads(threads)
    learner = LEARNERS[name](task(n), threads)
    if check:
        learner.fit(1, False)
        print(json.dumps({"probabilities": learner.predict().tolist()}))
        return
    seconds, cpu = [], []
    for _ in range(2):  # Keras traces in the first
        began, used = time.perf_counter(), time.process_time()
        learner.fit(epochs, True)
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    print(json.dumps({"fit": seconds[0], "again": seconds[1], "fit_cpu": cpu[0]}))


def spawn(name: str, options: argparse.Namespace, *extra: str) -> dict[str, Any]:
    """Run a child; the whole time of it, by the clock and of the processors, goes with its own."""
    command = [sys.executable, "-m", "benchmarks.finetuning", "--child", name]
    command += ["--threads", str(options.threads), "--pictures", str(options.pictures)]
    command += ["--epochs", str(options.epochs), *extra]
    began, before = time.perf_counter(), os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = os.times()
    if done.returncode:
        last = (done.stderr.strip() or "failed").splitlines()[-1]
        if "ModuleNotFoundError" in last:
            return {"missing": f"missing: pip install {peers.INSTALL[name]}"}
        raise RuntimeError(f"{name}: {last}")
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    own: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    seconds = time.perf_counter() - began
    again = own.get("again", 0.0)  # the second fit is no part of the whole
    return own | {"all": seconds - again, "all_cpu": used}


def check(names: list[str], options: argparse.Namespace) -> dict[str, str]:
    """Compare the probabilities after one epoch; gives what is missing.

    Raises:
        ArithmeticError: when they differ by more than the optimizers' variants explain.
    """
    import numpy as np

    found = {name: spawn(name, options, "--check") for name in names}
    missing = {name: own["missing"] for name, own in found.items() if "missing" in own}
    wanted = np.array(found[peers.OURS]["probabilities"])
    for name in found.keys() - missing.keys():
        error = float(abs(np.array(found[name]["probabilities"]) - wanted).max())
        if not error <= TOLERANCE:
            raise ArithmeticError(f"{name}: probabilities must agree with tinymnist's, {error=}")
    return missing


def main() -> int:
    """Check, measure in turns, print medians and ratios."""
    options = _options()
    if options.child:
        child(options.child, options.threads, options.pictures, options.epochs, options.check)
        return 0
    names = [peers.OURS, *(options.only or ["torch", "keras"])]
    missing = check(names, options)
    names = [name for name in names if name not in missing]
    rounds = [{name: spawn(name, options) for name in names} for _ in range(options.rounds)]
    keys = ("all", "fit", "again", "all_cpu", "fit_cpu")
    figures = {n: {k: statistics.median(r[n][k] for r in rounds) for k in keys} for n in names}
    print(timing.machine_line("numpy", "torch", "keras", "tensorflow-cpu"))
    print(
        f"a new head, {options.pictures} pictures, {options.epochs} epochs, "
        f"{options.threads} threads, median of {options.rounds}; times tinymnist's in brackets"
    )
    print(f"{'':12}" + "".join(f"{title:>18}" for title in TITLES))
    for name, own in figures.items():
        cells = (f"{own[k]:.2f} s ({own[k] / figures[peers.OURS][k]:.1f}x)" for k in keys)
        print(f"{name:12}" + "".join(f"{cell:>18}" for cell in cells))
    for name, why in missing.items():
        print(f"{name:12}  {why}")
    return 0


TITLES = ("with start-up", "fit", "fit again", "processor, all", "processor, fit")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Time the training of a new head on a frozen base.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--only", nargs="+", choices=("torch", "keras"))
    parser.add_argument("--child", choices=tuple(LEARNERS), help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
