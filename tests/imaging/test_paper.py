"""Ink against paper: Otsu's level and what it is worth, and whether anything stands out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinymnist.imaging.digit.paper import ink_is_dark, median, otsu, part, stands_out


def brute_force(values):
    """The variance between the classes at every level, by its definition."""
    binned = (np.minimum(np.floor(values * 256), 255) + 0.5) / 256
    between = []
    for level in np.arange(1, 256) / 256:
        low, high = binned[binned < level], binned[binned > level]
        share = low.size / binned.size
        apart = low.mean() - high.mean() if low.size and high.size else 0.0
        between.append(share * (1 - share) * apart**2)
    return np.array(between), binned.var()


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.float32, st.integers(2, 60), elements=st.floats(0, 1, width=32)))
@example(np.float32([0.59765625, 0.37890625, 0.3046875, 0.0859375]))  # two levels, equally good
def test_otsu_is_what_the_paper_defines(values):
    level, share = otsu(values)
    between, variance = brute_force(values.astype(np.float64))
    if variance == 0:
        assert share == 0
        return
    assert share == pytest.approx(between.max() / variance, rel=1e-6)
    near = between[[int(np.floor(level * 256)) - 1, int(np.ceil(level * 256)) - 1]]
    np.testing.assert_allclose(near, between.max(), rtol=1e-6)


def test_otsu_of_two_values_parts_them_wholly_and_of_noise_by_two_over_pi():
    two = np.repeat(np.float32([0.2, 0.7]), 50)
    level, share = otsu(two)
    assert 0.2 < level < 0.7 and share == pytest.approx(1)
    noise = np.random.default_rng(0).normal(0.5, 0.1, 200_000).astype(np.float32)
    assert otsu(noise)[1] == pytest.approx(2 / np.pi, abs=0.01)


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.float32, st.integers(1, 30), elements=st.floats(-5, 5, width=32)))
def test_the_median_is_numpys(values):
    assert median(values) == pytest.approx(float(np.median(values)), abs=1e-6)


def test_noise_does_not_stand_out_and_ink_does():
    noise = np.random.default_rng(1).normal(0.3, 0.05, (90, 90)).astype(np.float32)
    assert not stands_out(part(np.clip(noise, 0, 1)))
    noise[30:60, 40:50] += 0.5
    assert stands_out(part(np.clip(noise, 0, 1)))
    for grey in (0.0, 0.4, 1.0):
        assert not stands_out(part(np.full((9, 9), grey, np.float32)))


def test_light_that_falls_off_evenly_does_not_decide_which_is_ink():
    fall = np.linspace(0, 0.3, 90, dtype=np.float32)[None, :].repeat(80, 0)
    for light in (1 - fall, 0.7 + fall, 1 - fall[:, ::-1], fall):
        assert ink_is_dark(light)


def test_parting_keeps_every_pixel_on_its_side_of_the_level():
    ink = np.random.default_rng(0).random((17, 23), np.float32) ** 2
    level, sureness = otsu(ink)
    parting = part(ink)
    np.testing.assert_array_equal(parting.above, ink[ink > level])
    np.testing.assert_array_equal(parting.below, ink[ink <= level])
    assert parting.sureness == sureness and not parting.is_one
    expected = [np.median(side.astype(float)) for side in (parting.below, parting.above)]
    np.testing.assert_array_equal(parting.medians, expected)
    assert part(np.zeros((5, 5), np.float32)).is_one


def test_a_picture_is_parted_once_and_others_anew():
    picture, same = (np.where(np.eye(30) > 0, 0.9, 0.1).astype(np.float32) for _ in range(2))
    first = part(picture)
    assert part(picture) is first
    assert part(1 - picture).above.size == 30 * 29
    again = part(same)
    assert again is not first and np.array_equal(again.is_above, first.is_above)
