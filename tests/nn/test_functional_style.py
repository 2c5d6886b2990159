"""Layers called on what others return, models that wait for their input, Keras's arguments."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from tinymnist import layers as L
from tinymnist import regularizers
from tinymnist.models import Model, Sequential
from tinymnist.nn.layers.base import Layer

X = np.random.default_rng(0).random((20, 6, 6, 1), np.float32)
Y = np.arange(20) % 3
L_: Any = L  # Keras's words, which type checkers do not know


def branched() -> Model:
    inputs = L.Input((6, 6, 1))
    x = L.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    x = L.Add()([x, L.Conv2D(4, 3, padding="same")(x)])
    return Model(inputs, L.Dense(3, activation="softmax")(L.Flatten()(x)))


def test_branches_are_wired_by_calls() -> None:
    model = branched()
    assert [layer.name for layer in model.layers] == [
        "conv2d", "conv2d_1", "add", "flatten", "dense",
    ]  # fmt: skip
    assert model.wiring == {"add": ("conv2d", "conv2d_1")}
    outputs = model.capture(X)
    np.testing.assert_allclose(
        outputs["add"], outputs["conv2d"] + outputs["conv2d_1"], rtol=1e-6, atol=1e-6
    )
    model.compile("adam")
    losses = model.fit(X, Y, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_a_new_head_on_the_output_of_a_base() -> None:
    base_model = branched()
    x = base_model.get_layer("add").output
    x = L.Flatten()(x)
    x = L.Dense(8, activation="relu")(x)
    predictions = L.Dense(2, activation="softmax")(x)
    model = Model(inputs=base_model.input, outputs=predictions)
    for layer in base_model.layers[:3]:
        layer.trainable = False
    assert [layer.name for layer in model.layers][-3:] == ["flatten", "dense", "dense_1"]
    np.testing.assert_array_equal(model.capture(X)["add"], base_model.capture(X)["add"])
    whole = Model(inputs=base_model.input, outputs=L.Dense(2)(base_model.output))
    assert whole.layers[-1].name == "dense_1" and whole.output_shape == (2,)


def test_a_model_is_called_like_a_layer() -> None:
    base, inputs = branched(), L.Input((6, 6, 1))
    model = Model(inputs, L.Softmax()(base(L.Rescaling(0.5)(inputs))))
    expected = base.predict(0.5 * X)
    np.testing.assert_allclose(model.capture(X)["dense"], expected, rtol=1e-5, atol=1e-6)


def test_several_outputs_show_layers_at_work() -> None:
    base = Sequential([L.Input((6, 6, 1)), L.Conv2D(4, 3), L.ReLU(), L.Flatten()])
    views = Model(inputs=base.inputs, outputs=[layer.output for layer in base.layers])
    found = views.predict(X)
    assert [array.shape[1:] for array in found] == [(4, 4, 4), (4, 4, 4), (64,)]
    np.testing.assert_array_equal(found[-1], base.predict(X))
    inner = Model(base.layers[1].input, base.output)
    np.testing.assert_array_equal(inner.predict(found[0]), found[-1])


def test_a_layer_without_weights_may_be_called_twice() -> None:
    inputs, relu, dense = L.Input((4,)), L.ReLU(), L.Dense(4)
    model = Model(inputs, relu(L.Dense(3)(relu(inputs))))
    assert len(model) == 3
    with pytest.raises(ValueError, match="a layer with weights can be used once"):
        Model(inputs, dense(dense(inputs)))


def test_wrong_ends_are_refused() -> None:
    one, two = L.Input((4,)), L.Input((4,))
    with pytest.raises(ValueError, match="depend on the inputs of the model alone"):
        Model(one, L.Add()([one, two]))
    with pytest.raises(ValueError, match="Model takes what Input"):
        Model(one, L.Dense(3))
    with pytest.raises(ValueError, match="inputs must be one tensor"):
        Model([one, two], L.Add()([one, two]))

    class Own(Model):
        def call(self, x: Any) -> Any: ...

    with pytest.raises(ValueError, match=r"takes what Input.*Received: None"):
        Own().build((None, 4))


def test_layers_in_models_are_still_copied_and_pickled() -> None:
    layer = branched().layers[0]
    for again in (copy.copy(layer), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(again.weights["kernel"], layer.weights["kernel"])
        assert "_model" not in vars(again) and "_tensor" not in vars(again)


def test_a_model_may_learn_its_input_from_the_first_examples() -> None:
    model = Sequential([L.Flatten(), L.Dense(5), L.Dense(3, activation="softmax")], rng=1)
    with pytest.raises(ValueError, match="a model must know its input"):
        model.summary()
    model.compile("sgd")
    model.fit(X, Y, verbose=0)
    assert model.input_shape == (6, 6, 1) and model.layers[1].name == "dense"
    other = Sequential([L.Flatten(), L.Dense(3)])
    other.build((None, 6, 6, 1))
    assert other.count_params() == 36 * 3 + 3
    assert Sequential([L.Dense(2)]).predict(X.reshape(20, 36)).shape == (20, 2)
    batches = [(X[:10], Y[:10]), (X[10:], Y[10:])]

    class Source:
        def __len__(self) -> int:
            return 2

        def __getitem__(self, number: int) -> Any:
            return batches[number]

    third = Sequential([L.Flatten(), L.Dense(3, activation="softmax")])
    third.compile("sgd")
    third.fit(Source(), verbose=0)
    assert third.input_shape == (6, 6, 1)


SAME: list[tuple[Any, Layer]] = [
    (lambda: L_.Dense(10, "softmax", input_dim=4), L.Dense(10, activation="softmax")),
    (lambda: L_.Conv2D(8, (3, 3), padding="Same"), L.Conv2D(8, (3, 3), padding="same")),
    (lambda: L_.Conv2D(8, 3, 2, "VALID", None), L.Conv2D(8, 3, 2)),
    (lambda: L_.MaxPooling2D((2, 2), (2, 2), "same"), L.MaxPooling2D((2, 2), (2, 2), "same")),
    (lambda: L_.BatchNormalization(-1, 0.9), L.BatchNormalization(momentum=0.9)),
    (lambda: L_.BatchNormalization(axis=-1), L.BatchNormalization()),
    (lambda: L_.LeakyReLU(alpha=0.1), L.LeakyReLU(0.1)),
    (lambda: L_.Dropout(0.25, seed=3), L.Dropout(0.25)),
    (lambda: L_.Softmax(axis=-1), L.Softmax()),
    (lambda: L_.Concatenate(axis=-1), L.Concatenate()),
    (lambda: L_.Flatten(data_format="channels_last", dtype="float32"), L.Flatten()),
    (lambda: L_.Dense(2, kernel_initializer="normal"),
     L.Dense(2, kernel_initializer="random_normal")),
]  # fmt: skip


@pytest.mark.parametrize(("made", "same"), SAME)
def test_kerass_words_and_order(made: Any, same: Layer) -> None:
    assert made().config() == same.config()


BAD: list[tuple[Any, str]] = [
    (lambda: L.Conv2D(0, 3), "filters must be a whole number of at least 1. Received: 0"),
    (lambda: L.Dense(-1), "units must be .* Received: -1"),
    (lambda: L.Dense(0), "units must be .* Received: 0"),
    (lambda: L_.Dense("10"), "units must be .* Received: '10'"),
    (lambda: L_.Input(784), r"shape must be a tuple .* \(784,\). Received: shape=784"),
    (lambda: L.Conv2D(8, 3, padding="sames"), "padding must be .* Received: padding='sames'"),
    (lambda: L.Conv2D(8, 0), "kernel_size must be"),
    (lambda: L.MaxPooling2D(0), "must be one or two whole numbers"),
    (lambda: L.BatchNormalization(momentum=-1), "momentum must be in"),
    (lambda: L_.BatchNormalization(axis=1), "axis of BatchNormalization must be -1"),
    (lambda: L_.Conv2D(8, 3, data_format="channels_first"), "data_format of Conv2D must be"),
    (lambda: L_.Dense(8, activation="rlu"), "activation must be one of"),
    (lambda: L_.Dense(8, kernel_regularizer="l3"), "regularizer must be one of .*'l3'"),
    (lambda: L_.Dense(8, kernel_initializer="he"), "initializer must be one of .*'he'"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_settings_are_refused_at_once(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_unknown_words_are_refused_with_the_known_ones() -> None:
    with pytest.raises(TypeError, match=r"Dense has the settings .*'units'.* Received: unit=3"):
        L_.Dense(unit=3)


def test_a_threshold_itself_is_below_it() -> None:
    x = np.array([[4.9, 5.0, 5.1]], np.float32)
    np.testing.assert_array_equal(L.ReLU(threshold=5)(x), np.array([[0, 0, 5.1]], np.float32))


def test_a_layer_that_draws_is_called_in_training_on_arrays_alone() -> None:
    x = np.ones((50, 20), np.float32)
    found = L_.Dropout(0.5)(x, training=True)
    assert set(np.unique(found)) == {0, 2}
    assert np.array_equal(L_.Dropout(0.5)(x), x)
    with pytest.raises(ValueError, match=r"Received: training=True"):
        L_.GaussianNoise(0.1)(L.Input((20,)), training=True)
    model = Model(tensor := L.Input((4, 4, 1)), L_.GlobalAveragePooling2D(keepdims=False)(tensor))
    assert list(model.trainable_variables) == [] and regularizers.l2(l=0.5)["l2"] == 0.5
