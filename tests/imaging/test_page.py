"""The ink of a whole page."""

from __future__ import annotations

import numpy as np

from tests.imaging.pages import written
from tinymnist.imaging.page.ink import page_ink
from tinymnist.imaging.synthetic.paint import ink


def test_ink_is_where_it_was_drawn():
    page = written(["123", "456"])
    found = page_ink(1 - 0.7 * page).mask
    assert found[page > 0.6].all() and not found[page < 0.1].any()


def test_one_digit_with_a_broad_pen_is_not_hollow():
    digit = ink(0, (60, 60), height=0.7, pen=0.2)
    assert page_ink(1 - digit).mask[digit > 0.6].all()


def test_digits_stay_beside_a_darker_object_whose_middle_is_lost():
    page = written(["123", "456"], size=(220, 340))
    grey = 1 - 0.4 * page
    away = np.hypot(*(np.indices(page.shape) - np.reshape((130, 260), (2, 1, 1))))
    grey[away < 30], grey[away < 20] = 0.1, 0.25
    assert page_ink(grey).mask[page > 0.6].all()
