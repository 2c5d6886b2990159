"""The ink of a whole page, and strokes against parts of larger dark things."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.imaging.pages import written
from tinymnist.imaging.digit.components import find_components
from tinymnist.imaging.page.ink import find_outlined, page_ink
from tinymnist.imaging.synthetic.paint import ink


def page(shape: Any, *, inked: Any = (20, 40, 28, 44)) -> Any:
    """A mark on light paper, and one that is the corner of a dark desk, and the mask of both."""
    grey = np.full(shape, 0.9, np.float32)
    grey[10:32, 60:90] = 0.2
    mask = np.zeros(shape, bool)
    mask[10:16, 60:66] = True
    top, left, bottom, right = inked
    grey[top:bottom, left:right], mask[top:bottom, left:right] = 0.1, True
    return grey, mask


@pytest.mark.parametrize("shape", [(32, 90), (200, 300)])
@pytest.mark.parametrize("left", [0, 2, 40])
def test_strokes_are_lighter_all_around_and_corners_of_desks_are_not(
    shape: tuple[int, int], left: int
) -> None:
    grey, mask = page(shape, inked=(20, left, 28, left + 4))
    parts = find_components(mask)
    found = find_outlined(parts, grey, np.full(shape, 0.9, np.float32))
    assert dict(zip(parts.boxes[:, 1].tolist(), found.tolist(), strict=True)) == {
        60: False,
        left: True,
    }


def test_no_marks() -> None:
    parts = find_components(np.zeros((9, 9), bool))
    assert find_outlined(parts, *np.ones((2, 9, 9), np.float32)).shape == (0,)


def test_ink_is_where_it_was_drawn() -> None:
    page = written(["123", "456"])
    found = page_ink(1 - 0.7 * page).mask
    assert found[page > 0.6].all() and not found[page < 0.1].any()


def test_one_digit_with_a_broad_pen_is_not_hollow() -> None:
    digit = ink(0, (60, 60), height=0.7, pen=0.2)
    assert page_ink(1 - digit).mask[digit > 0.6].all()


def test_digits_stay_beside_a_darker_object_whose_middle_is_lost() -> None:
    page = written(["123", "456"], size=(220, 340))
    grey = 1 - 0.4 * page
    away = np.hypot(*(np.indices(page.shape) - np.reshape((130, 260), (2, 1, 1))))
    grey[away < 30], grey[away < 20] = 0.1, 0.25
    assert page_ink(grey).mask[page > 0.6].all()
