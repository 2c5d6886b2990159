"""Damage of every kind: what it must keep, what it must change, and how often it happens."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tinymnist.augmentation.distort import KINDS, Kind, RandomDamage, hollow, on_two_papers
from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.synthetic.paint import ink


@cache
def digit(number: int) -> NDArray[Any]:
    picture = normalize(1 - ink(number, (60, 60), height=0.7, pen=0.12))
    picture.flags.writeable = False
    return picture


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_changes_some_of_a_picture_and_leaves_the_input_alone(kind: Kind) -> None:
    picture = digit(5)
    changed = [kind(picture, np.random.default_rng(seed)) for seed in range(40)]
    for made in changed:
        assert made.shape == picture.shape and made.dtype == np.float32
        assert np.isfinite(made).all()
    differs = [not np.array_equal(made, picture) for made in changed]
    assert np.mean(differs) > 0.5  # what is hidden may have been paper
    again = kind(picture, np.random.default_rng(3))
    np.testing.assert_array_equal(again, changed[3])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_takes_other_sizes(kind: Kind) -> None:
    assert kind(np.zeros((20, 33), np.float32), np.random.default_rng(0)).shape == (20, 33)


def test_damage_spares_its_share_and_stays_in_range() -> None:
    images = np.stack([digit(n % 10) for n in range(150)])[..., None]
    before = images.copy()
    damaged = RandomDamage(share=0.5)(images, np.random.default_rng(0))
    np.testing.assert_array_equal(images, before)
    assert damaged.dtype == np.float32 and damaged.shape == images.shape
    assert damaged.min() >= 0 and damaged.max() <= 1
    spared = np.mean([np.array_equal(a, b) for a, b in zip(images, damaged, strict=True)])
    assert 0.42 < spared < 0.65  # some of what is hidden was paper
    again = RandomDamage(share=0.5)(images, np.random.default_rng(0))
    np.testing.assert_array_equal(damaged, again)
    np.testing.assert_array_equal(RandomDamage(share=0)(images, np.random.default_rng(0)), images)


def test_hollow_digits_are_empty_inside() -> None:
    square = np.zeros((28, 28), np.float32)
    square[8:20, 8:20] = 1
    for seed in range(20):
        outline = hollow(square, np.random.default_rng(seed))
        assert outline[11:17, 11:17].max() == 0
        assert outline.max() > 0.5


def test_beyond_an_edge_ink_and_paper_change_places() -> None:
    picture = digit(8)
    for seed in range(20):
        made = on_two_papers(picture, np.random.default_rng(seed))
        changed = made != picture
        np.testing.assert_array_equal(made[changed], 1 - picture[changed])
        assert not changed[12:16, 12:16].any()  # the middle keeps its paper
