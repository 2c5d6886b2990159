"""Seams between touching digits."""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.page.cuts import find_cuts


def test_the_thin_place_is_found():
    mask = np.zeros((21, 40), bool)
    mask[:, 2:18] = mask[:, 22:38] = True
    mask[10:12, 18:22] = True
    (cut,) = find_cuts(mask, 4, 6, 1)
    assert cut.ink == 2
    assert ((cut.columns >= 18) & (cut.columns <= 21)).all()


def test_a_seam_leans_with_the_digits():
    rows, columns = np.indices((31, 60))
    mask = abs(columns + rows - 45) > 2  # a slanting gap
    (cut,) = find_cuts(mask, 4, 6, 1)
    assert cut.ink == 0
    assert cut.columns[0] - cut.columns[-1] > 20


def test_seams_stay_apart_and_off_the_sides():
    cuts = find_cuts(np.ones((11, 50), bool), 8, 10, 9)
    middles = [int(cut.columns[5]) for cut in cuts]
    assert middles == sorted(middles) and len(cuts) >= 3
    assert min(middles) >= 8 and max(middles) < 42
    assert min(np.diff(middles)) >= 10
    assert all(cut.ink == 11 for cut in cuts)
