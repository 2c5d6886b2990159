"""Numbers of any range become grey between 0 and 1, and transparency never hides the ink."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinymnist.errors import InputError
from tinymnist.imaging.picture.pixels import flatten_alpha, grey_of_array, luminance

NUMBERS = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="="),
    hnp.unsigned_integer_dtypes(endianness="="),
    hnp.floating_dtypes(endianness="=", sizes=(16, 32, 64)),
)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_numbers_become_grey_in_the_same_order(data: Any) -> None:
    dtype = data.draw(NUMBERS)
    finite: Any = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    elements = hnp.from_dtype(dtype, **finite)
    array = data.draw(
        hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=2), elements=elements)
    )
    before = array.copy()
    grey = grey_of_array(array)
    assert grey.dtype == np.float32 and grey.shape == array.shape
    assert grey.min() >= 0 and grey.max() <= 1
    order = np.argsort(array, axis=None)
    assert (np.diff(grey.ravel()[order]) >= 0).all()
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 255]], np.uint8), [0, 1]),
        (np.array([[0, 51]], np.uint8), [0, 0.2]),
        (np.array([[0, 13107]], np.uint16), [0, 0.2]),
        (np.array([[0, 1]], np.uint8), [0, 1]),
        (np.array([[0.0, 0.2]]), [0, 0.2]),
        (np.array([[0.0, 51.0]]), [0, 0.2]),
        (np.array([[-1.0, 0.0, 1.0]]), [0, 0.5, 1]),
        (np.array([[0.0, 500.0, 1000.0]]), [0, 0.5, 1]),
        (np.array([[-3.0, -3.0]]), [0, 0]),
        (np.array([[False, True]]), [0, 1]),
    ],
)
def test_the_range_is_told_by_the_numbers(values: Any, expected: Any) -> None:
    np.testing.assert_allclose(grey_of_array(values)[0], expected, atol=1e-6)


def test_the_result_is_a_new_array() -> None:
    array = np.full((4, 5), 0.5, np.float32)
    grey = grey_of_array(array)
    grey[:] = 0
    assert (array == 0.5).all()


def test_two_channels_are_grey_and_alpha() -> None:
    array = np.zeros((4, 5, 2), np.uint8)  # black, and nowhere opaque but here
    array[1, 2, 1] = 255
    expected = np.ones((4, 5))
    expected[1, 2] = 0
    np.testing.assert_allclose(grey_of_array(array), expected)


def test_wrong_arrays_are_refused() -> None:
    for array in (np.zeros(5), np.zeros((2, 2, 9)), np.full((2, 2), np.nan), np.array([["a"]])):
        with pytest.raises(InputError, match="an image array") as caught:
            grey_of_array(array)
        assert "\n" not in str(caught.value)


def test_luminance_is_the_same_of_bytes_and_of_shares() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    expected = rgb / 255 @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(luminance(rgb), expected, atol=1e-6)
    np.testing.assert_allclose(luminance((rgb / 255).astype(np.float32)), expected, atol=1e-6)
    assert luminance(rgb).dtype == np.float32


def test_white_stays_within_the_range() -> None:
    assert luminance(np.full((3, 3, 3), 255, np.uint8)).max() <= 1
    assert luminance(np.ones((3, 3, 3), np.float32)).max() <= 1


def test_an_opaque_picture_is_left_alone() -> None:
    grey = np.random.default_rng(0).random((5, 6), np.float32)
    np.testing.assert_array_equal(flatten_alpha(grey, np.ones_like(grey)), grey)


@pytest.mark.parametrize(("ink", "paper"), [(0.0, 1.0), (0.3, 1.0), (0.7, 0.0), (1.0, 0.0)])
def test_ink_alone_goes_onto_the_other_extreme(ink: float, paper: float) -> None:
    alpha = np.zeros((6, 6), np.float32)
    alpha[2:4] = 1
    alpha[4] = 0.5
    flat = flatten_alpha(np.full((6, 6), ink, np.float32), alpha)
    np.testing.assert_allclose(flat[:2], paper)
    np.testing.assert_allclose(flat[2:4], ink)
    np.testing.assert_allclose(flat[4], (ink + paper) / 2, rtol=1e-6)


def test_faint_ink_alone_stays_visible() -> None:
    alpha = np.zeros((6, 6), np.float32)
    alpha[2] = 0.4
    flat = flatten_alpha(np.zeros((6, 6), np.float32), alpha)
    np.testing.assert_allclose(flat[2], 0.6)
    np.testing.assert_allclose(flat[0], 1)


def test_paper_that_is_drawn_goes_on_behind_the_transparent_parts() -> None:
    grey = np.full((6, 6), 0.8, np.float32)
    grey[2, 2] = 0.1
    grey[:, 5] = 0
    alpha = np.ones((6, 6), np.float32)
    alpha[:, 5] = 0
    np.testing.assert_allclose(flatten_alpha(grey, alpha)[:, 5], 0.8)
