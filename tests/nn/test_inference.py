"""What the plan computes is what the layers compute, up to rounding."""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymnist import load_model
from tinymnist.errors import InputError
from tinymnist.nn.architectures import ARCHITECTURES, keras_cnn, mnist_cnn
from tinymnist.nn.arrays import Array
from tinymnist.nn.graph import Graph
from tinymnist.nn.inference.plan import plan_of
from tinymnist.nn.layers import (
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPooling2D,
    ReLU,
    Softmax,
    layer_from_config,
)
from tinymnist.nn.optimizers import SGD
from tinymnist.nn.sequential import Input, Sequential


def pictures(n: int, shape: tuple[int, ...] = (28, 28, 1)) -> Array:
    return np.random.default_rng(n).random((n, *shape), np.float32)


def randomize(model: Graph) -> None:
    """Weights without zeros, ones or symmetries that could hide a mistake."""
    rng = np.random.default_rng(7)
    model.set_weights(
        {
            name: rng.uniform(0.5, 1.5, array.shape)
            if name.endswith(("gamma", "variance"))
            else rng.normal(0, 1 / np.sqrt(array.size // array.shape[-1]), array.shape)
            for name, array in model.weights.items()
        }
    )


def assert_same(model: Graph, x: Array, within: float = 1e-5) -> None:
    """Equal relative to the largest number, with and without a softmax."""
    for logits in (False, True):
        expected = model.predict(x, plain=True, logits=logits, workers=1)
        found = model.predict(x, logits=logits, workers=1)
        assert found.shape == expected.shape and found.dtype == np.float32
        assert abs(found - expected).max(initial=0) <= within * abs(expected).max(initial=1e-3)


def convolutions() -> Iterator[tuple[Any, ...]]:
    for size in ((6, 6), (7, 9), (12, 5)):
        for kernel in (1, 2, 3, 5, (3, 2)):
            for padding in ("valid", "same"):
                for pooled in (False, True):
                    yield size, kernel, padding, pooled


@pytest.mark.parametrize(("size", "kernel", "padding", "pooled"), list(convolutions()))
@pytest.mark.parametrize("channels", [1, 3, 9])
def test_convolutions_of_any_shape(
    size: tuple[int, int], kernel: Any, padding: str, pooled: bool, channels: int
) -> None:
    """Few and many channels, alone and in a block: every algorithm is taken by some of these."""
    layers = [Conv2D(5, kernel, padding=padding, activation="relu"), MaxPooling2D()]
    model = Graph(
        layers[: 1 + pooled] if min(size) > 5 else layers[:1], input_shape=(*size, channels)
    )
    randomize(model)
    for n in (1, 2, 18):
        assert_same(model, pictures(n, model.input_shape))


@pytest.mark.parametrize(
    "layers",
    [
        [Conv2D(4, 3, 2, activation="relu"), MaxPooling2D()],
        [Conv2D(4, (2, 3), (1, 2), "same"), MaxPooling2D(), ReLU()],
        [Conv2D(4, 3, dilation_rate=(2, 1), padding="same", activation="tanh"), MaxPooling2D()],
        [Conv2D(4, 3, padding=((1, 0), (0, 2)), use_bias=False), BatchNormalization(), ReLU()],
        [Conv2D(4, 3), BatchNormalization(), MaxPooling2D(), Activation("sigmoid")],
        [Conv2D(4, 3), MaxPooling2D(), BatchNormalization(), ReLU()],
        [Conv2D(4, 3), ReLU(), BatchNormalization(), MaxPooling2D()],
        [Conv2D(4, 3, activation="gelu"), MaxPooling2D()],  # gelu falls at first
        [Conv2D(4, 3), MaxPooling2D(3, 2), MaxPooling2D(2, 1)],
        [Conv2D(4, 3), MaxPooling2D(), MaxPooling2D()],
        [Conv2D(4, 3), MaxPooling2D(2, 2, "same"), ReLU(negative_slope=0.1)],
        [Conv2D(6, 3, groups=3), BatchNormalization(), ReLU(), AveragePooling2D()],
        [Dropout(0.5), Flatten(), Dropout(0.5), Dense(7), BatchNormalization(), ReLU()],
        [Flatten(), Dense(7), ReLU(), ReLU(), Dense(3, activation="softmax"), Dropout(0.3)],
        [Flatten(), Dense(3), Activation("softmax")],
        [Flatten(), Dense(3), Activation("log_softmax")],
        [Flatten(), Dense(3, use_bias=False, activation="softmax"), Dense(2)],
        [Conv2D(4, 3, activation="softmax"), Softmax()],
        [Conv2D(6, 3, groups=3, activation="softmax")],
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("size", [(10, 9), (11, 12)])
def test_what_follows_a_layer_is_folded_into_it_or_not(
    layers: list[Layer], size: tuple[int, int]
) -> None:
    model = Graph(
        [layer_from_config(layer.config() | {"name": ""}) for layer in layers],
        input_shape=(*size, 3),
    )
    randomize(model)
    for n in (1, 5, 17):
        assert_same(model, pictures(n, model.input_shape))


def test_every_layer(layer_case: Any) -> None:
    """Alone, and between others, in the layout that a plan has inside."""
    layer = layer_case.built("float32")
    if len(layer_case.input_shapes) > 1:
        pytest.skip("takes several inputs: see the test of branches")
    shape = layer_case.input_shapes[0]
    layers: list[Layer] = [layer]
    if len(shape) == 3:
        layers = [Conv2D(shape[2], 1, name="before"), layer]
    model = Graph(layers, input_shape=shape)
    for n in (1, 3, 17):
        assert_same(model, pictures(n, shape))


@pytest.mark.parametrize("merging", [Add, Concatenate])
def test_branches(merging: type[Layer]) -> None:
    """A convolution that two layers read keeps its own output; only the other is folded."""
    model = Graph(
        [
            Input((9, 8, 2)),
            Conv2D(8, 3, padding="same", name="a"),
            ReLU(name="b"),
            Conv2D(8, 3, padding="same", name="c"),
            BatchNormalization(name="d"),
            merging(name="sum"),
            MaxPooling2D(name="pool"),
            Flatten(name="flat"),
            Dense(4, activation="softmax", name="out"),
        ],
        wiring={"c": ["a"], "sum": ["b", "d"]},
    )
    randomize(model)
    for n in (1, 6, 20):
        assert_same(model, pictures(n, (9, 8, 2)))


def test_an_output_that_others_are_listed_after() -> None:
    model = Graph(
        [Input((6,)), Dense(4, name="a"), Dense(3, name="side"), ReLU(name="out")],
        wiring={"out": ["a"]},
    )
    randomize(model)
    assert_same(model, pictures(5, (6,)))


def digits() -> Array:
    with np.load(Path(__file__).parents[1] / "mnist100.npz") as kept:
        return np.asarray(kept["images"][..., None] / np.float32(255))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_shipped_models_at_every_layer(name: str) -> None:
    model = load_model(name)
    for end in range(1, len(model) + 1):
        cut = Sequential(model.layers[:end], input_shape=(28, 28, 1))
        for n in (1, 19):
            assert_same(cut, pictures(n))
    x = digits()
    assert abs(model.predict(x) - model.predict(x, plain=True)).max() < 1e-6


def test_other_peoples_models(shared_folder: Path) -> None:
    """Probabilities of digits agree to 1e-6 with the plain layers or with float64.

    Not always with both: in one model the two float32 results lie on either side of float64's, in
    another the plain layers themselves are off by more. Outputs above 1 count relative to them. The
    rounding of a float32 sum grows with the root of the number of its terms: where a Dense adds
    20,000, some processors' BLAS is off by 3e-6.
    """
    pytest.importorskip("h5py")  # most of the files are Keras's
    x, checked = digits()[::5], 0
    for path in sorted((shared_folder / "models").glob("*/*")):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = load_model(path)
        except (InputError, ImportError, ValueError):
            continue
        if model.dtype != np.float32 or model.input_shape not in ((28, 28, 1), (784,)):
            continue
        exact = model.astype("float64").predict(x.astype(np.float64))
        for n in (1, 20):
            found, plain = model.predict(x[:n]), model.predict(x[:n], plain=True)
            error = min(abs(found - plain).max(), abs(found - exact[:n]).max())
            terms = max((len(w) for w in model.weights.values() if w.ndim == 2), default=0)
            rounding = 1e-6 * max(1, (terms / 1000) ** 0.5)
            assert error <= rounding * max(1, abs(plain).max()), f"{path}: {error}"
        checked += 1
    assert checked > 30


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("make", [keras_cnn, mnist_cnn])
def test_weights_that_change_in_place_are_noticed(make: Any, n: int) -> None:
    model, x = make(), pictures(n)
    randomize(model)
    before = model.predict(x, logits=True)
    for array in model.weights.values():
        array[..., ::2] *= np.float32(1.25)
        after = model.predict(x, logits=True)
        assert not np.array_equal(after, before)
        assert_same(model, x)
        before = after


def test_layers_and_settings_that_change_are_noticed() -> None:
    model, x = mnist_cnn(), pictures(3)
    model.predict(x)
    norm: Any = next(la for la in model.layers if isinstance(la, BatchNormalization))
    norm.epsilon = 0.5
    assert_same(model, x)
    norm.gamma = norm.gamma * 2
    assert_same(model, x)
    model.pop()
    model.add(Dense(3, activation="softmax"))
    assert model.predict(x).shape == (3, 3)
    assert_same(model, x)
    model.compile(optimizer=SGD(0.5), loss="sparse_categorical_crossentropy")
    before = model.predict(x)
    model.fit(x, np.array([0, 1, 2]), epochs=1, verbose=0)
    assert not np.allclose(model.predict(x), before)
    assert_same(model, x)


def test_an_unchanged_model_keeps_its_plan() -> None:
    model = keras_cnn()
    plan = plan_of(model, 1)
    model.predict(pictures(2))
    assert plan_of(model, 20) is plan


def test_the_same_call_gives_the_same_bytes_with_any_number_of_threads() -> None:
    model, x = keras_cnn(), pictures(50)
    first = model.predict(x, workers=1)
    for workers in (1, 2, 3):
        assert np.array_equal(model.predict(x, workers=workers), first)


def test_results_are_not_overwritten_by_the_next_call() -> None:
    model = keras_cnn()
    first = model.predict(pictures(2))
    kept = first.copy()
    model.predict(1 - pictures(2))
    assert np.array_equal(first, kept)


def test_threads_share_a_model() -> None:
    model, found = keras_cnn(), dict[int, bool]()
    x = [pictures(n) for n in range(1, 25)]
    expected = [model.predict(one) for one in x]

    def work(number: int) -> None:
        same = [np.array_equal(model.predict(a), b) for a, b in zip(x, expected, strict=True)]
        found[number] = all(same)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(4), True)


def test_inputs_stay_as_they_are() -> None:
    x = pictures(3)
    before = x.copy()
    x.flags.writeable = False
    keras_cnn().predict(x)
    assert np.array_equal(x, before)
    strided = np.repeat(x, 2, axis=0)[::2]
    assert np.array_equal(keras_cnn().predict(strided), keras_cnn().predict(x))


def test_float64_and_an_empty_batch_do_without_a_plan() -> None:
    model = keras_cnn().astype("float64")
    x = pictures(3)
    y = model.predict(x)
    assert y.dtype == np.float64
    assert np.array_equal(y, model.predict(x, plain=True))
    assert keras_cnn().predict(x[:0]).shape == (0, 10)


def test_large_pictures() -> None:
    """Few pictures to a block, and strips of a few rows."""
    model = Graph(
        [Conv2D(8, 3, activation="relu"), MaxPooling2D(), Conv2D(8, 3, activation="relu")],
        input_shape=(301, 250, 1),
    )
    randomize(model)
    assert_same(model, pictures(3, (301, 250, 1)))


def test_a_model_that_is_no_longer_held_is_freed_with_its_plan() -> None:
    model = keras_cnn()
    model.predict(pictures(8))
    gone = weakref.ref(model)
    del model
    assert gone() is None
