"""Models: building, wiring, running, freezing, new heads, other dtypes."""

from __future__ import annotations

import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest

from tinymnist.nn.architectures import ARCHITECTURES, keras_cnn, mlp
from tinymnist.nn.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    GlobalMaxPooling2D,
    ReLU,
    Softmax,
    ZeroPadding2D,
)
from tinymnist.nn.parallel import pieces, single_threaded_blas
from tinymnist.nn.sequential import Input, Sequential

PICTURES = np.random.default_rng(0).random((7, 28, 28, 1), np.float32)


def small(**settings: Any) -> Any:
    layers: list[Any] = [Input((4,)), Dense(3, activation="relu"), Dense(2, activation="softmax")]
    return Sequential(layers, **settings)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("mnist-cnn", 132_266), ("keras-cnn", 34_826), ("lenet5", 61_706), ("mlp", 101_770)],
)
def test_shipped_architectures(name: str, parameters: int) -> None:
    model = ARCHITECTURES[name]()
    assert sum(layer.count_parameters for layer in model) == parameters
    p = model.predict(PICTURES)
    assert p.shape == (7, 10) and p.dtype == np.float32
    assert np.allclose(p.sum(axis=1), 1, atol=1e-6)
    assert ARCHITECTURES[name](classes=3).output_shape == (3,)


def test_the_same_seed_gives_the_same_kernels() -> None:
    one, same, other = mlp(rng=1), mlp(rng=1), mlp(rng=2)
    assert all(np.array_equal(a, same.weights[n]) for n, a in one.weights.items())
    assert not np.array_equal(one.weights["dense/kernel"], other.weights["dense/kernel"])


def test_names_count_up_as_in_keras() -> None:
    names = [layer.name for layer in keras_cnn()]
    assert names == [
        "conv2d", "max_pooling2d", "conv2d_1", "max_pooling2d_1", "flatten", "dropout", "dense",
    ]  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_predict_does_not_depend_on_pieces_or_threads(workers: int, batch_size: int) -> None:
    model = keras_cnn()
    found = model.predict(PICTURES, batch_size=batch_size, workers=workers)
    assert np.allclose(found, model.predict(PICTURES), rtol=1e-5, atol=1e-7)


def test_predict_is_forward_without_caches() -> None:
    model = keras_cnn(rng=3)
    with single_threaded_blas():  # as predict; threads of BLAS add in another order
        y, caches = model.forward(PICTURES)
    assert len(caches) == len(model)
    assert np.array_equal(model.predict(PICTURES, workers=1, plain=True), y)


def test_an_empty_batch() -> None:
    assert keras_cnn().predict(PICTURES[:0]).shape == (0, 10)


def test_pictures_without_channel_axis_and_integers_are_taken() -> None:
    model = keras_cnn()
    bits = (PICTURES[..., 0] > 0.5).astype(np.uint8)
    assert np.array_equal(model.predict(bits), model.predict(bits[..., None].astype(np.float32)))


def test_another_shape_is_refused() -> None:
    message = r"x must be of shape \(n, 28, 28, 1\). Received: x.shape=\(7, 27, 28, 1\)"
    with pytest.raises(ValueError, match=message):
        keras_cnn().predict(PICTURES[:, 1:])


def test_logits_are_what_the_softmax_takes() -> None:
    for last in ([Dense(2, activation="softmax")], [Dense(2), Softmax()]):
        model = Sequential([Input((4,)), *last])
        x = np.random.default_rng(0).normal(size=(3, 4))
        z = model.predict(x, logits=True).astype(float)
        assert np.allclose(np.exp(z) / np.exp(z).sum(1, keepdims=True), model.predict(x), atol=1e-6)


def test_capture_names_every_output_in_order() -> None:
    model = keras_cnn()
    outputs = model.capture(PICTURES)
    assert list(outputs) == ["input", *(layer.name for layer in model)]
    assert {n: y.shape[1:] for n, y in outputs.items()} == model.shapes
    assert np.allclose(outputs["dense"], model.predict(PICTURES), atol=1e-6)


def test_a_residual_sum() -> None:
    model = Sequential(
        [Dense(4, name="a"), Dense(4, name="b"), Add(name="sum")],
        input_shape=(4,),
        wiring={"sum": ["a", "b", "input"]},
    )
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    seen = model.capture(x)
    assert np.allclose(model.predict(x), seen["a"] + seen["b"] + x, atol=1e-6)
    assert model.wiring == {"sum": ("a", "b", "input")}


def test_a_model_from_anothers_layers_shares_them() -> None:
    model = keras_cnn()
    features = Sequential(list(model)[:-1], input_shape=model.input_shape)
    assert features.output_shape == (1600,)
    assert features.get_layer("conv2d") is model.get_layer("conv2d")
    assert np.allclose(features.predict(PICTURES), model.capture(PICTURES)["dropout"], atol=1e-6)


def test_float64_runs_throughout_and_is_near() -> None:
    model = keras_cnn()
    reference = model.astype("float64")
    assert {y.dtype for y in reference.capture(PICTURES).values()} == {np.dtype("float64")}
    assert np.abs(reference.predict(PICTURES) - model.predict(PICTURES)).max() < 1e-6
    assert model.dtype == np.float32  # the first is as it was


def test_freeze_and_unfreeze() -> None:
    model = keras_cnn()
    model.freeze("conv2d_1")
    assert set(model.trainable_weights) == {"dense/kernel", "dense/bias"}
    model.freeze()
    assert model.trainable_weights == {}
    model.unfreeze(last=2)
    assert {n.split("/")[0] for n in model.trainable_weights} == {"conv2d_1", "dense"}
    model.unfreeze()
    assert model.trainable_weights.keys() == model.weights.keys()
    with pytest.raises(ValueError, match=r"name must be one of \['conv2d'.*name='conv9'"):
        model.freeze("conv9")


def frozen_model() -> Any:
    """A frozen convolution and a frozen batch normalization under a head that learns."""
    model = Sequential(
        [Input((6, 6, 1)), Conv2D(3, 3, name="conv"), BatchNormalization(name="norm"), ReLU(),
         Flatten(), Dense(2, activation="softmax", name="head")]
    )  # fmt: skip
    norm: Any = model.get_layer("norm")
    norm.moving_mean[:] = [0.1, -0.2, 0.3]
    model.freeze("norm")
    return model


def test_frozen_means_that_not_one_bit_changes() -> None:
    model = frozen_model()
    before = {name: array.copy() for name, array in model.weights.items()}
    rng = np.random.default_rng(0)
    x, y = rng.random((40, 6, 6, 1), np.float32), rng.integers(0, 2, 40)
    model.compile("adamw")
    model.fit(x, y, epochs=2, verbose=0)
    changed = {n for n, a in model.weights.items() if a.tobytes() != before[n].tobytes()}
    assert changed == {"head/kernel", "head/bias"}


def test_backward_stops_below_the_lowest_layer_that_learns() -> None:
    model = frozen_model()
    visited = []
    for layer in model:

        def noted(*a: Any, plain: Any = layer.backward, name: str = layer.name, **k: Any) -> Any:
            visited.append((name, k["need_dx"]))
            return plain(*a, **k)

        layer.backward = noted
    y, caches = model.forward(np.ones((2, 6, 6, 1), np.float32))
    dx, gradients = model.backward(np.ones_like(y), caches)
    assert visited == [("head", False)]
    assert dx is None and set(gradients) == {"head/kernel", "head/bias"}


def test_dx_passes_through_frozen_layers_where_it_is_wanted() -> None:
    model = frozen_model()
    _, caches = model.forward(np.random.default_rng(0).random((2, 6, 6, 1), np.float32))
    dx, _ = model.backward(np.array([[1, 0], [0, 1]], np.float32), caches, need_dx=True)
    assert dx.shape == (2, 6, 6, 1) and np.abs(dx).max() > 0


def test_replace_head() -> None:
    base = keras_cnn()
    base.freeze()
    model = base.replace_head(4, hidden=16, rng=1)
    assert [layer.name for layer in model][-2:] == ["head_hidden", "head"]
    assert model.output_shape == (4,)
    assert model.get_layer("conv2d") is base.get_layer("conv2d")
    learning = {n.split("/")[0] for n in model.trainable_weights}
    assert learning == {"head_hidden", "head"}
    assert base.output_shape == (10,)


def test_replace_head_at_a_named_layer_and_again() -> None:
    model = keras_cnn().replace_head(4, until="max_pooling2d_1")
    assert [layer.name for layer in model][-2:] == ["head_flatten", "head"]
    again = model.replace_head(3)
    assert again.output_shape == (3,)


def test_replace_head_needs_a_head() -> None:
    with pytest.raises(ValueError, match="replace_head needs a Dense layer"):
        Sequential([Input((4,)), ReLU()]).replace_head(3)


def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    model = keras_cnn()
    model.freeze("conv2d")
    model.summary()  # returns nothing, as Keras's does
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "keras-cnn: 28 x 28 x 1 in, float32"
    assert lines[3].split() == ["conv2d", "Conv2D", "(relu)", "26", "x", "26", "x", "32", "320",
                                "frozen", "194,688"]  # fmt: skip
    assert lines[-1] == ("34,826 parameters, 34,506 trainable; 2,440,960 multiply-adds per picture")


def test_pickles() -> None:
    model = small()
    twin = pickle.loads(pickle.dumps(model))
    x = np.ones((2, 4), np.float32)
    assert np.array_equal(twin.predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sequential([Dense(3)]).summary(), "a model must know its input"),
        (lambda: small(wiring={"danse": ["input"]}), r"wiring must name layers.*\['danse'\]"),
        (lambda: small(wiring={"dense": ["dense_1"]}), "must take outputs that come before it"),
        (lambda: small(dtype="float16"), "dtype must be float32 or float64"),
        (lambda: Sequential([Input((4,)), "relu"]), "a model is made of layers"),  # type: ignore[list-item]
        (lambda: Sequential([Dense(2, name="a"), Dense(2, name="a")], input_shape=(2,)),
         "every layer needs a name of its own"),
        (lambda: Sequential([Input((2,)), Dense(2, name=-1.5)]), r"its own. Received: name=-1\.5"),  # type: ignore[arg-type]
        (lambda: small().set_weights({}), "weights must be named as the model's own"),
        (lambda: small().compile("adam", metrics=["hinge"]), "Received: 'hinge'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_pieces() -> None:
    assert pieces(5, 2) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert pieces(0, 2) == []


def test_unfreezing_may_pass_over_normalization() -> None:
    model = frozen_model()
    model.freeze()
    model.unfreeze(last=2, normalization=False)
    assert {n.split("/")[0] for n in model.trainable_weights} == {"conv", "head"}


def test_a_model_upon_a_model() -> None:
    """Keras's ``Sequential([base, ...])`` and ``base.trainable = False``."""
    base = frozen_model()
    base.trainable = False
    model = Sequential([base, Dense(5, activation="relu"), Dense(2, activation="softmax")])
    assert [layer.name for layer in model][-3:] == ["head", "dense", "dense_1"]
    assert model.get_layer("conv") is base.get_layer("conv")
    assert {n.split("/")[0] for n in model.trainable_weights} == {"dense", "dense_1"}
    assert not base.trainable and model.trainable
    residual = Sequential(
        [Input((4,)), Dense(4, name="a"), Dense(4, name="b"), Add(name="sum")],
        wiring={"sum": ["a", "b"]},
    )
    assert Sequential([residual, Dense(2)]).sources["sum"] == ("a", "b")


def test_large_layers_take_fewer_examples_at_a_time() -> None:
    """32 at a time would take 128 MB."""
    layers = [ZeroPadding2D(500), GlobalMaxPooling2D(), Dense(2)]
    model = Sequential(layers, input_shape=(2, 2, 1), rng=0)
    x = np.random.default_rng(0).random((32, 2, 2, 1), np.float32)
    tracemalloc.start()
    found = model.predict(x, plain=True, workers=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000_000
    np.testing.assert_array_equal(found, model.predict(x, batch_size=1, plain=True))
