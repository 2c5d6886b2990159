"""Strokes against parts of larger dark things."""

from __future__ import annotations

import numpy as np
import pytest

from tinymnist.imaging.digit.components import find_components
from tinymnist.imaging.page.outline import outlined


def page(shape, *, inked=(20, 40, 28, 44)):
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
def test_strokes_are_lighter_all_around_and_corners_of_desks_are_not(shape, left):
    grey, mask = page(shape, inked=(20, left, 28, left + 4))
    parts = find_components(mask)
    found = outlined(parts, grey, np.full(shape, 0.9, np.float32))
    assert dict(zip(parts.boxes[:, 1].tolist(), found.tolist(), strict=True)) == {
        60: False,
        left: True,
    }


def test_no_marks():
    parts = find_components(np.zeros((9, 9), bool))
    assert outlined(parts, *np.ones((2, 9, 9), np.float32)).shape == (0,)
