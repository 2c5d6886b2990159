"""tinymnist: handwritten-digit recognition in pure NumPy, and the reason why yours fails.

The shortest way in::

    import tinymnist

    reader = tinymnist.Reader()
    print(reader.predict("photo.jpg").digit)

Everything below is imported on first use, so that a program pays only for what it needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinymnist.augmentation.generator import ImageDataGenerator as ImageDataGenerator
    from tinymnist.compare import assert_model_matches as assert_model_matches
    from tinymnist.compare import layer_outputs
    from tinymnist.data import load_mnist as load_mnist
    from tinymnist.data import load_set as load_set
    from tinymnist.errors import InputError as InputError
    from tinymnist.imaging.digit.recipes import prepare_image as prepare_image
    from tinymnist.interop import export as export
    from tinymnist.interop import load_model as load_model
    from tinymnist.nn.sequential import Input as Input
    from tinymnist.nn.sequential import Sequential as Sequential
    from tinymnist.nn.weights import verify as verify
    from tinymnist.reader import Prediction as Prediction
    from tinymnist.reader import Reader as Reader

__version__ = "0.1.0"

_HOMES = {
    "ImageDataGenerator": "tinymnist.augmentation.generator",
    "Input": "tinymnist.nn.sequential",
    "InputError": "tinymnist.errors",
    "Prediction": "tinymnist.reader",
    "Reader": "tinymnist.reader",
    "Sequential": "tinymnist.nn.sequential",
    "layer_outputs": "tinymnist.compare",
    "assert_model_matches": "tinymnist.compare",
    "export": "tinymnist.interop",
    "load_mnist": "tinymnist.data",
    "load_model": "tinymnist.interop",
    "load_set": "tinymnist.data",
    "prepare_image": "tinymnist.imaging.digit.recipes",
    "verify": "tinymnist.nn.weights",
}
"""Where each public name lives. Layers, losses and optimizers live in ``tinymnist.nn``."""

__all__ = [
    "ImageDataGenerator",
    "Input",
    "InputError",
    "Prediction",
    "Reader",
    "Sequential",
    "__version__",
    "layer_outputs",
    "assert_model_matches",
    "export",
    "load_mnist",
    "load_model",
    "load_set",
    "prepare_image",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"tinymnist has {sorted(_HOMES)}. Received: name={name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
