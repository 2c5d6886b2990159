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
    from tinymnist import callbacks as callbacks
    from tinymnist import layers as layers
    from tinymnist import losses as losses
    from tinymnist import optimizers as optimizers
    from tinymnist import utils as utils
    from tinymnist.api import compare as compare
    from tinymnist.api import convert as convert
    from tinymnist.api import diagnose as diagnose
    from tinymnist.api import predict as predict
    from tinymnist.api import read as read
    from tinymnist.augmentation.generator import ImageDataGenerator as ImageDataGenerator
    from tinymnist.comparison import assert_model_matches as assert_model_matches
    from tinymnist.comparison import layer_outputs as layer_outputs
    from tinymnist.data import load_mnist as load_mnist
    from tinymnist.data import load_set as load_set
    from tinymnist.errors import InputError as InputError
    from tinymnist.explanation import explain as explain
    from tinymnist.imaging.digit.recipes import prepare_image as prepare_image
    from tinymnist.interop import export as export
    from tinymnist.interop import load_model as load_model
    from tinymnist.labelled import evaluate as evaluate
    from tinymnist.learning import finetune as finetune
    from tinymnist.learning import train as train
    from tinymnist.nn.graph import Input as Input
    from tinymnist.nn.sequential import Sequential as Sequential
    from tinymnist.nn.weights import verify as verify
    from tinymnist.reader import Page as Page
    from tinymnist.reader import Prediction as Prediction
    from tinymnist.reader import Reader as Reader

__version__ = "0.1.0"

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
__all__ = [*__dir__(), "__version__"]  # noqa: PLE0604
