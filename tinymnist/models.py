"""Models where Keras users look for them: ``from tinymnist.models import Sequential``."""

from __future__ import annotations

from os import PathLike
from typing import Any

from tinymnist.interop import open_model
from tinymnist.interop.keras.model_json import from_json
from tinymnist.nn.model import Model
from tinymnist.nn.sequential import Sequential

__all__ = ["Model", "Sequential", "clone_model", "load_model", "model_from_json"]
__all__ += ["save_model"]


def load_model(
    filepath: str | PathLike[str],
    custom_objects: Any = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Sequential:
    """Open a model as it is: its pictures are scaled by the script, as in Keras.

    :func:`tinymnist.load_model` also finds the scaling of other people's files.

    Args:
        filepath: a file of any format that tinymnist reads, or the name of a shipped model.
        custom_objects, compile, safe_mode: accepted as in Keras; no code of a file is run, and a
            loaded model is not compiled.

    Raises:
        InputError: if the file cannot be used.
    """
    return open_model(filepath)


def save_model(model: Sequential, filepath: str | PathLike[str], overwrite: bool = True) -> None:
    """``model.save(filepath)``."""
    model.save(filepath, overwrite)


def clone_model(model: Sequential) -> Sequential:
    """A model of the same layers, with new weights."""
    return from_json(model.to_json())


def model_from_json(json_string: str, custom_objects: Any = None) -> Sequential:
    """Make a model, with new weights, from what ``model.to_json()`` returned, here or in Keras.

    Raises:
        InputError: if it describes a layer or setting that is not supported.
    """
    return from_json(json_string)
