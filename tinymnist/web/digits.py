"""The 1,200 digits that ship with the page: 1,000 to learn from, 200 to measure on.

They are the first 120 of each class in MNIST's training set (Y. LeCun, C. Cortes and C. Burges,
http://yann.lecun.com/exdb/mnist/, CC BY-SA 3.0). A training in the page never sees the last 20 of
each class. The shipped networks were trained on the whole of MNIST, so they know these too.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinymnist.labelled import in_mnist_form
from tinymnist.nn.arrays import Array

_FILE = Path(__file__).with_name("digits.npz")
_LEARN = 1000

Digits = tuple[Array, NDArray[np.int64]]
"""Pictures (n, 28, 28, 1) in MNIST's form, and the digits (n,)."""


@cache
def _all() -> Digits:
    with np.load(_FILE, allow_pickle=False) as arrays:
        images, labels = in_mnist_form(arrays["images"]), arrays["labels"].astype(np.int64)
    images.flags.writeable = labels.flags.writeable = False  # threads share them
    return images, labels


def to_learn() -> Digits:
    """1,000 digits, ten classes in turn; read-only."""
    images, labels = _all()
    return images[:_LEARN], labels[:_LEARN]


def to_measure() -> Digits:
    """200 other digits; read-only."""
    images, labels = _all()
    return images[_LEARN:], labels[_LEARN:]
