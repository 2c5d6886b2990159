"""``mnist.load_data()``, as in Keras."""

from __future__ import annotations

import sys
from typing import TypeAlias

from tinymnist.data.mnist import find_mnist, load_mnist
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array

Part: TypeAlias = tuple[Array, Array]


def load_data(path: str = "mnist.npz") -> tuple[Part, Part]:
    """Load MNIST; if it is not on this machine, download it first (11 MB, hashes checked).

    Args:
        path: accepted as in Keras; see :func:`tinymnist.data.find_mnist` for where it is looked
            for.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: pictures (n, 28, 28) and labels (n,), uint8.

    Raises:
        InputError: if it is neither here nor can be downloaded.
    """
    try:
        folder = find_mnist()
    except InputError:
        from tinymnist.data.download import download_mnist

        folder = download_mnist(progress=_show)
        print(file=sys.stderr)
    train, test = (load_mnist(split, folder) for split in ("train", "test"))
    return (train[0], train[1].astype("uint8")), (test[0], test[1].astype("uint8"))


def _show(file: str, done: int, total: int) -> None:
    share = f"{done / total:4.0%}" if total else f"{done:,} bytes"
    print(f"\r\x1b[Kdownloading {file} {share}", end="", file=sys.stderr, flush=True)
