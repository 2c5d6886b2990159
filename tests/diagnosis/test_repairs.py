"""Repairs one by one: none is the tutorials' recipe, all are nearly MNIST's, each does its part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinymnist.diagnosis.ink_and_paper import separate_ink, view
from tinymnist.diagnosis.properties import measure
from tinymnist.diagnosis.repairs import PLANS, REPAIRS, every_repair
from tinymnist.imaging.digit.filters import resize
from tinymnist.imaging.digit.frame import MNIST_WIDTHS, centre_of_mass
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.digit.normalize import STAGES, normalize
from tinymnist.imaging.digit.recipes import tutorial
from tinymnist.nn.arrays import Array


def seven(ink: float = 0.2, paper: float = 0.7, noise: float = 0.0) -> Array:
    """A small, thin, dark 7 in the upper left of a frame that is not square."""
    grey = np.full((180, 240), paper, np.float32)
    grey[30:34, 40:90] = ink
    for step in range(60):
        column = 86 - step // 2
        grey[34 + step, column : column + 4] = ink
    rng = np.random.default_rng(0)
    return np.clip(grey + rng.normal(0, noise, grey.shape), 0, 1).astype(np.float32)


def with_repairs(grey: Array, *names: str) -> Array:
    return every_repair(separate_ink(grey), tutorial(grey))[frozenset(names)]


def box_of(image: Array) -> tuple[int, int]:
    rows, columns = (np.flatnonzero((image > 0.5 * image.max()).any(axis)) for axis in (1, 0))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def test_every_set_of_repairs_is_tried_once() -> None:
    assert len(PLANS) == len(set(PLANS)) == 2 ** len(REPAIRS) == 64
    assert list(every_repair(separate_ink(seven()), tutorial(seven()))) == PLANS


def test_without_repairs_it_is_the_tutorials_recipe() -> None:
    grey = seven(noise=0.02)
    np.testing.assert_array_equal(with_repairs(grey), tutorial(grey))


def test_polarity_inverts_dark_ink_and_leaves_light_ink() -> None:
    grey = seven()
    np.testing.assert_allclose(with_repairs(grey, "polarity"), 1 - tutorial(grey), atol=1e-6)
    negative = 1 - grey
    np.testing.assert_allclose(with_repairs(negative, "polarity"), tutorial(negative), atol=1e-6)


def test_paper_becomes_white_and_even_and_ink_stays_dark() -> None:
    image = with_repairs(seven(noise=0.05), "paper")
    assert np.median(image) == 1
    assert (image[20:] == 1).all()  # nothing is drawn down there
    assert image.min() < 0.8


def test_size_makes_the_longer_side_20_pixels_and_keeps_proportions() -> None:
    parts = separate_ink(seven())
    top, left, bottom, right = parts.box
    height, width = box_of(with_repairs(seven(), "polarity", "paper", "size"))
    assert max(height, width) == pytest.approx(20, abs=1)
    assert width / height == pytest.approx((right - left) / (bottom - top), abs=0.1)


def test_position_brings_the_mass_to_mnists_middle_and_moves_nothing_else() -> None:
    before = with_repairs(seven(), "polarity", "paper")
    after = with_repairs(seven(), "polarity", "paper", "position")
    assert centre_of_mass(after) == pytest.approx((14, 14), abs=0.3)
    assert after.sum() == pytest.approx(before.sum(), rel=0.02)


def test_thin_strokes_grow_towards_mnists_width() -> None:
    others = ("polarity", "paper", "size", "position")
    thin, full = with_repairs(seven(), *others), with_repairs(seven(), *others, "stroke")
    width = measure(separate_ink(seven()))["stroke"]
    assert width < MNIST_WIDTHS[0] - 0.3
    assert 1.2 < full.sum() / thin.sum() < MNIST_WIDTHS[0] / width


def test_intensity_stretches_paper_to_0_and_ink_to_1() -> None:
    image = with_repairs(seven(ink=0.4, paper=0.7), "polarity", "intensity")
    assert image.min() == 0 and image.max() == pytest.approx(1, abs=1e-5)
    assert np.median(image) == pytest.approx(0, abs=1e-5)


def test_all_repairs_are_nearly_the_recipe() -> None:
    grey = seven(noise=0.02)
    everything, recipe = with_repairs(grey, *REPAIRS), normalize(grey)
    assert np.corrcoef(everything.ravel(), recipe.ravel())[0, 1] > 0.93


def test_what_is_mnist_is_left_alone() -> None:
    image = normalize(seven())
    for plan, other in every_repair(separate_ink(image), tutorial(image)).items():
        np.testing.assert_array_equal(other, image, err_msg=str(plan))


def test_ink_at_the_frame_ends_there_when_the_frame_is_widened() -> None:
    grey = np.ones((16, 16), np.float32)
    grey[:, 6:10] = 0  # a 1 from edge to edge
    image = with_repairs(grey, "polarity", "size")
    assert box_of(image)[0] <= 21
    assert image[:3].max() < 0.1 and image[-3:].max() < 0.1


def test_a_blank_picture_has_no_ink() -> None:
    with pytest.raises(NoDigitFound):
        separate_ink(np.ones((50, 50), np.float32))


def test_a_view_of_the_whole_is_a_resize() -> None:
    from PIL.Image import Resampling

    grey = seven(noise=0.1)
    expected = np.clip(resize(grey, (28, 28), Resampling.BICUBIC), 0, 1)
    np.testing.assert_allclose(view(grey, (0, 0, 180, 240), 0), expected, atol=1e-6)


def test_a_view_beyond_the_picture_is_filled() -> None:
    image = view(np.ones((28, 28), np.float32), (-28, 0, 0, 28), 0.25)
    assert image[:25] == pytest.approx(0.25)


def test_the_ink_is_what_the_recipe_cuts_out() -> None:
    """All stages of the recipe are done except the last three, which move the ink."""
    assert list(STAGES)[-3:] == ["slant", "box", "centre"]
    grey = seven(noise=0.02)
    state: Any = grey
    for work, _ in list(STAGES.values())[:-3]:
        state = work(state)
    np.testing.assert_array_equal(separate_ink(grey).ink, state.picture)
