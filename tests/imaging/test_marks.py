"""The marks on a page: what stays, what goes, what becomes one."""

from __future__ import annotations

import numpy as np

from tests.imaging.pages import written
from tinymnist.imaging.marks import find_marks, typical_height


def test_frames_go_and_what_they_hold_stays():
    page = written(["12"]) > 0.5
    page[8:62, 8] = page[8:62, 100] = page[8, 8:101] = page[61, 8:101] = True
    assert len(find_marks(page).boxes) == 2


def test_an_open_zero_around_a_stroke_is_no_frame():
    rows, columns = np.indices((80, 80))
    ring = abs(np.hypot(rows - 40, columns - 40) - 25) < 3
    ring &= (columns < 50) | (rows < 28)  # the right side is open from there down
    ring[32:56, 56:59] = True
    np.testing.assert_array_equal(find_marks(ring).labels >= 0, ring)


def test_leftovers_along_the_edge_go():
    page = written(["12"]) > 0.5
    page[:120, :4] = page[-3:, 100:220] = True
    assert len(find_marks(page).boxes) == 2


def test_a_digit_that_fills_the_picture_stays():
    bar = np.zeros((16, 8), bool)
    bar[:, 3:5] = True
    assert find_marks(bar).boxes.tolist() == [[0, 3, 16, 5]]


def test_halves_one_above_the_other_are_one_mark():
    page = written(["3"]) > 0.5
    page[34:36] = False
    assert len(find_marks(page).boxes) == 1


def test_ten_digits_outweigh_a_hundred_specks():
    digits = [[10, 20 * i, 40, 20 * i + 15] for i in range(1, 11)]
    specks = [[60 + i // 50, 4 * (i % 50) + 5, 63 + i // 50, 4 * (i % 50) + 8]
              for i in range(100)]  # fmt: skip
    assert typical_height(np.array(digits + specks), (200, 260)) == 30
