"""Lessons 3 to 6: dense layers, the loss, gradients and backpropagation.

Beside each function stands a twin in plain NumPy, which makes the mistake that it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymnist.lessons.lesson import Lesson, normal
from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array
from tinymnist.nn.losses import cross_entropy, cross_entropy_backward, one_hot


def dense(x: Array, kernel: Array, bias: Array) -> Array:
    """Compute a dense layer for a batch of examples.

    ``y[n, j] = sum over i of x[n, i] * kernel[i, j] + bias[j]``, as one matrix product.

    Args:
        x: (n, features).
        kernel, bias: (features, units), (units,).

    Returns:
        y: (n, units).
    """
    return F.dense(x, kernel, bias)[0]


def _dense(wrong: str, x: Array, kernel: Array, bias: Array) -> Array:
    y = x @ (kernel.T if wrong == "transposed kernel" else kernel)
    y = y / (x.shape[1] if wrong == "mean instead of the sum" else 1)
    y = y + (bias[:, None] if wrong == "bias along the wrong axis" else bias)
    y = y - (bias if wrong == "forgotten bias" else 0)
    return y.T if wrong == "transposed result" else y


DENSE = Lesson(
    "a dense layer", dense, ("y",), (F.dense,), _dense,
    lambda rng: {
        f"{n} examples, {i} features, {j} units": normal(rng, (n, i), (i, j), (j,))
        for n, i, j in ((3, 3, 3), (4, 5, 2), (1, 2, 3))
    },
    {
        "forgotten bias": "add bias to each row",
        "transposed kernel": "kernel is (features, units): x @ kernel",
        "bias along the wrong axis": "there is one bias per unit: add it to each row",
        "mean instead of the sum": "sum over the features, without dividing",
        "transposed result": "y is (n, units)",
    },
)  # fmt: skip


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array]:
    """Turn scores into probabilities, and measure how bad they are.

    ``p[n, k] = e^z[n, k] / sum over j of e^z[n, j]``, and the loss is the mean over the examples of
    ``-log p[n, label n]``. Scores may be +-1000, and then e^1000 is infinite, and e^-1000 is 0,
    whose logarithm is infinite. Subtracting the same number from all scores of an example does not
    change p; and ``log p = z - log(sum of e^z)`` needs no logarithm of p.

    Args:
        logits: (n, classes), the scores z.
        labels: (n,), the number of the right class of each example.

    Returns:
        probabilities: (n, classes).
        loss: one number.
    """
    losses, _ = cross_entropy(logits, one_hot(labels, logits.shape[1], np.float64))
    return F.softmax(logits)[0], losses.mean()


def _softmax(wrong: str, z: Array, labels: Array) -> tuple[Array, Array]:
    shift = z.max(None if wrong == "maximum of the whole batch" else 1, keepdims=True)
    z = z - (0 if wrong == "missing max subtraction" else shift)
    axis = {"sum over the wrong axis": 0, "sum over the whole batch": None}.get(wrong, 1)
    total = np.exp(z).sum(axis, keepdims=True)
    p, log_p = np.exp(z) / total, z - np.log(total)
    if wrong in ("logarithm of a probability", "missing max subtraction"):
        log_p = np.log(p)
    losses = -log_p[np.arange(len(z)), labels]
    return p, losses.sum() / (1 if wrong == "sum instead of the mean" else len(z))


SOFTMAX = Lesson(
    "softmax and cross-entropy", softmax_cross_entropy, ("probabilities", "loss"),
    (F.softmax, F.log_softmax, cross_entropy), _softmax,
    lambda rng: {
        "3 examples, 3 classes": (*normal(rng, (3, 3)), np.array([2, 0, 2])),
        "4 examples, 5 classes": (*normal(rng, (4, 5)), np.array([0, 4, 1, 1])),
        "scores of +-1000": (1000.0 * np.array([[1, 0, -1], [-1, -0.999, -1]]), np.array([2, 1])),
    },
    {
        "missing max subtraction": "subtract each row's maximum before exp: e^1000 is infinite",
        "sum over the wrong axis": "each row sums to 1: sum over axis 1, with keepdims=True",
        "sum over the whole batch": "each row sums to 1: sum over axis 1, with keepdims=True",
        "maximum of the whole batch": "each row needs its own maximum, or others become 0 / 0",
        "logarithm of a probability": "p may be rounded to 0: z - max - log(sum of e^(z - max))",
        "sum instead of the mean": "divide the loss by the number of examples",
    },
)  # fmt: skip


def central_differences(f: Callable[[Array], Any], x: Array, step: float) -> Array:
    """Measure how fast f grows along each number of x: ``(f(x + h) - f(x - h)) / 2h``.

    The error shrinks with h^2; that of ``(f(x + h) - f(x)) / h`` only with h.
    """
    slopes = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        moved = np.zeros(x.shape)
        moved[place] = step
        slopes[place] = (f(x + moved) - f(x - moved)) / (2 * step)
    return slopes


def two_gradients(x: Array, t: Array, w: Array, step: float) -> tuple[Array, Array]:
    """Compute one gradient by a formula, and again by trying.

    A single neuron answers ``y = 1 / (1 + e^-(x @ w))``, and its loss is the mean of ``(y - t)^2``
    over the examples. By the chain rule, with ``dy/dz = y (1 - y)``, its gradient is
    ``dw[i] = mean over n of 2 (y[n] - t[n]) y[n] (1 - y[n]) x[n, i]``. To check a formula, move one
    weight by a step to both sides: ``(loss(w + step) - loss(w - step)) / (2 step)``, for each.

    Args:
        x: (n, features).
        t: (n,), the answers wanted, 0..1.
        w: (features,).
        step: how far to move a weight.

    Returns:
        by_hand: (features,), by the formula.
        by_differences: (features,), by moving each weight.
    """
    y, cache = F.sigmoid(x @ w)
    dz = F.sigmoid_backward(2 * (y - t) / len(t), cache)
    slopes = central_differences(lambda w: ((F.sigmoid(x @ w)[0] - t) ** 2).mean(), w, step)
    return dz @ x, slopes


def _two(wrong: str, x: Array, t: Array, w: Array, step: float) -> tuple[Array, Array]:
    y = 1 / (1 + np.exp(-x @ w))
    by_hand = (y - t) * (1 if wrong == "forgotten factor 2" else 2)
    by_hand = by_hand * (1 if wrong == "forgotten derivative of the sigmoid" else y * (1 - y))
    by_hand = by_hand @ x / (1 if wrong == "sum instead of the mean" else len(x))
    slopes, low = np.zeros(len(w)), 0 if wrong == "difference on one side" else -step
    width = step if wrong == "divided by one step" else step - low
    base = w.copy()
    for i in range(len(w)):
        losses = []
        for side in (step, low):
            moved = base.copy()
            moved[i] += side
            losses.append(((1 / (1 + np.exp(-x @ moved)) - t) ** 2).mean())
        slopes[i] = (losses[0] - losses[1]) / width
        base[i] += low if wrong == "weight not put back" else 0
    return by_hand, slopes


TWO_GRADIENTS = Lesson(
    "a gradient by hand and by differences", two_gradients, ("by_hand", "by_differences"),
    (F.sigmoid, F.sigmoid_backward, central_differences), _two,
    lambda rng: {
        f"{n} examples, {i} features": (*normal(rng, (n, i)), rng.random(n), *normal(rng, i), 0.01)
        for n, i in ((4, 3), (1, 2), (5, 5))
    },
    {
        "forgotten factor 2": "the derivative of d^2 is 2 d",
        "forgotten derivative of the sigmoid": "multiply by dy/dz = y (1 - y)",
        "sum instead of the mean": "divide by the number of examples",
        "difference on one side": "its error is a multiple of h; use w + h and w - h",
        "divided by one step": "from w - h to w + h there are two steps: divide by 2 h",
        "weight not put back": "move each weight alone: put it back before the next",
    },
)  # fmt: skip


def backpropagate(
    x: Array, labels: Array, w1: Array, b1: Array, w2: Array, b2: Array
) -> tuple[Any, ...]:
    """Compute all gradients of a network of two dense layers.

    Forward: ``h = relu(x @ w1 + b1)``, ``z = h @ w2 + b2``, and the loss is the mean cross-entropy
    of ``p = softmax(z)`` for the labels. Backward: ``dz = (p - target) / n`` with one-hot targets;
    ``dw2 = h^T dz``, ``db2 = sum over n of dz``, ``dh = dz w2^T``; relu lets through what was above
    0; then the same again for the first layer.

    Args:
        x: (n, features).
        labels: (n,), the number of the right class of each example.
        w1, b1: (features, hidden), (hidden,).
        w2, b2: (hidden, classes), (classes,).

    Returns:
        dw1, db1, dw2, db2: each in the shape of what it is the gradient of.
    """
    dh: Any
    hidden, cache1 = F.dense(x, w1, b1)
    h, relu_cache = F.relu(hidden)
    z, cache2 = F.dense(h, w2, b2)
    _, loss_cache = cross_entropy(z, one_hot(labels, z.shape[1], np.float64))
    dz = cross_entropy_backward(np.ones(len(x)) / len(x), loss_cache)
    dh, dw2, db2 = F.dense_backward(dz, cache2)
    _, dw1, db1 = F.dense_backward(F.relu_backward(dh, relu_cache), cache1)
    return dw1, db1, dw2, db2


def _backward(
    wrong: str, x: Array, labels: Array, w1: Array, b1: Array, w2: Array, b2: Array
) -> tuple[Array, ...]:
    h = np.maximum(x @ w1 + b1, 0)
    dz, _ = _softmax("", h @ w2 + b2, labels)
    dz[np.arange(len(x)), labels] -= wrong != "forgotten target"
    dz /= 1 if wrong == "sum instead of the mean" else len(x)
    dh = dz @ (w2 if wrong == "forgotten transposition" else w2.T)
    if wrong != "forgotten relu":
        dh = dh * ((dh if wrong == "relu of the gradient" else h) > 0)
    sums = np.mean if wrong == "mean in the gradient of a bias" else np.sum
    return x.T @ dh, sums(dh, axis=0), h.T @ dz, sums(dz, axis=0)


BACKPROPAGATION = Lesson(
    "backpropagation", backpropagate, ("dw1", "db1", "dw2", "db2"),
    (F.dense_backward, F.relu_backward, cross_entropy_backward), _backward,
    lambda rng: {
        f"{n} examples, {i} features, {j} hidden, {k} classes": (
            *normal(rng, (n, i)), rng.integers(k, size=n), *normal(rng, (i, j), (j,), (j, k), (k,)),
        )
        for n, i, j, k in ((4, 3, 3, 3), (5, 4, 6, 3), (1, 2, 3, 4))
    },
    {
        "forgotten transposition": "the gradient goes back through w2.T: dh = dz @ w2.T",
        "forgotten relu": "relu lets a gradient through only if its input was above 0",
        "relu of the gradient": "what counts is whether h was above 0, not the sign of dh",
        "sum instead of the mean": "the loss is a mean: divide dz by the number of examples",
        "forgotten target": "dz = p - target: subtract 1 at the right class",
        "mean in the gradient of a bias": "dz is divided by n already: sum it over the examples",
    },
)  # fmt: skip
