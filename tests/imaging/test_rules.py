"""Ruled and squared paper behind one digit goes; a digit's own straight strokes stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.imaging.pages import written
from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.digit.rules import erase_page_rules, erase_rules
from tinymnist.imaging.synthetic.paint import ink

SIZE = (160, 140)


def digit(number: Any) -> Any:
    return ink(number, SIZE, height=0.5, pen=0.1)


def ruled(
    across: Any = (20, 60, 100, 140),
    along: Any = (),
    dark: float = 0.6,
    thick: int = 2,
    climb: float = 0.0,
) -> Any:
    """Lines at these rows and columns."""
    lines = np.zeros(SIZE, np.float32)
    down, right = np.indices(SIZE)
    for row in across:
        lines[abs(down - row - climb * right) < thick / 2] = dark
    for column in along:
        lines[abs(right - column + climb * down) < thick / 2] = dark
    return lines


def likeness(one: Any, other: Any) -> Any:
    """The correlation, wherever rounding put the centre."""
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(np.corrcoef(np.roll(one, s, (0, 1)).ravel(), other.ravel())[0, 1] for s in shifts)


PAPERS = {
    "ruled": ruled(),
    "faint": ruled(dark=0.3),
    "turned": ruled(climb=0.04),
    "squared": ruled(along=(20, 70, 120)),
    "one line": ruled(across=(118,)),
}


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("number", range(10))
def test_lines_go_and_the_digit_stays(paper: Any, number: int) -> None:
    written = np.maximum(digit(number), PAPERS[paper])
    left = erase_rules(written)
    assert left.dtype == np.float32
    lines_alone = (PAPERS[paper] > 0) & (digit(number) == 0)
    assert left[lines_alone].mean() < 0.15 * PAPERS[paper][lines_alone].mean()
    core = digit(number) > 0.99
    assert left[core].mean() > 0.9
    plain, back = (normalize(1 - picture) for picture in (digit(number), written))
    assert likeness(plain, back) > 0.85


@pytest.mark.parametrize("number", range(10))
def test_without_lines_nothing_changes(number: int) -> None:
    np.testing.assert_array_equal(erase_rules(digit(number)), digit(number))


def test_a_seven_that_fills_its_frame_keeps_its_bar() -> None:
    seven = np.zeros((60, 40), np.float32)
    seven[:2] = 1
    for row in range(60):
        seven[row, max(38 - row // 2, 0) : 40 - row // 2] = 1
    np.testing.assert_array_equal(erase_rules(seven), seven)


def test_small_bitmaps_are_left_alone() -> None:
    small = np.zeros((16, 16), np.float32)
    small[[3, 12]] = 1
    np.testing.assert_array_equal(erase_rules(small), small)


def test_a_grid_without_a_digit_is_left_for_others_to_judge() -> None:
    grid = ruled(along=(15, 55, 95, 135))
    np.testing.assert_array_equal(erase_rules(grid), grid)


class TestPages:
    """Whole pages, as masks."""

    @pytest.mark.parametrize("tilt", [-0.03, 0, 0.05])
    def test_lines_go_and_strokes_that_cross_them_stay_whole(self, tilt: Any) -> None:
        page = written(["147", "469"]) > 0.5
        rows, columns = np.indices(page.shape)
        lines = np.mod(rows - tilt * columns, 50) < 2
        left = erase_page_rules(page | lines)
        assert left[page].mean() > 0.97
        assert left[lines & ~page].mean() < 0.15

    def test_squared_paper(self) -> None:
        page = written(["258", "369"]) > 0.5
        rows, columns = np.indices(page.shape)
        squares = (rows % 25 < 1) | (columns % 25 < 1)
        left = erase_page_rules(page | squares)
        assert left[page].mean() > 0.95
        assert left[squares & ~page].mean() < 0.15

    def test_strokes_are_not_lines(self) -> None:
        for page in (written(["777", "111"]) > 0.5, ink(1, (60, 60), height=0.8, pen=0.06) > 0.5):
            np.testing.assert_array_equal(erase_page_rules(page), page)
