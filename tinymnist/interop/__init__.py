"""Other frameworks' models: read without the framework, written so that the framework opens them.

- :func:`load_model` opens any model ready for pictures; :func:`open_model` opens it as it is.
- ``sniffing`` recognizes formats and ``formats`` has the table of readers: ``keras``, ``onnx``,
  ``pytorch`` and ``safetensors``, each of which knows one format.
- ``bare`` guesses the layers of weights without an architecture.
- ``conversion`` also finds out how a model wants its pictures scaled; ``remembered`` keeps it.
- :func:`export` writes; ``standalone`` writes a Python file that needs NumPy alone; :mod:`c99` one
  in C.
"""

from __future__ import annotations

import os
import warnings
from functools import partial
from os import PathLike

from tinymnist import limits
from tinymnist.errors import InputError
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.sequential import load_model as load_weights_file
from tinymnist.nn.weights import find, is_shipped

ENDINGS = (".keras", ".h5", ".hdf5", ".onnx", ".safetensors", ".py", ".c")
"""The suffixes of the formats that :func:`export` writes."""


def load_model(
    source: str | PathLike[str],
    *,
    compile: bool = True,
    architecture: str | PathLike[str] | None = None,
    plan: int | None = None,
) -> Sequential:
    """Open a model: weights of tinymnist, or a file of Keras, PyTorch, ONNX or safetensors.

    Args:
        source: the name of a shipped model, or a file, whose content decides how it is read.
        compile: accepted for compatibility with Keras; a loaded model is never compiled.
        architecture: for files that hold weights alone: a file that describes the layers, or the
            name of a shipped architecture.
        plan: which of several architectures that fit the weights, counted from 1.

    Returns:
        The model. For other frameworks' files the scaling of the pixels, and the architecture if
        several fit, are found with the 1,000 of MNIST's pictures that ship with tinymnist, once per
        file: the answer is kept in the user's cache. A warning says what remains in doubt.

    Raises:
        InputError: as :func:`open_model`.
    """
    if architecture is None and plan is None:
        if is_shipped(source):
            return load_weights_file(source)
        from tinymnist.interop.sniffing import Format, sniff

        if os.path.exists(source) and sniff(source) is Format.TINYMNIST:
            return load_weights_file(source)
    from tinymnist.interop.remembered import convert_once

    model, doubts = convert_once(source, architecture, plan)
    for doubt in doubts:
        warnings.warn(doubt, stacklevel=2)
    return model


def open_model(
    source: str | PathLike[str],
    *,
    plan: int | None = None,
    architecture: str | PathLike[str] | None = None,
) -> Sequential:
    """Open a model file in any format as it is, without looking for the scaling of its pictures.

    Args:
        source, plan, architecture: as for :func:`load_model`.

    Returns:
        The model, with outputs as in the framework that wrote the file. ``metadata["source"]``
        names the format, the framework's version and the file.

    Raises:
        InputError: when the file is missing, damaged or in a format without a reader, when it holds
            something that cannot be mapped exactly, or when an option does not apply to it.
    """
    from tinymnist.interop.formats import read

    return read(source, architecture).choose(plan)


def export(
    model: Sequential | str | PathLike[str],
    path: str | PathLike[str],
    *,
    with_recipe: bool = False,
    int8: bool = False,
) -> None:
    """Write a model in another framework's format, chosen by the suffix of the name.

    Args:
        model: a model, the name of a shipped one, or a model file of any framework.
        path: where to write.
        with_recipe: for a .py file: whether it reads photos as ``tinymnist predict`` does, and not
            only arrays in MNIST's form. A .c file always reads grey pictures.
        int8: for a .c file: whether it stores its weights in 8 bits.

    Raises:
        InputError: for a suffix that is not among :data:`ENDINGS`, when the format cannot hold the
            model or the recipe, when a package is missing, or when the file cannot be written.
    """
    suffix = check_ending(path, with_recipe, int8)
    if suffix in (".keras", ".h5", ".hdf5"):
        from tinymnist.interop.keras import write
    elif suffix == ".onnx":
        from tinymnist.interop.onnx import write
    elif suffix == ".safetensors":
        from tinymnist.interop.safetensors import write
    elif suffix == ".c":
        from tinymnist import c99

        write = partial(c99.write, int8=int8)
    else:
        from tinymnist.interop import standalone

        write = partial(standalone.write, with_recipe=with_recipe)
    write(model if isinstance(model, Sequential) else load_model(model), path)


def save_weights(model: Sequential, path: str | PathLike[str]) -> None:
    """Write a model's arrays alone, for Keras; see :func:`keras.model_weights.save_weights`."""
    from tinymnist.interop.keras.model_weights import save_weights as save

    save(model, path)


def load_weights(model: Sequential, path: str | PathLike[str]) -> None:
    """Set a model's arrays from a file of tinymnist or Keras with the same layers.

    Raises:
        InputError: if the file cannot be read, or does not fit the model.
    """
    from tinymnist.interop.sniffing import Format, sniff

    place = find(path)
    with limits.opening(path, "weights of this model"):
        if sniff(place) is not Format.TINYMNIST:
            from tinymnist.interop.keras.model_weights import load_weights as load

            load(model, place)
        else:
            model.set_weights(load_weights_file(place).get_weights())


def to_json(model: Sequential) -> str:
    """A model's layers in Keras's JSON, without weights."""
    from tinymnist.interop.keras.model_json import to_json as describe

    return describe(model)


def check_export(path: str | PathLike[str]) -> None:
    """Check before a training that its result can be written under this name.

    Raises:
        InputError: for a suffix that is not among :data:`ENDINGS`, or when a package is missing.
    """
    suffix = check_ending(path)
    if suffix in (".keras", ".h5", ".hdf5"):
        from tinymnist.interop.keras.hdf5 import load_h5py

        load_h5py()
    elif suffix == ".onnx":
        from tinymnist.interop.onnx.loading import library

        library()


def check_ending(path: str | PathLike[str], with_recipe: bool = False, int8: bool = False) -> str:
    """The suffix of a name, one of :data:`ENDINGS`.

    Raises:
        InputError: for any other, or if an option does not apply to the format.
    """
    if (suffix := os.path.splitext(path)[1].lower()) not in ENDINGS:
        raise InputError(f"{path} should end with one of {', '.join(ENDINGS)}")
    if with_recipe and suffix not in (".py", ".c"):
        raise InputError(f"only a .py or .c file can hold the recipe. Received: {path}")
    if int8 and suffix != ".c":
        raise InputError(f"only a .c file is written with 8-bit weights. Received: {path}")
    return suffix
