"""The cheapest way through a row, against all ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinymnist.imaging.page.lattice import UNSURE, Candidate, Row

IMAGE = np.zeros((28, 28), np.float32)


def row_of(
    *runs: Any, skips: Any, cuts: Any = None, passes: Any = None, switches: Any = None
) -> Any:
    """Runs are (first, last, cost); unless given, cuts are free and no way leaves the digits."""
    candidates = [Candidate(a, b, (0, a, 1, b), IMAGE, cost) for a, b, cost in runs]
    n = len(skips)
    free, never = [0.0] * n, [np.inf] * n
    return Row(candidates, np.array(skips), np.array(cuts or free), np.array(passes or skips),
               np.array(switches or never))  # fmt: skip


def ways(row: Any, sure: Any, place: int = 0, state: Any = None) -> Iterator[Any]:
    """Every way from a place to the end, one by one: its cost and the candidates on it."""
    if place == len(row.skips):
        yield 0.0, []
        return
    cuts = np.append(row.cuts, 0.0)
    asides = (0, float(row.skips[place])), (1, float(row.passes[place]))
    moves: list[tuple[int, float, int, list[int]]]
    moves = [(kind, cost, place + 1, []) for kind, cost in asides]
    for number, candidate in enumerate(row.candidates):
        if candidate.first == place:
            parted = (cuts[candidate.first] + cuts[candidate.last]) / 2
            cost = candidate.cost + parted - UNSURE * np.log(sure[number])
            moves.append((0, cost, candidate.last, [number]))
    for kind, cost, end, own in moves:
        turning = row.switches[place] if kind != (state or 0) else 0.0
        for further, rest in ways(row, sure, end, kind):
            yield turning + cost + further, own + rest


@st.composite
def rows_and_sureness(draw: Any) -> Any:
    n = draw(st.integers(1, 4))
    share = st.floats(0.05, 1)
    runs = [(a, b, draw(share)) for a in range(n) for b in range(a + 1, n + 1)]
    skips, cuts, passes, switches = ([draw(share) for _ in range(n)] for _ in range(4))
    row = row_of(*runs, skips=skips, cuts=cuts, passes=passes, switches=switches)
    return row, [draw(share) for _ in runs]


def test_two_good_halves_beat_a_poor_whole() -> None:
    row = row_of((0, 1, 0), (1, 2, 0), (0, 2, 0), skips=[2, 2], cuts=[0, 0.5])
    assert row.cheapest([0.9, 0.9, 0.4]) == [0, 1]
    assert row.cheapest([0.9, 0.9, 0.9]) == [2]


def test_what_nobody_can_read_is_left_out() -> None:
    row = row_of((0, 1, 0), (1, 2, 0), (2, 3, 0), skips=[2, 2, 2])
    assert row.cheapest([0.9, 0.1, 0.9]) == [0, 2]
    assert row.cheapest([0.0, 0.0, 0.0]) == []


def test_geometry_speaks_too() -> None:
    row = row_of((0, 1, 3.0), skips=[2])
    assert row.cheapest([0.99]) == []


def test_among_other_matter_what_looks_like_a_digit_is_passed() -> None:
    runs = [(i, i + 1, 0.0) for i in range(5)]
    sure = [0.2, 0.2, 0.9, 0.2, 0.9]  # an o within a word, and a digit after it
    row = row_of(*runs, skips=[1.5] * 5, passes=[0.2] * 4 + [0.9], switches=[0.5, 1, 1, 1, 0.2])
    assert row.cheapest(sure) == [4]
    assert row_of(*runs, skips=[1.5] * 5).cheapest(sure) == [2, 4]


@settings(max_examples=60, deadline=None)
@given(rows_and_sureness())
def test_the_way_is_the_cheapest_of_all(drawn: Any) -> None:
    row, sure = drawn
    prices: dict[tuple[int, ...], float] = {}
    for cost, way in ways(row, sure):
        prices[tuple(way)] = min(cost, prices.get(tuple(way), np.inf))
    assert prices[tuple(row.cheapest(sure))] == pytest.approx(min(prices.values()), abs=1e-5)
