"""Digits drawn in other hands, and cut from a neighbour."""

from __future__ import annotations

import numpy as np
import pytest

from tinymnist.imaging.digit.components import bounds
from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.synthetic.hands import HANDS, written
from tinymnist.imaging.synthetic.paint import ink
from tinymnist.imaging.synthetic.styles import steep_seven
from tinymnist.imaging.synthetic.touching import cut_from_neighbour


@pytest.mark.parametrize("digit", HANDS)
def test_every_hand_fills_mnists_box(digit: int) -> None:
    made = np.stack([written(digit, np.random.default_rng(seed)) for seed in range(40)])
    assert made.shape == (40, 28, 28) and made.dtype == np.float32
    assert made.min() >= 0 and made.max() <= 1
    for picture in made:
        down, right = bounds(picture > 0.2)
        assert max(down.stop - down.start, right.stop - right.start) in (19, 20, 21)
    assert len({picture.tobytes() for picture in made}) == 40


def test_a_dotted_digit_is_in_pieces() -> None:
    from scipy import ndimage

    pieces = [ndimage.label(written(8, np.random.default_rng(seed)) > 0.5)[1] for seed in range(60)]
    assert max(pieces) > 6 and np.median(pieces) == 1


def test_a_steep_seven_is_narrower_and_still_has_its_bar() -> None:
    seven = normalize(1 - ink(7, (60, 60), height=0.7, pen=0.12))
    rng = np.random.default_rng(0)
    made = [steep_seven(seven, rng) for _ in range(30)]
    widths = [np.ptp(np.flatnonzero((one > 0.3).any(0))) for one in made]
    before = np.ptp(np.flatnonzero((seven > 0.3).any(0)))
    assert np.median(widths) < before
    assert all((one[:10] > 0.3).sum(1).max() >= 4 for one in made)  # the stem is thinner


def test_a_digit_cut_from_its_neighbour_is_most_of_it_and_a_stub() -> None:
    drawn = [normalize(1 - ink(n, (60, 60), height=0.7, pen=0.12)) for n in range(10)]
    rng = np.random.default_rng(1)
    made = [cut_from_neighbour(np.stack(drawn), drawn[8], rng) for _ in range(20)]
    changed = [one for one in made if not np.array_equal(one, drawn[8])]
    assert len(changed) >= 5
    for one in changed:
        overlap = np.minimum(one > 0.5, drawn[8] > 0.5).sum()
        assert one.shape == (28, 28) and overlap > 0.3 * (drawn[8] > 0.5).sum()
