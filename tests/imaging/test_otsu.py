"""Otsu's split: the level, how sure it is, and the two classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinymnist.imaging.picture.otsu import median, median_exceeds, otsu_level, split_at_otsu


def brute_force(values: np.ndarray) -> tuple[np.ndarray, float]:
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
# two levels, equally good
@example(np.array([0.59765625, 0.37890625, 0.3046875, 0.0859375], np.float32))
def test_otsu_is_what_the_paper_defines(values: np.ndarray) -> None:
    level, share = otsu_level(values)
    between, variance = brute_force(values.astype(np.float64))
    if variance == 0:
        assert share == 0
        return
    assert share == pytest.approx(between.max() / variance, rel=1e-6)
    near = between[[int(np.floor(level * 256)) - 1, int(np.ceil(level * 256)) - 1]]
    np.testing.assert_allclose(near, between.max(), rtol=1e-6)


def test_otsu_of_two_values_separates_them_wholly_and_of_noise_by_two_over_pi() -> None:
    two = np.repeat(np.array([0.2, 0.7], np.float32), 50)
    level, share = otsu_level(two)
    assert 0.2 < level < 0.7 and share == pytest.approx(1)
    noise = np.random.default_rng(0).normal(0.5, 0.1, 200_000).astype(np.float32)
    assert otsu_level(noise)[1] == pytest.approx(2 / np.pi, abs=0.01)


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.float32, st.integers(1, 30), elements=st.floats(-5, 5, width=32)))
def test_the_median_is_numpys(values: np.ndarray) -> None:
    assert median(values) == pytest.approx(float(np.median(values)), abs=1e-6)


@given(hnp.arrays(np.float32, st.integers(1, 9), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
def test_whether_a_median_exceeds_a_limit_is_counted(values: np.ndarray) -> None:
    for limit in (-1.0, 0.0, 0.2, 0.25, 0.3, 0.375, 0.5, 0.7, 1.0):
        assert median_exceeds(values, limit) == (median(values) > limit)


def test_a_split_keeps_every_pixel_on_its_side_of_the_level() -> None:
    ink = np.random.default_rng(0).random((17, 23), np.float32) ** 2
    level, sureness = otsu_level(ink)
    split = split_at_otsu(ink)
    np.testing.assert_array_equal(split.above, ink[ink > level])
    np.testing.assert_array_equal(split.below, ink[ink <= level])
    assert split.sureness == sureness and not split.is_uniform
    expected = [np.median(side.astype(float)) for side in (split.below, split.above)]
    np.testing.assert_array_equal(split.medians, expected)
    assert split.contrast == pytest.approx(split.above.mean() - split.below.mean())
    assert split.picture is ink


def test_a_picture_of_one_grey_is_uniform() -> None:
    split = split_at_otsu(np.zeros((5, 5), np.float32))
    assert split.is_uniform and split.contrast == 0
