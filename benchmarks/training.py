"""Training of keras-cnn, in three frameworks, one of them twice: ``python -m benchmarks.training``.

tinymnist runs ``fit``; the peers run the loop that their users write, over the same number of
batches, each taken from the array by a shuffled index. First, a step of plain gradient descent
without dropout must change every weight as in tinymnist.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import peers, processes
from benchmarks.common import interleaved, medians
from benchmarks.inference import Program, run
from benchmarks.peers import OURS, Row

if TYPE_CHECKING:
    from benchmarks.peers import Array

EXAMPLES = """\
           batches of 32 and 128 on 1 and on 2 threads
--quick    a rough run, in less than a minute
--only torch --batch 64 --threads 1 --json"""

TOLERANCE = 1e-4
"""Relative to the largest change in an array; subtracting weights costs float32 digits."""


class Task(NamedTuple):
    """What to train on, and how."""

    x: Array
    y: Array
    batch: int
    threads: int
    dropout: float = 0.5
    optimizer: str = "Adam"  # the same name in every framework
    rate: float = 0.001


class Trainer(NamedTuple):
    """A network with its data; ``weights`` returns tinymnist's names and layouts."""

    epoch: Callable[[], float]
    """Go through all batches once and return the mean loss."""
    weights: Callable[[], dict[str, Array]]


def ours(task: Task) -> Trainer:
    """Train with ``fit``."""
    from tinymnist.nn import optimizers

    network = peers.reference(task.dropout)
    network.compile(getattr(optimizers, task.optimizer)(task.rate))
    settings: dict[str, Any] = {
        "batch_size": task.batch,
        "workers": task.threads,
        "verbose": 0,
    }
    return Trainer(
        lambda: network.fit(task.x, task.y, **settings).history["loss"][0],
        lambda: {name: array.copy() for name, array in network.weights.items()},
    )


def keras(task: Task, *, backend: str = "tensorflow") -> Trainer:
    """Call ``train_on_batch`` of a compiled model."""
    import numpy as np

    start = peers.reference().weights
    network = peers.keras_network(start, task.dropout, task.threads, backend)
    import keras

    network.compile(
        optimizer=getattr(keras.optimizers, task.optimizer)(task.rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    rng = np.random.default_rng(0)

    def epoch() -> float:
        network.reset_metrics()
        order = rng.permutation(len(task.x))
        for at in range(0, len(order), task.batch):
            chosen = order[at : at + task.batch]
            mean, _ = network.train_on_batch(task.x[chosen], task.y[chosen])
        return float(mean)

    return Trainer(epoch, lambda: dict(zip(start, network.get_weights(), strict=True)))


def keras_on_jax(task: Task) -> Trainer:
    """The same in a process of its own, as Keras takes one backend per process."""
    if any(importlib.util.find_spec(name) is None for name in ("keras", "jax")):
        raise ModuleNotFoundError("keras and jax")
    # XLA takes one core or every core that the process may use; compiling takes 20 s and more.
    one = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}
    ask = processes.start(partial(keras, backend="jax"), task, one if task.threads == 1 else {})
    return Trainer(lambda: ask("epoch"), lambda: ask("weights"))


def torch(task: Task, *, channels_last: bool = False) -> Trainer:
    """An eager loop."""
    start = peers.reference().weights
    network = peers.torch_network(start, task.dropout, task.threads).train()
    import torch

    layout = torch.channels_last if channels_last else torch.contiguous_format
    network.to(memory_format=layout)
    optimizer = getattr(torch.optim, task.optimizer)(network.parameters(), lr=task.rate)
    loss_of = torch.nn.CrossEntropyLoss()
    x, y = torch.from_numpy(task.x.reshape(-1, 1, 28, 28)), torch.from_numpy(task.y)

    def epoch() -> float:
        total = 0.0
        order: Any = torch.randperm(len(x))
        for chosen in order.split(task.batch):
            optimizer.zero_grad()
            loss = loss_of(network(x[chosen].to(memory_format=layout)), y[chosen])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(chosen)
        return total / len(x)

    arrays = [parameter.detach().numpy() for parameter in network.parameters()]  # not copied
    return Trainer(epoch, lambda: peers.from_channels_first(arrays, start))


TRAINERS: dict[str, Callable[[Task], Trainer]] = {
    OURS: ours,
    "torch": torch,
    "torch channels_last": partial(torch, channels_last=True),
    "keras": keras,
    "keras jax": keras_on_jax,
}
"""By framework, with a variant after a space."""


def build(task: Task, only: list[str]) -> tuple[dict[str, Trainer], dict[str, str]]:
    """All trainers, and the frameworks that are missing."""
    return peers.build_all({name: partial(make, task) for name, make in TRAINERS.items()}, only)


def check(threads: int, batch: int, only: list[str]) -> None:
    """Compare one step of gradient descent without dropout: the loss and the change of weights.

    If two values in a pooling window are almost equal, rounding decides which of them gets the
    gradient. That is rare, so another batch is tried.

    Raises:
        ArithmeticError: if they differ by more than rounding errors, on every batch.
    """
    errors: dict[str, float] = {}
    for seed in range(3):
        n = min(batch, 32)
        task = Task(*peers.noise(n, seed), n, threads, 0.0, "SGD", 0.5)
        errors = differences(build(task, only)[0])
        if all(error <= TOLERANCE for error in errors.values()):
            return
    raise ArithmeticError(f"a step must agree with tinymnist's, relative {errors=}")


def differences(trainers: Mapping[str, Trainer]) -> dict[str, float]:
    """The difference of one epoch from tinymnist's, relative to the largest change."""
    start = peers.reference().weights
    loss, wanted = trainers[OURS].epoch(), trainers[OURS].weights()
    errors = {}
    for name in trainers.keys() - {OURS}:
        errors[f"{name}: loss"] = abs(trainers[name].epoch() / loss - 1)
        found = trainers[name].weights()
        for key, old in start.items():
            change = abs(wanted[key] - old).max()
            errors[f"{name}: {key}"] = float(abs(found[key] - wanted[key]).max() / change)
    return errors


def peak(name: str, task: Task) -> float:
    """The most memory that a process holds which imports one framework and trains an epoch."""
    make = partial(keras, backend="jax") if name == "keras jax" else TRAINERS[name]
    ask = processes.start(make, task, {})
    ask("epoch")
    return float(ask("peak"))


def measure(options: argparse.Namespace) -> list[Row]:
    """Check, then time, batch size by batch size."""
    threads = options.threads[0]
    steps, rounds = (2, 2) if options.quick else (8, 11)
    rows: list[Row] = []
    for batch in options.batch:
        check(threads, batch, options.only)
        task = Task(*peers.noise(batch * steps), batch, threads)
        trainers, missing = build(task, options.only)
        runs = {name: trainer.epoch for name, trainer in trainers.items()}
        times = medians(interleaved(runs, rounds=rounds, shortest=0.0, budget=15))
        scales = {"ms_per_step": 1e3 / steps, "s_per_60000": math.ceil(60_000 / batch) / steps}
        figures = {
            name: {unit: seconds * scale for unit, scale in scales.items()}
            for name, seconds in times.items()
        }
        if not options.quick:
            for name, own in figures.items():
                own["peak_mb"] = peak(name, task)
        where = {"network": "keras-cnn", "threads": threads, "batch": batch}
        rows += peers.make_rows(where, figures, missing)
    return rows


TRAINING = Program(
    "training",
    "Time the training of keras-cnn (dropout, Adam) in tinymnist, PyTorch and Keras.",
    EXAMPLES,
    ["torch", "keras"],
    [32, 128],
    measure,
    "tinymnist: fit; torch: an eager loop; keras: train_on_batch of a compiled model;\n"
    "peak_mb: of a process of its own, imports included",
)

main = partial(run, TRAINING)

if __name__ == "__main__":
    sys.exit(main())
