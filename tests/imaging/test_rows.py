"""Marks into rows."""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.page.segment import find_rows


def test_rows_are_told_apart_though_they_sink_by_more_than_a_row() -> None:
    boxes = [[20 + 40 * r + 6 * i, 10 + 30 * i, 44 + 40 * r + 6 * i, 28 + 30 * i]
             for r in range(3) for i in range(9)]  # fmt: skip
    order = np.random.default_rng(0).permutation(len(boxes))
    rows = find_rows(np.array(boxes)[order], 24)
    assert [order[row].tolist() for row in rows] == [
        list(range(9 * r, 9 * r + 9)) for r in range(3)
    ]


def test_a_wide_gap_does_not_end_a_row() -> None:
    boxes = np.array([[20, 10, 50, 30], [20, 40, 50, 60], [22, 700, 52, 720]])
    assert [row.tolist() for row in find_rows(boxes, 30)] == [[0, 1, 2]]
