"""``assert_model_matches``: the comparison as one line of a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinymnist.compare.captured import as_outputs
from tinymnist.compare.comparison import Comparison, compare
from tinymnist.compare.defaults import ATOL, RTOL
from tinymnist.compare.layer_outputs import first_change, is_arrays, outputs_of
from tinymnist.compare.side import Side
from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import Graph


def assert_model_matches(
    model: Any, reference: Any, x: Array, *, atol: float = ATOL, rtol: float = RTOL
) -> Comparison:
    """Insist that a model computes what a reference computes, layer by layer.

    For the test suites of other projects::

        assert_model_matches(my_torch_module.eval(), tinymnist.load_model("lenet5"), x)

    Args:
        model: of tinymnist, Keras, PyTorch or ONNX; or outputs, as a dict of arrays by layer in
            the order of execution, or as one array: the last layer's.
        reference: the same. If one of the two is a model of tinymnist, the failure names the
            cause as far as it can be found out.
        x: (n, h, w, c) or (n, features).
        atol, rtol: a layer passes if its largest error is at most ``atol + rtol * largest``, where
            ``largest`` is the largest magnitude in the reference's output.

    Returns:
        The comparison, if they match.

    Raises:
        AssertionError: when they do not; the message names the first layer that parts, and why.
    """
    comparison = compare(_side(model, x, "model"), _side(reference, x, "reference"),
                         atol=atol, rtol=rtol)  # fmt: skip
    if not comparison.agrees:
        from tinymnist.compare.text import failure

        raise AssertionError(failure(comparison))
    return comparison


def _side(model: Any, x: Array, name: str) -> Side:
    if is_arrays(model):
        arrays: Mapping[str, Any] = model if isinstance(model, Mapping) else {"output": model}
        return Side(name, as_outputs(arrays, name))
    outputs = tuple(outputs_of(model, x))
    if isinstance(model, Graph):
        return Side(name, outputs, model, np.asarray(x))  # type: ignore[arg-type]
    return Side(name, outputs, restless=first_change(model, x, outputs))
