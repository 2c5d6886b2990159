"""Print out of focus is read by comparing it with printed digits."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tests.imaging.grids import CELL, MARGIN, digits_of, grid_of
from tinymnist.imaging.page.print import compare_with_print, weigh_with_print
from tinymnist.imaging.page.sharpen import blur, is_blurred, sharpen
from tinymnist.reader import Reader

ROWS = ["469", "8.5"]


def printed(text: str, size: int = 26, blurred: float = 2.6, shape: Any = (60, 60)) -> Any:
    picture = Image.new("L", shape[::-1])
    font = ImageFont.load_default(size)
    ImageDraw.Draw(picture).text((20, 14), text, 255, font, stroke_width=1, stroke_fill=255)
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(blurred)), np.float32) / 255


def blurred_grid() -> Any:
    empty = grid_of(["...", "..."])
    page = Image.fromarray(np.uint8(empty * 255))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(30)
    for i, row in enumerate(ROWS):
        for j, text in enumerate(row.replace(".", " ")):
            place = MARGIN + (j + 0.5) * CELL, MARGIN + (i + 0.5) * CELL
            draw.text(place, text, 255, font, "mm", stroke_width=1, stroke_fill=255)
    return np.asarray(page.filter(ImageFilter.GaussianBlur(1.8)), np.float32) / 255


def test_blur_is_measured_and_undone() -> None:
    ink = printed("8")
    mask = ink > 0.35 * ink.max()
    assert 1.8 < blur(ink, mask) < 3.4 and is_blurred(ink, mask)
    sharp = sharpen(ink, mask)
    assert np.ptp(sharp[mask]) > 1.3 * np.ptp(ink[mask] / ink.max())  # the holes are open
    assert sharpen(printed("8", blurred=0.5), mask) is not sharp


def test_the_holes_of_a_small_8_are_open() -> None:
    ink = printed("8", size=18, blurred=1.2)
    mask = ink > 0.35 * ink.max()
    assert not is_blurred(ink, mask)
    sharp = sharpen(ink, mask)
    assert np.ptp(sharp[mask]) > 1.2 * np.ptp(ink[mask] / ink.max())


def test_sharp_ink_stays() -> None:
    ink = digits_of(["8"], (120, 120))
    assert sharpen(ink, ink > 0.35) is ink


def test_each_digit_resembles_itself() -> None:
    for digit in range(10):
        ink = printed(str(digit))
        found = compare_with_print(ink, ink > 0.35 * ink.max())
        assert found is not None and found.shape == (10,) and found.argmax() == digit
        even = weigh_with_print(np.full(10, 0.1, np.float32), found)
        assert even.argmax() == digit and abs(even.sum() - 1) < 1e-5


def test_what_is_not_print_resembles_none() -> None:
    ink = np.zeros((60, 60), np.float32)
    ink[20:40, 10:50] = 1
    assert compare_with_print(ink, ink > 0) is None


def test_a_blurred_grid() -> None:
    assert Reader().read(1 - 0.5 * blurred_grid()).text == "469\n8.5"
