"""MNIST's digits painted into pictures, ones with flags, damage, and the wider training set."""

from __future__ import annotations

import numpy as np
import pytest

from tinymnist.imaging.augment import RandomDamage, RandomDistortion
from tinymnist.imaging.frame import centre_of_mass
from tinymnist.imaging.normalize import normalize
from tinymnist.imaging.paint import ink
from tinymnist.imaging.scenes import bitmap, revisit, scene
from tinymnist.imaging.styles import with_flag
from tinymnist.imaging.widen import widen


def digit(number):
    return normalize(1 - ink(number, (60, 60), height=0.7, pen=0.12))


def has_mnists_form(image):
    rows, columns = (np.flatnonzero((image > 0).any(axis)) for axis in (1, 0))
    middle = np.subtract(centre_of_mass(image), 13.5)
    return (
        image.shape == (28, 28)
        and image.dtype == np.float32
        and 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        and np.abs(middle).max() <= 1.01
    )


@pytest.mark.parametrize("paint", [scene, bitmap])
def test_pictures_are_pictures(paint):
    for seed in range(40):
        picture = paint(digit(seed % 10), np.random.default_rng(seed))
        assert picture.ndim == 2 and picture.dtype == np.float32
        assert picture.min() >= 0 and picture.max() <= 1
        assert np.ptp(picture) > 0.1


def test_what_comes_back_is_the_same_digit_in_mnists_form():
    likeness = []
    for seed in range(60):
        plain = digit(seed % 10)
        back = revisit(plain, np.random.default_rng(seed))
        assert has_mnists_form(back)
        likeness.append(np.corrcoef(back.ravel(), plain.ravel())[0, 1])
    assert np.median(likeness) > 0.8
    assert np.median(likeness) < 0.99  # something happened on the way


def test_a_flag_makes_the_one_wider_and_nothing_else():
    one = digit(1)
    widths = []
    for seed in range(30):
        flagged = with_flag(one, np.random.default_rng(seed))
        assert has_mnists_form(flagged)
        widths.append(np.ptp(np.flatnonzero((flagged > 0.3).any(0))))
    assert min(widths) >= np.ptp(np.flatnonzero((one > 0.3).any(0)))
    assert len(set(widths)) > 3


def test_the_wider_set_does_not_depend_on_the_number_of_processes():
    images = np.stack([digit(n) for n in (0, 1, 1, 7)])[..., None]
    labels = np.array([0, 1, 1, 7])
    done = []
    more, numbers = widen(images, labels, seed=3, workers=1, tick=done.append)
    again, _ = widen(images, labels, seed=3, workers=2)
    np.testing.assert_array_equal(more, again)
    np.testing.assert_array_equal(more[:4], images)
    assert numbers.tolist() == [0, 1, 1, 7, 1, 1] * 2
    assert more.shape == (12, 28, 28, 1)
    assert sum(done) == 2 + 6


def test_damage_spares_some_and_stays_in_range():
    images = np.stack([digit(n % 10) for n in range(200)])[..., None]
    before = images.copy()
    damaged = RandomDamage()(images, np.random.default_rng(0))
    np.testing.assert_array_equal(images, before)
    assert damaged.dtype == np.float32
    assert damaged.min() >= 0 and damaged.max() <= 1
    spared = np.mean([np.array_equal(a, b) for a, b in zip(images, damaged, strict=True)])
    assert 0.75**3 - 0.1 < spared < 0.75**3 + 0.15  # what is hidden may have been paper
    again = RandomDamage()(images, np.random.default_rng(0))
    np.testing.assert_array_equal(damaged, again)
    np.testing.assert_array_equal(RandomDamage(share=0)(images, np.random.default_rng(0)), images)


def test_elastic_maps_bend():
    images = np.stack([digit(n % 10) for n in range(20)])[..., None]
    still = RandomDistortion(0, 0, 0, 0)
    bent = RandomDistortion(0, 0, 0, 0, elastic=1.0)
    rng = np.random.default_rng(0)
    np.testing.assert_allclose(still(images, rng), images, atol=1e-6)
    assert np.abs(bent(images, rng) - images).mean() > 0.01
