"""Connected components, checked against SciPy's, and boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from tinymnist.imaging.digit.components import (
    bounds,
    count_components,
    find_components,
    gaps_between,
    surrounding_box,
    touches_frame,
    vertical_runs,
)

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))


def mask_of(*rows: Any) -> Any:
    return np.array([[letter == "#" for letter in row] for row in rows])


def assert_agrees_with_scipy(mask: Any) -> None:
    ours = find_components(mask)
    labels, n = ndimage.label(mask, np.ones((3, 3)))
    assert len(ours.boxes) == n
    assert ours.labels.shape == mask.shape
    assert count_components(mask) == len(ours.boxes)
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
def test_any_mask(mask: Any) -> None:
    assert_agrees_with_scipy(mask)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_larger_masks(seed: int, density: Any) -> None:
    assert_agrees_with_scipy(np.random.default_rng(seed).random((60, 70)) < density)


@pytest.mark.parametrize("ink", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (7, 5)])
def test_nothing_and_everything(ink: bool, shape: Any) -> None:
    found = find_components(np.full(shape, ink))
    assert (found.labels == (0 if ink else -1)).all()
    assert found.boxes.tolist() == ([[0, 0, *shape]] if ink else [])


def test_corners_touch() -> None:
    found = find_components(mask_of("#..", ".#.", "#.."))
    assert found.boxes.tolist() == [[0, 0, 3, 2]]


def test_the_end_of_a_row_does_not_touch_the_start_of_the_next() -> None:
    found = find_components(mask_of("...#", "#...", "...#"))
    assert len(found.boxes) == 3


def test_arms_that_meet_late_are_one() -> None:
    assert_agrees_with_scipy(mask_of("#.#.#.#", "#.#.#.#", "#.#.###", "#.###..", "###...#"))


def test_a_spiral_is_one() -> None:
    spiral = mask_of("#######", "......#", "#####.#", "#...#.#", "#.###.#", "#.....#", "#######")
    assert find_components(spiral).boxes.tolist() == [[0, 0, 7, 7]]
    assert_agrees_with_scipy(spiral)


def test_a_checkerboard_is_one() -> None:
    board = np.indices((20, 21)).sum(0) % 2 == 0
    assert len(find_components(board).boxes) == 1


def test_the_mask_is_left_alone() -> None:
    mask = mask_of("##.", "..#")
    mask.flags.writeable = False
    find_components(mask)


def test_pixels_and_counts_are_those_of_the_chosen_components() -> None:
    mask = mask_of("##..#", ".....", "#.###")
    found = find_components(mask)
    assert found.count(mask).tolist() == [2, 1, 1, 3]
    assert found.count(mask & (np.arange(5) > 0)).tolist() == [1, 1, 0, 3]
    chosen = found.pixels(np.array([False, True, False, True]))
    np.testing.assert_array_equal(chosen, mask_of("....#", ".....", "..###"))


def test_only_some_components_are_kept_in_the_given_order() -> None:
    found = find_components(mask_of("##..#", ".....", "#.###")).only(np.array([3, 0]))
    assert found.boxes.tolist() == [[2, 2, 3, 5], [0, 0, 1, 2]]
    assert found.labels.tolist() == [[1, 1, -1, -1, -1], [-1] * 5, [-1, -1, 0, 0, 0]]


@settings(max_examples=30, deadline=None)
@given(MASKS)
def test_vertical_runs_are_counted_column_by_column(mask: np.ndarray) -> None:
    expected = np.zeros(mask.shape, int)
    for column, row in np.ndindex(mask.T.shape):
        whole, _ = ndimage.label(mask[:, column])
        expected[row, column] = (whole == whole[row]).sum() if mask[row, column] else 0
    np.testing.assert_array_equal(vertical_runs(mask), expected)


def test_boxes_around_boxes_and_the_gaps_between_them() -> None:
    boxes = np.array([[2, 3, 5, 9], [4, 1, 6, 4], [20, 5, 25, 6]])
    assert surrounding_box(boxes).tolist() == [2, 1, 25, 9]
    assert gaps_between(boxes, np.array([7, 12, 9, 14])).tolist() == [3, 8, 11]
    assert gaps_between(boxes, boxes[0]).tolist() == [-3, -1, 15]


@pytest.mark.parametrize("pixel", [(0, 2), (3, 2), (1, 0), (1, 4)])
def test_a_mask_touches_the_frame_at_any_edge(pixel: tuple[int, int]) -> None:
    mask = np.zeros((4, 5), bool)
    mask[1:3, 1:4] = True
    assert not touches_frame(mask)
    mask[pixel] = True
    assert touches_frame(mask)


def test_the_smallest_box_that_holds_all_the_ink() -> None:
    mask = np.zeros((6, 7), bool)
    mask[1, 4] = mask[3, 2] = True
    assert bounds(mask) == (slice(1, 4), slice(2, 5))


@pytest.mark.parametrize("shape", [(6, 7), (0, 7), (6, 0), (0, 0)])
def test_no_ink_has_an_empty_box(shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, bool)
    assert mask[bounds(mask)].shape == (0, 0)


def test_a_picture_full_of_ink_is_its_own_box() -> None:
    assert bounds(np.ones((3, 2), bool)) == (slice(0, 3), slice(0, 2))
