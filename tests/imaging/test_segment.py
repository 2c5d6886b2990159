"""Pages into marks, rows, pieces and candidates; the network has no part in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.imaging.pages import PITCH, written
from tinymnist.errors import InputError
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.page.marks import find_marks
from tinymnist.imaging.page.segment import segment
from tinymnist.imaging.synthetic.paint import ink, slope


def singles(row: Any) -> Any:
    """The candidates that are whole marks, as the cheapest way sees them when all are as sure."""
    chosen = row.cheapest([0.9] * len(row.candidates))
    return [row.candidates[i] for i in chosen]


def counts(grey: Any) -> Any:
    return [len(singles(row)) for row in segment(grey)]


class TestSegment:
    def test_every_digit_of_every_row_has_its_box_in_reading_order(self) -> None:
        page = written(["123", "45", "6789"])
        rows = segment(1 - page)
        assert [len(singles(row)) for row in rows] == [3, 2, 4]
        for i, row in enumerate(rows):
            for j, candidate in enumerate(singles(row)):
                top, left, bottom, right = candidate.box
                assert (top + bottom) / 2 == pytest.approx(35 + i * 65, abs=5)
                assert (left + right) / 2 == pytest.approx(30 + j * PITCH, abs=7)
                assert page[top:bottom, left:right].max() == 1

    def test_images_are_in_mnist_form(self) -> None:
        for row in segment(1 - written(["08"])):
            for candidate in row.candidates:
                assert candidate.image.shape == (28, 28) and candidate.image.dtype == np.float32
                assert candidate.image.min() == 0 and candidate.image.max() == 1
                sides = [np.ptp(np.flatnonzero(candidate.image.any(axis))) for axis in (0, 1)]
                assert 19 <= max(sides) + 1 <= 20

    def test_polarity_does_not_matter(self) -> None:
        page = written(["2578"])
        dark, light = segment(1 - 0.8 * page), segment(0.1 + 0.8 * page)
        assert [c.box for c in singles(dark[0])] == [c.box for c in singles(light[0])]

    @pytest.mark.parametrize("sink", [-8, 8])
    def test_slanted_rows(self, sink: Any) -> None:
        page = written(["1234", "5678"], size=(260, 320), sink=sink)
        shifted = np.roll(page, 40 if sink < 0 else 0, axis=0)
        assert counts(1 - shifted) == [4, 4]

    def test_uneven_light_and_noise(self) -> None:
        rng = np.random.default_rng(0)
        page = written(["123", "456"])
        light = 1 - 0.5 * slope(page.shape, 30)
        seen = (1 - 0.6 * page) * light + 0.04 * rng.standard_normal(page.shape, np.float32)
        assert counts(np.clip(seen, 0, 1)) == [3, 3]

    def test_an_object_at_the_edge_is_no_digit(self) -> None:
        seen = 1 - 0.6 * written(["123", "456"])
        seen[175:, 60:] = 0.05
        assert counts(seen) == [3, 3]

    def test_ruled_lines_and_dust_are_no_digits(self) -> None:
        page = written(["123", "456"])
        for top in (60, 125, 190):
            page[top : top + 2] = 0.9
        page[10:13, 200:203] = page[150:152, 250:252] = 1
        assert counts(1 - page) == [3, 3]

    def test_a_bar_that_came_apart_belongs_to_its_digit(self) -> None:
        page = written(["353"])
        page[15:24, 67:71] = 0  # the bar of the 5 in the middle
        assert len(find_marks(page > 0.5).boxes) == 4
        (row,) = segment(1 - page)
        assert len(singles(row)) == 3

    def test_touching_digits_can_be_parted(self) -> None:
        page = np.zeros((90, 120), np.float32)
        for digit, centre in ((2, 0.36), (3, 0.62)):
            np.maximum(page, ink(digit, page.shape, height=0.6, pen=0.12, centre=(centre, 0.5)),
                       out=page)  # fmt: skip
        page[70, 40:80] = 1
        assert len(find_marks(page > 0.5).boxes) == 1
        (row,) = segment(1 - page)
        whole = max(row.candidates, key=lambda c: c.last - c.first)
        parts = [i for i, c in enumerate(row.candidates) if c.box[3] < 70 or c.box[1] > 50]
        confidences = [0.95 if i in parts else 0.2 for i in range(len(row.candidates))]
        chosen = row.cheapest(confidences)
        assert len(chosen) == 2 and all(i in parts for i in chosen)
        for i, c in enumerate(row.candidates):
            confidences[i] = 0.95 if c is whole else 0.2
        assert [row.candidates[i] for i in row.cheapest(confidences)] == [whole]

    def test_a_blank_page_has_no_digits(self) -> None:
        for grey in (np.ones((80, 90)), np.zeros((80, 90)), 1 - 0.3 * slope((80, 90), 20)):
            with pytest.raises(NoDigitFound):
                segment(np.asarray(grey, np.float32))

    def test_grain_is_no_page(self) -> None:
        rng = np.random.default_rng(1)
        grain = np.asarray(rng.random((300, 300)) < 0.05, np.float32)
        with pytest.raises(NoDigitFound):
            segment(grain)

    @settings(max_examples=40, deadline=None)
    @given(
        hnp.arrays(
            np.float32,
            hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40),
            elements=st.sampled_from([0, 0.25, 0.5, 1]),
        )
    )
    def test_any_page_gives_candidates_within_it_or_a_clear_error(self, grey: Any) -> None:
        try:
            rows = segment(grey)
        except InputError:
            return
        for row in rows:
            for candidate in row.candidates:
                top, left, bottom, right = candidate.box
                assert 0 <= top < bottom <= grey.shape[0] and 0 <= left < right <= grey.shape[1]
                assert candidate.cost >= 0 and np.isfinite(candidate.cost)
