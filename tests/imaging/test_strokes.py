"""Strokes grow by a disc, whose edge counts in part."""

from __future__ import annotations

import numpy as np
import pytest

from tinymnist.imaging.digit.filters import dilate


@pytest.mark.parametrize("radius", [0.0, 0.3, 0.5, 1.0, 1.7, 2.5])
def test_each_pixel_is_the_largest_within_the_disc(radius: float) -> None:
    ink = np.random.default_rng(0).random((7, 9), np.float32)
    expected = np.zeros_like(ink)
    for row, column in np.ndindex(ink.shape):
        for there in np.ndindex(ink.shape):
            distance = np.hypot(there[0] - row, there[1] - column)
            cover = np.clip(radius + 0.5 - distance, 0, 1)
            value = max(ink[row, column] if there == (row, column) else 0, cover * ink[there])
            expected[row, column] = max(expected[row, column], value)
    before = ink.copy()
    np.testing.assert_allclose(dilate(ink, radius), expected, rtol=1e-6)
    assert np.array_equal(ink, before)
