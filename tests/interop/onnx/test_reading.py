"""What real files do, each in a small graph: it is read, and computes what ONNX says it does."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist.nn.arrays import Array
from tinymnist.nn.sequential import Sequential

PICTURES = np.random.default_rng(7).random((3, 1, 8, 8)).astype(np.float32)


def normal(*shape: int) -> Array:
    return (np.random.default_rng(sum(shape)).normal(size=shape) / 3).astype(np.float32)


def kinds(model: Sequential) -> list[str]:
    """The names of the classes of its layers."""
    return [type(layer).__name__ for layer in model]


def conv(
    g: Any,
    x: Any,
    inputs: int = 1,
    outputs: int = 3,
    size: int = 3,
    bias: bool = True,
    **settings: Any,
) -> Any:
    weights = [normal(outputs, inputs // settings.get("group", 1), size, size)]
    return g.node("Conv", x, *weights, *([normal(outputs)] if bias else []), **settings)


def dense(g: Any, x: str, features: int, units: int = 10) -> Any:
    return g.node("Gemm", x, normal(units, features), normal(units), transB=1)


def test_a_plain_network(graph: Any, check: Any) -> None:
    x = graph.node("Relu", conv(graph, "x", pads=[1, 1, 1, 1]))
    x = graph.node("Flatten", graph.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]))
    model = check(graph.model(graph.node("Softmax", dense(graph, x, 48), axis=1)))
    assert kinds(model) == ["Conv2D", "ReLU", "MaxPooling2D", "Flatten", "Dense", "Softmax"]
    assert model.input_shape == (8, 8, 1)
    source = model.metadata["source"]
    assert source["input"] == {
        "name": "x", "shape": [None, 1, 8, 8], "layout": "channels_first"
    }  # fmt: skip
    assert source["tensors"]["max_pooling2d"] == "t3"


def test_nodes_in_reverse_and_initializers_repeated_as_inputs(
    graph: Any, onnx: Any, check: Any
) -> None:
    x = graph.node("Flatten", graph.node("Relu", conv(graph, "x")))
    model = graph.model(dense(graph, x, 108), repeat=True)
    expected = onnx.reference.ReferenceEvaluator(model).run(None, {"x": PICTURES})[0]
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    assert kinds(check(model, expected=expected)) == ["Conv2D", "ReLU", "Flatten", "Dense"]


def test_weights_that_are_reshaped_first(graph: Any, check: Any) -> None:
    """As CNTK writes them."""
    kernel = graph.node("Reshape", normal(3, 6, 6, 10), np.array([108, 10]))
    x = graph.node("Reshape", conv(graph, "x"), np.array([-1, 108]))
    model = check(graph.model(graph.node("Add", graph.node("MatMul", x, kernel), normal(1, 10))))
    assert kinds(model) == ["Conv2D", "Flatten", "Dense"]


@pytest.mark.parametrize("word", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
def test_padding_by_word(graph: Any, check: Any, word: str, stride: int) -> None:
    x = conv(graph, "x", size=4, auto_pad=word, strides=[stride, stride])
    size = (8 - 4) // stride + 1 if word == "VALID" else -(-8 // stride)
    check(graph.model(dense(graph, graph.node("Flatten", x), 3 * size * size)))


def test_flatten_in_the_order_of_keras(graph: Any, check: Any) -> None:
    x = graph.node("Transpose", conv(graph, "x"), perm=[0, 2, 3, 1])
    x = graph.node("Reshape", x, np.array([-1, 108]))
    assert kinds(check(graph.model(dense(graph, x, 108)))) == ["Conv2D", "Flatten", "Dense"]


def test_channels_last_input(graph: Any, check: Any) -> None:
    x = conv(graph, graph.node("Transpose", "x", perm=[0, 3, 1, 2]), inputs=3)
    x = dense(graph, graph.node("Flatten", x), 108)
    pictures = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    model = check(graph.model(x, shape=("n", 8, 8, 3)), x=pictures)
    assert kinds(model) == ["Conv2D", "Flatten", "Dense"]
    assert model.metadata["source"]["input"]["layout"] == "channels_last"


def test_coloured_pictures_with_channels_in_front(graph: Any, check: Any) -> None:
    x = dense(graph, graph.node("Flatten", conv(graph, "x", inputs=3)), 108)
    pictures = np.random.default_rng(0).random((2, 3, 8, 8)).astype(np.float32)
    model = check(graph.model(x, shape=("n", 3, 8, 8)), x=pictures)
    assert kinds(model) == ["Conv2D", "Flatten", "Dense"]
    assert model.input_shape == (8, 8, 3)


def test_flatten_by_the_shape_at_hand(graph: Any, check: Any) -> None:
    x = conv(graph, "x")
    batch = graph.node("Gather", graph.node("Shape", x), np.array(0), axis=0)
    batch = graph.node("Unsqueeze", batch, np.array([0]))
    shape = graph.node("Concat", batch, np.array([-1]), axis=0)
    check(graph.model(dense(graph, graph.node("Reshape", x, shape), 108)))


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch(graph: Any, check: Any, batch: int) -> None:
    x = graph.node("Reshape", conv(graph, "x"), np.array([batch, 108]))
    model = graph.model(dense(graph, x, 108), shape=(batch, 1, 8, 8))
    found = check(model, x=PICTURES[:batch])
    assert found.predict(PICTURES.reshape(3, 8, 8, 1)).shape == (3, 10)  # and of any other size


def test_rows_of_one_picture_called_a_batch(graph: Any, check: Any) -> None:
    x = dense(graph, graph.node("Reshape", "x", np.array([-1, 64])), 64)
    model = check(graph.model(x, shape=("n", 8)), x=PICTURES[0, 0])
    assert model.input_shape == (8, 8, 1)


@pytest.mark.parametrize(
    ("shape", "own"),
    [(("n", 64), (8, 8, 1)), (("n", 8, 8), (8, 8, 1)), ((1, 8, 8), (8, 8, 1)), (("n", 63), (63,))],
)
def test_other_inputs(graph: Any, check: Any, shape: Any, own: tuple[int, ...]) -> None:
    features = int(np.prod(own))
    x = dense(graph, graph.node("Reshape", "x", np.array([-1, features])), features)
    sides = [2 if side == "n" else side for side in shape]
    pictures = np.random.default_rng(1).random(sides).astype(np.float32)
    assert check(graph.model(x, shape=shape), x=pictures).input_shape == own


def test_log_after_softmax_is_one_layer(graph: Any, check: Any) -> None:
    x = dense(graph, graph.node("Flatten", "x"), 64)
    model = check(graph.model(graph.node("Log", graph.node("Softmax", x, axis=1))))
    assert model.layers[-1].activation == "log_softmax"


def test_softmax_written_out(graph: Any, check: Any) -> None:
    x = dense(graph, graph.node("Flatten", "x"), 64)
    most = graph.node("ReduceMax", x, axes=[1])
    power = graph.node("Exp", graph.node("Sub", x, most))
    total = graph.node("ReduceSum", power, np.array([1]))
    assert kinds(check(graph.model(graph.node("Div", power, total))))[-1] == "Softmax"


def test_batch_normalization_between_unsqueeze_and_squeeze(graph: Any, check: Any) -> None:
    x = graph.node("Unsqueeze", dense(graph, graph.node("Flatten", "x"), 64), np.array([2]))
    statistics = [normal(10) + 1, normal(10), normal(10), np.abs(normal(10)) + 1]
    x = graph.node("BatchNormalization", x, *statistics, epsilon=1e-5)
    model = check(graph.model(graph.node("Squeeze", x, np.array([2]))))
    assert kinds(model) == ["Flatten", "Dense", "BatchNormalization"]


def test_batch_normalization_after_flatten_follows_the_order_of_memory(
    graph: Any, check: Any
) -> None:
    x = graph.node("Flatten", conv(graph, "x"))
    statistics = [normal(108) + 1, normal(108), normal(108), np.abs(normal(108)) + 1]
    check(graph.model(dense(graph, graph.node("BatchNormalization", x, *statistics), 108)))


def test_scaling_of_the_input_is_one_layer(graph: Any, check: Any) -> None:
    x = graph.node("Div", "x", np.float32(255))
    x = graph.node("Div", graph.node("Sub", x, np.float32(0.1307)), np.float32(0.3081))
    x = dense(graph, graph.node("Flatten", graph.node("Mul", x, np.float32(2))), 64)
    model = check(graph.model(x), x=PICTURES * 255)
    assert kinds(model) == ["Rescaling", "Flatten", "Dense"]
    assert model.layers[0].scale == pytest.approx(2 / 255 / 0.3081)
    assert model.layers[0].offset == pytest.approx(-2 * 0.1307 / 0.3081)


def test_polarity_turned(graph: Any, check: Any) -> None:
    x = dense(graph, graph.node("Flatten", graph.node("Sub", np.float32(1), "x")), 64)
    assert check(graph.model(x)).layers[0].scale == -1


def test_a_mean_for_every_pixel(graph: Any, check: Any) -> None:
    x = graph.node("Sub", "x", normal(1, 1, 8, 8))
    check(graph.model(dense(graph, graph.node("Flatten", conv(graph, x)), 108)))


def test_a_bias_is_not_put_into_a_convolution_that_is_used_twice(graph: Any, check: Any) -> None:
    x = conv(graph, "x", bias=False)
    moved = graph.node("Reshape", x, np.array([0, 3, 36]))
    biased = graph.node("Reshape", graph.node("Add", moved, normal(3, 1)), np.array([0, 3, 6, 6]))
    both = graph.node("Concat", graph.node("Relu", x), biased, axis=1)
    check(graph.model(dense(graph, graph.node("Flatten", both), 216)))


def test_residual_sum_and_concatenation(graph: Any, check: Any) -> None:
    first = conv(graph, "x", pads=[1, 1, 1, 1])
    second = conv(graph, graph.node("Relu", first), inputs=3, pads=[1, 1, 1, 1])
    joined = graph.node("Concat", graph.node("Add", first, second), first, axis=1)
    pooled = graph.node("Flatten", graph.node("GlobalAveragePool", joined))
    model = check(graph.model(dense(graph, pooled, 6)))
    assert {"Add", "Concatenate"} <= set(kinds(model))
    assert not {"Permute", "Reshape"} & set(kinds(model))


def test_flattened_branches_side_by_side(graph: Any, check: Any) -> None:
    first = conv(graph, "x")
    second = graph.node("MaxPool", first, kernel_shape=[2, 2], strides=[2, 2])
    flat = [graph.node("Flatten", x) for x in (first, second)]
    check(graph.model(dense(graph, graph.node("Concat", *flat, axis=1), 108 + 27)))


def test_depthwise_convolution(graph: Any, check: Any) -> None:
    x = conv(graph, conv(graph, "x"), inputs=3, outputs=6, group=3)
    model = check(graph.model(dense(graph, graph.node("Flatten", x), 96)))
    assert kinds(model) == ["Conv2D", "DepthwiseConv2D", "Flatten", "Dense"]
    assert model.layers[1].depth_multiplier == 2


def norm_by_division(g: Any, x: Any, axes: list[int]) -> Any:
    centred = g.node("Sub", x, g.node("ReduceMean", x, axes=axes))
    variance = g.node("ReduceMean", g.node("Pow", centred, np.float32(2)), axes=axes)
    return g.node("Div", centred, g.node("Sqrt", g.node("Add", variance, np.float32(1e-5))))


def test_layer_normalization_written_out(graph: Any, check: Any) -> None:
    """As PyTorch writes it: over channels, and over the whole picture."""
    x = norm_by_division(graph, conv(graph, "x"), [1, 2, 3])
    x = graph.node("Add", graph.node("Mul", x, normal(3, 6, 6)), normal(3, 6, 6))
    x = norm_by_division(graph, graph.node("Transpose", x, perm=[0, 2, 3, 1]), [-1])
    x = graph.node("Add", graph.node("Mul", x, normal(3)), normal(3))
    model = check(graph.model(dense(graph, graph.node("Flatten", x), 108)))
    assert kinds(model).count("LayerNormalization") == 2
    assert "Rescaling" not in kinds(model)


@pytest.mark.parametrize("way", ["Sub", "Neg"])
def test_layer_normalization_written_out_by_keras(graph: Any, check: Any, way: str) -> None:
    x = dense(graph, graph.node("Flatten", "x"), 64)
    mean = graph.node("ReduceMean", x, axes=[1])
    centred = graph.node("Sub", x, mean)
    variance = graph.node("ReduceMean", graph.node("Mul", centred, centred), axes=[1])
    root = graph.node("Sqrt", graph.node("Add", variance, np.float32(1e-3)))
    scale = graph.node("Mul", graph.node("Reciprocal", root), normal(10) + 1)
    if way == "Sub":
        shift = graph.node("Sub", normal(10), graph.node("Mul", mean, scale))
    else:
        shift = graph.node("Mul", graph.node("Neg", mean), scale)
        shift = graph.node("Add", shift, normal(10))
    model = check(graph.model(graph.node("Add", graph.node("Mul", x, scale), shift)))
    assert kinds(model) == ["Flatten", "Dense", "LayerNormalization"]


@pytest.mark.parametrize("order", range(3))
def test_gelu_written_out(graph: Any, check: Any, order: int) -> None:
    x = dense(graph, graph.node("Flatten", "x"), 64)
    half, one = np.float32(0.5), np.float32(1)
    bell = graph.node("Add", graph.node("Erf", graph.node("Div", x, np.float32(2**0.5))), one)
    if order == 0:
        y = graph.node("Mul", graph.node("Mul", x, bell), half)
    elif order == 1:
        y = graph.node("Mul", graph.node("Mul", x, half), bell)
    else:
        y = graph.node("Mul", x, graph.node("Mul", half, bell))
    assert kinds(check(graph.model(y))) == ["Flatten", "Dense", "GELU"]


def test_gelu_of_onnxruntime(graph: Any, check: Any) -> None:
    """An operation of another domain, which ONNX's own evaluator does not know."""
    x = graph.node("Gelu", graph.node("Flatten", "x"), domain="com.microsoft")
    kernel = normal(64, 10)
    flat = PICTURES.reshape(3, 64).astype(float)
    bell = np.vectorize(math.erf)(flat / math.sqrt(2)) + 1
    model = check(graph.model(graph.node("MatMul", x, kernel)), expected=flat * bell / 2 @ kernel)
    assert kinds(model) == ["GELU", "Flatten", "Dense"]  # a flattening is made when it is needed


def test_attention_to_channels(graph: Any, check: Any) -> None:
    x = conv(graph, "x")
    weights = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    weights = graph.node("Sigmoid", dense(graph, weights, 3, 3))
    x = graph.node("Mul", x, graph.node("Reshape", weights, np.array([0, 3, 1, 1])))
    assert "Multiply" in kinds(check(graph.model(dense(graph, graph.node("Flatten", x), 108))))


@pytest.mark.parametrize(
    ("op", "settings", "inputs"),
    [
        ("LeakyRelu", {"alpha": 0.1}, ()), ("Elu", {"alpha": 0.7}, ()), ("Selu", {}, ()),
        ("Sigmoid", {}, ()), ("Tanh", {}, ()), ("Softplus", {}, ()), ("Softsign", {}, ()),
        ("HardSwish", {}, ()), ("HardSigmoid", {}, ()), ("HardSigmoid", {"alpha": 1 / 6}, ()),
        ("Clip", {}, (0.0, 6.0)), ("Clip", {}, (-1.0, 1.0)), ("Exp", {}, ()), ("Neg", {}, ()),
        ("PRelu", {}, (normal(3, 1, 1),)), ("Pow", {}, (2.0,)), ("Identity", {}, ()),
        ("Dropout", {}, (0.25,)), ("Cast", {"to": 1}, ()),
    ],
)  # fmt: skip
def test_activations(
    graph: Any, check: Any, op: str, settings: dict[str, Any], inputs: tuple[Any, ...]
) -> None:
    fixed = [np.asarray(value, np.float32) for value in inputs]
    x = graph.node(op, conv(graph, "x"), *fixed, **settings)
    check(graph.model(dense(graph, graph.node("Flatten", x), 108)))


def test_pooling_that_rounds_up(graph: Any, check: Any) -> None:
    settings = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}
    x = graph.node("AveragePool", graph.node("MaxPool", "x", **settings), **settings)
    check(graph.model(dense(graph, graph.node("Flatten", x), 4)))


@pytest.mark.parametrize("include", [0, 1])
def test_average_pooling_over_padding(graph: Any, check: Any, include: int) -> None:
    x = graph.node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1],
                   count_include_pad=include)  # fmt: skip
    check(graph.model(dense(graph, graph.node("Flatten", x), 64)))


def test_padding_as_a_node(graph: Any, check: Any) -> None:
    x = graph.node("Pad", "x", np.array([0, 0, 1, 2, 0, 0, 0, 1]))
    model = check(graph.model(dense(graph, graph.node("Flatten", conv(graph, x)), 3 * 7 * 9)))
    assert kinds(model)[0] == "ZeroPadding2D"


def test_a_product_along_the_last_axis_is_a_convolution_of_one_pixel(
    graph: Any, check: Any
) -> None:
    x = graph.node("Transpose", conv(graph, "x"), perm=[0, 2, 3, 1])
    x = graph.node("Add", graph.node("MatMul", x, normal(3, 5)), normal(5))
    x = graph.node("ReduceMean", x, axes=[1, 2], keepdims=0)
    assert kinds(check(graph.model(dense(graph, x, 5))))[1] == "Conv2D"


def test_classes_and_labels_are_left_out(graph: Any, onnx: Any, check: Any) -> None:
    """A training graph: scores, classes, labels, accuracy; ONNX's evaluator sees the scores."""
    scores = graph.node("Softmax", dense(graph, graph.node("Flatten", "x"), 64), axis=1)
    helper = onnx.helper
    expected = onnx.reference.ReferenceEvaluator(graph.model(scores)).run(None, {"x": PICTURES})[0]
    found, wanted = (graph.node("ArgMax", t, axis=1, keepdims=0) for t in (scores, "labels"))
    right = graph.node("Cast", graph.node("Equal", found, wanted), to=1)
    accuracy = graph.node("ReduceMean", right, keepdims=0)
    labels = helper.make_tensor_value_info("labels", 1, ["n", 10])
    model = check(graph.model(accuracy, inputs=[labels]), expected=expected)
    source = model.metadata["source"]
    assert source["output"] == accuracy
    assert any("ArgMax" in node for node in source["left_out"])


def test_a_flag_of_training_is_false(graph: Any, onnx: Any, check: Any) -> None:
    flag = onnx.helper.make_tensor_value_info("training", onnx.TensorProto.BOOL, [])
    x = graph.node("Dropout", "x", np.float32(0.5), "training")
    model = graph.model(dense(graph, graph.node("Flatten", x), 64), inputs=[flag])
    assert kinds(check(model, expected=_dense_of(model, onnx))) == ["Dropout", "Flatten", "Dense"]


def _dense_of(model: Any, onnx: Any) -> Any:
    arrays = {c.name: onnx.numpy_helper.to_array(c) for c in model.graph.initializer}
    kernel, bias = (arrays[name] for name in model.graph.node[-1].input[1:])
    return PICTURES.reshape(3, 64) @ kernel.T + bias


def test_a_branch_that_the_shape_decides(graph: Any, onnx: Any, check: Any) -> None:
    """As PyTorch writes torch.squeeze."""
    pooled = graph.node("GlobalMaxPool", conv(graph, "x"))
    side = graph.node("Gather", graph.node("Shape", pooled), np.array(3), axis=0)
    helper = onnx.helper

    def branch(name: str, *nodes: Any) -> Any:
        result = helper.make_tensor_value_info(nodes[-1].output[0], 1, None)
        return helper.make_graph(list(nodes), name, [], [result])

    axes = graph.constant(np.array([2, 3]))
    squeeze = helper.make_node("Squeeze", [pooled, axes], ["then"])
    keep = helper.make_node("Identity", [pooled], ["else"])
    one = graph.node("Equal", side, np.array(1))
    x = graph.node("If", one, then_branch=branch("a", squeeze), else_branch=branch("b", keep))
    check(graph.model(dense(graph, x, 3)))


def test_rules_of_before_opset_7(graph: Any, check: Any) -> None:
    """A bias along a named axis, Reshape and Dropout by attributes."""
    graph.opset = 6
    kernel, bias = normal(3, 1, 3, 3), normal(3)
    x = graph.node("Add", graph.node("Conv", "x", kernel), bias, broadcast=1, axis=1)
    x = graph.node("Dropout", x, is_test=1, ratio=0.5)
    expected = _plain_conv(PICTURES[:, 0], kernel[:, 0], bias)
    assert kinds(check(graph.model(x), expected=expected)) == ["Conv2D", "Dropout"]


def _plain_conv(pictures: Array, kernel: Array, bias: Array) -> Any:
    """(n, 6, 6, 3): memory's order, channels last."""
    windows = np.lib.stride_tricks.sliding_window_view(pictures, (3, 3), (1, 2))
    return np.einsum("nijab,oab->nijo", windows, kernel) + bias


def test_numbers_of_double_precision_stay_so(graph: Any, check: Any) -> None:
    x = graph.node("Flatten", "x")
    x = graph.node("Gemm", x, normal(64, 10).astype(float), normal(10).astype(float))
    model = check(graph.model(x, dtype=np.float64), x=PICTURES.astype(float), tolerance=1e-13)
    assert model.dtype == np.float64


def test_names_come_from_the_weights(graph: Any, check: Any) -> None:
    kernel = graph.constant(normal(10, 64), "net.fc1.weight")
    x = graph.node("Gemm", graph.node("Flatten", "x"), kernel, normal(10), transB=1)
    assert check(graph.model(x)).layers[-1].name == "net.fc1"


def test_weights_in_a_file_beside(graph: Any, onnx: Any, tmp_path: Path) -> None:
    from tinymnist.interop.onnx import read

    model = graph.model(dense(graph, graph.node("Flatten", "x"), 64))
    expected = onnx.reference.ReferenceEvaluator(model).run(None, {"x": PICTURES})[0]
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data",
              size_threshold=0)  # fmt: skip
    y = read(tmp_path / "m.onnx").predict(PICTURES.reshape(3, 8, 8, 1))
    assert np.allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("shape", [("n", None, None, None), None, ("n", 1, "h", "w"), ("n", "k")])
def test_sizes_that_the_file_leaves_open_are_those_of_digits(
    graph: Any, onnx: Any, tmp_path: Path, shape: Any
) -> None:
    from tinymnist.interop.onnx import read

    x = dense(graph, graph.node("Flatten", "x"), 784)
    onnx.save(graph.model(x, shape=shape), tmp_path / "m.onnx")
    assert read(tmp_path / "m.onnx").input_shape == (28, 28, 1)


def test_open_sizes_with_channels_last(graph: Any, onnx: Any, tmp_path: Path) -> None:
    from tinymnist.interop.onnx import read

    x = conv(graph, graph.node("Transpose", "x", perm=[0, 3, 1, 2]))
    x = dense(graph, graph.node("Flatten", x), 3 * 26 * 26)
    onnx.save(graph.model(x, shape=("n", None, None, None)), tmp_path / "m.onnx")
    assert kinds(read(tmp_path / "m.onnx")) == ["Conv2D", "Flatten", "Dense"]


def test_what_was_read_can_be_saved_and_proves_itself(
    graph: Any, check: Any, tmp_path: Path
) -> None:
    from tinymnist.nn.sequential import load_model
    from tinymnist.nn.weights import verify

    model = check(graph.model(dense(graph, graph.node("Flatten", conv(graph, "x")), 108)))
    model.save(tmp_path / "m.npz")
    assert max(verify(tmp_path / "m.npz").values()) < 1e-5
    assert load_model(tmp_path / "m.npz").metadata == model.metadata
