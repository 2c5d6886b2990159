"""MNIST and other labelled pictures: find, download, check, open."""

from typing import Any

from tinymnist.data.idx import read_idx
from tinymnist.data.mnist import find_mnist, load_mnist
from tinymnist.data.sets import LabelledSet, load_set
from tinymnist.files import pictures_in

__all__ = [
    "LabelledSet",
    "download_mnist",
    "find_mnist",
    "load_mnist",
    "load_set",
    "pictures_in",
    "read_idx",
]


def __getattr__(name: str) -> Any:
    if name == "download_mnist":  # on first use: it imports http, urllib and email
        from tinymnist.data.download import download_mnist

        return download_mnist
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
