"""What speaks for and against a digit, without a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinymnist.imaging.page.lattice import (
    cut_cost,
    discard_costs,
    shape_cost,
    slash_cost,
    switch_costs,
    thick_costs,
    uncertainty_cost,
)

TYPICAL = 40


def box(tall: Any, wide: Any) -> Any:
    return np.array([0, 0, tall, wide])


def test_a_digit_of_the_usual_size_costs_nothing() -> None:
    assert shape_cost(box(40, 20), TYPICAL) == 0
    assert shape_cost(box(50, 20), TYPICAL) == 0
    assert uncertainty_cost(1.0) == 0


@pytest.mark.parametrize("tall, wide", [(15, 10), (120, 30), (40, 60)])
def test_small_tall_and_wide_boxes_cost(tall: int, wide: int) -> None:
    assert shape_cost(box(tall, wide), TYPICAL) > 1


def test_doubts_are_finite_and_grow() -> None:
    doubts = [uncertainty_cost(sure) for sure in (1.0, 0.9, 0.5, 0.0)]
    assert doubts == sorted(doubts) and np.isfinite(doubts).all()


def test_only_a_tall_leaning_bar_is_a_slash() -> None:
    assert slash_cost(box(60, 25), TYPICAL) > 1
    assert slash_cost(box(60, 8), TYPICAL) == 0  # upright: a 1
    assert slash_cost(box(40, 16), TYPICAL) == 0  # no taller than others


def test_strokes_twice_as_wide_as_others_cost() -> None:
    costs = thick_costs(np.array([3.0, 4.0, 5.0, 10.0], np.float32), 4.0)
    np.testing.assert_array_equal(costs > 0, [False, False, False, True])


def test_narrow_marks_are_seldom_two_digits() -> None:
    assert cut_cost((40, 50), TYPICAL) == cut_cost((40, 40), TYPICAL)
    assert cut_cost((40, 30), TYPICAL) > cut_cost((40, 40), TYPICAL) + 1


def test_what_looks_like_a_digit_is_not_lightly_passed() -> None:
    dot, speck = (discard_costs((side, side), TYPICAL, 0.5, bar=False) for side in (4, 2))
    assert 0 < speck[0] < dot[0] < 0.1
    unlike, like, bar = (
        discard_costs((40, 30), TYPICAL, sure, bar)
        for sure, bar in ((0.3, False), (0.99, False), (0.99, True))
    )
    assert like[0] > unlike[0] + 5 and like[1] > unlike[1] + 1
    assert bar[0] < like[0] and bar[1] < like[1]
    assert all(passing < skip for skip, passing in (unlike, like, bar))


def test_digits_and_words_do_not_mingle() -> None:
    begin, near, wide, far = switch_costs(np.array([0.0, 0.2, 0.4]))
    assert near > wide > far > 0 and begin > far
