"""Connected components, held against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from tinymnist.imaging.digit.components import find_components

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))


def mask_of(*rows):
    return np.array([[letter == "#" for letter in row] for row in rows])


def assert_agrees_with_scipy(mask):
    ours = find_components(mask)
    labels, n = ndimage.label(mask, np.ones((3, 3)))
    assert len(ours.boxes) == n
    assert ours.labels.shape == mask.shape
    np.testing.assert_array_equal(ours.labels >= 0, mask)
    pairs = set(zip(ours.labels[mask].tolist(), labels[mask].tolist(), strict=True))
    assert len(pairs) == n  # each of ours is one of theirs
    boxes = ndimage.find_objects(labels)
    for ours_number, theirs in pairs:
        rows, columns = boxes[theirs - 1]
        expected = [rows.start, columns.start, rows.stop, columns.stop]
        assert ours.boxes[ours_number].tolist() == expected


@settings(max_examples=30, deadline=None)
@given(MASKS)
def test_any_mask(mask):
    assert_agrees_with_scipy(mask)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_larger_masks(seed, density):
    assert_agrees_with_scipy(np.random.default_rng(seed).random((60, 70)) < density)


@pytest.mark.parametrize("ink", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (7, 5)])
def test_nothing_and_everything(ink, shape):
    found = find_components(np.full(shape, ink))
    assert (found.labels == (0 if ink else -1)).all()
    assert found.boxes.tolist() == ([[0, 0, *shape]] if ink else [])


def test_corners_touch():
    found = find_components(mask_of("#..", ".#.", "#.."))
    assert found.boxes.tolist() == [[0, 0, 3, 2]]


def test_the_end_of_a_row_does_not_touch_the_start_of_the_next():
    found = find_components(mask_of("...#", "#...", "...#"))
    assert len(found.boxes) == 3


def test_arms_that_meet_late_are_one():
    assert_agrees_with_scipy(mask_of("#.#.#.#", "#.#.#.#", "#.#.###", "#.###..", "###...#"))


def test_a_spiral_is_one():
    spiral = mask_of("#######", "......#", "#####.#", "#...#.#", "#.###.#", "#.....#", "#######")
    assert find_components(spiral).boxes.tolist() == [[0, 0, 7, 7]]
    assert_agrees_with_scipy(spiral)


def test_a_checkerboard_is_one():
    board = np.indices((20, 21)).sum(0) % 2 == 0
    assert len(find_components(board).boxes) == 1


def test_the_mask_is_left_alone():
    mask = mask_of("##.", "..#")
    mask.flags.writeable = False
    find_components(mask)
