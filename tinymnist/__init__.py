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
    from tinymnist.data import load_mnist as load_mnist
    from tinymnist.data import load_set as load_set
    from tinymnist.errors import InputError as InputError
    from tinymnist.imaging.augmentation.generator import ImageDataGenerator as ImageDataGenerator
    from tinymnist.imaging.recipes import prepare as prepare
    from tinymnist.interop import export as export
    from tinymnist.interop import load_model as load_model
    from tinymnist.interop.compare import activations as activations
    from tinymnist.interop.compare import assert_model_matches as assert_model_matches
    from tinymnist.nn.model import Input as Input
    from tinymnist.nn.model import Sequential as Sequential
    from tinymnist.nn.weights import verify as verify
    from tinymnist.reader import Prediction as Prediction
    from tinymnist.reader import Reader as Reader

__version__ = "0.1.0"

_HOMES = {
    "ImageDataGenerator": "tinymnist.imaging.augmentation.generator",
    "Input": "tinymnist.nn.model",
    "InputError": "tinymnist.errors",
    "Prediction": "tinymnist.reader",
    "Reader": "tinymnist.reader",
    "Sequential": "tinymnist.nn.model",
    "activations": "tinymnist.interop.compare",
    "assert_model_matches": "tinymnist.interop.compare",
    "export": "tinymnist.interop",
    "load_mnist": "tinymnist.data",
    "load_model": "tinymnist.interop",
    "load_set": "tinymnist.data",
    "prepare": "tinymnist.imaging.recipes",
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
    "activations",
    "assert_model_matches",
    "export",
    "load_mnist",
    "load_model",
    "load_set",
    "prepare",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"tinymnist has {sorted(_HOMES)}. Received: name={name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
