"""Pages into marks, rows, pieces and candidates; the network has no part in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinymnist.errors import InputError
from tinymnist.imaging.cuts import find_cuts
from tinymnist.imaging.isolate import NoDigitFound
from tinymnist.imaging.lattice import DIGITS, OTHER, Candidate, Row
from tinymnist.imaging.marks import find_marks, typical_height
from tinymnist.imaging.page import page_ink
from tinymnist.imaging.paint import ink, slope
from tinymnist.imaging.rows import find_rows
from tinymnist.imaging.rules import vertical_runs, without_rules
from tinymnist.imaging.segment import segment

TALL, PITCH = 40, 44
"""Pixels of a painted digit, and from one to the next."""


def written(rows, size=(200, 320), pen=0.1, sink=0.0):
    """How much of each pixel is inked; ``sink`` is by how many pixels a row falls from digit to
    digit."""
    page = np.zeros(size, np.float32)
    for i, row in enumerate(rows):
        for j, digit in enumerate(row):
            centre = ((30 + j * PITCH) / size[1], (35 + i * 65 + j * sink) / size[0])
            drawn = ink(int(digit), size, height=TALL / size[0], pen=pen, centre=centre)
            np.maximum(page, drawn, out=page)
    return page


def singles(row):
    """The candidates that are whole marks, as the cheapest way sees them when all are as sure."""
    chosen = row.cheapest([0.9] * len(row.candidates))
    return [row.candidates[i] for i in chosen]


def counts(grey):
    return [len(singles(row)) for row in segment(grey)]


class TestSegment:
    def test_every_digit_of_every_row_has_its_box_in_reading_order(self):
        page = written(["123", "45", "6789"])
        rows = segment(1 - page)
        assert [len(singles(row)) for row in rows] == [3, 2, 4]
        for i, row in enumerate(rows):
            for j, candidate in enumerate(singles(row)):
                top, left, bottom, right = candidate.box
                assert (top + bottom) / 2 == pytest.approx(35 + i * 65, abs=5)
                assert (left + right) / 2 == pytest.approx(30 + j * PITCH, abs=7)
                assert page[top:bottom, left:right].max() == 1

    def test_images_are_in_mnist_form(self):
        for row in segment(1 - written(["08"])):
            for candidate in row.candidates:
                assert candidate.image.shape == (28, 28) and candidate.image.dtype == np.float32
                assert candidate.image.min() == 0 and candidate.image.max() == 1
                sides = [np.ptp(np.flatnonzero(candidate.image.any(axis))) for axis in (0, 1)]
                assert 19 <= max(sides) + 1 <= 20

    def test_polarity_does_not_matter(self):
        page = written(["2578"])
        dark, light = segment(1 - 0.8 * page), segment(0.1 + 0.8 * page)
        assert [c.box for c in singles(dark[0])] == [c.box for c in singles(light[0])]

    @pytest.mark.parametrize("sink", [-8, 8])
    def test_slanted_rows(self, sink):
        page = written(["1234", "5678"], size=(260, 320), sink=sink)
        shifted = np.roll(page, 40 if sink < 0 else 0, axis=0)
        assert counts(1 - shifted) == [4, 4]

    def test_uneven_light_and_noise(self):
        rng = np.random.default_rng(0)
        page = written(["123", "456"])
        light = 1 - 0.5 * slope(page.shape, 30)
        seen = (1 - 0.6 * page) * light + 0.04 * rng.standard_normal(page.shape, np.float32)
        assert counts(np.clip(seen, 0, 1)) == [3, 3]

    def test_an_object_at_the_edge_is_no_digit(self):
        seen = 1 - 0.6 * written(["123", "456"])
        seen[175:, 60:] = 0.05
        assert counts(seen) == [3, 3]

    def test_ruled_lines_and_dust_are_no_digits(self):
        page = written(["123", "456"])
        for top in (60, 125, 190):
            page[top : top + 2] = 0.9
        page[10:13, 200:203] = page[150:152, 250:252] = 1
        assert counts(1 - page) == [3, 3]

    def test_a_bar_that_came_apart_belongs_to_its_digit(self):
        page = written(["353"])
        page[15:24, 67:71] = 0  # the bar of the 5 in the middle
        assert len(find_marks(page > 0.5).boxes) == 4
        (row,) = segment(1 - page)
        assert len(singles(row)) == 3

    def test_touching_digits_can_be_parted(self):
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

    def test_a_blank_page_has_no_digits(self):
        for grey in (np.ones((80, 90)), np.zeros((80, 90)), 1 - 0.3 * slope((80, 90), 20)):
            with pytest.raises(NoDigitFound):
                segment(np.asarray(grey, np.float32))

    def test_grain_is_no_page(self):
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
    def test_any_page_gives_candidates_within_it_or_a_clear_error(self, grey):
        try:
            rows = segment(grey)
        except InputError:
            return
        for row in rows:
            for candidate in row.candidates:
                top, left, bottom, right = candidate.box
                assert 0 <= top < bottom <= grey.shape[0] and 0 <= left < right <= grey.shape[1]
                assert candidate.cost >= 0 and np.isfinite(candidate.cost)


class TestLattice:
    IMAGE = np.zeros((28, 28), np.float32)

    def row(self, *runs, skips, cuts=None, passes=None, switches=None):
        """Without ``passes`` there is no other matter but at a price that nobody pays."""
        candidates = [Candidate(a, b, (0, a, 1, b), self.IMAGE, cost) for a, b, cost in runs]
        dear = [1e6] * len(skips)
        costs = (skips, cuts or [0.0] * len(skips), passes or dear, switches or dear)
        return Row(candidates, *map(np.array, costs))

    def test_two_good_halves_beat_a_poor_whole(self):
        row = self.row((0, 1, 0), (1, 2, 0), (0, 2, 0), skips=[2, 2], cuts=[0, 0.5])
        assert row.cheapest([0.9, 0.9, 0.4]) == [0, 1]
        assert row.cheapest([0.9, 0.9, 0.9]) == [2]

    def test_what_nobody_can_read_is_left_out(self):
        row = self.row((0, 1, 0), (1, 2, 0), (2, 3, 0), skips=[2, 2, 2])
        assert row.cheapest([0.9, 0.1, 0.9]) == [0, 2]
        assert row.cheapest([0.0, 0.0, 0.0]) == []

    def test_geometry_speaks_too(self):
        row = self.row((0, 1, 3.0), skips=[2])
        assert row.cheapest([0.99]) == []

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_the_way_is_the_cheapest_of_all(self, data):
        n = data.draw(st.integers(1, 4))
        share = st.floats(0.05, 1)
        runs = [(a, b) for a in range(n) for b in range(a + 1, n + 1)]
        costs = [data.draw(share) for _ in runs]
        sure = [data.draw(share) for _ in runs]
        skips, cuts, passes, switches = ([data.draw(share) for _ in range(n)] for _ in range(4))
        row = self.row(*((*run, c) for run, c in zip(runs, costs, strict=True)),
                       skips=skips, cuts=cuts, passes=passes, switches=switches)  # fmt: skip
        ends = [*cuts, 0.0]

        def ways(place, state):  # every way to the end: its cost and the candidates on it
            if place == n:
                yield 0.0, []
                return
            for into, aside in ((DIGITS, skips), (OTHER, passes)):
                turning = switches[place] if into != state else 0.0
                for cost, rest in ways(place + 1, into):
                    yield cost + turning + aside[place], rest
            turning = switches[place] if state != DIGITS else 0.0
            for number, (first, last) in enumerate(runs):
                if first == place:
                    parted = (ends[first] + ends[last]) / 2
                    own = turning + parted + costs[number] - np.log(sure[number])
                    for cost, rest in ways(last, DIGITS):
                        yield cost + own, [number, *rest]

        found = list(ways(0, DIGITS))
        cheapest = min(cost for cost, _ in found)
        price = {}
        for cost, way in found:
            price[tuple(way)] = min(cost, price.get(tuple(way), np.inf))
        assert price[tuple(row.cheapest(sure))] == pytest.approx(cheapest, abs=1e-5)
        weights = np.exp([-cost for cost, _ in found])
        for number, share in enumerate(row.shares(sure)):  # of all ways, not of the cheapest
            through = [number in way for _, way in found]
            assert share == pytest.approx(weights[through].sum() / weights.sum(), abs=1e-4)

    def test_words_are_passed_though_a_letter_looks_like_a_digit(self):
        runs = [(n, n + 1, 0) for n in range(5)]
        sure = [0.2, 0.9, 0.2, 0.2, 0.2]  # an o among letters
        row = self.row(*runs, skips=[1.0] * 5, passes=[0.1] * 5, switches=[0.5] * 5)
        assert row.cheapest(sure) == []
        assert row.cheapest([0.9] * 5) == [0, 1, 2, 3, 4]


class TestCuts:
    def test_the_thin_place_is_found(self):
        mask = np.zeros((21, 40), bool)
        mask[:, 2:18] = mask[:, 22:38] = True
        mask[10:12, 18:22] = True
        (cut,) = find_cuts(mask, 4, 6, 1)
        assert cut.ink == 2
        assert ((cut.columns >= 18) & (cut.columns <= 21)).all()

    def test_a_seam_leans_with_the_digits(self):
        rows, columns = np.indices((31, 60))
        mask = abs(columns + rows - 45) > 2  # a slanting gap
        (cut,) = find_cuts(mask, 4, 6, 1)
        assert cut.ink == 0
        assert cut.columns[0] - cut.columns[-1] > 20

    def test_seams_stay_apart_and_off_the_sides(self):
        cuts = find_cuts(np.ones((11, 50), bool), 8, 10, 9)
        middles = [int(cut.columns[5]) for cut in cuts]
        assert middles == sorted(middles) and len(cuts) >= 3
        assert min(middles) >= 8 and max(middles) < 42
        assert min(np.diff(middles)) >= 10
        assert all(cut.ink == 11 for cut in cuts)


class TestRules:
    def test_vertical_runs(self):
        mask = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [1, 1, 0]], bool)
        assert vertical_runs(mask).tolist() == [[2, 0, 1], [2, 3, 0], [0, 3, 1], [1, 3, 0]]

    @pytest.mark.parametrize("tilt", [-0.03, 0, 0.05])
    def test_lines_go_and_strokes_that_cross_them_stay_whole(self, tilt):
        page = written(["147", "469"]) > 0.5
        rows, columns = np.indices(page.shape)
        lines = np.mod(rows - tilt * columns, 50) < 2
        left = without_rules(page | lines)
        assert left[page].mean() > 0.97
        assert left[lines & ~page].mean() < 0.15

    def test_squared_paper(self):
        page = written(["258", "369"]) > 0.5
        rows, columns = np.indices(page.shape)
        squares = (rows % 25 < 1) | (columns % 25 < 1)
        left = without_rules(page | squares)
        assert left[page].mean() > 0.95
        assert left[squares & ~page].mean() < 0.15

    def test_strokes_are_no_lines(self):
        for page in (written(["777", "111"]) > 0.5, ink(1, (60, 60), height=0.8, pen=0.06) > 0.5):
            np.testing.assert_array_equal(without_rules(page), page)


class TestMarksAndRows:
    def test_frames_go_and_what_they_hold_stays(self):
        page = written(["12"]) > 0.5
        page[8:62, 8] = page[8:62, 100] = page[8, 8:101] = page[61, 8:101] = True
        assert len(find_marks(page).boxes) == 2

    def test_an_open_zero_around_a_stroke_is_no_frame(self):
        rows, columns = np.indices((80, 80))
        ring = abs(np.hypot(rows - 40, columns - 40) - 25) < 3
        ring &= (columns < 50) | (rows < 28)  # the right side is open from there down
        ring[32:56, 56:59] = True
        np.testing.assert_array_equal(find_marks(ring).labels >= 0, ring)

    def test_leftovers_along_the_edge_go(self):
        page = written(["12"]) > 0.5
        page[:120, :4] = page[-3:, 100:220] = True
        assert len(find_marks(page).boxes) == 2

    def test_a_digit_that_fills_the_picture_stays(self):
        bar = np.zeros((16, 8), bool)
        bar[:, 3:5] = True
        assert find_marks(bar).boxes.tolist() == [[0, 3, 16, 5]]

    def test_halves_one_above_the_other_are_one_mark(self):
        page = written(["3"]) > 0.5
        page[34:36] = False
        assert len(find_marks(page).boxes) == 1

    def test_ten_digits_outweigh_a_hundred_specks(self):
        digits = [[10, 20 * i, 40, 20 * i + 15] for i in range(1, 11)]
        specks = [[60 + i // 50, 4 * (i % 50) + 5, 63 + i // 50, 4 * (i % 50) + 8]
                  for i in range(100)]  # fmt: skip
        assert typical_height(np.array(digits + specks), (200, 260)) == 30

    def test_rows_are_told_apart_though_they_sink_by_more_than_a_row(self):
        boxes = [[20 + 40 * r + 6 * i, 10 + 30 * i, 44 + 40 * r + 6 * i, 28 + 30 * i]
                 for r in range(3) for i in range(9)]  # fmt: skip
        order = np.random.default_rng(0).permutation(len(boxes))
        rows = find_rows(np.array(boxes)[order], (250, 300))
        assert [order[row].tolist() for row in rows] == [
            list(range(9 * r, 9 * r + 9)) for r in range(3)
        ]

    def test_a_wide_gap_does_not_end_a_row(self):
        boxes = np.array([[20, 10, 50, 30], [20, 40, 50, 60], [22, 700, 52, 720]])
        assert [row.tolist() for row in find_rows(boxes, (100, 800))] == [[0, 1, 2]]


class TestPageInk:
    def test_ink_is_where_it_was_drawn(self):
        page = written(["123", "456"])
        found = page_ink(1 - 0.7 * page).mask
        assert found[page > 0.6].all() and not found[page < 0.1].any()

    def test_one_digit_with_a_broad_pen_is_not_hollow(self):
        digit = ink(0, (60, 60), height=0.7, pen=0.2)
        assert page_ink(1 - digit).mask[digit > 0.6].all()
