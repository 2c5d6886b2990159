"""Three ways to make a network's input of a picture, and who is told what went wrong."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.samples import to_image
from tinymnist.errors import InputError
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.digit.recipes import RECIPES, prepare_image
from tinymnist.imaging.synthetic.paint import ink


@pytest.fixture
def digit(tmp_path: Path) -> Any:
    """A black 3 on white paper."""
    path = tmp_path / "three.png"
    to_image(1 - ink(3, (90, 70), height=0.6, pen=0.1)).save(path)
    return path


def pixels(path: Any) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture, np.float32) / np.float32(255)


def test_there_are_three() -> None:
    assert list(RECIPES) == ["mnist", "resize", "none"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_makes_a_networks_input(recipe: Any) -> None:
    source = ink(3, (28, 28), height=0.7, pen=0.1)
    made = prepare_image(source, recipe)
    assert made.shape == (28, 28, 1) and made.dtype == np.float32
    assert made.min() >= 0 and made.max() <= 1
    assert not np.shares_memory(made, source)


def test_mnist_is_the_usual_one(digit: Any) -> None:
    np.testing.assert_array_equal(prepare_image(digit), prepare_image(digit, "mnist"))
    np.testing.assert_array_equal(prepare_image(digit)[..., 0], normalize(pixels(digit)))


def test_resize_is_pillows(digit: Any) -> None:
    grey = Image.fromarray(pixels(digit)).resize((28, 28), Image.Resampling.BICUBIC)
    made = prepare_image(digit, "resize")[..., 0]
    np.testing.assert_array_equal(made, np.clip(np.asarray(grey), 0, 1))
    with Image.open(digit) as picture:
        in_bytes = picture.resize((28, 28), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(made, np.asarray(in_bytes) / 255, atol=6 / 255)  # rounds twice


def test_resize_leaves_the_polarity_to_you(digit: Any) -> None:
    assert prepare_image(digit, "resize")[0, 0] == 1
    assert prepare_image(digit, "mnist")[0, 0] == 0


def test_resize_takes_a_blank_picture() -> None:
    assert (prepare_image(np.ones((50, 40)), "resize") == 1).all()


def test_none_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    np.testing.assert_array_equal(prepare_image(image, "none")[..., 0], image / np.float32(255))


def test_none_refuses_other_shapes(digit: Any) -> None:
    with pytest.raises(InputError, match=r"three\.png: .*28x28.* Received: 70x90 pixels$"):
        prepare_image(digit, "none")


@pytest.mark.parametrize("recipe", ["MNIST", "", "lenet", None])
def test_an_unknown_recipe_lists_the_known_ones(digit: Any, recipe: Any) -> None:
    with pytest.raises(ValueError, match="mnist, resize, none") as caught:
        prepare_image(digit, recipe)
    assert not isinstance(caught.value, InputError)
    assert repr(recipe) in str(caught.value)


def test_a_blank_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "blank.png"
    Image.new("L", (40, 40), 255).save(path)
    with pytest.raises(NoDigitFound, match=r"blank\.png: no digit found"):
        prepare_image(path)
    with path.open("rb") as stream, pytest.raises(NoDigitFound, match=r"blank\.png"):
        prepare_image(stream)
    with pytest.raises(NoDigitFound, match="picture from BytesIO: "):
        prepare_image(io.BytesIO(path.read_bytes()))
    with pytest.raises(NoDigitFound, match=r"array of shape \(9, 9\): "):
        prepare_image(np.ones((9, 9)))


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_is_no_picture_is_named_once(tmp_path: Path, recipe: Any) -> None:
    path = tmp_path / "text.png"
    path.write_text("no picture")
    with pytest.raises(InputError) as caught:
        prepare_image(path, recipe)
    assert str(caught.value).count("text.png") == 1
    assert "\n" not in str(caught.value)
