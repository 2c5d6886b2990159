"""What Keras users look for in ``utils``: ``from tinymnist.utils import to_categorical``."""

from __future__ import annotations

from typing import Any, NoReturn

from tinymnist.augmentation.pictures import load_img
from tinymnist.errors import InputError
from tinymnist.nn.randomness import set_random_seed
from tinymnist.preprocessing.image import array_to_img, img_to_array, save_img
from tinymnist.utils import np_utils as np_utils
from tinymnist.utils.np_utils import normalize, to_categorical

__all__ = ["array_to_img", "img_to_array", "load_img", "normalize", "np_utils", "plot_model"]
__all__ += ["save_img", "set_random_seed", "to_categorical", "Sequence", "PyDataset"]


class Sequence:
    """The base of a user's own batches: ``__len__``, and ``__getitem__`` that returns (x, y)."""

    def __len__(self) -> int:
        """Batches per epoch."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> Any:
        """Batch ``index``."""
        raise NotImplementedError

    def on_epoch_end(self) -> None:
        """Called after every epoch."""


PyDataset = Sequence
"""Keras 3's name."""


def plot_model(*_: Any, **__: Any) -> NoReturn:
    """Refuse: drawing a model needs Graphviz.

    Raises:
        InputError: always; it says what to use.
    """
    raise InputError(
        "plot_model needs Graphviz, which tinymnist does without; model.summary() prints the "
        "layers, shapes and inputs"
    )
