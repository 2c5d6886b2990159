"""MNIST's digits painted into pictures, other ways of writing, and the wider training set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinymnist.augmentation.distort import RandomDistortion
from tinymnist.imaging.digit.components import find_components
from tinymnist.imaging.digit.frame import centre_of_mass
from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.synthetic.lettering import printed_digit
from tinymnist.imaging.synthetic.paint import ink, pen_stroke
from tinymnist.imaging.synthetic.scenes import bitmap, render_and_renormalize, scene, skeleton
from tinymnist.imaging.synthetic.styles import (
    drawn_seven,
    european_one,
    low_four,
    with_bar,
    with_flag,
)
from tinymnist.imaging.synthetic.training_set import count_new, training_set


def digit(number: Any) -> Any:
    return normalize(1 - ink(number, (60, 60), height=0.7, pen=0.12))


def has_mnists_form(image: Any) -> Any:
    rows, columns = (np.flatnonzero((image > 0).any(axis)) for axis in (1, 0))
    middle = np.subtract(centre_of_mass(image), 13.5)
    return (
        image.shape == (28, 28)
        and image.dtype == np.float32
        and 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        and np.abs(middle).max() <= 1.01
    )


@pytest.mark.parametrize("paint", [scene, bitmap])
def test_pictures_are_pictures(paint: Any) -> None:
    for seed in range(40):
        picture = paint(digit(seed % 10), np.random.default_rng(seed))
        assert picture.ndim == 2 and picture.dtype == np.float32
        assert picture.min() >= 0 and picture.max() <= 1
        assert np.ptp(picture) > 0.1


def test_what_comes_back_is_the_same_digit_in_mnists_form() -> None:
    likeness = []
    for seed in range(60):
        plain = digit(seed % 10)
        back = render_and_renormalize(plain, np.random.default_rng(seed))
        assert has_mnists_form(back)
        likeness.append(np.corrcoef(back.ravel(), plain.ravel())[0, 1])
    assert np.median(likeness) > 0.8
    assert np.median(likeness) < 0.99  # something happened on the way


def test_a_flag_makes_the_one_wider_and_nothing_else() -> None:
    one = digit(1)
    widths = []
    for seed in range(30):
        flagged = with_flag(one, np.random.default_rng(seed))
        assert has_mnists_form(flagged)
        widths.append(np.ptp(np.flatnonzero((flagged > 0.3).any(0))))
    assert min(widths) >= np.ptp(np.flatnonzero((one > 0.3).any(0)))
    assert len(set(widths)) > 3


def test_a_bar_crosses_the_stem_of_a_seven() -> None:
    seven = digit(7)
    for seed in range(30):
        barred = with_bar(seven, np.random.default_rng(seed))
        assert has_mnists_form(barred)
        assert barred.sum() > seven.sum()
        assert np.corrcoef(barred.ravel(), seven.ravel())[0, 1] > 0.5


def test_drawn_fours_are_fours_and_no_two_alike() -> None:
    fours = [low_four(np.random.default_rng(seed)) for seed in range(30)]
    assert all(has_mnists_form(four) for four in fours)
    likeness = np.corrcoef([four.ravel() for four in fours])
    assert likeness[np.triu_indices(30, 1)].max() < 0.98
    # The shape of an L with a stem: ink at the left above the foot, at the right below it.
    mean = np.mean(fours, axis=0)
    assert mean[6:12, 4:14].sum() > 2 * mean[6:12, 20:].sum()
    assert mean[20:24, 14:20].sum() > 2 * mean[20:24, 4:10].sum()


def test_drawn_ones_have_flags_of_every_length_and_fall() -> None:
    ones = np.stack([european_one(np.random.default_rng(seed)) for seed in range(60)])
    assert all(has_mnists_form(one) for one in ones)
    widths = [np.ptp(np.flatnonzero((one > 0.3).any(0))) for one in ones]
    assert min(widths) < 9 and max(widths) > 14
    # The flag rises from the left to the top, which lies in the right half.
    tops = [np.flatnonzero(one[np.flatnonzero((one > 0.3).any(1))[0]] > 0.3) for one in ones]
    assert np.mean([top.mean() for top in tops]) > 13.5


def test_drawn_sevens_begin_at_the_upper_left() -> None:
    sevens = np.stack([drawn_seven(np.random.default_rng(seed)) for seed in range(60)])
    assert all(has_mnists_form(seven) for seven in sevens)
    mean = sevens.mean(0)
    assert mean[4:9].sum() > 1.2 * mean[19:24].sum()
    assert mean[4:9, :14].sum() > 4 * mean[19:24, 18:].sum()


@pytest.mark.parametrize("number", range(10))
def test_printed_digits_are_alike_and_no_two_the_same(number: int) -> None:
    made = np.stack([printed_digit(number, np.random.default_rng(seed)) for seed in range(12)])
    assert all(has_mnists_form(one) for one in made)
    likeness = np.asarray(np.corrcoef(made.reshape(12, -1)))[np.triu_indices(12, 1)]
    assert np.median(likeness) > 0.4 and likeness.max() < 0.999


def test_a_pen_stroke_is_as_wide_as_the_pen() -> None:
    line = pen_stroke((40, 60), [(20, 10), (20, 50)], 2.0)
    assert line.dtype == np.float32
    assert line[20, 10:51].min() == 1  # full ink from end to end
    np.testing.assert_allclose(line[:, 20:40].sum(0), 4, atol=1e-5)
    assert line[:, :7].max() == line[:, 54:].max() == 0
    bent = pen_stroke((40, 60), [(20, 10), (20, 50), (35, 50)], 2.0)
    np.testing.assert_array_equal(
        bent, np.maximum(line, pen_stroke((40, 60), [(20, 50), (35, 50)], 2.0))
    )


def test_the_wider_set_does_not_depend_on_the_number_of_processes() -> None:
    images = np.stack([digit(n) for n in (0, 1, 1, 7)])[..., None]
    labels = np.array([0, 1, 1, 7])
    done: list[int] = []
    more, truth = training_set(images, labels, seed=3, times=2, workers=1, tick=done.append)
    again, _ = training_set(images, labels, seed=3, times=2, workers=2)
    np.testing.assert_array_equal(more, again)
    np.testing.assert_array_equal(more[:4], images)
    # and two ones with flags, a crossed and a steep seven, and two cut from a neighbour
    digits = [0, 1, 1, 7, 1, 1, 7, 7, 0, 7]
    assert truth.argmax(1)[:-2].tolist() == digits * 3  # plain, and painted twice
    np.testing.assert_array_equal(truth[:-2].max(1), 1)
    np.testing.assert_allclose(truth[-2:], 0.1)  # two pictures without a digit
    assert more.shape == (32, 28, 28, 1) and truth.shape == (32, 10)
    assert sum(done) == count_new(labels, 2) == 6 + 2 * 10 + 2


def test_elastic_maps_bend() -> None:
    images = np.stack([digit(n % 10) for n in range(20)])[..., None]
    still = RandomDistortion(0, 0, 0, 0)
    bent = RandomDistortion(0, 0, 0, 0, elastic=1.0)
    rng = np.random.default_rng(0)
    np.testing.assert_allclose(still(images, rng), images, atol=1e-6)
    assert np.abs(bent(images, rng) - images).mean() > 0.01


def test_a_bar_becomes_its_middle_line() -> None:
    bar = np.zeros((21, 60), bool)
    bar[6:15, 5:55] = True
    thin = skeleton(bar)
    assert set(np.nonzero(thin[:, 15:45])[0]) <= {9, 10, 11}
    assert (thin[:, 15:45].sum(0) == 1).all()


@pytest.mark.parametrize("number", range(10))
def test_digits_keep_their_parts_and_holes_and_lose_their_width(number: int) -> None:
    whole = ink(number, (80, 60), height=0.8, pen=0.14) > 0.5
    thin = skeleton(whole)
    assert not (thin & ~whole).any()
    assert thin.sum() < 0.25 * whole.sum()
    assert len(find_components(thin).boxes) == len(find_components(whole).boxes)
    blocks = sum(thin[i : 79 + i, j : 59 + j].astype(int) for i in (0, 1) for j in (0, 1))
    assert not np.any(blocks == 4)  # nowhere two pixels wide and high
    holes = [len(find_components(~np.pad(mask, 1)).boxes) for mask in (thin, whole)]
    assert holes[1] <= 1 or holes[0] >= 1


def test_nothing_stays_nothing() -> None:
    assert not skeleton(np.zeros((5, 5), bool)).any()
    assert not skeleton(np.zeros((0, 3), bool)).any()
