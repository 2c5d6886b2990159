"""The front door: a model file of any kind goes in, a ``Sequential`` comes out."""

from __future__ import annotations

import importlib
from os import PathLike

from tinymnist.errors import InputError
from tinymnist.interop.bare.candidates import Candidates
from tinymnist.interop.refusals import REFUSALS
from tinymnist.interop.sniffing import Format, sniff
from tinymnist.nn.sequential import Sequential
from tinymnist.nn.sequential import load_model as load_weights
from tinymnist.nn.weights import find

READERS = {
    Format.KERAS_ZIP: "keras",
    Format.HDF5: "keras",
    Format.ONNX: "onnx",
    Format.TORCH_ZIP: "pytorch",
    Format.TORCH_LEGACY: "pytorch",
    Format.TORCHSCRIPT: "pytorch",
    Format.SAFETENSORS: "safetensors",
}
"""The module of ``tinymnist.interop`` whose ``read(path, **options)`` opens each format."""
TAKE_ARCHITECTURE = ("keras", "pytorch", "safetensors")
"""Readers of files that may hold weights alone.

A module that has ``candidates(path, architecture=None)`` beside ``read`` gives every model that
bare weights may be; see :mod:`tinymnist.interop.bare.candidates`.
"""


def open_model(
    source: str | PathLike[str],
    *,
    architecture: str | PathLike[str] | None = None,
    plan: int | None = None,
) -> Sequential:
    """Open a model file of any kind.

    Args:
        source: the name of a shipped model, or a file; what it is, is told by its content.
        architecture: for files that hold weights alone: a file that describes the layers, or the
            name of a shipped architecture.
        plan: which of several architectures that fit the weights, counted from 1.

    Returns:
        The model, its outputs as they were in its framework. ``metadata["source"]`` names the
        format, the framework's version and the file.

    Raises:
        InputError: when the file is missing, damaged or of a kind that is not read, when it holds
            something that cannot be mapped, or when an option does not apply to it.
    """
    found = open_candidates(source, architecture=architecture)
    if isinstance(found, Sequential):
        if plan is not None:
            raise InputError(f"{source}: its layers are told, so there is no plan to choose")
        return found
    return found.choose(plan)


def open_candidates(
    source: str | PathLike[str], *, architecture: str | PathLike[str] | None = None
) -> Sequential | Candidates:
    """Open a model file; where it holds weights alone, everything that they may be.

    Raises:
        InputError: as :func:`open_model`, but not for several architectures.
    """
    path = find(source)
    kind = sniff(path)
    if kind is Format.TINYMNIST:
        if architecture is not None:
            raise InputError(f"{path} is {kind.value}, which tell their layers themselves")
        return load_weights(path)
    if kind not in READERS:
        raise refusal(path, kind)
    module = importlib.import_module(f"tinymnist.interop.{READERS[kind]}")
    if hasattr(module, "candidates"):
        found: Sequential | Candidates = module.candidates(path, architecture=architecture)
        return found
    if architecture is not None and READERS[kind] not in TAKE_ARCHITECTURE:
        raise InputError(f"{path} is {kind.value}, which tells its layers itself")
    given = {} if architecture is None else {"architecture": architecture}
    model: Sequential = module.read(path, **given)
    return model


def refusal(path: str | PathLike[str], kind: Format | None) -> InputError:
    """The error that says what a file is, and what can be done about it."""
    if kind is None:
        return InputError(
            f"{path} is no model of a known kind; expected weights of tinymnist, .keras, .h5, "
            "ONNX, a PyTorch state_dict or safetensors"
        )
    advice = REFUSALS[kind].replace("{path}", str(path))
    return InputError(f"{path} is {kind.value}, which tinymnist does not read; {advice}")
