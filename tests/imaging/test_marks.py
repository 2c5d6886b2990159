"""The marks on a page: what stays, what goes, what becomes one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.imaging.pages import TALL, written
from tinymnist.imaging.digit.components import find_components
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.page.marks import (
    find_bars,
    find_marks,
    heights,
    stroke_measures,
    typical_height,
)


def test_frames_go_and_what_they_hold_stays() -> None:
    page = written(["12"]) > 0.5
    page[8:62, 8] = page[8:62, 100] = page[8, 8:101] = page[61, 8:101] = True
    assert len(find_marks(page).boxes) == 2


def test_an_open_zero_around_a_stroke_is_no_frame() -> None:
    rows, columns = np.indices((80, 80))
    ring = abs(np.hypot(rows - 40, columns - 40) - 25) < 3
    ring &= (columns < 50) | (rows < 28)  # the right side is open from there down
    ring[32:56, 56:59] = True
    np.testing.assert_array_equal(find_marks(ring).labels >= 0, ring)


def test_leftovers_along_the_edge_go() -> None:
    page = written(["12"]) > 0.5
    page[:120, :4] = page[-3:, 100:220] = True
    assert len(find_marks(page).boxes) == 2


def test_a_digit_that_fills_the_picture_stays() -> None:
    bar = np.zeros((16, 8), bool)
    bar[:, 3:5] = True
    assert find_marks(bar).boxes.tolist() == [[0, 3, 16, 5]]


def test_halves_one_above_the_other_are_one_mark() -> None:
    page = written(["3"]) > 0.5
    page[34:36] = False
    assert len(find_marks(page).boxes) == 1


def test_ten_digits_outweigh_a_hundred_specks() -> None:
    digits = [[10, 20 * i, 40, 20 * i + 15] for i in range(1, 11)]
    specks = [[60 + i // 50, 4 * (i % 50) + 5, 63 + i // 50, 4 * (i % 50) + 8]
              for i in range(100)]  # fmt: skip
    assert typical_height(np.array(digits + specks), (200, 260)) == 30


def test_strokes_of_digits_are_as_wide_as_the_pen() -> None:
    parts = find_marks(written(["1770"], pen=0.15) > 0.5)
    lengths, widths = stroke_measures(parts)
    np.testing.assert_allclose(widths, 0.15 * TALL, rtol=0.2)
    assert (lengths > 0.8 * heights(parts.boxes)).all()


def test_a_straight_stroke_is_a_bar_and_a_bent_one_is_none() -> None:
    page = np.zeros((60, 160), bool)
    page[10:50, 10:14] = True
    rows = np.arange(10, 50)
    for thick in range(4):  # a slash
        page[rows, 80 - rows // 2 + thick] = True
    page[10:50, 100:104] = page[46:50, 100:130] = True  # an L
    parts = find_components(page)
    assert find_bars(parts, stroke_measures(parts)[0]).tolist() == [True, True, False]


def test_too_many_marks_are_refused_and_specks_are_not() -> None:
    page = np.zeros((560, 1120), bool)
    for down in range(12):
        page[1 + down : 560 : 14, 1:1120:14] = True  # 40 x 80 bars
    with pytest.raises(NoDigitFound, match="3,000 marks"):
        find_marks(page)
    page[:, 280:] = False
    page[::4, 300::4] = True  # 28,700 specks
    assert len(find_marks(page).boxes) == 800
