"""Lessons 14 and 15: a new head on frozen layers, a framework's numbers; see ``gradients``."""

from __future__ import annotations

import numpy as np

from tinymnist.comparison.measuring import difference, largest, measure
from tinymnist.comparison.outputs import Output
from tinymnist.lessons.lesson import Cases, Lesson, normal
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import Dense
from tinymnist.nn.losses import one_hot
from tinymnist.nn.optimizers import SGD
from tinymnist.nn.plain_training import train_on_batch
from tinymnist.nn.sequential import Sequential


def train_head(
    x: Array, labels: Array, base: Array, head: Array, rate: float, steps: int
) -> tuple[Array, Array]:
    """Train a new last layer on a base that stays as it is.

    The features are ``f = relu(x @ base)``, and ``p = softmax(f @ head)``. Each step uses all
    examples: ``head = head - rate * f^T (p - target) / n``, with one-hot targets. The base is
    frozen: not one bit of it changes.

    Args:
        x: (n, inputs).
        labels: (n,), the number of the right class of each example.
        base: (inputs, features).
        head: (features, classes), where training starts.
        rate: the learning rate.
        steps: how many steps to make.

    Returns:
        base: as it was.
        head: after training; a new array.
    """
    frozen = Dense(base.shape[1], activation="relu", use_bias=False, trainable=False)
    layers = [frozen, Dense(head.shape[1], activation="softmax", use_bias=False)]
    model = Sequential(layers, input_shape=x.shape[1:]).astype("float64")
    arrays = list(model.weights.values())
    arrays[0][...], arrays[1][...] = base, head
    targets, rng = one_hot(labels, head.shape[1], np.float64), np.random.default_rng(0)
    for _ in range(steps):
        train_on_batch(model, SGD(rate), x, targets, rng)
    return arrays[0], arrays[1]


def _train_head(
    wrong: str, x: Array, labels: Array, base: Array, head: Array, rate: float, steps: int
) -> tuple[Array, Array]:
    head = head * 0 if wrong == "head started from zeros" else head
    for _ in range(steps - (wrong == "one step too few")):
        f = x @ base if wrong == "forgotten relu" else np.maximum(x @ base, 0)
        e = np.exp(f @ head)
        dz = e / e.sum(axis=1, keepdims=True)
        dz[np.arange(len(x)), labels] -= 1
        dz /= 1 if wrong == "sum instead of the mean" else len(x)
        dbase = x.T @ (dz @ head.T * (f > 0))
        head = head - rate * f.T @ dz
        base = base - rate * dbase if wrong == "base trained as well" else base
    return base, head


HEAD = Lesson(
    "a new head on frozen layers", train_head, ("base", "head"), (train_on_batch,), _train_head,
    lambda rng: {
        f"{n} examples, {i} inputs, {j} features, {k} classes": (
            *normal(rng, (n, i)), rng.integers(k, size=n), *normal(rng, (i, j), (j, k)), 0.1, 3,
        )
        for n, i, j, k in ((4, 3, 3, 3), (5, 2, 4, 3))
    },
    {
        "base trained as well": "frozen means that base does not change: update head alone",
        "forgotten relu": "the features are relu(x @ base)",
        "sum instead of the mean": "divide the gradient by the number of examples",
        "head started from zeros": "start from the head given",
        "one step too few": "range(steps) makes all steps",
    },
)  # fmt: skip


def first_difference(a: list[Array], b: list[Array], atol: float, rtol: float) -> tuple[int, float]:
    """Find the first layer at which two frameworks differ.

    Floats are rounded, so two correct programs never agree to the last bit. A layer passes if its
    largest error ``max of |a - b|`` is at most ``atol + rtol * largest``, with the largest
    magnitude in the layer of b: small numbers are differences of large ones, and have their errors.
    If one side alone is NaN, the error is infinite.

    Args:
        a, b: for each layer, in order, its output on either side, in the same shape.
        atol, rtol: the tolerances.

    Returns:
        layer: the number of the first layer that does not pass, from 0; -1 if all pass.
        error: its largest error; 0 if all pass.
    """
    for number, (mine, other) in enumerate(zip(a, b, strict=True)):
        row = measure(Output("a", "", mine), Output("b", "", other), None, atol, rtol)
        if not row.passes:
            return number, row.max_error
    return -1, 0.0


def _first_difference(
    wrong: str, a: list[Array], b: list[Array], atol: float, rtol: float
) -> tuple[int, float]:
    found = (-1, 0.0)
    for number, (mine, other) in enumerate(zip(a, b, strict=True)):
        gap = mine - other if wrong == "forgotten magnitude" else abs(mine - other)
        error = gap.mean() if wrong == "mean instead of the largest" else gap.max()
        limit = atol + rtol * abs(other).max()
        passes = error == 0 if wrong == "equal to the last bit" else error <= limit
        if wrong == "each number by itself":
            passes = (gap <= atol + rtol * abs(other)).all()
        if wrong == "passed NaN":
            passes = not error > limit
        if not passes:
            found = number, np.inf if np.isnan(error) else error
            if wrong != "last instead of the first":
                break
    return found


def _difference_cases(rng: np.random.Generator) -> Cases:
    b = [100 * layer for layer in normal(rng, (2, 3, 3, 2), (2, 5), (2, 4), (2, 3))]
    b[1][0, 0] = 1e-4  # small beside the others, with an error of their size
    rounded = [x + 1e-4 * rng.uniform(-1, 1, x.shape) for x in b]

    def changed(*values: float) -> list[Array]:
        a = [x.copy() for x in rounded]
        for layer, value in zip(a[1:], values, strict=False):
            layer[0, 1] += value
        return a

    return {
        "rounding alone": (rounded, b, 1e-6, 1e-4),
        "one number too small": (changed(0, -1), b, 1e-6, 1e-4),
        "two layers": (changed(0, 1, 2), b, 1e-6, 1e-4),
        "one number that is a little off": (changed(0.02), b, 1e-6, 1e-4),
        "NaN in a layer": (changed(float("nan")), b, 1e-6, 1e-4),
        "a difference within atol": (rounded, b, 1e-3, 0.0),
    }


DIFFERENCE = Lesson(
    "checking a framework's numbers", first_difference, ("layer", "error"),
    (difference, largest, measure), _first_difference, _difference_cases,
    {
        "equal to the last bit": "correct programs round differently: allow for it",
        "each number by itself": "rtol * |b| is too strict for small numbers; take the largest",
        "forgotten magnitude": "an error may be negative: take the largest of |a - b|",
        "mean instead of the largest": "one wrong number disappears in a mean",
        "passed NaN": "NaN > limit is False: ask whether error <= limit, and return infinity",
        "last instead of the first": "later layers differ because the first one does",
    },
)  # fmt: skip
