"""MNIST and other labelled pictures: find, download, check, open."""

from typing import TYPE_CHECKING

from tinymnist.data.mnist import find_mnist as find_mnist
from tinymnist.data.mnist import load_mnist as load_mnist
from tinymnist.data.mnist import load_mnist_sample as load_mnist_sample
from tinymnist.data.mnist import read_idx as read_idx
from tinymnist.data.sets import LabelledSet as LabelledSet
from tinymnist.data.sets import load_set as load_set
from tinymnist.files import pictures_in as pictures_in
from tinymnist.lazy import lazy_names

if TYPE_CHECKING:
    from tinymnist.data.dataset import AUTOTUNE as AUTOTUNE
    from tinymnist.data.dataset import Dataset as Dataset
    from tinymnist.data.download import download_mnist as download_mnist

_RARE = {"dataset": "AUTOTUNE Dataset", "download": "download_mnist"}  # which imports http
__getattr__, _ = lazy_names(__name__, _RARE)
