"""MNIST and other labelled pictures: find, download, check, open."""

from typing import TYPE_CHECKING

from tinymnist.data.mnist import find_mnist, load_mnist, read_idx
from tinymnist.data.sets import LabelledSet, load_set
from tinymnist.files import pictures_in
from tinymnist.lazy import lazy_names

if TYPE_CHECKING:
    from tinymnist.data.download import download_mnist as download_mnist

__all__ = [
    "LabelledSet",
    "download_mnist",
    "find_mnist",
    "load_mnist",
    "load_set",
    "pictures_in",
    "read_idx",
]

__getattr__, _ = lazy_names(__name__, {"download_mnist": "download"})  # it imports http, urllib
