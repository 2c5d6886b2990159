"""The comparison with the frameworks themselves: live models, and files that they run."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymnist
from tinymnist.cli import main
from tinymnist.comparison import assert_model_matches, layer_outputs
from tinymnist.comparison.runners.torch_network import build
from tinymnist.nn import layers as L
from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Input, Sequential

pytestmark = pytest.mark.peer
RNG = np.random.default_rng
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("tensorflow")
        return pytest.importorskip("keras")


def network() -> Sequential:
    """What all three frameworks are given: convolutions, statistics, pooling, dropout, softmax."""
    layers: list[L.Layer | Input] = [
        Input((12, 12, 1)),
        L.Conv2D(6, 3, padding=1, name="conv1"),
        L.BatchNormalization(epsilon=1e-5, name="bn"),
        L.ReLU(name="relu1"),
        L.MaxPooling2D(name="pool"),
        L.Conv2D(8, 3, activation="relu", name="conv2"),
        L.Flatten(name="flatten"),
        L.Dropout(0.5, name="dropout"),
        L.Dense(10, activation="softmax", name="fc"),
    ]
    model, rng = Sequential(layers, rng=3), RNG(4)
    for layer in model.layers:
        for key, array in layer.weights.items():
            low = 0.5 if key in ("gamma", "moving_variance") else -0.3
            if key != "kernel":
                setattr(layer, key, rng.uniform(low, low + 0.8, array.shape).astype(array.dtype))
    return model


def layer_of(model: Sequential, name: str) -> Any:
    return model.get_layer(name)


def pictures(n: int = 5) -> Array:
    x = RNG(5).random((n, 12, 12, 1)).astype("float32")
    return x * np.linspace(0, 1, 12, dtype="float32")[:, None, None]


# --- PyTorch ---------------------------------------------------------------------------------


@pytest.fixture
def module(torch: Any) -> Any:
    """The network as PyTorch's users write it: half in modules, half in functions."""
    from torch.nn import functional as TF

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = torch.nn.Conv2d(1, 6, 3, padding=1)
            self.bn = torch.nn.BatchNorm2d(6)
            self.relu1 = torch.nn.ReLU(inplace=True)
            self.conv2 = torch.nn.Conv2d(6, 8, 3)
            self.dropout = torch.nn.Dropout(0.5)
            self.fc = torch.nn.Linear(128, 10)

        def forward(self, x: Any) -> Any:
            x = TF.max_pool2d(self.relu1(self.bn(self.conv1(x))), 2)
            x = TF.relu(self.conv2(x))
            x = self.dropout(torch.flatten(x, 1))
            return TF.softmax(self.fc(x), dim=1)

    net, model = Net(), network()
    by_channel = np.arange(128).reshape(4, 4, 8).transpose(2, 0, 1).ravel()
    arrays = {
        "conv1.weight": layer_of(model, "conv1").kernel.transpose(3, 2, 0, 1),
        "conv1.bias": layer_of(model, "conv1").bias,
        "bn.weight": layer_of(model, "bn").gamma,
        "bn.bias": layer_of(model, "bn").beta,
        "bn.running_mean": layer_of(model, "bn").moving_mean,
        "bn.running_var": layer_of(model, "bn").moving_variance,
        "conv2.weight": layer_of(model, "conv2").kernel.transpose(3, 2, 0, 1),
        "conv2.bias": layer_of(model, "conv2").bias,
        "fc.weight": layer_of(model, "fc").kernel[by_channel].T,
        "fc.bias": layer_of(model, "fc").bias,
    }
    state = net.state_dict()
    state.update({k: torch.as_tensor(np.ascontiguousarray(a)) for k, a in arrays.items()})
    net.load_state_dict(state)
    return net.eval()


def test_a_torch_module_matches_layer_by_layer(module: Any) -> None:
    comparison = assert_model_matches(module, network(), pictures())
    told = [(row.a, row.b) for row in comparison.rows]
    assert told == [
        ("input", "input"), ("conv1", "conv1"), ("bn", "bn"), ("relu1", "relu1"),
        ("max_pool2d", "pool"), ("conv2", "conv2 before relu"), ("relu", "conv2"),
        ("flatten", "flatten"), ("dropout", "dropout"), ("fc", "fc before softmax"),
        ("softmax", "fc"),
    ]  # fmt: skip
    assert comparison.unmatched_a == comparison.unmatched_b == ()


def test_activations_of_torch_are_channels_last(module: Any) -> None:
    found, expected = layer_outputs(module, pictures()), layer_outputs(network(), pictures())
    for theirs, ours in (("conv1", "conv1"), ("max_pool2d", "pool"), ("flatten", "flatten")):
        assert np.allclose(found[theirs], expected[ours], rtol=1e-4, atol=1e-5)


def test_a_torch_module_in_training_mode_is_seen_through(torch: Any, module: Any) -> None:
    statistics = module.bn.running_mean.clone()
    state = torch.random.get_rng_state()
    module.train()
    with pytest.raises(AssertionError) as failure:
        assert_model_matches(module, network(), pictures())
    message = str(failure.value)
    assert "They differ first in bn" in message
    assert "Cause: BatchNorm in training mode." in message
    assert "Then: dropout active." in message
    assert "model gives different numbers each time, first in dropout" in message
    assert torch.equal(module.bn.running_mean, statistics)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_wrong_flatten_order_in_torch_is_named(torch: Any, module: Any) -> None:
    with torch.no_grad():
        module.fc.weight.copy_(torch.as_tensor(layer_of(network(), "fc").kernel.T.copy()))
    with pytest.raises(AssertionError, match=r"(?s)first in fc / .*Cause: flatten order"):
        assert_model_matches(module, network(), pictures())


def run(*argv: object) -> tuple[int, dict[str, Any]]:
    out = io.StringIO()
    with redirect_stdout(out):
        code = main(["compare", *map(str, argv), "--json"])
    return code, json.loads(out.getvalue())


def decided(model: Sequential, x: Array, margin: float = 3e-6) -> Array:
    """Those of ``x`` for which no ReLU's sign and no maximum hangs on rounding.

    Where one does, the gradient is another on either side of it, and both are right.
    """
    exact = model.astype("float64")
    outputs, clear = exact.capture(x), np.ones(len(x), bool)
    for layer in exact.layers:
        before = outputs.get(exact.sources[layer.name][0], x)
        near = margin * np.abs(before).max()
        if isinstance(layer, L.ReLU):
            clear &= (np.abs(before) > near).all(axis=(1, 2, 3))
        if isinstance(layer, L.MaxPooling2D):
            n, h, w, c = before.shape
            windows = before[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c)
            windows = np.sort(windows.transpose(0, 1, 3, 5, 2, 4).reshape(n, -1, 4), axis=2)
            gaps = windows[..., 3] - windows[..., 2]
            clear &= ((gaps > near) | (windows[..., 3] == 0)).all(axis=1)
    return x[clear]


@pytest.mark.parametrize("name", ["mnist-cnn", "keras-cnn", "lenet5", "mlp"])
def test_shipped_models_agree_with_torch_in_outputs_and_gradients(
    torch: Any, name: str, tmp_path: Path
) -> None:
    x = RNG(5).random((60, 28, 28, 1), np.float32)
    x = decided(tinymnist.load_model(name), x)[:6]
    assert len(x) >= 2
    np.savez(tmp_path / "x.npz", input=x)
    arguments = ("--inputs", tmp_path / "x.npz", "--run-b", "torch", "--gradients")
    code, record = run(name, name, *arguments)
    assert code == 0, record["first_mismatch"]
    assert len(record["layers"]) > len(tinymnist.load_model(name).layers)
    assert len(record["gradients"]) >= 3
    assert max(row["units_b"] for row in record["layers"]) < 50


# --- Keras -----------------------------------------------------------------------------------


@pytest.fixture
def keras_model(keras: Any) -> Any:
    """The network with Keras's fused activations, half of it nested in a model of its own."""
    K = keras.layers
    features = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            K.Conv2D(6, 3, padding="same", name="conv1"),
            K.BatchNormalization(epsilon=1e-5, name="bn"),
            K.ReLU(name="relu1"),
            K.MaxPooling2D(name="pool"),
        ],
        name="features",
    )
    head = [
        K.Conv2D(8, 3, activation="relu", name="conv2"),
        K.Flatten(name="flatten"),
        K.Dropout(0.5, name="dropout"),
        K.Dense(10, activation="softmax", name="fc"),
    ]
    whole = keras.Sequential([keras.Input((12, 12, 1)), features, *head])
    model = network()
    for layer in (*features.layers, *head):
        if layer.weights:
            layer.set_weights(list(layer_of(model, layer.name).weights.values()))
    return whole


def test_a_keras_model_matches_layer_by_layer(keras_model: Any) -> None:
    comparison = assert_model_matches(keras_model, network(), pictures())
    assert [row.a for row in comparison.rows] == [row.b for row in comparison.rows]
    assert len(comparison.rows) == 9
    assert comparison.unmatched_a == comparison.unmatched_b == ()


def test_listening_leaves_the_keras_model_as_it_was(keras_model: Any) -> None:
    before = keras_model.predict(pictures(), verbose=0)
    found = layer_outputs(keras_model, pictures())
    assert np.allclose(found["fc"], before, rtol=1e-5, atol=1e-6)
    assert "call" not in vars(keras_model.layers[-1])
    assert np.array_equal(keras_model.predict(pictures(), verbose=0), before)


def test_a_keras_model_fed_0_to_255_is_named(keras_model: Any) -> None:
    theirs = layer_outputs(keras_model, pictures() * 255)
    del theirs["input"]
    with pytest.raises(AssertionError, match="Cause: input scaling"):
        assert_model_matches(theirs, network(), pictures())


def test_gradients_of_keras_agree(keras_model: Any) -> None:
    from tinymnist.comparison.rerun import gradients_in_tinymnist, seed_weights
    from tinymnist.comparison.runners.keras import gradients

    theirs = {one.name: one.values for one in gradients(keras_model, pictures(), seed_weights)}
    for name, ours in gradients_in_tinymnist(network(), pictures()).items():
        assert np.allclose(theirs[name], ours.values, rtol=1e-4, atol=1e-5), name


OTHER_BACKEND = """
import numpy as np, keras, tinymnist
from tinymnist.comparison.opening import open_side, with_gradients
from tinymnist.comparison import compare

x = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
a = open_side("keras-cnn", None, tinymnist.load_model)
b = open_side(FILE, "keras", tinymnist.load_model)
found = with_gradients(compare(a.side(x), b.side(x)), a, b, x)
assert found.agrees, found.as_text()
print(keras.backend.backend(), len(found.rows), len(found.gradients))
"""


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_keras_on_another_backend_is_a_side(backend: str, tmp_path: Path) -> None:
    """In a process of its own: Keras takes its backend from the environment, once."""
    for module in ("keras", "h5py", backend):
        pytest.importorskip(module)
    file = tmp_path / "keras-cnn.keras"
    assert main(["export", "keras-cnn", str(file)]) == 0
    code = OTHER_BACKEND.replace("FILE", repr(str(file)))
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.stdout.split()[:1] == [backend], done.stderr
    rows, gradients = map(int, done.stdout.split()[1:])
    layers = len(tinymnist.load_model("keras-cnn").layers)
    assert rows == layers + 1 and gradients >= layers - 1


# --- quantized models and layouts -------------------------------------------------------------


def test_a_torch_module_that_permutes_before_flatten_matches(torch: Any) -> None:
    """As a network that was ported from Keras with its Dense kernels as they are."""
    model, x = network(), pictures()

    class Ported(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = build(Sequential(model.layers[:5], input_shape=(12, 12, 1)))
            self.fc = torch.nn.Linear(128, 10)

        def forward(self, given: Any) -> Any:
            pictures = self.body(given).permute(0, 2, 3, 1)
            return torch.softmax(self.fc(torch.flatten(pictures, 1)), 1)

    ported, fc = Ported().eval(), layer_of(model, "fc")
    with torch.no_grad():
        ported.fc.weight.copy_(torch.as_tensor(fc.kernel.T.copy()))
        ported.fc.bias.copy_(torch.as_tensor(fc.bias))
    assert assert_model_matches(ported, model, x).agrees
    flat = layer_outputs(ported, x)["flatten"]
    assert np.allclose(flat, layer_outputs(model, x)["flatten"], rtol=1e-4, atol=1e-5)


def test_a_torch_module_with_folded_batch_normalization_matches(torch: Any, module: Any) -> None:
    fused = torch.nn.utils.fusion.fuse_conv_bn_eval(module.conv1, module.bn)
    module.conv1, module.bn = fused, torch.nn.Identity()
    comparison = assert_model_matches(module, network(), pictures(), rtol=1e-4)
    assert comparison.unmatched_b == ()
    assert any(note.startswith("conv1 and bn of b are one layer of a") for note in comparison.notes)


def test_a_quantized_onnx_model_is_called_that(proto: Any, tmp_path: Path) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    small = tmp_path / "small.onnx"
    quantization.quantize_dynamic(tmp_path / "net.onnx", small)
    network().save(tmp_path / "net.npz")
    np.savez(tmp_path / "x.npz", input=pictures())
    files = [tmp_path / "net.npz", small, "--inputs", tmp_path / "x.npz"]
    code, record = run(*files, "--run-b", "onnxruntime")
    assert code == 1 and record["verdict"]["kind"] == "quantized"
    assert (
        "Not a fault: small.onnx in onnxruntime is quantized (int8)" in record["verdict"]["words"]
    )


# --- ONNX ------------------------------------------------------------------------------------


@pytest.fixture
def proto() -> Any:
    """The network as PyTorch exports it: channels first, activations as nodes of their own."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    model = network()
    by_channel = np.arange(128).reshape(4, 4, 8).transpose(2, 0, 1).ravel()
    conv1, bn, conv2, fc = (layer_of(model, name) for name in ("conv1", "bn", "conv2", "fc"))
    arrays = {
        "w1": conv1.kernel.transpose(3, 2, 0, 1), "b1": conv1.bias,
        "g": bn.gamma, "b": bn.beta, "m": bn.moving_mean, "v": bn.moving_variance,
        "w2": conv2.kernel.transpose(3, 2, 0, 1), "b2": conv2.bias,
        "w3": fc.kernel[by_channel], "b3": fc.bias,
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c1", "g", "b", "m", "v"], ["n"], name="bn"),
        helper.make_node("Relu", ["n"], ["r1"], name="relu1"),
        helper.make_node(
            "MaxPool", ["r1"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]
        ),
        helper.make_node("Conv", ["p", "w2", "b2"], ["c2"], name="conv2"),
        helper.make_node("Relu", ["c2"], ["r2"], name="relu2"),
        helper.make_node("Flatten", ["r2"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["z"], name="fc"),
        helper.make_node("Softmax", ["z"], ["y"], name="softmax"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 12, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in arrays.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    return made


def test_an_onnx_model_matches_node_by_node(proto: Any) -> None:
    comparison = assert_model_matches(proto, network(), pictures())
    assert [row.a for row in comparison.rows] == [
        "input", "conv1", "bn", "relu1", "pool", "conv2", "relu2", "flatten", "fc", "softmax",
    ]  # fmt: skip
    assert len(proto.graph.output) == 1  # the model was not changed


def test_a_wrong_epsilon_in_onnx_is_named(proto: Any) -> None:
    from onnx import helper

    proto.graph.node[1].attribute.append(helper.make_attribute("epsilon", 1e-3))
    with pytest.raises(AssertionError) as failure:
        assert_model_matches(proto, network(), pictures())
    assert "They differ first in bn" in str(failure.value)
    assert "BatchNorm epsilon. With the epsilon of bn 0.001" in str(failure.value)


@pytest.mark.parametrize("size", [2, 5, 7])
def test_an_onnx_model_of_a_fixed_batch_is_run_piece_by_piece(proto: Any, size: Any) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = size
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_value = size
    assert len(assert_model_matches(proto, network(), pictures(5)).rows) == 10


def test_a_second_input_of_onnx_is_fed_zeros(proto: Any) -> None:
    from onnx import TensorProto, helper

    labels = helper.make_tensor_value_info("labels", TensorProto.FLOAT, ["n", 10])
    proto.graph.input.insert(0, labels)
    assert_model_matches(proto, network(), pictures())


def test_an_onnx_file_is_run_by_onnxruntime(proto: Any, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    network().save(tmp_path / "net.npz")
    np.savez(tmp_path / "x.npz", input=pictures())
    files = [tmp_path / "net.npz", tmp_path / "net.onnx", "--inputs", tmp_path / "x.npz"]
    code, record = run(*files, "--run-b", "onnxruntime")
    assert code == 0 and record["b"] == "net.onnx in onnxruntime"
    assert main([str(f) for f in ("compare", *files, "--run-b", "onnxruntime", "--gradients")]) == 2
