"""Where the recipe is in doubt there are several readings; the recipe's own comes first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.digit.normalize import is_mnist, normalize, readings
from tinymnist.imaging.digit.paper import ink_darkness, ink_is_dark
from tinymnist.imaging.digit.recipes import prepare_image, prepare_readings
from tinymnist.imaging.synthetic.paint import ink


def drawn(number: Any, size: Any = (90, 70)) -> Any:
    return 1 - ink(number, size, height=0.6, pen=0.1)


def half_inverted(number: Any) -> Any:
    """28x28: a white digit on black in the middle, on white cards left and right."""
    picture = normalize(drawn(number)).copy()
    picture[:, :7] = 1 - picture[:, :7]
    picture[:, 21:] = 1 - picture[:, 21:]
    return picture


@pytest.mark.parametrize("number", range(10))
def test_a_clear_picture_has_one(number: int) -> None:
    for picture in (drawn(number), 1 - drawn(number)):
        made = readings(picture).whole
        assert made.shape == (1, 28, 28) and made.dtype == np.float32
        np.testing.assert_array_equal(made[0], normalize(picture))


def test_mnists_own_form_has_one() -> None:
    picture = normalize(drawn(3))
    assert is_mnist(picture)
    np.testing.assert_array_equal(readings(picture).whole, picture[None])


def test_a_small_picture_is_also_read_as_it_is() -> None:
    picture = np.clip(normalize(drawn(3)) + 0.1, 0, 1)  # MNIST's size, but grey paper
    made = readings(picture).whole
    assert len(made) == 2
    np.testing.assert_array_equal(made[1], picture)
    inverted = readings(1 - picture).whole
    np.testing.assert_allclose(inverted[1], picture, atol=1e-6)


@pytest.mark.parametrize("number", range(10))
def test_where_the_polarity_is_in_doubt_both_are_tried(number: int) -> None:
    picture = half_inverted(number)
    assert abs(ink_darkness(picture)) < 0.6
    made = readings(picture).whole
    assert len(made) in (3, 4)
    assert any(np.array_equal(way, picture) for way in made[1:])
    assert any(np.allclose(way, 1 - picture) for way in made[1:])


def test_the_darkness_of_ink_changes_its_sign_with_the_picture() -> None:
    for number in range(10):
        picture = drawn(number)
        assert ink_darkness(picture) > 0.6 and ink_is_dark(picture)
        assert ink_darkness(1 - picture) < -0.6 and not ink_is_dark(1 - picture)


def test_a_blank_picture_has_no_readings() -> None:
    for size in ((28, 28), (60, 80)):
        with pytest.raises(NoDigitFound):
            readings(np.full(size, 0.7, np.float32))


@pytest.mark.parametrize("recipe", ["mnist", "resize", "none"])
def test_the_first_is_what_the_recipe_prepares(recipe: str) -> None:
    picture = np.clip(normalize(drawn(5)) + 0.1, 0, 1)
    made = prepare_readings(picture, recipe).whole
    assert made.shape[1:] == (28, 28, 1)
    np.testing.assert_array_equal(made[0], prepare_image(picture, recipe))
    assert len(made) == (2 if recipe == "mnist" else 1)
