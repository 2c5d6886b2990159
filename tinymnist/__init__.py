"""tinymnist: handwritten-digit recognition in pure NumPy, and the reason why yours fails.

The shortest way in::

    import tinymnist

    reader = tinymnist.Reader()
    print(reader.predict("photo.jpg").digit)

Everything below is imported on first use, so that a program pays only for what it needs. Layers,
losses, optimizers and callbacks are where Keras users look for them: ``tinymnist.layers`` ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinymnist.lazy import lazy_names

if TYPE_CHECKING:
    from tinymnist import callbacks, layers, losses, optimizers, utils
    from tinymnist.api import compare, convert, diagnose, predict, read
    from tinymnist.augmentation.generator import ImageDataGenerator
    from tinymnist.comparison import assert_model_matches, layer_outputs
    from tinymnist.data import load_mnist, load_set
    from tinymnist.errors import InputError
    from tinymnist.explanation import explain
    from tinymnist.imaging.digit.recipes import prepare_image
    from tinymnist.interop import export, load_model
    from tinymnist.labelled import evaluate
    from tinymnist.learning import finetune, train
    from tinymnist.nn.graph import Input
    from tinymnist.nn.sequential import Sequential
    from tinymnist.nn.weights import verify
    from tinymnist.reader import Page, Prediction, Reader

__all__ = ["ImageDataGenerator", "Input", "InputError", "Page", "Prediction", "Reader"]
__all__ += ["Sequential", "__version__", "assert_model_matches", "callbacks", "compare", "convert"]
__all__ += ["diagnose", "evaluate", "explain", "export", "finetune", "layer_outputs", "layers"]
__all__ += ["load_mnist", "load_model", "load_set", "losses", "optimizers", "predict"]
__all__ += ["prepare_image", "read", "train", "utils", "verify"]
__version__ = "0.2.0"

_HOMES = {
    "": "callbacks layers losses optimizers utils",
    "api": "compare convert diagnose predict read",
    "augmentation.generator": "ImageDataGenerator",
    "comparison": "assert_model_matches layer_outputs",
    "data": "load_mnist load_set",
    "errors": "InputError",
    "explanation": "explain",
    "imaging.digit.recipes": "prepare_image",
    "interop": "export load_model",
    "labelled": "evaluate",
    "learning": "finetune train",
    "nn.graph": "Input",
    "nn.sequential": "Sequential",
    "nn.weights": "verify",
    "reader": "Page Prediction Reader",
}
"""The public names of each module; of "" the modules."""
_RENAMED = {"activations": "layer_outputs", "prepare": "prepare_image"}
"""Names of version 0.1, kept for one version more."""

__getattr__, __dir__ = lazy_names(__name__, _HOMES, _RENAMED)
