"""The ink of a whole page."""

from __future__ import annotations

from tests.imaging.pages import written
from tinymnist.imaging.page import page_ink
from tinymnist.imaging.paint import ink


def test_ink_is_where_it_was_drawn():
    page = written(["123", "456"])
    found = page_ink(1 - 0.7 * page).mask
    assert found[page > 0.6].all() and not found[page < 0.1].any()


def test_one_digit_with_a_broad_pen_is_not_hollow():
    digit = ink(0, (60, 60), height=0.7, pen=0.2)
    assert page_ink(1 - digit).mask[digit > 0.6].all()
