"""Functional models: branches, models inside models, layers used twice, and broken wiring."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinymnist.errors import InputError

RNG = np.random.default_rng(2)


def layer(kind: Any, name: str, *calls: Any, **settings: Any) -> Any:
    """An entry of a Functional model's list; each call is a list of names."""
    nodes = [[[source, 0, 0, {}] for source in call] for call in calls]
    return {"class_name": kind, "config": {"name": name, **settings}, "name": name,
            "inbound_nodes": nodes}  # fmt: skip


def start(name: str = "in", shape: Any = (28, 28, 1)) -> Any:
    return layer("InputLayer", name, batch_input_shape=[None, *shape])


def functional(*layers: Any, ends: Any, begins: Any = ("in",), name: str = "m") -> Any:
    return {"class_name": "Functional", "config": {
        "name": name, "layers": list(layers),
        "input_layers": [[n, 0, 0] for n in begins],
        "output_layers": [[n, 0, 0] for n in ends]}}  # fmt: skip


def convolution(name: str, source: Any, filters: Any = 2) -> Any:
    return layer("Conv2D", name, [source], filters=filters, kernel_size=[1, 1], use_bias=False)


def kernel(filters: Any = 2, channels: Any = 1) -> Any:
    return RNG.normal(size=(1, 1, channels, filters)).astype(np.float32)


@pytest.fixture
def run(made: Any, read: Any) -> Any:
    """``run(config, {layer: [(name, array)]})``: the output for one batch of pictures."""

    def predict(config: Any, arrays: Any) -> Any:
        stored = [(name, parts) for name, parts in arrays.items()]
        told = {"keras_version": "2.4.0", "backend": "tensorflow"}
        return read(made.h5(config, stored, attributes=told)).predict(made.PICTURES)

    return predict


@pytest.mark.parametrize(
    ("kind", "merge"),
    [
        ("Add", lambda a, b: a + b),
        ("Multiply", lambda a, b: a * b),
        ("Average", lambda a, b: (a + b) / 2),
        ("Subtract", lambda a, b: a - b),
        ("Concatenate", lambda a, b: np.concatenate([a, b], -1)),
    ],
)
def test_branches_are_merged(kind: Any, merge: Any, made: Any, run: Any) -> None:
    a, b = kernel(), kernel()
    config = functional(start(), convolution("a", "in"), convolution("b", "in"),
                        layer(kind, "m", ["a", "b"]), ends=["m"])  # fmt: skip
    found = run(config, {"a": [("kernel", a)], "b": [("kernel", b)]})
    x = made.PICTURES
    assert np.allclose(found, merge(x @ a[0, 0], x @ b[0, 0]), atol=1e-6)


def test_models_inside_models(made: Any, run: Any) -> None:
    """Their arrays lie in one group, and the names tell whose they are."""
    first, second = kernel(3), kernel(2, 3)
    inner = {"class_name": "Sequential", "config": {"name": "inner", "layers": [
        convolution("one", "", 3) | {"config": {**convolution("one", "", 3)["config"],
                                     "batch_input_shape": [None, 28, 28, 1]}},
        convolution("two", "", 2)]},
        "name": "inner", "inbound_nodes": [[["in", 0, 0, {}]]]}  # fmt: skip
    config = functional(start(), inner, layer("ReLU", "relu", ["inner"]), ends=["relu"])
    arrays = {"inner": [("two/kernel:0", second), ("one/kernel:0", first)]}
    found = run(config, arrays)
    expected = np.maximum(made.PICTURES @ first[0, 0] @ second[0, 0], 0)
    assert np.allclose(found, expected, atol=1e-6)


def test_a_layer_without_weights_may_be_used_twice(made: Any, run: Any) -> None:
    a, b = kernel(), kernel(2, 2)
    relu = {**layer("ReLU", "relu", ["a"], ["b"])}
    out = layer("Flatten", "out", ["relu"])
    out["inbound_nodes"] = [[["relu", 1, 0, {}]]]
    config = functional(start(), convolution("a", "in"), relu, convolution("b", "relu"), out,
                        ends=["out"])  # fmt: skip
    found = run(config, {"a": [("kernel", a)], "b": [("kernel", b)]})
    first = np.maximum(made.PICTURES @ a[0, 0], 0)
    assert np.allclose(found, np.maximum(first @ b[0, 0], 0).reshape(3, -1), atol=1e-6)


def test_branches_that_lead_nowhere_are_left_out(made: Any, run: Any) -> None:
    config = functional(start(), convolution("a", "in"), convolution("b", "in"), ends=["a"])
    a = kernel()
    found = run(config, {"a": [("kernel", a)], "b": [("kernel", kernel())]})
    assert np.allclose(found, made.PICTURES @ a[0, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (functional(start(), layer("ReLU", "a", ["b"]), layer("ReLU", "b", ["a"]), ends=["b"]),
         "wires layers in a circle"),
        (functional(start(), layer("ReLU", "a", ["ghost"]), ends=["a"]), "'ghost', which is"),
        (functional(start(), layer("ReLU", "a", ["in"]), ends=["a", "in"]), "several outputs"),
        (functional(start(), start("in2"), layer("Add", "a", ["in", "in2"]), ends=["a"],
                    begins=("in", "in2")), "several inputs"),
        (functional(start(), layer("ReLU", "a", ["in"]), layer("ReLU", "a", ["in"]), ends=["a"]),
         "two layers of one name"),
        (functional(start(), layer("Add", "a", ["in"]), ends=["a"]), "takes inputs of one shape"),
        (functional(start(), layer("ReLU", "a", ["in", "in"]), ends=["a"]), "takes 2 inputs"),
        (functional(start(), layer("ReLU", "a", ["in"]), ends=[]), "without a beginning or an end"),
        (functional(layer("InputLayer", "in"), layer("ReLU", "a", ["in"]), ends=["a"]),
         "the shape of its input"),
        ({"class_name": "Mine", "config": {}}, "of the class 'Mine', whose code is not"),
        ({"class_name": "Sequential", "config": {"layers": []}}, "without a list of layers"),
        ({"class_name": "Sequential", "config": ["Dense"]}, "describes a layer as 'Dense'"),
    ],
)  # fmt: skip
def test_what_is_no_single_graph_is_refused(config: Any, message: str, run: Any) -> None:
    with pytest.raises(InputError, match=message):
        run(config, {})


def test_shared_weights_are_refused(run: Any) -> None:
    shared = layer("Conv2D", "a", ["in"], ["b"], filters=1, kernel_size=[1, 1], use_bias=False)
    b = layer("ReLU", "b", ["a"])
    out = layer("Flatten", "out", ["a"])
    out["inbound_nodes"] = [[["a", 1, 0, {}]]]
    config = functional(start(), shared, b, out, ends=["out"])
    with pytest.raises(InputError, match="uses the layer 'a' twice"):
        run(config, {"a": [("kernel", kernel(1))]})


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]])
def test_arrays_for_more_or_fewer_layers_are_refused(names: Any, run: Any) -> None:
    config = functional(start(), convolution("a", "in"), convolution("b", "a"), ends=["b"])
    with pytest.raises(InputError, match=r"holds arrays for .*\['a', 'b'\]"):
        run(config, {name: [("kernel", kernel())] for name in names})


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("__operators__.add", {"y": ["b", 0, 0]}, lambda a, b: a + b),
        ("math.multiply", {"y": ["b", 0, 0]}, lambda a, b: a * b),
        ("math.subtract", {"y": 0.5}, lambda a, _: a - 0.5),
        ("math.truediv", {"y": 4.0, "name": None}, lambda a, _: a / 4),
        ("nn.relu", {}, lambda a, _: np.maximum(a, 0)),
    ],
)
def test_functions_of_tensorflow_between_layers(
    function: Any, arguments: Any, expected: Any, made: Any, run: Any
) -> None:
    a, b = kernel(), kernel()
    call = layer("TFOpLambda", "f", function=function)
    call["inbound_nodes"] = [["a", 0, 0, arguments]]
    config = functional(start(), convolution("a", "in"), convolution("b", "in"), call, ends=["f"])
    found = run(config, {"a": [("kernel", a)], "b": [("kernel", b)]})
    x = made.PICTURES
    assert np.allclose(found, expected(x @ a[0, 0], x @ b[0, 0]), atol=1e-6)


def test_a_function_without_a_layer_is_refused(run: Any) -> None:
    call = layer("TFOpLambda", "f", ["a"], function="math.cumsum")
    config = functional(start(), convolution("a", "in"), call, ends=["f"])
    with pytest.raises(InputError, match="calls TensorFlow's 'cumsum'"):
        run(config, {"a": [("kernel", kernel())]})
