"""The front door: a model file of any kind goes in, a ``Sequential`` comes out."""

from __future__ import annotations

import importlib
from os import PathLike
from typing import Any

from tinymnist.errors import InputError
from tinymnist.interop.refusals import REFUSALS
from tinymnist.interop.sniffing import Format, sniff
from tinymnist.nn.model import Sequential
from tinymnist.nn.weights import find
from tinymnist.nn.weights import load_model as load_weights

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
WITH_OPTIONS = {
    "keras": ("architecture",),
    "onnx": (),
    "pytorch": ("architecture", "plan"),
    "safetensors": ("architecture", "plan"),
}
"""What each reader wants to be told, because its files may not tell it."""


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
        The model, its outputs as they were in its framework. ``information["source"]`` names the
        format, the framework's version and the file.

    Raises:
        InputError: when the file is missing, damaged or of a kind that is not read, when it holds
            something that cannot be mapped, or when an option does not apply to it.
    """
    path = find(source)
    kind = sniff(path)
    if kind is Format.TINYMNIST:
        _refuse_options(path, kind, (), architecture=architecture, plan=plan)
        return load_weights(path)
    if kind not in READERS:
        raise refusal(path, kind)
    name = READERS[kind]
    _refuse_options(path, kind, WITH_OPTIONS[name], architecture=architecture, plan=plan)
    given = {"architecture": architecture, "plan": plan}
    options = {key: value for key, value in given.items() if value is not None}
    model: Sequential = _module(name).read(path, **options)
    return model


def refusal(path: str | PathLike[str], kind: Format | None) -> InputError:
    """The error that says what a file is, and what can be done about it."""
    if kind is None:
        return InputError(
            f"{path} is no model of a known kind; expected weights of tinymnist, .keras, .h5, "
            "ONNX, a PyTorch state_dict or safetensors"
        )
    advice = REFUSALS[kind].format(path=path)
    return InputError(f"{path} is {kind.value}, which tinymnist does not read; {advice}")


def _module(name: str) -> Any:
    return importlib.import_module(f"tinymnist.interop.{name}")


def _refuse_options(path: Any, kind: Format, known: tuple[str, ...], **given: Any) -> None:
    for option, value in given.items():
        if value is not None and option not in known:
            raise InputError(
                f"{path} is {kind.value}, which tells its layers itself; leave out {option}"
            )
