"""A pytest fixture that compares models; pytest finds it wherever tinymnist is installed.

In a test of your own project, with a model of Keras, PyTorch or ONNX, or only its outputs::

    def test_my_port_computes_what_lenet5_computes(tinymnist_matches):
        tinymnist_matches(my_module.eval(), "lenet5")

If it does not, the test fails with the first layer that differs, how far, and why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tinymnist.comparison import Comparison


@pytest.fixture
def tinymnist_matches() -> Callable[..., Comparison]:
    """``matches(model, reference, x=None, **tolerances)``.

    As :func:`tinymnist.assert_model_matches`, but ``reference`` may also be the name of a shipped
    model or a model file, and without ``x`` both run on four random pictures.
    """
    import numpy as np

    from tinymnist import assert_model_matches, load_model

    def matches(model: Any, reference: Any, x: Any = None, **tolerances: float) -> Comparison:
        if isinstance(reference, str):
            reference = load_model(reference)
        if x is None:
            x = np.random.default_rng(0).random((4, *reference.input_shape), np.float32)
        return assert_model_matches(model, reference, x, **tolerances)

    return matches
