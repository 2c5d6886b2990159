"""The box around the ink."""

import numpy as np
import pytest

from tinymnist.imaging.digit.bounds import bounds


def test_the_smallest_box_that_holds_all_the_ink():
    mask = np.zeros((6, 7), bool)
    mask[1, 4] = mask[3, 2] = True
    assert bounds(mask) == (slice(1, 4), slice(2, 5))


@pytest.mark.parametrize("shape", [(6, 7), (0, 7), (6, 0), (0, 0)])
def test_no_ink_has_an_empty_box(shape):
    mask = np.zeros(shape, bool)
    assert mask[bounds(mask)].shape == (0, 0)


def test_a_picture_full_of_ink_is_its_own_box():
    assert bounds(np.ones((3, 2), bool)) == (slice(0, 3), slice(0, 2))
