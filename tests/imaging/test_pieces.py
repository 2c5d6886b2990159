"""Marks in pieces, and the seams between touching digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymnist.imaging.digit.components import find_components
from tinymnist.imaging.page.pieces import Whole, find_cuts, find_pieces, seams_of
from tinymnist.imaging.synthetic.paint import ink

TALL = 54


def touching() -> Any:
    """A 2 and a 3 on a line, and a 1 apart."""
    page = np.zeros((90, 180), np.float32)
    for digit, middle in ((2, 0.24), (3, 0.42), (1, 0.8)):
        drawn = ink(digit, page.shape, height=0.6, pen=0.12, centre=(middle, 0.5))
        np.maximum(page, drawn, out=page)
    page[70, 40:80] = 1
    return find_components(page > 0.5)


def marks(parts: Any, cost: Any) -> Any:
    return [Whole(n, sure=0.9, bar=False, odd=n, cost=cost) for n in range(len(parts.boxes))]


def test_a_mark_that_is_surely_a_digit_stays_whole() -> None:
    parts = touching()
    pieces = find_pieces(parts, marks(parts, cost=0.0), TALL)
    assert len(parts.boxes) == 2
    order = np.argsort(parts.boxes[:, 1])
    np.testing.assert_array_equal(pieces.boxes, parts.boxes[order])
    assert not pieces.cuts.any()


def test_a_wide_mark_of_doubt_is_cut_and_nothing_is_lost() -> None:
    parts = touching()
    pieces = find_pieces(parts, marks(parts, cost=50.0), TALL)
    np.testing.assert_array_equal(pieces.labels >= 0, parts.labels >= 0)
    owners = [np.unique(parts.labels[pieces.labels == n]) for n in range(len(pieces.boxes))]
    assert all(len(owner) == 1 for owner in owners)  # no piece is of two marks
    owner = np.concatenate(owners)
    assert len(owner) > 2
    same = np.append(False, owner[1:] == owner[:-1])
    np.testing.assert_array_equal(pieces.cuts > 0, same)
    np.testing.assert_array_equal(pieces.odd, owner)


def test_pieces_share_what_it_costs_to_pass_their_mark() -> None:
    parts = touching()
    whole = find_pieces(parts, marks(parts, cost=0.0), TALL)
    cut = find_pieces(parts, marks(parts, cost=50.0), TALL)
    assert 0.9 * whole.skips.sum() < cut.skips.sum() < 1.4 * whole.skips.sum()
    assert (cut.limits <= cut.skips).all()


def crossed(mask: np.ndarray, seam: np.ndarray) -> int:
    """How many pixels of ink a seam crosses."""
    return int(mask[np.arange(len(mask)), seam].sum())


def test_the_thin_place_is_found() -> None:
    mask = np.zeros((21, 40), bool)
    mask[:, 2:18] = mask[:, 22:38] = True
    mask[10:12, 18:22] = True
    (cut,) = find_cuts(mask, 4, 6, 1)
    assert crossed(mask, cut) == 2
    assert ((cut >= 18) & (cut <= 21)).all()


def test_a_seam_leans_with_the_digits() -> None:
    rows, columns = np.indices((31, 60))
    mask = abs(columns + rows - 45) > 2  # a slanting gap
    (cut,) = find_cuts(mask, 4, 6, 1)
    assert crossed(mask, cut) == 0
    assert cut[0] - cut[-1] > 20


def test_seams_stay_apart_and_off_the_sides() -> None:
    mask = np.ones((11, 50), bool)
    cuts = find_cuts(mask, 8, 10, 9)
    middles = [int(cut[5]) for cut in cuts]
    assert middles == sorted(middles) and len(cuts) >= 3
    assert min(middles) >= 8 and max(middles) < 42
    assert min(np.diff(middles)) >= 10
    assert all(crossed(mask, cut) == 11 for cut in cuts)


def test_parts_of_a_mark_lie_between_any_two_of_its_seams() -> None:
    page = np.zeros((90, 200), np.float32)
    for digit, middle in ((6, 0.3), (0, 0.43)):  # their round sides lie along each other
        drawn = ink(digit, page.shape, height=0.6, pen=0.12, centre=(middle, 0.5))
        np.maximum(page, drawn, out=page)
    parts = find_components(page > 0.5)
    assert len(parts.boxes) == 1
    doubtful = [Whole(0, sure=0.3, bar=False, odd=0, cost=9.0)]
    few, many = (find_pieces(parts, doubtful, TALL, dense=dense) for dense in (False, True))
    assert len(many.boxes) > len(few.boxes) > 2
    total = (parts.labels == 0).sum()
    last = len(many.boxes)
    assert many.is_one_mark(0, last) and not many.is_one_mark(1, last)
    for cut in range(1, last):
        left, right = many.cut_out(0, cut), many.cut_out(cut, last)
        assert left is not None and right is not None
        assert left[1].sum() + right[1].sum() == total
    assert len(seams_of(many.labels[16:74, 45:103] >= 0, TALL, dense=True)) > len(few.boxes)
