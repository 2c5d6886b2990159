"""``assert_model_matches``: a comparison as one line of a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinymnist.comparison.captured import as_outputs
from tinymnist.comparison.compare_sides import compare
from tinymnist.comparison.comparison import Comparison
from tinymnist.comparison.layer_outputs import first_change, outputs_of
from tinymnist.comparison.outputs import ATOL, RTOL, Side
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential


def assert_model_matches(
    model: Any, reference: Any, x: Array, *, atol: float = ATOL, rtol: float = RTOL
) -> Comparison:
    """Check that a model computes what a reference computes, layer by layer.

    For the test suites of other projects::

        assert_model_matches(my_torch_module.eval(), tinymnist.load_model("lenet5"), x)

    Args:
        model: a model of tinymnist, Keras, PyTorch or ONNX; or outputs, as a dict of arrays by
            layer in the order of execution, or as one array: the last layer's.
        reference: the same. If one of the two is a model of tinymnist, the failure message names
            the cause if it can be found.
        x: (n, h, w, c) or (n, features).
        atol, rtol: a layer passes if its largest error is at most ``atol + rtol * largest``, where
            ``largest`` is the largest magnitude in the reference's output.

    Returns:
        The comparison, if they match.

    Raises:
        AssertionError: when they do not; the message names the first layer that differs, and why.
    """
    sides = _side(model, x, "model"), _side(reference, x, "reference")
    comparison = compare(*sides, atol=atol, rtol=rtol)
    if not comparison.agrees:
        raise AssertionError(comparison.failure_message())
    return comparison


def _side(model: Any, x: Array, name: str) -> Side:
    if isinstance(model, (Mapping, np.ndarray)):
        arrays: Mapping[str, Any] = model if isinstance(model, Mapping) else {"output": model}
        return Side(name, as_outputs(arrays, name))
    outputs = tuple(outputs_of(model, x))
    if isinstance(model, Sequential):
        return Side(name, outputs, model, np.asarray(x))
    return Side(name, outputs, nondeterministic_layer=first_change(model, x, outputs))
