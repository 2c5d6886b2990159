"""What becomes of single layers and settings, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinymnist.errors import InputError
from tinymnist.nn import naive

RNG = np.random.default_rng(1)
X = RNG.random((2, 28, 28, 1)).astype(np.float32)


def array(*shape: Any) -> Any:
    return RNG.uniform(0.2, 1, shape).astype(np.float32)


@pytest.fixture
def outputs(made: Any, read: Any) -> Any:
    """``outputs((kind, settings, arrays), ...)``: every layer's output for :data:`X`."""

    def run(
        *layers: Any, shape: Any = (28, 28, 1), version: Any = "2.4.0", backend: Any = "tensorflow"
    ) -> Any:
        listed, stored = [], []
        for number, (kind, settings, arrays) in enumerate(layers):
            name = settings.get("name", f"layer{number}")
            listed.append((kind, {"name": name, **settings}))
            stored.append((name, [(str(i), a) for i, a in enumerate(arrays)]))
        listed[0][1]["batch_input_shape"] = [None, *shape]
        told = {"keras_version": version, "backend": backend}
        model = read(made.h5(made.sequential(listed), stored, attributes=told))
        height, width, _ = model.input_shape
        return model.capture(X[:, :height, :width]), model

    return run


def test_dense_on_the_last_axis_of_pictures_is_a_product_at_every_pixel(outputs: Any) -> None:
    kernel, bias = array(1, 3), array(3)
    found, _ = outputs(("Dense", {"units": 3, "activation": "tanh"}, [kernel, bias]))
    assert np.allclose(found["layer0"], np.tanh(X @ kernel + bias), atol=1e-6)


def test_dense_on_the_last_axis_of_rows(outputs: Any) -> None:
    kernel = array(28, 5)
    found, model = outputs(
        ("Dense", {"units": 5, "use_bias": False}, [kernel]), ("Flatten", {}, []), shape=(28, 28)
    )
    assert model.input_shape == (28, 28, 1)
    assert np.allclose(found["layer0"], X[..., 0] @ kernel, atol=1e-5)


def test_separable_convolution_is_two_layers(outputs: Any) -> None:
    depthwise, pointwise, bias = array(3, 2, 1, 2), array(1, 1, 2, 5), array(5)
    settings = {"filters": 5, "kernel_size": [3, 2], "padding": "same", "activation": "relu"}
    found, model = outputs(
        ("SeparableConv2D", settings, [depthwise, pointwise, bias]), shape=(9, 8, 1)
    )
    middle = naive.conv2d(X[:, :9, :8], depthwise.reshape(3, 2, 1, 2), None, (1, 1), "same")
    expected = np.maximum(naive.conv2d(middle, pointwise, bias), 0)
    assert np.allclose(found["layer0"], expected, atol=1e-5)
    assert [layer.name for layer in model.layers] == ["layer0_depthwise", "layer0"]


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (4, 1), (2, 2), (3, 3)])
def test_theano_pads_half_a_window_on_either_side(
    size: Any, kernel: Any, stride: Any, outputs: Any
) -> None:
    weights = array(kernel, kernel, 1, 2)
    settings = {"filters": 2, "kernel_size": [kernel] * 2, "strides": [stride] * 2,
                "padding": "same", "use_bias": False}  # fmt: skip
    x = X[:, :size, :size]
    _, model = outputs(("Conv2D", settings, [weights]), shape=(size, size, 1), backend="theano")
    half = kernel // 2
    ends = naive.conv2d(x, weights[::-1, ::-1], None, (stride,) * 2, ((half, half), (half, half)))
    count = -(-size // stride)
    assert np.allclose(model.predict(x), ends[:, :count, :count], atol=1e-5)


@pytest.mark.parametrize("axis", [-1, 3, [3], [-1]])
def test_batch_normalization_by_channel(axis: Any, outputs: Any) -> None:
    arrays = [array(4) for _ in range(4)]
    gamma, beta, mean, variance = arrays
    convolution = (
        "Conv2D",
        {"filters": 4, "kernel_size": 1, "use_bias": False},
        [array(1, 1, 1, 4)],
    )
    found, _ = outputs(convolution, ("BatchNormalization", {"axis": axis, "epsilon": 0.01}, arrays))
    expected = gamma * (found["layer0"] - mean) / np.sqrt(variance + 0.01) + beta
    assert np.allclose(found["layer1"], expected, atol=1e-5)


def test_batch_normalization_along_another_axis(outputs: Any) -> None:
    """By rows: the axes are turned and turned back."""
    arrays = [array(28) for _ in range(4)]
    gamma, beta, mean, variance = (a[:, None, None] for a in arrays)
    found, model = outputs(
        ("BatchNormalization", {"axis": 1, "epsilon": 0.01}, arrays), ("Flatten", {}, [])
    )
    expected = gamma * (X - mean) / np.sqrt(variance + 0.01) + beta
    assert np.allclose(found["layer1"], expected.reshape(2, -1), atol=1e-5)
    assert "layer0_permuted" in [layer.name for layer in model.layers]


def test_batch_normalization_without_scale_and_centre(outputs: Any) -> None:
    mean, variance = array(1), array(1)
    found, _ = outputs(("BatchNormalization", {"scale": False, "center": False}, [mean, variance]))
    assert np.allclose(found["layer0"], (X - mean) / np.sqrt(variance + 1e-3), atol=1e-5)


ONE_BY_ONE = {"filters": 3, "kernel_size": 1, "use_bias": False}


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("swish", lambda z: z / (1 + np.exp(-z))),
        (None, lambda z: z),
        ("softmax_v2", lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=True)),
        ({"class_name": "LeakyReLU", "config": {"alpha": 0.1}},
         lambda z: np.where(z > 0, z, 0.1 * z)),
        ({"class_name": "function", "config": "relu", "module": "builtins"},
         lambda z: np.maximum(z, 0)),
        ("hard_sigmoid", lambda z: np.clip(0.2 * z + 0.5, 0, 1)),
    ],
)  # fmt: skip
def test_activations_under_all_their_names(activation: Any, expected: Any, outputs: Any) -> None:
    kernel = array(1, 1, 1, 3) * [1, -1, 1]
    found, _ = outputs(("Conv2D", {**ONE_BY_ONE, "activation": activation}, [kernel]))
    assert np.allclose(found["layer0"], expected(X @ kernel[0, 0]), atol=1e-6)


def test_hard_sigmoid_became_another_in_keras_3(outputs: Any) -> None:
    kernel = array(1, 1, 1, 3)
    layer = ("Conv2D", {**ONE_BY_ONE, "activation": "hard_sigmoid"}, [kernel])
    found, _ = outputs(layer, version="3.1.0")
    assert np.allclose(found["layer0"], np.clip(X @ kernel[0, 0] / 6 + 0.5, 0, 1), atol=1e-6)


def test_a_softmax_of_channels_first_runs_along_keras_last_axis(outputs: Any) -> None:
    settings = {**ONE_BY_ONE, "activation": "softmax", "data_format": "channels_first"}
    found, _ = outputs(("Conv2D", settings, [array(1, 1, 1, 3)]), shape=(1, 28, 28))
    assert np.allclose(found["layer0"].sum(-1), 1, atol=1e-6)
    assert found["layer0"].shape == (2, 3, 28, 28)


@pytest.mark.parametrize(
    "kind", ["GaussianNoise", "SpatialDropout2D", "ActivityRegularization", "RandomRotation"]
)
def test_what_acts_in_training_alone_does_nothing(kind: Any, outputs: Any) -> None:
    found, _ = outputs((kind, {"rate": 0.5, "stddev": 0.3}, []))
    assert np.array_equal(found["layer0"], X)


def test_frozen_layers_stay_frozen(outputs: Any) -> None:
    kernel = array(1, 1, 1, 3)
    _, model = outputs(("Conv2D", {**ONE_BY_ONE, "trainable": False}, [kernel]))
    assert not model.layers[0].trainable


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("ConvLSTM2D", {}, "'layer0' is a ConvLSTM2D; it would need a recurrent cell"),
        ("Lambda", {"function": ["4wEAAAA=", None, None]}, "is a Lambda; .*Python code"),
        ("Conv1D", {"filters": 3}, "is a Conv1D; it would need convolution along one axis"),
        ("QuantizeWrapperV2", {}, "is a QuantizeWrapperV2; it would need arithmetic in 8 bits"),
        ("Custom>Mine", {}, "is a Custom>Mine; it would need code"),
        ("Dense", {"dtype": {"class_name": "QuantizedDTypePolicy"}}, "is a quantized Dense"),
        ("Activation", {"activation": "mystery"}, "activation 'mystery', which tinymnist lacks"),
        ("BatchNormalization", {"axis": [1, 2]}, r"works along the axes \[1, 2\]; expected one"),
        ("BatchNormalization", {"mode": 1}, "has mode 1"),
        ("MaxPooling2D", {"padding": "causal"}, "has the padding 'causal'"),
        ("Conv2D", {"filters": 2, "kernel_size": 3}, r"lacks arrays: found 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_mapped_is_refused_by_name(
    kind: Any, settings: Any, message: str, outputs: Any
) -> None:
    arrays = [] if kind == "Conv2D" else [array(1)] * 4
    if kind == "Conv2D":
        arrays = [array(2)]
        message = r"has a kernel \(2,\) of float32; expected 4 axes"
    with pytest.raises(InputError, match=message):
        outputs((kind, settings, arrays if kind in ("BatchNormalization", "Conv2D") else []))


def test_arrays_of_another_shape_are_refused(outputs: Any) -> None:
    with pytest.raises(InputError, match=r"layer0 should have the arrays .*found"):
        outputs(("Conv2D", {"filters": 2, "kernel_size": 3}, [array(3, 3, 2, 2), array(2)]))
