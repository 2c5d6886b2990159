from __future__ import annotations

from typing import Any

import pytest

from tinymnist.interop.formats import provenance

ONNX = {"format": "ONNX", "framework": "pytorch 2.9.1", "opset": 20, "file": "m.onnx"}


@pytest.mark.parametrize(
    ("metadata", "line"),
    [
        ({}, "unknown"),
        ({"source": "Keras 2.3.1 (.h5), lenet.h5"}, "Keras 2.3.1 (.h5), lenet.h5"),
        ({"source": ONNX}, "ONNX of pytorch 2.9.1 (opset 20), m.onnx"),
        ({"source": {"format": "ONNX", "framework": "", "file": "m.onnx"}}, "ONNX, m.onnx"),
    ],
)
def test_one_line_tells_where_a_model_came_from(metadata: Any, line: Any) -> None:
    assert provenance(metadata) == line
