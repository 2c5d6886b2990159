"""Thinned strokes are a pixel wide, in the middle, and hold together."""

from __future__ import annotations

import numpy as np
import pytest

from tinymnist.imaging.digit.components import find_components
from tinymnist.imaging.synthetic.paint import ink
from tinymnist.imaging.synthetic.skeleton import skeleton


def test_a_bar_becomes_its_middle_line():
    bar = np.zeros((21, 60), bool)
    bar[6:15, 5:55] = True
    thin = skeleton(bar)
    assert set(np.nonzero(thin[:, 15:45])[0]) <= {9, 10, 11}
    assert (thin[:, 15:45].sum(0) == 1).all()


@pytest.mark.parametrize("number", range(10))
def test_digits_keep_their_parts_and_holes_and_lose_their_width(number):
    whole = ink(number, (80, 60), height=0.8, pen=0.14) > 0.5
    thin = skeleton(whole)
    assert not (thin & ~whole).any()
    assert thin.sum() < 0.25 * whole.sum()
    assert len(find_components(thin).boxes) == len(find_components(whole).boxes)
    blocks = sum(thin[i : 79 + i, j : 59 + j].astype(int) for i in (0, 1) for j in (0, 1))
    assert (blocks == 4).sum() == 0  # nowhere two pixels wide and high
    holes = [len(find_components(~np.pad(mask, 1)).boxes) for mask in (thin, whole)]
    assert holes[1] <= 1 or holes[0] >= 1


def test_nothing_stays_nothing():
    assert not skeleton(np.zeros((5, 5), bool)).any()
    assert not skeleton(np.zeros((0, 3), bool)).any()
