"""Other frameworks' models: read without the framework, written so that the framework opens them.

``formats`` tells what a file is and opens it; ``conversion`` also finds out how a model wants its
pictures; every other module knows one format.
"""

from __future__ import annotations

import importlib
from os import PathLike
from pathlib import Path

from tinymnist.errors import InputError
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.sequential import load_model as load_weights
from tinymnist.nn.weights import find

WRITERS = {
    ".keras": "keras",
    ".h5": "keras",
    ".onnx": "onnx",
    ".safetensors": "safetensors",
    ".py": "standalone",
}
"""The module whose ``write(model, path)`` writes each format, by the ending of the file."""


def export(model: Sequential, path: str | PathLike[str]) -> None:
    """Write a model in another framework's format; the ending of the name says which.

    Raises:
        InputError: for an ending that is none of :data:`WRITERS`, when the format cannot hold the
            model, when a package is missing, or when the file cannot be written.
    """
    check_ending(path)
    writer = WRITERS[Path(path).suffix.lower()]
    importlib.import_module(f"tinymnist.interop.{writer}").write(model, path)


def check_ending(path: str | PathLike[str]) -> None:
    """Insist on the ending of a format that :func:`export` writes.

    Raises:
        InputError: for any other.
    """
    if Path(path).suffix.lower() not in WRITERS:
        raise InputError(f"{path} should end with one of {', '.join(WRITERS)}")


def load_model(
    source: str | PathLike[str],
    *,
    compile: bool = True,
    architecture: str | PathLike[str] | None = None,
    plan: int | None = None,
) -> Sequential:
    """Open a model: weights of tinymnist, or a file of Keras, PyTorch, ONNX or safetensors.

    Args:
        source: the name of a shipped model, or a file; what it is, is told by its content.
        architecture: for files that hold weights alone: a file that describes the layers, or the
            name of a shipped architecture.
        compile: for Keras's sake; a model is never compiled when it comes from a file.
        plan: which of several architectures that fit the weights, counted from 1.

    Returns:
        The model. For other frameworks' files the scaling of the pixels is looked for on MNIST's
        test pictures, if they are on this machine; else a warning says that it is unknown.

    Raises:
        InputError: when the file cannot be used; see :func:`tinymnist.interop.formats.open_model`.
    """
    from tinymnist.interop.sniffing import Format, sniff

    path = find(source)
    if sniff(path) is Format.TINYMNIST and architecture is None and plan is None:
        return load_weights(path)
    from tinymnist.interop.conversion import open_ready

    return open_ready(path, architecture=architecture, plan=plan)
