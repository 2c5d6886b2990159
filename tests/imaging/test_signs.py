"""Signs between digits are recognized by their shape, and what is passed over is reported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.imaging.pages import PITCH, TALL
from tinymnist.imaging.synthetic.paint import ink
from tinymnist.pages import Page
from tinymnist.reader import Reader

HALF = TALL // 2


def drawn(text: str, size: float = 0.7) -> Any:
    """A row of digits and signs, dark on light: (90, w)."""
    shape = (90, 30 + PITCH * len(text))
    page = np.zeros(shape, np.float32)
    picture = Image.new("L", (shape[1], shape[0]))
    draw = ImageDraw.Draw(picture)
    for place, sign in enumerate(text):
        x, y = 30 + place * PITCH, 45
        arm = round(size * HALF)
        lines = {
            "+": [(-arm, 2, arm, -2), (-1, -arm, 2, arm)],
            "x": [(-arm, -arm, arm, arm), (-arm, arm, arm, -arm)],
            "*": [(-arm, 0, arm, 0), (-arm // 2, -arm, arm // 2, arm),
                  (arm // 2, -arm, -arm // 2, arm)],
            "-": [(-arm, 1, arm, -1)],
            "/": [(-12, HALF + 8, 12, -HALF - 8)],
        }  # fmt: skip
        if sign.isdigit():
            middle = x / shape[1], y / shape[0]
            np.maximum(
                page, ink(int(sign), shape, height=TALL / 90, pen=0.1, centre=middle), out=page
            )
        elif sign in "()":
            start, end = (120, 240) if sign == "(" else (300, 60)
            left = x - (0 if sign == "(" else 56)
            draw.arc([left, y - 33, left + 56, y + 33], start, end, 255, 3)
        for a, b, c, d in lines.get(sign, []):
            draw.line([x + a, y + b, x + c, y + d], 255, 3)
    return 1 - np.maximum(page, np.asarray(picture, np.float32) / 255)


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


@pytest.mark.parametrize("text", ["2+3", "4x7-2", "6*35", "12/5+8", "5*(3-2)", "3-8+7*6"])
def test_sums(reader: Reader, text: str) -> None:
    page = reader.read(drawn(text))
    assert page.text == "".join(sign for sign in text if sign.isdigit())
    assert page.marked == ("".join(s if s.isdigit() else "_" for s in text),)
    assert {one.why for one in page.skipped} == {"sign"}
    places = [30 + PITCH * i for i, sign in enumerate(text) if not sign.isdigit()]
    for place, one in zip(places, page.skipped, strict=True):
        left, top, right, bottom = one.box
        assert abs((left + right) / 2 - place) < 20 and top < 50 < bottom + 10


def test_digits_are_no_signs(reader: Reader) -> None:
    page = reader.read(drawn("1234567890"))
    assert page.text == "1234567890" and page.skipped == ()


def test_small_zeros_and_long_sevens_stay(reader: Reader) -> None:
    shape = (120, 30 + PITCH * 7)
    page = np.zeros(shape, np.float32)
    for place, (digit, tall) in enumerate([(5, 40), (1, 40), (0, 17), (0, 17), (7, 75), (0, 17)]):
        middle = (30 + place * PITCH) / shape[1], (60 + (tall > 40) * 15) / shape[0]
        pen = 4 / tall
        np.maximum(page, ink(digit, shape, height=tall / 120, pen=pen, centre=middle), out=page)
    assert reader.read(1 - page).text == "510070"


def test_small_rows_below_large_digits(reader: Reader) -> None:
    page = np.zeros((330, 330), np.float32)
    for place, digit in enumerate("18"):
        middle = (70 + 110 * place) / 330, 90 / 330
        np.maximum(
            page, ink(int(digit), page.shape, height=140 / 330, pen=0.1, centre=middle), out=page
        )
    for row, text in enumerate(["438973", "349662"]):
        for place, digit in enumerate(text):
            middle = (50 + 32 * place) / 330, (220 + 45 * row) / 330
            np.maximum(
                page, ink(int(digit), page.shape, height=25 / 330, pen=0.1, centre=middle), out=page
            )
    assert reader.read(1 - page).text == "18\n438973\n349662"


def test_a_page_without_signs_skips_nothing() -> None:
    assert Page(()).skipped == () and Page(()).marked is None
