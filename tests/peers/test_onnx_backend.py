"""ONNX's own backend test suite, on tinymnist's functions: what runs must pass.

Cases whose operations tinymnist does not have are not collected; those that need a setting or a
type which it does not have are skipped, and say which. ``python -m benchmarks.onnx_conformance``
counts all of them.
"""

from __future__ import annotations

import unittest
from collections import Counter

import pytest

from benchmarks.onnx_conformance import cases
from benchmarks.onnx_operations import OPERATIONS

pytestmark = pytest.mark.peer
pytest.importorskip("onnx")

CASES = [case for case in cases() if case.operations and set(case.operations) <= OPERATIONS.keys()]
AT_LEAST = {
    "Add": 12, "AveragePool": 16, "BatchNormalization": 9, "Concat": 13, "Conv": 29, "Dropout": 8,
    "Elu": 4, "Flatten": 11, "Gelu": 4, "Gemm": 12, "GlobalAveragePool": 2, "GlobalMaxPool": 2,
    "LayerNormalization": 19, "LeakyRelu": 5, "LogSoftmax": 10, "MatMul": 7, "MaxPool": 15,
    "PRelu": 8, "Relu": 3, "Reshape": 10, "Sigmoid": 5, "Softmax": 10,
    "SoftmaxCrossEntropyLoss": 16, "Sum": 4, "Tanh": 5,
}  # fmt: skip
"""Cases that passed when this was written, of the operations that networks are made of."""
PASSED: Counter[str] = Counter()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_conformance(case):
    try:
        case.run()
    except unittest.SkipTest as reason:
        pytest.skip(str(reason))
    PASSED.update(case.operations)


def test_no_operation_lost_a_case(request):
    """Skipping more than was skipped before would pass unseen otherwise."""
    if request.config.getoption("-k"):
        pytest.skip("only a part of the cases ran")
    few = {op: (PASSED[op], least) for op, least in AT_LEAST.items() if PASSED[op] < least}
    assert not few
    assert PASSED.total() > 900
