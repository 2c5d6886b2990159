"""ONNX's own backend test suite, on tinymnist's operations: which cases must pass.

Cases with operations that tinymnist lacks are left out; those that need an unsupported setting or
type are skipped. ``python -m benchmarks.onnx_conformance`` counts all of them.
"""

from __future__ import annotations

import unittest
from collections import Counter

import pytest

from benchmarks.onnx_conformance import cases
from benchmarks.onnx_operations import OPERATIONS

pytestmark = pytest.mark.peer
pytest.importorskip("onnx")

AT_LEAST = {
    "Add": 12, "AveragePool": 16, "BatchNormalization": 9, "Concat": 13, "Conv": 29, "Dropout": 8,
    "Elu": 4, "Flatten": 11, "Gelu": 4, "Gemm": 12, "GlobalAveragePool": 2, "GlobalMaxPool": 2,
    "LayerNormalization": 19, "LeakyRelu": 5, "LogSoftmax": 10, "MatMul": 7, "MaxPool": 15,
    "PRelu": 8, "Relu": 3, "Reshape": 10, "Sigmoid": 5, "Softmax": 10,
    "SoftmaxCrossEntropyLoss": 16, "Sum": 4, "Tanh": 5,
}  # fmt: skip
"""Cases that passed when this was written, of the operations that networks consist of."""


def test_conformance() -> None:
    """One test for all cases, as the counts need all of them in one process.

    No case may fail, and no operation may lose a case, which would otherwise go unnoticed.
    """
    passed: Counter[str] = Counter()
    failed: dict[str, str] = {}
    for case in cases():
        if not case.operations or not set(case.operations) <= OPERATIONS.keys():
            continue
        try:
            case.run()
        except unittest.SkipTest:
            continue
        except Exception as error:
            failed[case.name] = str(error)
        else:
            passed.update(case.operations)
    assert not failed
    assert not {op: (passed[op], least) for op, least in AT_LEAST.items() if passed[op] < least}
    assert passed.total() > 900
