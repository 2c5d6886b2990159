"""Each framework's own run of a model, with every layer's output: one module per framework.

- ``run(model, x)``: every output, channels last, for examples (n, h, w, c) or (n, features).
- ``gradients(model, x, weights)``, in ``keras`` and ``torch``: that of the sum of the last outputs,
  weighted by ``weights(shape)``, at every layer.
- ``load(path)``, in ``keras`` and ``onnx``: the model in a file.

All raise InputError if the framework refuses the model or the examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from types import ModuleType
from typing import Any

import numpy as np

from tinymnist.comparison.outputs import Output
from tinymnist.comparison.rerun import Rerun
from tinymnist.comparison.runners import keras, onnx, torch
from tinymnist.errors import InputError
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

RUNNERS: dict[str, ModuleType] = {"keras": keras, "onnx": onnx, "torch": torch}
"""Framework -> the module that runs its models."""


def layer_outputs(model: Any, x: Array) -> dict[str, Array]:
    """Run a model on examples and return every layer's output, in the order of execution.

    The outputs have tinymnist's layout: pictures are (n, h, w, c), even if the framework has
    channels first, and flattened pictures are in the order height, width, channel. The first entry
    is the input, the last one the model's output.

    Args:
        model: a model of tinymnist, a Keras model, a ``torch.nn.Module`` (run in its current mode:
            usually call ``eval()`` first), or an ONNX ``ModelProto``.
        x: (n, h, w, c), or (n, features).

    Raises:
        InputError: when the model does not take such examples, or its framework is missing.
        ValueError: when it is not a model of a known kind.
    """
    return {output.name: output.values for output in outputs_of(model, x) if not output.inner}


def outputs_of(model: Any, x: Array, **settings: Any) -> list[Output]:
    """The same as :func:`layer_outputs`, with the kind of each layer."""
    if isinstance(model, Sequential):
        return Rerun(model, x).run()
    with runner(framework_of(model)) as module:
        outputs: list[Output] = module.run(model, np.asarray(x), **settings)
    return outputs


def first_change(model: Any, x: Array, once: Sequence[Output]) -> str:
    """The first layer whose output differs in a second run of a framework's model, or ""."""
    again = outputs_of(model, x, **({"seed": 1} if framework_of(model) == "torch" else {}))
    for first, second in zip(once, again, strict=False):
        if not np.array_equal(first.values, second.values, equal_nan=True):
            return first.name
    return ""


def precision_of(model: Any) -> str:
    """``"int8"`` if a framework's model computes with integers; else ""."""
    framework = framework_of(model)
    if framework == "torch":
        found = any("quantized" in type(module).__module__ for module in model.modules())
    elif framework == "keras":
        found = any(getattr(layer, "quantization_mode", None) for layer in model.layers)
    else:
        nodes = getattr(getattr(model, "graph", None), "node", ())
        found = any(re.search("QLinear|QuantizeLinear|Integer", node.op_type) for node in nodes)
    return "int8" if found else ""


def framework_of(model: Any) -> str:
    """A key of :data:`RUNNERS`, judged by the modules of an object's classes.

    Raises:
        ValueError: when it is not a model of a known kind.
    """
    homes = {kind.__module__.split(".")[0] for kind in type(model).__mro__}
    if homes & {"keras", "tf_keras"}:  # on PyTorch, a model of Keras is a module as well
        return "keras"
    if "torch" in homes:
        return "torch"
    is_file = isinstance(model, (str, PathLike)) and str(model).endswith(".onnx")
    if is_file or type(model).__name__ == "ModelProto":
        return "onnx"
    raise ValueError(
        "model must be of tinymnist, Keras, PyTorch (a Module) or ONNX (a ModelProto). "
        f"Received: {type(model)}"
    )


@contextmanager
def runner(framework: str) -> Iterator[ModuleType]:
    """The module that runs models of a framework, a key of :data:`RUNNERS`.

    Raises:
        InputError: when the module is used and the framework cannot be imported.
    """
    try:
        yield RUNNERS[framework]
    except ImportError as error:
        packages = "onnx onnxruntime" if framework == "onnx" else framework
        raise InputError(
            f"this needs {framework}, which cannot be imported ({error}); pip install {packages}"
        ) from None
