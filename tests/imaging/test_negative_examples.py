"""Pictures without a digit: in range, varied, and of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinymnist.imaging.digit.normalize import normalize
from tinymnist.imaging.synthetic.negatives import KINDS, negative_example, pair
from tinymnist.imaging.synthetic.paint import ink

DIGITS = np.stack([normalize(1 - ink(n, (60, 60), height=0.7, pen=0.12)) for n in range(10)])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_is_a_picture_of_mnists_size(kind: Any) -> None:
    made = np.stack([kind(DIGITS, np.random.default_rng(seed)) for seed in range(30)])
    assert made.shape == (30, 28, 28) and made.dtype == np.float32
    assert made.min() >= 0 and made.max() <= 1
    assert len({picture.tobytes() for picture in made}) > 5
    digits = {picture.tobytes() for picture in DIGITS}
    assert not digits & {picture.tobytes() for picture in made}


def aspect(picture: Any) -> Any:
    rows, columns = (np.flatnonzero((picture > 0.3).any(axis)) for axis in (1, 0))
    return np.ptp(columns) / np.ptp(rows)


def test_pairs_are_wider_than_one_digit() -> None:
    some = DIGITS[[3, 5, 8]]
    pairs = [pair(some, np.random.default_rng(seed)) for seed in range(20)]
    widest = max(map(aspect, some))
    assert min(map(aspect, pairs)) >= widest and np.median([*map(aspect, pairs)]) > 1.2 * widest


def test_the_same_seed_gives_the_same_picture() -> None:
    one, two = (negative_example(DIGITS, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
