"""What cannot be mapped, what is damaged and what is hostile: a clear refusal, in little memory."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist.errors import InputError
from tinymnist.interop.onnx import read

WEIGHTS = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)


def dense(graph: Any, x: str) -> Any:
    return graph.node("MatMul", graph.node("Flatten", x), WEIGHTS)


@pytest.fixture
def refused(onnx: Any, tmp_path: Path) -> Callable[[Any], str]:
    """Save a model, expect the refusal, and give its message."""

    def run(model: Any) -> str:
        path = tmp_path / "m.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        before = sorted(os.listdir(tmp_path))
        with pytest.raises(InputError) as refusal:
            read(path)
        assert sorted(os.listdir(tmp_path)) == before  # nothing was written
        assert "\n" not in str(refusal.value)
        return str(refusal.value)

    return run


@pytest.mark.parametrize(
    ("op", "settings", "needed"),
    [
        ("Sin", {}, "tinymnist has no counterpart of Sin"),
        ("Sqrt", {}, "tinymnist has no counterpart of Sqrt"),
        ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 2]}, "pooling windows with gaps"),
        ("Cast", {"to": 7}, "it would round activations"),
        ("Transpose", {"perm": [1, 0, 2, 3]}, "batch axis in another place"),
        ("ReduceMean", {}, "across the examples of a batch"),
        ("Softmax", {"axis": 0}, "across the examples of a batch"),
    ],
)
def test_the_node_and_what_it_would_need(
    graph: Any, refused: Any, op: str, settings: dict[str, Any], needed: str
) -> None:
    x = graph.node(op, "x", name="the culprit", **settings)
    message = refused(graph.model(dense(graph, x)))
    assert f"node 'the culprit' ({op}) cannot be mapped: " in message
    assert needed in message


@pytest.mark.parametrize(
    ("op", "fixed", "needed"),
    [
        ("Clip", (-0.5, 0.5), "bounds of -0.5 and 0.5"),
        ("Pow", (0.5,), "the power"),
        ("Slice", ([0], [4], [2]), "a layer that crops pictures"),
        ("Div", (0.0,), "or by 0"),
    ],
)
def test_settings_that_no_layer_has(
    graph: Any, refused: Any, op: str, fixed: tuple[Any, ...], needed: str
) -> None:
    arrays = [np.asarray(v, np.int64 if isinstance(v, list) else np.float32) for v in fixed]
    assert needed in refused(graph.model(dense(graph, graph.node(op, "x", *arrays))))


def test_two_inputs(graph: Any, onnx: Any, refused: Any) -> None:
    other = onnx.helper.make_tensor_value_info("other", 1, ["n", 1, 8, 8])
    model = graph.model(dense(graph, graph.node("Add", "x", "other")), inputs=[other])
    assert "one input with pictures, and has ['x', 'other']" in refused(model)


def test_an_operation_of_another_domain(graph: Any, refused: Any) -> None:
    model = graph.model(dense(graph, graph.node("Fancy", "x", domain="com.example")))
    assert "no counterpart of com.example.Fancy" in refused(model)


def test_a_mapping_that_were_wrong_would_be_noticed(
    graph: Any, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relu mapped to tanh: the shapes fit, the graph itself disagrees."""
    from tinymnist.interop.onnx import reading
    from tinymnist.nn.layers import Activation

    wrong = lambda mapper, node, view: mapper.append(Activation("tanh"), view)  # noqa: E731
    monkeypatch.setitem(reading.OPERATIONS, "Relu", reading.OPERATIONS["Relu"]._replace(map=wrong))
    message = refused(graph.model(dense(graph, graph.node("Relu", "x"))))
    assert "something else than its graph" in message


# Damaged -----------------------------------------------------------------------------------------


def test_cut_off_at_every_percent(graph: Any, tmp_path: Path) -> None:
    """Cut anywhere, it is refused."""
    model = graph.model(dense(graph, graph.node("Relu", "x")))
    data = model.SerializeToString()
    path = tmp_path / "m.onnx"
    started = time.perf_counter()
    for percent in range(100):
        path.write_bytes(data[: len(data) * percent // 100])
        with pytest.raises(InputError):
            read(path)
    assert time.perf_counter() - started < 60


@pytest.mark.parametrize("seed", range(60))
def test_changed_bytes_end_in_a_model_or_in_a_refusal(
    graph: Any, tmp_path: Path, seed: int
) -> None:
    data = bytearray(graph.model(dense(graph, graph.node("Relu", "x"))).SerializeToString())
    rng = np.random.default_rng(seed)
    head = rng.random() < 0.7  # where the structure is, not the weights
    for _ in range(int(rng.integers(1, 6))):
        place = int(rng.integers(0, 400 if head else len(data)))
        data[place if not head else -1 - place if rng.random() < 0.5 else place] = rng.integers(256)
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    try:
        with np.errstate(all="ignore"):
            read(path)
    except InputError as refusal:
        assert "\n" not in str(refusal)


@pytest.mark.parametrize(
    "text", [b"", b"Real ONNX model would go here...", b"<html>not found</html>", b"\0" * 99]
)
def test_what_is_not_protobuf(refused: Any, text: bytes) -> None:
    assert "ONNX" in refused(text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*No such file"):
        read(tmp_path / "none.onnx")


# Hostile -----------------------------------------------------------------------------------------


def test_a_circle(graph: Any, refused: Any) -> None:
    graph.node("Add", "x", "t2")
    model = graph.model(dense(graph, graph.node("Relu", "t1")))
    assert "wait for each other in a circle" in refused(model)


def keep_outside(model: Any, onnx: Any, location: str) -> None:
    """Let the weights be in another file."""
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


@pytest.mark.parametrize(
    "location", ["../secret.bin", "/etc/hostname", "link.bin", "a/../../secret.bin", "", "."]
)
def test_data_outside_the_folder(graph: Any, onnx: Any, tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(WEIGHTS.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    model = graph.model(dense(graph, "x"))
    keep_outside(model, onnx, location)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="outside its own folder"):
        read(folder / "m.onnx")


def test_data_in_a_folder_below(graph: Any, onnx: Any, tmp_path: Path) -> None:
    model = graph.model(dense(graph, "x"))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(WEIGHTS.tobytes())
    keep_outside(model, onnx, "sub/w.bin")
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    last: Any = read(tmp_path / "m.onnx").layers[-1]
    assert np.array_equal(last.kernel, WEIGHTS)


@pytest.mark.parametrize(("key", "value"), [("offset", "2000"), ("length", "9999999999999")])
def test_external_data_that_are_not_there(
    graph: Any, onnx: Any, tmp_path: Path, key: str, value: str
) -> None:
    model = graph.model(dense(graph, "x"))
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    keep_outside(model, onnx, "w.bin")
    model.graph.initializer[0].external_data.add(key=key, value=value)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"wants .* bytes"):
        read(tmp_path / "m.onnx")


@pytest.mark.parametrize("dims", [[1 << 40], [1 << 20, 1 << 20], [-4, 10], [640_000, 10]])
def test_shapes_that_the_bytes_do_not_fill(graph: Any, refused: Any, dims: list[int]) -> None:
    model = graph.model(dense(graph, "x"))
    model.graph.initializer[0].dims[:] = dims
    message = refused(model)
    assert "would take" in message or "states" in message or "has the shape [-4" in message


BOMBS = {
    "ConstantOfShape": lambda g: g.node("ConstantOfShape", np.array([1 << 20, 1 << 20])),
    "Expand": lambda g: g.node("Expand", np.ones(1, np.float32), np.array([1 << 36])),
    "Tile": lambda g: g.node("Tile", np.ones(1, np.float32), np.array([1 << 36])),
    "Range": lambda g: g.node("Range", np.int64(0), np.int64(1 << 50), np.int64(1)),
    "Pad": lambda g: g.node("Pad", np.ones(1, np.float32), np.array([1 << 36, 0])),
    "Gather": lambda g: g.node(
        "Gather", np.ones((1, 1 << 16), np.float32), np.zeros(1 << 16, np.int64)
    ),
    "MatMul": lambda g: g.node(
        "MatMul", np.ones((1 << 16, 1), np.float32), np.ones((1, 1 << 16), np.float32)
    ),
    "Add": lambda g: g.node(
        "Add", np.ones((1 << 16, 1), np.float32), np.ones((1, 1 << 16), np.float32)
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_constants_that_would_fill_the_memory(graph: Any, refused: Any, bomb: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = refused(graph.model(dense(graph, graph.node("Add", "x", BOMBS[bomb](graph)))))
    assert "too large (limit" in message
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 512 << 10  # KiB


def test_doubling_again_and_again(graph: Any, refused: Any) -> None:
    """Forty concatenations of a constant with itself."""
    x = np.ones((1, 64), np.float32)
    for _ in range(40):
        x = graph.node("Concat", x, x, axis=1)
    assert "would take" in refused(graph.model(dense(graph, graph.node("Add", "x", x))))


def test_layers_that_would_fill_the_memory(graph: Any, refused: Any) -> None:
    x = graph.node("Pad", "x", np.array([0, 0, 1 << 20, 1 << 20, 0, 0, 0, 0]))
    assert "too large (limit" in refused(graph.model(dense(graph, x)))


def test_an_absurd_input(graph: Any, refused: Any) -> None:
    model = graph.model(dense(graph, "x"), shape=("n", 1, 1 << 20, 1 << 20))
    assert "too large (limit" in refused(model)


def test_functions_that_unfold_without_end(graph: Any, onnx: Any, refused: Any) -> None:
    """Thirty functions, each of which calls the one before twice: a billion nodes."""
    helper = onnx.helper
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    for level in range(30):
        inner = ("Relu", "") if level == 0 else (f"F{level - 1}", "f")
        nodes = [helper.make_node(inner[0], [a], [b], domain=inner[1]) for a, b in ("am", "mb")]
        graph.__dict__.setdefault("functions", []).append(
            helper.make_function("f", f"F{level}", ["a"], ["b"], nodes, opsets)
        )
    model = graph.model(dense(graph, graph.node("F29", "x", domain="f")))
    model.opset_import.append(helper.make_opsetid("f", 1))
    model.functions.extend(graph.functions)
    assert "takes too much work" in refused(model)


def test_functions_are_put_in_where_they_are_called(graph: Any, onnx: Any, tmp_path: Path) -> None:
    helper = onnx.helper
    opsets = [helper.make_opsetid("", 17)]
    twice = [helper.make_node("Relu", ["a"], ["m"]), helper.make_node("Tanh", ["m"], ["b"])]
    model = graph.model(dense(graph, graph.node("F", "x", domain="f")))
    model.opset_import.append(helper.make_opsetid("f", 1))
    model.functions.append(helper.make_function("f", "F", ["a"], ["b"], twice, opsets))
    onnx.save(model, tmp_path / "m.onnx")
    names = [type(layer).__name__ for layer in read(tmp_path / "m.onnx")]
    assert names == ["ReLU", "Activation", "Flatten", "Dense"]


def test_millions_of_empty_messages(refused: Any) -> None:
    """Two bytes each, of which a parser would make an object each."""
    nodes = b"\x0a\x00" * 600_000
    length, size = b"", len(nodes)
    while size:
        length += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
        size >>= 7
    assert "takes too much work" in refused(b"\x3a" + length + nodes)


def test_without_the_library_one_line_says_what_to_install(graph: Any, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(graph.model(dense(graph, "x")).SerializeToString())
    program = (
        "import sys; sys.modules['onnx'] = None\n"
        "from tinymnist.interop.onnx import read\n"
        "from tinymnist.errors import InputError\n"
        "try: read(sys.argv[1])\n"
        "except InputError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "m.onnx"], capture_output=True, text=True
    )
    assert "pip install onnx" in done.stdout, done.stderr


@pytest.mark.parametrize("elem", [0, 8, 99])
def test_an_input_that_does_not_hold_numbers(graph: Any, refused: Any, elem: int) -> None:
    model = graph.model(dense(graph, "x"))
    model.graph.input[0].type.tensor_type.elem_type = elem
    assert "would need numbers" in refused(model)


@pytest.mark.parametrize("op", ["Conv", "Gemm", "BatchNormalization", "Clip", "Reshape", "LSTM"])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_another_number_of_inputs(graph: Any, tmp_path: Path, op: str, count: int) -> None:
    """Whatever it may mean, nothing but an InputError is raised."""
    x = graph.node(op, *["x"] * min(count, 1), *[np.ones((3, 3), np.float32)] * (count - 1))
    model = graph.model(dense(graph, x))
    model.graph.node[0].output.extend(["a", "b"] if count == 5 else [])
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with contextlib.suppress(InputError):
        read(tmp_path / "m.onnx")
