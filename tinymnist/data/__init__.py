"""MNIST and other labelled pictures: found, downloaded, checked, opened."""

from tinymnist.data.download import download_mnist
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
