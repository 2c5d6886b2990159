"""Lessons 10 to 12: batch normalization, Adam and the training loop; see ``gradients``."""

from __future__ import annotations

import numpy as np

from tinymnist.lessons.lesson import Cases, Lesson, normal
from tinymnist.nn import functional as F
from tinymnist.nn.arrays import Array
from tinymnist.nn.layers import Dense
from tinymnist.nn.losses import one_hot
from tinymnist.nn.optimizers import SGD, Adam
from tinymnist.nn.plain_training import train_on_batch
from tinymnist.nn.sequential import Sequential


def batch_normalize(
    x: Array, gamma: Array, beta: Array, epsilon: float, dy: Array
) -> tuple[Array, ...]:
    """Normalize each channel with the statistics of this batch, forward and backward.

    Over all axes but the last: ``z = (x - mean) / sqrt(variance + epsilon)``, the variance divided
    by the count m, and ``y = gamma * z + beta``. Backward, mean and variance depend on x too:
    ``dbeta = sum of dy``, ``dgamma = sum of dy * z``, and
    ``dx = gamma / sqrt(variance + epsilon) * (dy - dbeta / m - z * dgamma / m)``.

    Args:
        x: (n, h, w, c).
        gamma, beta: (c,).
        epsilon: a small number.
        dy: (n, h, w, c), the gradient of y.

    Returns:
        y, dx: (n, h, w, c).
        dgamma, dbeta: (c,).
    """
    y, cache = F.batch_normalization(x, gamma, beta, epsilon)
    return y, *F.batch_normalization_backward(dy, cache)


def _normalize(
    wrong: str, x: Array, gamma: Array, beta: Array, epsilon: float, dy: Array
) -> tuple[Array, ...]:
    axes, m = (0, 1, 2), x.size / x.shape[-1]
    over = 0 if wrong == "statistics of each pixel" else axes
    mean, variance = x.mean(over), x.var(over, ddof=1 if wrong == "unbiased variance" else 0)
    under = 0 if wrong in ("epsilon outside the root", "forgotten epsilon") else epsilon
    root = np.sqrt(variance + under) + (epsilon if wrong == "epsilon outside the root" else 0)
    z = (x - mean) / root
    dgamma, dbeta = (dy * z).sum(axes), dy.sum(axes)
    through = 0 if wrong == "constant statistics" else dbeta / m + z * dgamma / m
    dx = gamma / root * (dy - through)
    if wrong == "dgamma from x":
        dgamma = (dy * x).sum(axes)
    return gamma * z + beta, dx, dgamma, dbeta


def _normalize_cases(rng: np.random.Generator) -> Cases:
    (x,) = normal(rng, (3, 3, 3, 2))
    x[..., 0] = 0.5
    return {
        "2 pictures of 3x4": (
            *normal(rng, (2, 3, 4, 3), (3,), (3,)), 1e-3, *normal(rng, (2, 3, 4, 3)),
        ),
        "a constant channel": (0.05 * x, *normal(rng, (2,), (2,)), 1e-3, *normal(rng, x.shape)),
    }  # fmt: skip


NORMALIZATION = Lesson(
    "batch normalization", batch_normalize, ("y", "dx", "dgamma", "dbeta"),
    (F.batch_normalization, F.batch_normalization_backward), _normalize, _normalize_cases,
    {
        "epsilon outside the root": "sqrt(variance + epsilon), not sqrt(variance) + epsilon",
        "forgotten epsilon": "a constant channel has variance 0: add epsilon under the root",
        "unbiased variance": "divide the variance by the count m, not by m - 1: ddof=0",
        "statistics of each pixel": "a channel has one mean over pictures, rows and columns",
        "constant statistics": "mean and variance depend on x: dx has terms for both",
        "dgamma from x": "y = gamma * z + beta, so dgamma = sum of dy * z",
    },
)  # fmt: skip


def adam(
    w: Array, m: Array, v: Array, g: Array, t: int, rate: float,
    beta_1: float, beta_2: float, epsilon: float,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Make one step of Adam, in Keras's variant.

    ``m = beta_1 m + (1 - beta_1) g`` and ``v = beta_2 v + (1 - beta_2) g^2`` are moving averages
    that begin at 0, so after t steps they are too small by ``1 - beta_1^t`` and ``1 - beta_2^t``.
    ``w = w - rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)`` corrects that.

    Args:
        w: the parameters, of any shape.
        m, v: the averages before this step, in the shape of w.
        g: the gradient, in the shape of w.
        t: the number of this step, from 1.
        rate, beta_1, beta_2, epsilon: numbers.

    Returns:
        w, m, v: after this step; new arrays.
    """
    optimizer = Adam(rate, beta_1, beta_2, epsilon)
    optimizer.iterations = t - 1
    optimizer.state = {"w:momentum": m.copy(), "w:velocity": v.copy()}
    moved = {"w": w.copy()}
    optimizer.apply(moved, {"w": g})
    return moved["w"], optimizer.state["w:momentum"], optimizer.state["w:velocity"]


def _adam(
    wrong: str, w: Array, m: Array, v: Array, g: Array, t: int, rate: float,
    beta_1: float, beta_2: float, epsilon: float,
) -> tuple[Array, Array, Array]:  # fmt: skip
    if wrong == "betas swapped":
        beta_1, beta_2 = beta_2, beta_1
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * (g if wrong == "gradient not squared" else g * g)
    t = t - 1 if wrong == "steps counted from 0" else t
    share_1, share_2 = 1 - beta_1**t, 1 - beta_2**t
    if wrong == "missing bias correction":
        share_1 = share_2 = 1
    later = np.sqrt(share_2) if wrong == "epsilon after the correction" else 1
    step = rate * np.sqrt(share_2) / share_1 * m / (np.sqrt(v) + epsilon * later)
    return w + step if wrong == "up instead of down" else w - step, m, v


def _adam_cases(rng: np.random.Generator) -> Cases:
    zeros, settings = np.zeros((3, 2)), (0.1, 0.9, 0.99, 1e-2)
    return {
        "the first step": (*normal(rng, (3, 2)), zeros, zeros, *normal(rng, (3, 2)), 1, *settings),
        "the fifth step": (*rng.random((4, 4)), 5, *settings),
        "small gradients": (*normal(rng, 5), *(1e-4 * rng.random((3, 5))), 2, *settings),
    }


ADAM = Lesson(
    "Adam", adam, ("w", "m", "v"), (Adam,), _adam, _adam_cases,
    {
        "missing bias correction": "multiply by sqrt(1 - beta_2^t) / (1 - beta_1^t)",
        "steps counted from 0": "t is 1 in the first step: beta^t, not beta^(t - 1)",
        "epsilon after the correction": "this is PyTorch's variant; Keras's has sqrt(v) + epsilon",
        "gradient not squared": "v averages g^2",
        "betas swapped": "beta_1 belongs to m, beta_2 to v",
        "up instead of down": "subtract the step: the loss should fall",
    },
)  # fmt: skip


def train(
    x: Array, labels: Array, kernel: Array, bias: Array, orders: Array, batch_size: int, rate: float
) -> tuple[Array, ...]:
    """Train one dense layer with softmax by stochastic gradient descent.

    An epoch goes through all examples in its own order, ``batch_size`` at a time; the last batch
    may be smaller. For each batch: ``p = softmax(x @ kernel + bias)``, ``dz = (p - target) / size``
    with one-hot targets and the batch's size, ``kernel -= rate * x^T dz``, ``bias -= rate * sum of
    dz``. The loss of an epoch is the mean over all its examples of ``-log p[label]``, each from
    before its batch's step.

    Args:
        x: (n, features).
        labels: (n,), the number of the right class of each example.
        kernel, bias: (features, classes), (classes,), where training starts.
        orders: (epochs, n), for each epoch the numbers of the examples.
        batch_size: examples per step.
        rate: the learning rate.

    Returns:
        kernel, bias: after training; new arrays.
        losses: (epochs,).
    """
    layers = [Dense(kernel.shape[1], activation="softmax")]
    model = Sequential(layers, input_shape=x.shape[1:]).astype("float64")
    arrays = list(model.weights.values())
    arrays[0][...], arrays[1][...] = kernel, bias
    targets, losses = one_hot(labels, kernel.shape[1], np.float64), np.zeros(len(orders))
    for epoch, order in enumerate(orders):
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            rng = np.random.default_rng(0)  # for dropout, which there is none of
            losses[epoch] += train_on_batch(model, SGD(rate), x[batch], targets[batch], rng)
    return arrays[0], arrays[1], losses / len(x)


def _train(
    wrong: str, x: Array, labels: Array, kernel: Array, bias: Array, orders: Array, size: int,
    rate: float,
) -> tuple[Array, ...]:  # fmt: skip
    means = []
    for epoch_order in orders:
        order = orders[0] if wrong == "one order for all epochs" else epoch_order
        seen = []
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            if wrong == "dropped last batch" and len(batch) < size:
                continue
            at, x_batch = np.arange(len(batch)), x[batch]
            right = labels[start : start + size] if wrong == "labels in order" else labels[batch]
            e = np.exp(x_batch @ kernel + bias)
            dz = e / e.sum(axis=1, keepdims=True)
            seen.append(-np.log(dz[at, right]))
            dz[at, right] -= 1
            dz /= 1 if wrong == "sum instead of the mean" else len(batch)
            kernel = kernel - rate * x_batch.T @ dz
            bias = bias - rate * dz.sum(axis=0)
        by_batch = [np.mean(losses) for losses in seen]
        means.append(np.mean(by_batch if wrong == "mean of means" else np.concatenate(seen)))
    return kernel, bias, np.array(means)


TRAINING = Lesson(
    "the training loop", train, ("kernel", "bias", "losses"), (train_on_batch,), _train,
    lambda rng: {
        f"{n} examples in batches of {size}": (
            *normal(rng, (n, 3)), rng.integers(4, size=n), *normal(rng, (3, 4), (4,)),
            np.array([rng.permutation(n) for _ in range(3)]), size, 0.3,
        )
        for n, size in ((8, 4), (7, 3))
    },
    {
        "labels in order": "the labels of a batch are labels[batch], as its examples",
        "dropped last batch": "the last batch may be smaller, but it counts",
        "sum instead of the mean": "divide dz by the size of the batch",
        "mean of means": "a small last batch counts less: add up losses, then divide by n",
        "one order for all epochs": "each epoch has its own row of orders",
    },
)  # fmt: skip
