"""What people write who know Keras: it works, or a message says what to write instead."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymnist
from tests.nn.test_training import network, pictures, same_bytes
from tinymnist.augmentation import ImageDataGenerator
from tinymnist.errors import InputError
from tinymnist.nn.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    ReLU,
    Softmax,
)
from tinymnist.nn.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy
from tinymnist.nn.optimizers import SGD, Adam
from tinymnist.nn.sequential import Input, Sequential
from tinymnist.nn.training.callbacks import ModelCheckpoint
from tinymnist.nn.weights import save

X, Y = pictures()


def fitted(model: Any = None, y: Any = Y, **settings: Any) -> Any:
    """A model after an epoch."""
    model = model or network()
    model.fit(X, y, **{"batch_size": 30, "verbose": 0, "rng": 0} | settings)
    return model


# --- making a model ---------------------------------------------------------------------------


def layers() -> Any:
    return [Conv2D(3, 3, name="conv"), Flatten(), Dense(2, activation="softmax")]


def test_layers_may_be_added_one_by_one() -> None:
    at_once, one_by_one = Sequential([Input((6, 6, 1)), *layers()], rng=0), Sequential(rng=0)
    one_by_one.add(Input((6, 6, 1)))
    for layer in layers():
        one_by_one.add(layer)
    assert [layer.name for layer in one_by_one] == ["conv", "flatten", "dense"]
    assert one_by_one.input_shape == (6, 6, 1) and one_by_one.output_shape == (2,)
    assert same_bytes(at_once, one_by_one)
    np.testing.assert_array_equal(at_once.predict(X), one_by_one.predict(X))


def test_the_first_layer_may_tell_the_input_shape() -> None:
    first = Conv2D(3, 3, input_shape=(6, 6, 1), name="conv")
    model = Sequential([first, *layers()[1:]], rng=0)
    assert model.input_shape == (6, 6, 1)
    assert same_bytes(model, Sequential([Input((6, 6, 1)), *layers()], rng=0))


def test_a_model_must_know_its_input() -> None:
    with pytest.raises(ValueError, match=r"begin with Input\(\(28, 28, 1\)\) or give input_shape"):
        Sequential([Dense(2)]).summary()
    with pytest.raises(ValueError, match="must know its input"):
        Sequential().predict(X)
    with pytest.raises(ValueError, match="only a model's first entry can be an input"):
        Sequential([Input((6, 6, 1)), *layers(), Input((2,))])
    with pytest.raises(ValueError, match=r"a model is made of layers\. Received: 'relu'"):
        Sequential([Input((6, 6, 1)), "relu"])  # type: ignore[list-item]


def residual(channels: Any) -> Any:
    """Branches that take the model's own input twice, in the midst and at once."""
    return Sequential(
        [Input((6, 6, channels)), Conv2D(channels, 3, padding="same", name="deep"),
         ReLU(name="bent"), Add(name="sum"), Conv2D(channels, 1, name="narrow"),
         Add(name="again")],
        wiring={"sum": ["bent", "input"], "again": ["narrow", "deep", "input"]},
        rng=3,
    )  # fmt: skip


def test_a_model_at_the_start_of_another_computes_what_it_did() -> None:
    part = residual(1)
    for model in (
        Sequential([part, Flatten(), Dense(2)]),
        Sequential([Input((6, 6, 1)), part, Flatten(), Dense(2)]),
    ):
        assert len(model) == 7 and model.wiring == part.wiring
        dense: Any = model.get_layer("dense")
        expected = part.predict(X).reshape(len(X), -1) @ dense.kernel + dense.bias
        np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5, atol=1e-6)


def test_a_model_in_the_midst_of_another_computes_what_it_did() -> None:
    front, part = Sequential([Input((6, 6, 1)), Conv2D(4, 1, name="front")]), residual(4)
    model = Sequential()
    for entry in (*front.layers, part, Flatten()):
        if not model.layers:
            model.add(Input((6, 6, 1)))
        model.add(entry)
    expected = part.predict(front.predict(X)).reshape(len(X), -1)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5, atol=1e-6)


def test_a_wiring_names_layers_without_names_as_keras_would() -> None:
    model = Sequential(
        [Input((4,)), Dense(4), Dense(4), Add(), Dense(4), Add()],
        wiring={"add": ["dense", "dense_1"], "add_1": ["add", "dense_2", "input"]},
    )
    outputs = model.capture(np.random.default_rng(0).random((3, 4), np.float32))
    np.testing.assert_allclose(outputs["add"], outputs["dense"] + outputs["dense_1"], rtol=1e-6)
    both = outputs["add"] + outputs["dense_2"] + outputs["input"]
    np.testing.assert_allclose(outputs["add_1"], both, rtol=1e-6)


def test_a_wiring_of_layers_that_are_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"wiring must name layers of the model.*\['add_1'\]"):
        Sequential([Input((4,)), Dense(4), ReLU()], wiring={"add_1": ["input", "dense"]})


def test_the_last_layer_can_be_taken_away_and_replaced() -> None:
    model = Sequential([Input((6, 6, 1)), *layers()])
    last = model.pop()
    assert last.name == "dense" and len(model) == 2
    assert model.output_shape == (48,) and "dense/kernel" not in model.weights
    model.add(Dense(5))
    assert model.layers[-1].name == "dense" and model.predict(X).shape == (90, 5)
    for _ in range(3):
        model.pop()
    with pytest.raises(ValueError, match="empty model"):
        model.pop()


def test_a_layer_in_the_place_of_a_wired_one_follows_the_one_before() -> None:
    model = Sequential([Input((4,)), Dense(4), Add(name="end")], wiring={"end": ["input", "dense"]})
    model.pop()
    model.add(ReLU(name="end"))
    assert model.wiring == {} and model.sources["end"] == ("dense",)


def test_layers_are_found_by_place_and_by_name() -> None:
    model = network()
    assert model.get_layer(index=2) is model.layers[2]
    assert model.get_layer("dense") is model.get_layer(name="dense") is model.layers[-1]
    with pytest.raises(ValueError, match="Received: index=9"):
        model.get_layer(index=9)
    with pytest.raises(ValueError, match=r"\['conv2d', .*'dense'\]. Received: name='output'"):
        model.get_layer("output")


def test_parameters_are_counted_with_statistics() -> None:
    model = Sequential([Input((6, 6, 1)), Conv2D(4, 3), BatchNormalization(), Flatten(), Dense(2)])
    assert model.count_params() == (9 * 4 + 4) + 4 * 4 + (64 * 2 + 2)


def test_weights_travel_as_lists() -> None:
    one, other = network(normalized=True), fitted(network(normalized=True))
    arrays = other.get_weights()
    one.set_weights(arrays)
    assert same_bytes(one, other)
    arrays[0][:] = 0  # a copy
    assert same_bytes(one, other)
    dense = one.get_layer("dense")
    dense.set_weights([np.ones((64, 2)), [3, 4]])
    kernel, bias = dense.get_weights()
    assert (kernel == 1).all() and bias.tolist() == [3, 4] and bias.dtype == np.float32
    with pytest.raises(ValueError, match=r"the model has 8 arrays: .* Received: 7"):
        one.set_weights(arrays[1:])
    with pytest.raises(ValueError, match=r"dense has the weights .* Received: 1 arrays"):
        dense.set_weights([kernel])
    with pytest.raises(ValueError, match=r"must be of shape \(3, 3, 1, 4\)"):
        one.set_weights(arrays[::-1])


def test_a_layer_can_be_called_on_arrays() -> None:
    layer = Dense(4)
    y = layer(X.reshape(90, 36))
    np.testing.assert_allclose(y, X.reshape(90, 36) @ layer.kernel, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="Dense takes vectors"):
        Dense(4)(X)


def test_a_summary_prints(capsys: pytest.CaptureFixture[str]) -> None:
    network().summary()
    out = capsys.readouterr().out
    assert "conv2d" in out and "dense" in out and "170 parameters" in out


# --- arguments --------------------------------------------------------------------------------


def test_predict_takes_its_arguments_by_place_and_by_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = network()
    expected = model.predict(X)
    np.testing.assert_array_equal(model.predict(X, 32), expected)
    np.testing.assert_array_equal(model.predict(X, verbose=0), expected)
    np.testing.assert_allclose(model.predict(X, 7, 1), expected, rtol=1e-5, atol=1e-6)
    assert capsys.readouterr() == ("", "")


def test_fit_takes_its_arguments_by_place() -> None:
    one, other = network(), network()
    history = one.fit(X, Y, 32, 2, 0, None, 0.5)
    named = other.fit(X, Y, batch_size=32, epochs=2, verbose=0, validation_split=0.5)
    assert same_bytes(one, other)
    assert history.history == named.history and len(history.history["val_loss"]) == 2


def test_no_batch_size_is_32() -> None:
    assert same_bytes(fitted(batch_size=None), fitted(batch_size=32))
    assert not same_bytes(fitted(batch_size=None), fitted(batch_size=30))


@pytest.mark.parametrize("metrics", ["accuracy", None, ["acc"], ["accuracy"], ()])
def test_accuracy_by_any_of_its_names_or_none(metrics: Any) -> None:
    model = network()
    model.compile("sgd", metrics=metrics)
    name = "acc" if metrics == ["acc"] else "accuracy"
    history = model.fit(X, Y, verbose=0, validation_data=(X, Y)).history
    assert {name, f"val_{name}"} <= history.keys()
    assert model.metrics_names == ["loss", name]


def test_other_metrics_are_refused() -> None:
    with pytest.raises(ValueError, match=r"metrics in fit are \[.accuracy.*'hinge'"):
        network().compile("sgd", metrics=["accuracy", "hinge"])


@pytest.mark.parametrize(
    "same", [Y[:, None], Y.astype(float), Y.astype("float32")[:, None], Y.tolist(), Y.astype("u1")]
)
def test_labels_in_a_column_or_as_whole_floats(same: Any) -> None:
    model, other = fitted(), fitted(y=same)
    assert same_bytes(model, other)
    assert model.evaluate(X, Y) == other.evaluate(X, same)


def test_labels_in_a_column_tell_a_model_that_is_not_compiled_what_they_are() -> None:
    model = Sequential(network().layers, input_shape=(6, 6, 1))
    assert model.evaluate(X, Y[:, None]) == model.evaluate(X, Y) == network().evaluate(X, Y)


@pytest.mark.parametrize("odd", [Y + 0.5, np.stack([Y, Y], axis=1), Y.astype(str)])
def test_other_labels_are_refused(odd: Any) -> None:
    with pytest.raises(ValueError, match="labels must be whole numbers"):
        fitted(y=odd)


@pytest.mark.parametrize("weights", [[1.0, 2.0], {"0": 2.0}, {0.5: 1.0}, 3.0, "equal"])
def test_class_weights_are_a_dict_by_class_number(weights: Any) -> None:
    with pytest.raises(ValueError, match="class_weight must be a dict from class numbers"):
        fitted(class_weight=weights)


def test_class_weights_may_be_numbered_by_numpy() -> None:
    by_numpy = {label: 1.0 + label for label in np.unique(Y)}
    assert same_bytes(fitted(class_weight=by_numpy), fitted(class_weight={0: 1.0, 1: 2.0}))
    assert not same_bytes(fitted(class_weight=by_numpy), fitted())


def test_a_class_is_no_optimizer() -> None:
    with pytest.raises(ValueError, match=r"optimizer must be one of .*class"):
        network().compile(Adam)


def test_an_optimizer_serves_one_model() -> None:
    model, adam = network(), Adam()
    model.compile(adam)
    model.compile(adam)
    with pytest.raises(ValueError, match=r"make a new one.*another model uses"):
        network().compile(adam)


@pytest.mark.parametrize("name", ["output", "dense/weight"])
def test_multipliers_of_unknown_layers_are_refused(name: str) -> None:
    model = network()
    model.compile(Adam(multipliers={"conv2d": 0.5, "dense/bias": 2.0, name: 0.1}))
    with pytest.raises(ValueError, match=rf"multipliers must name some of .*\['{name}'\]"):
        fitted(model)


# --- losses -----------------------------------------------------------------------------------


def ended(*end: Any, loss: Any = SparseCategoricalCrossentropy) -> Any:
    """A model with some end."""
    model = Sequential([Input((6, 6, 1)), Flatten(), *end], rng=1)
    model.compile(SGD(0.1), loss(from_logits=True))
    return model


@pytest.mark.parametrize("loss", [SparseCategoricalCrossentropy, CategoricalCrossentropy])
@pytest.mark.parametrize(
    "end", [[Dense(2, activation="softmax")], [Dense(2), Softmax()], [Activation("softmax")]]
)
def test_logits_do_not_come_from_a_softmax(end: Any, loss: Any) -> None:
    with pytest.raises(ValueError, match="from_logits=True is for a model that ends without"):
        fitted(ended(*end, loss=loss))


def test_training_on_logits_is_that_on_probabilities() -> None:
    softmax = Sequential([Input((6, 6, 1)), Flatten(), Dense(2, activation="softmax")], rng=1)
    softmax.compile(SGD(0.1))
    linear = ended(Dense(2))
    first, second = (m.fit(X, Y, epochs=2, verbose=0).history for m in (softmax, linear))
    assert first == second
    assert same_bytes(softmax, linear)
    assert softmax.evaluate(X, Y) == linear.evaluate(X, Y)


# --- examples ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(90, 36), (90, 6, 6), (90, 6, 6, 1)])
def test_pictures_may_be_flat_or_without_channel(shape: Any) -> None:
    given = X.reshape(shape)
    model = network()
    model.fit(given, Y, batch_size=30, verbose=0, rng=0)
    assert same_bytes(model, fitted())
    np.testing.assert_array_equal(model.predict(given), model.predict(X))


@pytest.mark.parametrize("shape", [(6, 6), (6, 6, 1), (36,), (90, 1, 6, 6), (90, 7, 6)])
def test_pictures_of_another_shape_are_reported_as_they_were_given(shape: Any) -> None:
    given = np.zeros(shape, np.float32)
    message = r"x must be of shape \(n, 6, 6, 1\). Received: x.shape="
    with pytest.raises(ValueError, match=message) as error:
        network().predict(given)
    assert str(error.value).endswith(str(shape))


def test_lengths_that_differ_and_nothing_at_all_are_refused() -> None:
    model, message = network(), "x and y must have the same length, not 0"
    for x, y in ((X, Y[:-1]), (X[:1], Y), (X[:0], Y[:0])):
        with pytest.raises(ValueError, match=message):
            model.evaluate(x, y)
        with pytest.raises(ValueError, match=message):
            fitted(model, validation_data=(x, y))
        with pytest.raises(ValueError, match=message):
            model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match=r"with labels \(x, y\)"):
        model.evaluate(X)
    with pytest.raises(ValueError, match=r"with labels \(x, y\)"):
        fitted(model, validation_data=(X,))


# --- files ------------------------------------------------------------------------------------


def test_a_weights_file_does_not_pose_as_another(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.keras .*\.npz.*tinymnist\.export\(model, path\)"):
        save(network(), tmp_path / "x.keras")
    with pytest.raises(InputError, match=r"x\.bin should end with one of \.keras, .*\.onnx"):
        tinymnist.export(network(), tmp_path / "x.bin")
    assert not list(tmp_path.iterdir())


# --- random numbers ---------------------------------------------------------------------------


class Drawn:
    """Notes the order of the pictures, and the first number that an augmentation draws."""

    def __init__(self) -> None:
        self.orders: list[bytes] = []
        self.draws: list[float] = []

    def __call__(self, images: Any, rng: Any) -> Any:
        self.orders.append(images[:, 0, 0, 0].tobytes())
        self.draws.append(rng.random())
        return images


def test_every_fit_draws_other_random_numbers_and_every_run_the_same() -> None:
    notes = [Drawn(), Drawn()]
    models = [network(), network()]
    for model, note in zip(models, notes, strict=True):
        for _ in range(3):
            model.fit(X, Y, 90, verbose=0, micro_batch_size=90, augment=note)
    assert len(set(notes[0].orders)) == len(set(notes[0].draws)) == 3
    assert notes[0].orders == notes[1].orders and notes[0].draws == notes[1].draws
    assert same_bytes(*models)


def test_dropout_differs_from_fit_to_fit() -> None:
    """Everything else stays: nothing learns, nothing is shuffled."""
    model = Sequential([Input((6, 6, 1)), Flatten(), Dropout(0.5), Dense(2)], rng=1)
    model.compile(SGD(0.0))
    losses = [model.fit(X, Y, verbose=0, shuffle=False).history["loss"][0] for _ in range(3)]
    assert len(set(losses)) == 3


def test_the_seed_of_a_model_decides_what_its_fits_draw() -> None:
    def with_seed(seed: Any) -> Any:
        model = Sequential([Input((6, 6, 1)), Flatten(), Dropout(0.5), Dense(2)], rng=seed)
        model.set_weights([np.zeros((36, 2)), np.zeros(2)])
        model.compile(SGD(0.1))
        model.fit(X, Y, verbose=0)
        return model

    assert same_bytes(with_seed(1), with_seed(1))
    assert not same_bytes(with_seed(1), with_seed(2))


def test_consecutive_fits_on_a_flow_go_on_with_new_batches() -> None:
    """Two fits of one epoch see what one fit of two epochs sees."""

    def seen(*epochs: Any) -> Any:
        sums, model = [], network()

        def note(images: Any, rng: Any) -> Any:
            sums.append(float(images.sum()))
            return images

        flow = ImageDataGenerator(rotation_range=40).flow(X, Y, 45, seed=5)
        for count in epochs:
            model.fit(flow, epochs=count, verbose=0, augment=note, micro_batch_size=45, workers=1)
        return sums

    assert seen(1, 1) == seen(2)
    assert len(set(seen(1, 1))) == 4


BYTES = textwrap.dedent(
    """
    import sys
    import numpy as np
    import tinymnist

    model = tinymnist.load_model("keras-cnn")
    model.compile("adam")
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 28, 28, 1), np.float32), rng.integers(0, 10, 64)
    model.fit(x, y, batch_size=32, verbose=0, workers=int(sys.argv[1]))
    model.save(sys.argv[2])
    """
)


def test_one_thread_and_two_give_the_same_bytes_where_blas_could_use_two(tmp_path: Path) -> None:
    files = [tmp_path / "1.npz", tmp_path / "2.npz"]
    for workers, file in enumerate(files, start=1):
        command = [sys.executable, "-c", BYTES, str(workers), str(file)]
        subprocess.run(command, check=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "2"})
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_model_may_be_called_and_batch_size_be_none() -> None:
    model = network()
    np.testing.assert_array_equal(model(X), model.predict(X, batch_size=None))
    assert model.evaluate(X, Y, batch_size=None) == model.evaluate(X, Y)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        model.predict(X, batch_size=0)


def test_a_refused_compile_leaves_the_optimizer_free() -> None:
    adam = Adam()
    for loss in ("mes", ["mse"]):
        with pytest.raises(ValueError, match="loss must be one of"):
            network().compile(adam, loss=loss)
    network().compile(adam)


def test_layers_from_the_end_and_labels_without_end() -> None:
    model = network()
    assert model.get_layer(index=-1) is model.layers[-1]
    with pytest.raises(ValueError, match="labels must be whole numbers"):
        model.evaluate(X[:2], np.array([0.0, np.inf]))


def test_names_that_keras_had_until_2020() -> None:
    def batches() -> Iterator[tuple[Any, Any]]:
        while True:
            yield X, Y

    model, twin = network(), network()
    twin.fit(X, Y, batch_size=len(X), epochs=2, shuffle=False, verbose=0)
    model.fit_generator(batches(), 1, nb_epoch=2, verbose=0, workers=4, max_queue_size=2)
    np.testing.assert_array_equal(model.predict_generator(batches(), steps=1), model.predict(X))
    np.testing.assert_allclose(model.predict(X), twin.predict(X), rtol=1e-5, atol=1e-7)
    assert model.evaluate_generator(batches(), 1) == pytest.approx(model.evaluate(X, Y))
    np.testing.assert_array_equal(model.predict_classes(X), model.predict(X).argmax(axis=1))


def test_words_of_every_keras(tmp_path: Path) -> None:
    keras: Any = tinymnist.keras
    adam = keras.optimizers.legacy.Adam(lr=0.1, name="mine", amsgrad=False, ema_momentum=0.99)
    loss = keras.losses.CategoricalCrossentropy(name="mine", reduction="auto", axis=-1)
    model = Sequential([keras.layers.InputLayer(input_shape=(4,)), Dense(3)])
    model.compile(adam, loss)
    assert adam.learning_rate == 0.1 and model.layers[0].count_params() == 15
    model.save(tmp_path / "model", save_format="tf", include_optimizer=False)
    assert same_bytes(keras.models.load_model(tmp_path / "model"), model)
    for kind, word in (("RMSprop", "centered"), ("Adam", "amsgrad")):
        with pytest.raises(ValueError, match=f"{word} is not supported"):
            getattr(keras.optimizers, kind)(**{word: True})
    with pytest.raises(ValueError, match="reduction must be one of"):
        keras.losses.MeanSquaredError(reduction="sum")
    threshold = ModelCheckpoint("x.npz", mode="max", initial_value_threshold=0.9)
    assert not threshold._has_improved(0.8) and threshold._has_improved(0.95)
