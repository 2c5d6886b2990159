"""Every layer's output of a live model, whatever framework it belongs to."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from tinymnist.compare.outputs import Output
from tinymnist.compare.rerun import Trial
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import Graph

_HINTS = {"torch": "torch", "keras": "keras", "onnx": "onnx onnxruntime"}


def layer_outputs(model: Any, x: Array) -> dict[str, Array]:
    """Run a model on examples and give every layer's output, in the order of execution.

    The outputs are laid out as tinymnist's: pictures (n, h, w, c), also where the framework has
    channels first, and flattened pictures in the order height, width, channel. The first entry is
    the input, the last one the model's output.

    Args:
        model: a model of tinymnist, a Keras model, a ``torch.nn.Module`` (in the mode that it is
            in: call ``eval()`` first, as a rule), or an ONNX ``ModelProto``.
        x: (n, h, w, c), or (n, features).

    Raises:
        InputError: when the model does not take such examples, or its framework is missing.
        ValueError: when it is no model of a kind that is known.
    """
    return {output.name: output.values for output in outputs_of(model, x) if not output.inner}


def outputs_of(model: Any, x: Array) -> list[Output]:
    """As :func:`layer_outputs`, with what each layer does."""
    if isinstance(model, Graph):
        return Trial(model, x).run()  # type: ignore[arg-type]
    framework = framework_of(model)
    if framework is None:
        raise ValueError(
            "model must be of tinymnist, Keras, PyTorch (a Module) or ONNX (a ModelProto). "
            f"Received: {type(model)}"
        )
    outputs: list[Output] = runner(framework).run(model, np.asarray(x))
    return outputs


def first_change(model: Any, x: Array, once: Sequence[Output]) -> str:
    """Run a model of another framework again: the first layer that gives something else.

    Returns:
        The layer's name; "" if all is as it was.
    """
    framework = str(framework_of(model))
    settings = {"seed": 1} if framework == "torch" else {}
    again = runner(framework).run(model, np.asarray(x), **settings)
    for first, second in zip(once, again, strict=False):
        if not np.array_equal(first.values, second.values, equal_nan=True):
            return first.name
    return ""


def framework_of(model: Any) -> str | None:
    """Keras, torch or onnx, told by where the classes come from that an object belongs to."""
    homes = {kind.__module__.split(".")[0] for kind in type(model).__mro__}
    if "torch" in homes:
        return "torch"
    if "keras" in homes or "tf_keras" in homes:
        return "keras"
    is_file = isinstance(model, (str, PathLike)) and str(model).endswith(".onnx")
    return "onnx" if is_file or type(model).__name__ == "ModelProto" else None


def runner(framework: str) -> Any:
    """The module of ``runners`` for a framework.

    Raises:
        InputError: when the framework is not installed.
    """
    try:
        for package in _HINTS[framework].split():
            importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"this needs {framework}, which cannot be imported ({error}); "
            f"pip install {_HINTS[framework]}"
        ) from None
    return importlib.import_module(f"tinymnist.compare.runners.{framework}")


def is_arrays(model: Any) -> bool:
    """Whether something is outputs and no model: arrays by name, or one array."""
    return isinstance(model, (Mapping, np.ndarray))
