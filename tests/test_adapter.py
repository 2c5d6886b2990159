"""Pictures as a network takes them, and probabilities whatever its head."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinymnist import InputError
from tinymnist.adapter import (
    SCALINGS,
    model_input,
    picture_side,
    possible_fits,
    probabilities,
    scaling_entry,
)
from tinymnist.nn.layers import Activation, Dense, Flatten, Reshape
from tinymnist.nn.sequential import Input, Sequential
from tinymnist.reader import Reader

IMAGES = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)


@pytest.mark.parametrize(
    ("shape", "side"),
    [
        *(((28, 28, 1), 28), ((28, 28), 28), ((784,), 28), ((1, 784), 28), ((1, 28, 28), 28)),
        *(((28, 28, 3), 28), ((32, 32, 1), 32), ((196,), 14), ((14, 14, 1), 14), ((1024,), 32)),
        *(((28, 14, 1), None), ((10,), None), ((28, 28, 4), None), ((2, 28, 28, 1), None)),
    ],
)
def test_which_inputs_are_pictures(shape: Any, side: Any) -> None:
    assert picture_side(shape) == side


@pytest.mark.parametrize("shape", [(28, 28, 1), (28, 28), (784,), (1, 784), (1, 28, 28)])
def test_reshaping_keeps_every_pixel(shape: Any) -> None:
    x = model_input(IMAGES, shape, {})
    assert x.shape == (2, *shape) and np.array_equal(x.ravel(), IMAGES.ravel())


def test_three_channels_get_the_same_picture() -> None:
    x = model_input(IMAGES, (28, 28, 3), {})
    assert all(np.array_equal(x[..., c], IMAGES[..., 0]) for c in range(3))


def test_padding_comes_before_scaling() -> None:
    x = model_input(IMAGES, (32, 32, 1), {"fit": "pad", "scaling": scaling_entry("x/127.5-1")})
    assert np.array_equal(x[:, 2:30, 2:30], IMAGES * 2 - 1)
    assert (x[:, :2] == -1).all() and (x[:, :, 30:] == -1).all()


def test_resizing_keeps_the_mean() -> None:
    for side in (14, 32, 56):
        x = model_input(IMAGES, (side, side, 1), {"fit": "resize"})
        assert x.shape == (2, side, side, 1) and x.mean() == pytest.approx(IMAGES.mean(), abs=0.01)
    assert possible_fits((14, 14)) == ("average", "resize")
    assert possible_fits((16, 16)) == ("resize",)
    assert possible_fits((32, 32, 1)) == ("pad", "resize")
    assert possible_fits((784,)) == (None,)


def test_averages_of_blocks() -> None:
    x = model_input(IMAGES, (14, 14, 1), {"fit": "average"})
    assert x[1, 3, 5, 0] == pytest.approx(IMAGES[1, 6:8, 10:12, 0].mean())
    assert x.dtype == np.float32 and np.allclose(x.mean(), IMAGES.mean())
    with pytest.raises(InputError, match="preprocessing must fit by one of"):
        model_input(IMAGES, (16, 16, 1), {"fit": "average"})


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("x/255", lambda x: x / 255),
        ("raw", lambda x: x),
        ("x/127.5-1", lambda x: x / 127.5 - 1),
        ("norm(.1307,.3081)", lambda x: (x / 255 - 0.1307) / 0.3081),
        ("1-x/255", lambda x: 1 - x / 255),
        ("x/255-0.5", lambda x: x / 255 - 0.5),
    ],
)
def test_scalings_are_what_their_names_say(name: str, formula: Any) -> None:
    x = model_input(IMAGES, (28, 28, 1), {"scaling": scaling_entry(name)})
    assert x == pytest.approx(formula(IMAGES * 255), rel=1e-5, abs=1e-5)
    assert x.dtype == np.float32 and set(SCALINGS) >= {name}


@pytest.mark.parametrize(
    ("shape", "preprocessing", "message"),
    [
        ((30, 20, 1), {}, "takes square pictures"),
        ((32, 32, 1), {"fit": "crop"}, "must fit by one of"),
        ((28, 28, 1), {"scaling": {"scale": "2"}}, "must scale by"),
    ],
)
def test_nonsense_is_refused(shape: Any, preprocessing: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        model_input(IMAGES, shape, preprocessing)


def head(*layers: Any) -> Any:
    model = Sequential([Input((28, 28, 1)), Flatten(), Dense(10, name="d"), *layers], rng=1)
    return model, model.capture(IMAGES)["d"]


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    "layers",
    [(), (Activation("softmax"),), (Activation("log_softmax"),),
     (Activation("softmax"), Reshape((1, 10)), Flatten())],
)  # fmt: skip
def test_probabilities_whatever_the_head(layers: Any) -> None:
    model, z = head(*layers)
    assert probabilities(model, IMAGES) == pytest.approx(softmax(z), abs=1e-6)


def test_sigmoids_are_shared_out() -> None:
    model, z = head(Activation("sigmoid"))
    each = 1 / (1 + np.exp(-z))
    assert probabilities(model, IMAGES) == pytest.approx(
        each / each.sum(1, keepdims=True), abs=1e-6
    )


def test_the_reader_hands_pictures_over_as_the_model_wants_them() -> None:
    plain = Sequential([Input((784,)), Dense(10)], rng=3)
    kernel, bias = plain.weights["dense/kernel"], plain.weights["dense/bias"]
    twin = Sequential([Input((28, 28)), Flatten(), Dense(10)])
    twin.get_layer("dense").set_weights({"kernel": kernel / 2, "bias": bias + kernel.sum(0) / 2})
    twin.metadata["preprocessing"] = {"recipe": "none", "scaling": scaling_entry("x/127.5-1")}
    readers = Reader(plain, "none"), Reader(twin)
    a, b = (reader.predict(IMAGES[0, ..., 0]).probabilities for reader in readers)
    assert a == pytest.approx(b, abs=1e-5)
    with pytest.raises(InputError, match="expected a model that takes square pictures"):
        Reader(Sequential([Input((5,)), Dense(10)]))


@pytest.mark.parametrize(("name", "axis"), [("normalize(axis=1)", 1), ("normalize(axis=2)", 2)])
def test_columns_or_rows_over_their_length(name: str, axis: int) -> None:
    images = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)
    images[0, :, 3], images[0, 4] = 0, 0
    x = model_input(images, (28, 28), {"scaling": scaling_entry(name)})
    length = np.linalg.norm(images[..., 0], axis=axis, keepdims=True)
    length[length == 0] = 1  # as keras.utils.normalize
    assert np.allclose(x, images[..., 0] / length, atol=1e-6)
    with pytest.raises(InputError, match="received 3"):
        model_input(images, (28, 28), {"scaling": {"scale": 1, "offset": 0, "axis": 3}})
