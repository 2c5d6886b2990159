"""ONNX's own backend test suite on tinymnist: ``python -m benchmarks.onnx_conformance``.

Needs ``pip install onnx``, which includes the cases: "node" are written by its authors with NumPy,
"pytorch" exported from PyTorch, "simple" small networks.
"""

from __future__ import annotations

import sys
import unittest
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks.common import command_line
from benchmarks.onnx_operations import OPERATIONS


class Case(NamedTuple):
    """A conformance case: its name, a function that runs it, and the operations of its model."""

    name: str
    run: Callable[[], None]
    operations: tuple[str, ...]


def cases() -> Iterator[Case]:
    """Every case of the suite that runs on the CPU and includes its model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases divide by zero on purpose, elsewhere
        import onnx.backend.test
        from onnx.backend.test.case.node import collect_testcases
        from onnx.backend.test.loader import load_model_tests

        from benchmarks.onnx_backend import TinymnistBackend

        suite = onnx.backend.test.BackendTest(TinymnistBackend, __name__)
        operations = {c.name: _operations(c.model) for c in collect_testcases(None)}
        for kind in ("simple", "pytorch-converted", "pytorch-operator"):
            for found in load_model_tests(kind=kind):
                model = onnx.load(f"{found.model_dir}/model.onnx") if found.model_dir else None
                operations[found.name] = _operations(model or found.model)
    for category, items in suite._test_items.items():
        for name, item in items.items():
            if name.endswith("_cpu") and category != "RealModel":
                plain = name.removesuffix("_cpu")
                yield Case(plain, _runner(item.func), operations.get(plain, ()))


def _operations(model: Any) -> tuple[str, ...]:
    return tuple(sorted({node.op_type for node in model.graph.node}))


def _runner(function: Any) -> Callable[[], None]:
    """Run the case without the suite's wrapper, which hides what is not supported."""
    inner = function.__wrapped__

    def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            inner(None, "CPU")

    return run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all cases, and print how many pass for each operation."""
    description = "Run ONNX's own backend test suite on tinymnist."
    parser = command_line("onnx_conformance", description, "--reasons")
    parser.add_argument("--reasons", action="store_true", help="list what is not supported and why")
    options = parser.parse_args(arguments)
    passed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    reasons: dict[str, list[str]] = defaultdict(list)
    outcomes: Counter[str] = Counter()
    for case in cases():
        outcome = "passed"
        try:
            case.run()
        except unittest.SkipTest as skipped:
            outcome = "not supported"
            reasons[str(skipped).rpartition("): ")[2]].append(case.name)
        except Exception as error:
            outcome = "failed"
            print(f"FAILED {case.name}: {' '.join(str(error).split())[:200]}")
        outcomes[outcome] += 1
        for op in case.operations:
            total[op] += 1
            passed[op] += outcome == "passed"
    ours = {op: f"{op} {passed[op]} of {total[op]}" for op in sorted(OPERATIONS) if total[op]}
    print(", ".join(ours.values()))
    print(f"{dict(outcomes)}, {sum(passed[op] > 0 for op in ours)} operations")
    for reason, names in sorted(reasons.items()) if options.reasons else ():
        print(f"{len(names):5} {reason}: {' '.join(names[:4])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
