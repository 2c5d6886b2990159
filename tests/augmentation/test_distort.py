"""Variants of pictures keep what a picture must keep and stay within the ranges asked for."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, DTypeLike, NDArray

from tinymnist.augmentation.distort import RandomDistortion
from tinymnist.imaging.synthetic.paint import ink

STILL = {"rotation_range": 0, "shift_range": 0, "shear_range": 0, "zoom_range": 0}


def digits(n: int = 8) -> NDArray[Any]:
    drawn = [ink(k % 10, (28, 28), height=0.7, pen=0.12) for k in range(n)]
    return np.stack(drawn)[..., None]


def blobs(n: int = 150, spread: tuple[float, float] = (4.0, 4.0), side: int = 61) -> NDArray[Any]:
    """Soft ellipses in the middle: (n, side, side, 1)."""
    down, right = np.mgrid[:side, :side] - side // 2
    blob = np.exp(-((down / spread[0]) ** 2 + (right / spread[1]) ** 2) / 2)
    return np.repeat(blob.astype(np.float32)[None, ..., None], n, 0)


def moments(image: NDArray[Any]) -> Any:
    """Centre (2,) and covariance (2, 2) of the light, over (row, column)."""
    weights = image[..., 0].astype(np.float64) / image.sum(dtype=np.float64)
    places = np.indices(weights.shape)
    centre = np.tensordot(places, weights, 2)
    off = places - centre[:, None, None]
    return centre, np.einsum("ihw,jhw,hw->ij", off, off, weights)


def vary(images: NDArray[Any], seed: int = 0, **ranges: Any) -> NDArray[Any]:
    return RandomDistortion(**(STILL | ranges))(images, np.random.default_rng(seed))


def assert_fills(values: ArrayLike, limit: float, tolerance: float = 0.0) -> None:
    """Within -limit..limit, and not only in a part of it."""
    values = np.asarray(values)
    assert np.abs(values).max() <= limit + tolerance
    assert values.max() > 0.9 * limit and values.min() < -0.9 * limit


def test_the_same_generator_gives_the_same_variants() -> None:
    images = digits()
    augment = RandomDistortion()
    first, second = (augment(images, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = augment(images, np.random.default_rng(6))
    assert np.abs(first - other).mean() > 0.01


def test_a_generator_goes_on() -> None:
    rng = np.random.default_rng(0)
    augment = RandomDistortion()
    assert not np.array_equal(augment(digits(), rng), augment(digits(), rng))


def test_every_picture_gets_its_own_variant() -> None:
    varied = RandomDistortion()(blobs(5, spread=(2, 8)), np.random.default_rng(0))
    assert all(not np.array_equal(*neighbours) for neighbours in pairwise(varied))


@pytest.mark.parametrize("shape", [(0, 28, 28, 1), (1, 28, 28, 1), (7, 20, 33, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shape_and_dtype_are_kept(shape: tuple[int, ...], dtype: DTypeLike) -> None:
    images = np.random.default_rng(0).random(shape).astype(dtype)
    varied = RandomDistortion()(images, np.random.default_rng(1))
    assert varied.shape == shape and varied.dtype == dtype


def test_values_stay_within_the_range_of_the_old_ones() -> None:
    images = np.random.default_rng(0).random((20, 28, 28, 1), np.float32)
    varied = RandomDistortion()(images, np.random.default_rng(1))
    assert varied.min() >= 0 and varied.max() <= images.max()


def test_the_pictures_are_left_alone() -> None:
    images = digits()
    images.flags.writeable = False
    before = images.copy()
    varied = RandomDistortion()(images, np.random.default_rng(0))
    np.testing.assert_array_equal(images, before)
    assert not np.shares_memory(varied, images)


def test_without_ranges_nothing_changes() -> None:
    images = np.random.default_rng(0).random((5, 28, 31, 1), np.float32)
    np.testing.assert_array_equal(vary(images), images)


def test_shifts_stay_within_their_range() -> None:
    off = np.array([moments(image)[0] - 30 for image in vary(blobs(), shift_range=2.5)])
    assert_fills(off[:, 0], 2.5, 0.01)
    assert_fills(off[:, 1], 2.5, 0.01)


def test_turns_stay_within_their_range() -> None:
    turns = []
    for image in vary(blobs(spread=(3, 9)), rotation_range=15):
        centre, spread = moments(image)
        np.testing.assert_allclose(centre, 30, atol=0.05)  # about the middle
        turns.append(np.rad2deg(np.arctan2(2 * spread[0, 1], spread[1, 1] - spread[0, 0]) / 2))
    assert_fills(turns, 15, 0.3)


def test_zooms_stay_within_their_range() -> None:
    logarithms = []
    for image in vary(blobs(), zoom_range=0.2):
        centre, spread = moments(image)
        np.testing.assert_allclose(centre, 30, atol=0.05)
        logarithms.append(np.log(np.sqrt(np.diag(spread)) / 4))
    zooms = np.array(logarithms)
    assert_fills(zooms[:, 0], np.log(1.2), 0.02)
    assert_fills(zooms[:, 1], np.log(1.2), 0.02)
    assert np.abs(zooms[:, 0] - zooms[:, 1]).max() > 0.1  # width and height apart


def test_shears_stay_within_their_range() -> None:
    shears = []
    for image in vary(blobs(), shear_range=45):
        centre, spread = moments(image)
        np.testing.assert_allclose(centre, 30, atol=0.05)
        np.testing.assert_allclose(np.linalg.det(spread), 4.0**4, rtol=0.06)  # keeps the area
        shears.append(spread[0, 1] / 4.0**2)
    assert_fills(shears, 1, 0.02)


def test_what_comes_in_from_outside_is_black() -> None:
    white = np.ones((30, 28, 28, 1), np.float32)
    varied = vary(white, shift_range=6)
    assert (varied[:, 10:18, 10:18] > 0.999).all()
    assert (varied == 0).any(axis=(1, 2, 3)).sum() > 20
