"""tinymnist: handwritten-digit recognition in pure NumPy, and the reason why yours fails.

The shortest way in::

    import tinymnist

    reader = tinymnist.Reader()
    print(reader.predict("photo.jpg").digit)

Everything below is imported on first use, so that a program pays only for what it needs. Layers,
losses, optimizers and callbacks are where Keras users look for them: ``tinymnist.layers`` ...

Words that mean one thing throughout the package:

- recipe: what is done to a picture before the network: "mnist", "resize" or "none".
- stage: one step of a recipe; see ``tinymnist explain``.
- reading: one result of a recipe for a picture. If the polarity is in doubt there are several.
- MNIST's form: (28, 28, 1), 0..1, white on black, the digit 20 pixels long, centred by mass.
- ink and paper: the two sides of a split of a picture's pixels, whichever is the darker.
- mark: connected ink on a page. piece: a part of a mark, or several, that may be one digit.
- row: marks side by side. lattice: all ways to read a row as pieces, with their costs.
- set: labelled pictures: MNIST, a folder of class folders, a table of labels, or arrays.
- model: a network with its weights. graph: layers wired together, which computes.
- cache: what an operation's forward pass keeps for its backward pass.
- piece of a batch, micro-batch: the examples that one thread carries through the layers at a time.
- frozen: not one bit changes in ``fit``; the gradient still passes through.
- base and head: the layers of a trained model that are reused, and the new layers on top.
- proof: the sample in a weights file, with every layer's output, that ``verify`` runs again.
- bare weights: a file that holds arrays but no layers.
- plan: one architecture that fits bare weights. candidate: a model built by a plan.
- scaling: what a model expects of its pixels: x/255, raw, normalized ...
- side: one of the two models, or sets of outputs, that ``compare`` holds against each other.
- cause: a known mistake that would explain a difference; it is tried out, not guessed.
- mismatch: how pictures differ from MNIST. repair: undoing one mismatch, to measure its cost.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tinymnist.lazy import lazy_names

if TYPE_CHECKING:
    from tinymnist import (
        activations,
        backend,
        callbacks,
        constraints,
        datasets,
        initializers,
        layers,
        limits,
        losses,
        metrics,
        models,
        optimizers,
        preprocessing,
        regularizers,
        utils,
    )
    from tinymnist.adapter import Prediction
    from tinymnist.api import compare, convert, diagnose, predict, read
    from tinymnist.augmentation.generator import ImageDataGenerator
    from tinymnist.comparison import assert_model_matches, layer_outputs
    from tinymnist.data import load_mnist, load_set
    from tinymnist.engines import make_predict_fn
    from tinymnist.errors import InputError
    from tinymnist.explanation import explain
    from tinymnist.imaging.digit.recipes import prepare_image
    from tinymnist.interop import export, load_model
    from tinymnist.labelled import evaluate
    from tinymnist.learning import finetune, train
    from tinymnist.nn.graph import Input
    from tinymnist.nn.model import Model
    from tinymnist.nn.parallel import set_threads
    from tinymnist.nn.sequential import Sequential
    from tinymnist.nn.weights import verify
    from tinymnist.pages import Page
    from tinymnist.reader import Reader
    from tinymnist.sources import sample

__all__ = ["ImageDataGenerator", "Input", "InputError", "Page", "Prediction", "Reader"]
__all__ += ["Sequential", "__version__", "assert_model_matches", "callbacks", "compare", "convert"]
__all__ += ["diagnose", "evaluate", "explain", "export", "finetune", "layer_outputs", "layers"]
__all__ += ["load_mnist", "load_model", "load_set", "losses", "optimizers", "predict"]
__all__ += [
    "prepare_image",
    "preprocessing",
    "read",
    "sample",
    "set_threads",
    "train",
    "utils",
    "verify",
]
__all__ += ["Model", "activations", "backend", "constraints", "datasets"]
__all__ += ["initializers", "limits", "make_predict_fn", "metrics", "models", "regularizers"]
__version__ = "0.2.0"

_HOMES = {
    "": "activations backend callbacks constraints data datasets initializers layers limits losses "
    "metrics models optimizers preprocessing regularizers utils",
    "api": "compare convert diagnose predict read",
    "augmentation.generator": "ImageDataGenerator",
    "comparison": "assert_model_matches layer_outputs",
    "data": "load_mnist load_set",
    "engines": "make_predict_fn",
    "errors": "InputError",
    "explanation": "explain",
    "imaging.digit.recipes": "prepare_image",
    "interop": "export load_model",
    "labelled": "evaluate",
    "learning": "finetune train",
    "nn.graph": "Input",
    "nn.parallel": "set_threads",
    "nn.model": "Model",
    "nn.sequential": "Sequential",
    "nn.weights": "verify",
    "adapter": "Prediction",
    "pages": "Page",
    "reader": "Reader",
    "sources": "sample",
}
"""The public names of each module; of "" the modules."""
_RENAMED = {"prepare": "prepare_image"}
"""A name of version 0.1, kept for one version more."""


def _of_tensorflow(name: str) -> Any:
    """For ``import tinymnist as tf``: ``tf.keras`` and ``tf.random.set_seed``."""
    if name == "random":
        return SimpleNamespace(set_seed=__getattr__("utils").set_random_seed)
    if name == "GradientTape":
        rule = "no tape is kept here: write model.train_on_batch(x, y), or see nn/plain_training.py"
        raise AttributeError(f"{rule}, a loop to copy. Received: tf.GradientTape")
    return sys.modules[__name__]


__getattr__, __dir__ = lazy_names(
    __name__, _HOMES, _RENAMED, dict.fromkeys(("GradientTape", "keras", "random"), _of_tensorflow)
)
