"""Resizing and running extremes, held against Pillow, SciPy and arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from PIL.Image import Resampling
from scipy import ndimage

from tinymnist.imaging.digit.filters import maximum, minimum, pad_edges, resize, shrink

PICTURES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20),
    elements=st.floats(0, 1, width=32),
)


@settings(max_examples=30, deadline=None)
@given(PICTURES, st.integers(0, 25))
def test_running_extremes_are_scipys(grey: Any, radius: Any) -> None:
    size = 2 * radius + 1
    before = grey.copy()
    np.testing.assert_array_equal(
        maximum(grey, radius), ndimage.maximum_filter(grey, size, mode="nearest")
    )
    np.testing.assert_array_equal(
        minimum(grey, radius), ndimage.minimum_filter(grey, size, mode="nearest")
    )
    np.testing.assert_array_equal(grey, before)


def test_one_bright_pixel_becomes_a_square() -> None:
    grey = np.zeros((9, 9), np.float32)
    grey[4, 3] = 1
    expected = np.zeros((9, 9))
    expected[2:7, 1:6] = 1
    np.testing.assert_array_equal(maximum(grey, 2), expected)


def test_a_closing_fills_what_is_narrow_and_keeps_what_is_wide() -> None:
    paper = np.ones((40, 40), np.float32)
    paper[:, 5:8] = 0
    paper[:, 20:35] = 0
    closed = minimum(maximum(paper, 3), 3)
    assert (closed[:, :20] == 1).all()
    assert (closed[:, 20:35] == 0).all()


@pytest.mark.parametrize("how", [Resampling.BILINEAR, Resampling.BICUBIC, Resampling.BOX])
@pytest.mark.parametrize("shape", [(28, 28), (5, 90), (1, 1), (13, 7)])
def test_resizing_even_grey_leaves_it_even(how: Any, shape: Any) -> None:
    resized = resize(np.full((30, 17), 0.4, np.float32), shape, how)
    assert resized.shape == shape and resized.dtype == np.float32
    np.testing.assert_allclose(resized, 0.4, atol=1e-5)


def test_resizing_to_the_same_size_changes_nothing() -> None:
    grey = np.random.default_rng(0).random((7, 9), np.float32)
    np.testing.assert_array_equal(resize(grey, (7, 9)), grey)


def test_resizing_does_not_alias() -> None:
    stripes = np.tile(np.array([0, 1], np.float32), (64, 32))
    np.testing.assert_allclose(resize(stripes, (8, 8))[1:-1, 1:-1], 0.5, atol=0.02)


def test_resizing_takes_views_and_leaves_them_alone() -> None:
    grey = np.random.default_rng(0).random((12, 10), np.float32)
    grey.flags.writeable = False
    np.testing.assert_array_equal(resize(grey.T[::-1], (5, 5)), resize(grey.T[::-1].copy(), (5, 5)))


def test_shrinking_averages_blocks() -> None:
    grey = np.random.default_rng(0).random((12, 20), np.float32)
    blocks = grey.reshape(3, 4, 5, 4).mean((1, 3))
    np.testing.assert_allclose(shrink(grey, 5), blocks, atol=1e-6)
    assert shrink(grey, 5).dtype == np.float32


def test_what_is_small_is_not_shrunk() -> None:
    grey = np.random.default_rng(0).random((12, 20), np.float32)
    assert shrink(grey, 20) is grey
    assert shrink(grey, 19).shape == (6, 10)


@pytest.mark.parametrize("shape", [(1, 1000), (1000, 1), (3, 999), (101, 100)])
def test_no_side_is_longer_than_asked_for(shape: Any) -> None:
    shrunk = shrink(np.full(shape, 0.25, np.float32), 50)
    assert max(shrunk.shape) <= 50 and min(shrunk.shape) >= 1
    np.testing.assert_allclose(shrunk, 0.25)


@settings(max_examples=30, deadline=None)
@given(PICTURES, st.integers(0, 25))
def test_borders_repeat_the_outermost_pixels(grey: Any, margin: Any) -> None:
    np.testing.assert_array_equal(pad_edges(grey, margin), np.pad(grey, margin, mode="edge"))


@pytest.mark.parametrize("shape", [(13, 20), (20, 13), (7, 7), (3, 41), (1, 50), (50, 1)])
def test_what_is_left_over_at_the_edge_is_averaged_as_pillow_does(shape: Any) -> None:
    grey = np.random.default_rng(0).random(shape, np.float32)
    factor = -(-max(shape) // 6)
    picture = Image.fromarray(grey).reduce((min(factor, shape[1]), min(factor, shape[0])))
    np.testing.assert_allclose(shrink(grey, 6), np.array(picture), atol=1e-6)
