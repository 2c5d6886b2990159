"""ONNX's own backend test suite on tinymnist: what passes, and what is not supported and why.

    python -m benchmarks.onnx_conformance [--reasons]

needs ``pip install onnx``. The cases come from onnx itself: "node" are made by its authors with
NumPy, "pytorch" were exported from PyTorch, "simple" and "real" are small networks.
"""

from __future__ import annotations

import argparse
import unittest
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks.onnx_operations import OPERATIONS


class Case(NamedTuple):
    """One conformance case: its name, what runs it, and the operations of its model."""

    name: str
    run: Callable[[], None]
    operations: tuple[str, ...]


def cases() -> Iterator[Case]:
    """Every case of the suite that runs on the CPU and brings its model along."""
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
    """What the suite would run; it hides what a backend does not support, this does not."""
    inner = function.__wrapped__

    def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            inner(None, "CPU")

    return run


def main() -> None:
    """Run all, and print a line for each operation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reasons", action="store_true", help="list what is not supported")
    options = parser.parse_args()
    passed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    reasons: dict[str, list[str]] = defaultdict(list)
    outcomes: Counter[str] = Counter()
    for case in cases():
        outcome = "passed"
        try:
            case.run()
        except unittest.SkipTest as reason:
            outcome = "not supported"
            reasons[str(reason).rpartition("): ")[2]].append(case.name)
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


if __name__ == "__main__":
    main()
