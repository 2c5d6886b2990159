"""Boxes around numbers, tables with bent lines, and numbers on a page of print."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.imaging.grids import CELL, MARGIN, digits_of, grid_of
from tests.imaging.pages import written
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.page.grid import find_grids
from tinymnist.imaging.synthetic.paint import ink
from tinymnist.reader import Reader


def boxed(rows: Any, box: Any) -> Any:
    """Digits, and a box (left, top, right, bottom) drawn in pixels, dark on light."""
    page = Image.fromarray(np.uint8(255 * written(rows)))
    ImageDraw.Draw(page).rectangle(box, outline=255, width=3)
    return 1 - np.asarray(page, np.float32) / 255


def test_a_box_around_two_digits() -> None:
    page = Reader().read(boxed(["84"], (8, 5, 105, 68)))
    assert page.text == "84"
    assert [(grid.rows, grid.columns) for grid in page.grids] == [(1, 1)]


def test_a_box_around_rows_is_a_frame() -> None:
    page = Reader().read(boxed(["842", "375"], (5, 5, 170, 130)))
    assert page.text == "842\n375" and page.grids == ()


def test_a_long_box_that_digits_divide_is_no_row_of_cells() -> None:
    page = grid_of(["......"])
    height, width = page.shape
    inner = slice(MARGIN + 4, height - MARGIN - 4), slice(MARGIN + 4, width - MARGIN - 4)
    page[inner] = 0
    page[MARGIN:-MARGIN, MARGIN + 40 : MARGIN + 160 : 40] = 1  # upright strokes from line to line
    assert [(one.rows, one.columns) for one in find_grids(1 - page)] in ([], [(1, 4)])


def test_a_table_whose_lines_are_off_goes_to_its_last_column() -> None:
    table = ["38524", "70619", "25836", "91407"]
    page = grid_of(table)
    last = page.shape[1] - MARGIN - 2 * CELL + 4
    page[:, last:] = np.roll(page[:, last:], 2, axis=0)  # as lines of a pen that slipped
    (grid,) = find_grids(1 - np.maximum(page, digits_of(table, page.shape)))
    assert (grid.rows, grid.columns) == (4, 5)


@pytest.mark.parametrize(("size", "number"), [(19, "386"), (20, "520"), (21, "374")])
def test_numbers_by_hand_on_a_page_of_print(size: int, number: str) -> None:
    page = Image.fromarray(np.uint8(255 * written(["", "", number], size=(460, 640))))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    words = "Write your name and the number of your course below. Use only a pen, please; "
    for line in [0, 1, 2, 3, *range(8, 18)]:
        draw.text((20, 10 + 25 * line), (2 * words)[line * 3 :][:55], 255, font)
    page_read = Reader().read(1 - np.asarray(page, np.float32) / 255)
    assert page_read.text == number


def test_a_table_of_words_is_not_read() -> None:
    words = ["2P", "(+2P)", "-1P", "X", "4P", "0P", "Result", "2 P"]
    page = Image.fromarray(np.uint8(255 * grid_of(["...."] * 2, cell=100)))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(26)
    for number, word in enumerate(words):
        place = MARGIN + 100 * (number % 4) + 50, MARGIN + 100 * (number // 4) + 50
        draw.text(place, word, 255, font, "mm")
    with pytest.raises(NoDigitFound):
        Reader().read(1 - np.asarray(page, np.float32) / 255)


def test_a_stroke_cut_by_the_edge_is_no_row_of_its_own() -> None:
    page = Image.fromarray(np.uint8(255 * np.roll(written(["842"]), 40, axis=0)))
    ImageDraw.Draw(page).line((250, 0, 240, 40), fill=255, width=5)
    assert Reader().read(1 - np.asarray(page, np.float32) / 255).text == "842"


def comb(text: str, pens: Any, widths: Any) -> Any:
    """Digits in boxes beside each other, dark on light, each by its own pen."""
    canvas = np.zeros((110, sum(widths) + 2 * MARGIN), np.float32)
    page = Image.fromarray(np.uint8(canvas))
    draw, left = ImageDraw.Draw(page), MARGIN
    for width in widths:
        draw.rectangle((left, 30, left + width, 80), outline=255, width=2)
        left += width
    ink_of = np.asarray(page, np.float32) / 255
    left = MARGIN
    for digit, pen, width in zip(text, pens, widths, strict=True):
        place = ink_of[30:80, left : left + width]
        np.maximum(place, ink(int(digit), place.shape, height=0.6, pen=pen), out=place)
        left += width
    return 1 - ink_of


def test_a_comb_with_a_narrow_box_for_a_1_is_one_row() -> None:
    page = Reader().read(comb("73148", [0.1] * 5, [48, 48, 22, 48, 48]))
    assert page.text == "73148"
    assert [(grid.rows, grid.columns) for grid in page.grids] == [(1, 5)]


def test_a_bold_digit_is_not_the_paper_of_its_box() -> None:
    page = Reader().read(comb("6583", [0.1, 0.1, 0.3, 0.1], [40] * 4))
    assert page.text == "6583"


@pytest.mark.parametrize("slope", [0.0, 0.03])
def test_squared_paper_is_not_a_table(slope: float) -> None:
    rows = written(["7301942", "5832617"])
    down, right = np.indices(rows.shape)
    squares = np.zeros(rows.shape, np.float32)
    for along in (down + slope * right, right - slope * down):
        squares[along % 24 < 1.5] = 0.45
    page = Reader().read(1 - np.maximum(rows, squares))
    assert page.text.split() == ["7301942", "5832617"] and page.grids == ()
