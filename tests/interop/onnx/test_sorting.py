"""Graphs in any order, and what is not a graph."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from tinymnist.errors import InputError
from tinymnist.interop.onnx.nodes import Network, Node, Port, sort


def chain(*names: str) -> list[Node]:
    return [Node("Relu", (a,), (b,), name=f"to {b}") for a, b in itertools.pairwise(names)]


@pytest.mark.parametrize("seed", range(10))
def test_any_order_is_brought_into_one_that_runs(seed: int) -> None:
    nodes = [*chain("x", "a", "b", "c"), *chain("a", "d", "e"), Node("Add", ("c", "e"), ("y",))]
    shuffled = nodes.copy()
    random.Random(seed).shuffle(shuffled)
    known = {"x"}
    for node in sort(shuffled, ["x"], "m.onnx"):
        assert set(node.inputs) <= known
        known |= set(node.outputs)
    assert known == {"x", "a", "b", "c", "d", "e", "y"}


def test_an_order_that_runs_is_kept() -> None:
    nodes = [*chain("x", "a", "b"), *chain("x", "c", "d")]
    assert sort(nodes, ["x"], "m.onnx") == nodes


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([*chain("x", "a"), *chain("c", "b", "c")], "m.onnx has nodes that wait for each other"),
        (chain("b", "b"), "m.onnx has nodes that wait for each other in a circle"),
        (chain("nowhere", "a"), "node 'to a' .Relu. takes 'nowhere', which nothing computes"),
        ([*chain("x", "a"), *chain("x", "a")], "m.onnx computes the tensor 'a' twice"),
    ],
)
def test_what_is_not_a_graph_is_refused(nodes: list[Node], message: str) -> None:
    with pytest.raises(InputError, match=message):
        sort(nodes, ["x"], "m.onnx")


def test_what_an_output_does_not_need_is_left_out() -> None:
    nodes = [*chain("x", "a", "b"), *chain("a", "c")]
    network = Network(
        nodes, {"w": np.zeros(1)}, [Port("x", None), Port("labels", None)], ["b", "c"]
    )
    part = network.needed_for("b")
    assert [node.outputs for node in part.nodes] == [("a",), ("b",)]
    assert [port.name for port in part.inputs] == ["x"]
    assert part.constants == {}
