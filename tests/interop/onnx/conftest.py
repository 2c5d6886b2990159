"""Small graphs, made with ``onnx.helper``, and what ONNX's own evaluator says of them."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

X = np.random.default_rng(7).random((3, 1, 8, 8)).astype(np.float32)
"""Pictures for the graphs, channels first."""


class Graph:
    """A graph that grows by one line a node.

    ``g.node("Relu", x)`` gives the name of the output; arrays among the inputs become initializers.
    """

    def __init__(self, onnx: Any, opset: int = 17) -> None:
        self.onnx, self.opset, self.count = onnx, opset, 0
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, array: Any, name: str | None = None) -> str:
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(
        self,
        op: str,
        *inputs: Any,
        outputs: int = 1,
        name: str | None = None,
        domain: str | None = None,
        **settings: Any,
    ) -> Any:
        self.count += 1
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        made = [f"t{self.count}" if i == 0 else f"t{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(
            self.onnx.helper.make_node(op, names, made, name=name or f"{op}_{self.count}",
                                       domain=domain, **settings)
        )  # fmt: skip
        return made[0] if outputs == 1 else made

    def model(
        self,
        *outputs: Any,
        shape: Any = ("n", 1, 8, 8),
        inputs: tuple[Any, ...] = (),
        dtype: Any = np.float32,
        repeat: bool = False,
    ) -> Any:
        helper = self.onnx.helper
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        ports = [helper.make_tensor_value_info("x", kind, shape), *inputs]
        if repeat:
            ports += [
                helper.make_tensor_value_info(c.name, c.data_type, c.dims) for c in self.constants
            ]
        results = [
            o if not isinstance(o, str) else helper.make_tensor_value_info(o, kind, None)
            for o in outputs
        ]
        graph = helper.make_graph(self.nodes, "g", ports, results, self.constants)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("ai.onnx.ml", 3)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.fixture(scope="session")
def onnx() -> Any:
    """The library, without what it says about its own dependencies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = pytest.importorskip("onnx")
        for module in ("helper", "numpy_helper", "reference"):
            importlib.import_module(f"onnx.{module}")
    return library


@pytest.fixture
def graph(onnx: Any) -> Graph:
    """An empty graph of opset 17; ``graph.opset`` may be changed."""
    return Graph(onnx)


@pytest.fixture
def check(onnx: Any, tmp_path: Path) -> Callable[..., Any]:
    """Read a model, compare its output with that of ONNX's evaluator, and give it back."""
    from tinymnist.interop.onnx import read

    def run(model: Any, x: Any = X, expected: Any = None, tolerance: float = 1e-5) -> Any:
        path = tmp_path / "m.onnx"
        onnx.save(model, path)
        if expected is None:
            fed = {"x": x} | {
                i.name: np.zeros((1,), bool)
                for i in model.graph.input
                if i.type.tensor_type.elem_type == onnx.TensorProto.BOOL
            }
            expected = onnx.reference.ReferenceEvaluator(model).run(None, fed)[0]
        found = read(path)
        own = np.moveaxis(x, 1, -1) if x.ndim == 4 and x.shape[-1] != 3 else x
        y = found.predict(own.reshape(-1, *found.input_shape))
        assert y.size == expected.size
        largest = np.abs(expected).max()
        assert np.abs(y.reshape(expected.shape) - expected).max() <= tolerance * largest
        return found

    return run
