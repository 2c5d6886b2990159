"""The 1,000 digits that ship with tinymnist, cut in two: 800 to learn from, 200 to measure on.

A training in the page never sees the last 20 of each class. The shipped networks were trained on
the whole of MNIST, so they know these too, and begin near 200 of 200.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from tinymnist.data.mnist import load_mnist_sample
from tinymnist.labelled import in_mnist_form
from tinymnist.nn.arrays import Array

_LEARN = 800

Digits = tuple[Array, NDArray[np.int64]]
"""Pictures (n, 28, 28, 1) in MNIST's form, and the digits (n,)."""


@cache
def _all() -> Digits:
    """All of them, the ten classes in turn; read-only, as threads share them."""
    images, labels = load_mnist_sample()
    rank = np.zeros(len(labels), np.int64)  # within the class
    for digit in range(10):
        rank[labels == digit] = np.arange((labels == digit).sum())
    order = np.lexsort((labels, rank))
    digits = in_mnist_form(images[order]), labels[order]
    for array in digits:
        array.flags.writeable = False
    return digits


def to_learn() -> Digits:
    """800 digits, ten classes in turn; read-only."""
    images, labels = _all()
    return images[:_LEARN], labels[:_LEARN]


def to_measure() -> Digits:
    """200 other digits; read-only."""
    images, labels = _all()
    return images[_LEARN:], labels[_LEARN:]
