"""Grids are found however they are drawn and seen, and their cells cut clear of the lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.imaging.grids import CELL, MARGIN, digits_of, grid_of, warped
from tests.imaging.pages import written
from tinymnist.imaging.digit.filters import average
from tinymnist.imaging.page.boxes import find_combs
from tinymnist.imaging.page.cells import cut_cells, find_marks
from tinymnist.imaging.page.grid import find_grids

TABLE = ["3.5.", ".82.", "4..6"]


def grids(ink: Any) -> list[tuple[int, int]]:
    return [(one.rows, one.columns) for one in find_grids(1 - ink)]


def is_written(ink: Any) -> list[str]:
    """Which cells of the first grid hold ink: x, and . for none."""
    (grid,) = find_grids(1 - ink)
    marks = find_marks(cut_cells(1 - ink, grid))
    found = ["x" if len(one.boxes) else "." for one in marks]
    return ["".join(found[i : i + grid.columns]) for i in range(0, len(found), grid.columns)]


PATTERN = ["".join("." if text == "." else "x" for text in row) for row in TABLE]


class TestFindGrids:
    def test_corners(self) -> None:
        (grid,) = find_grids(1 - grid_of(TABLE))
        down, right = np.meshgrid(np.arange(4), np.arange(5), indexing="ij")
        expected = MARGIN + CELL * np.stack([down, right], -1)
        assert np.abs(grid.corners - expected).max() < 2

    @pytest.mark.parametrize("line", [1, 2, 4, 6])
    def test_thickness(self, line: float) -> None:
        assert is_written(grid_of(TABLE, line)) == PATTERN

    def test_faint_lines(self) -> None:
        page = grid_of(TABLE)
        faint = 0.15 * page
        assert is_written(np.maximum(faint, digits_of(TABLE, page.shape))) == PATTERN

    def test_noise_and_blur(self) -> None:
        page = average(average(grid_of(TABLE)))
        noise = np.random.default_rng(0).normal(0, 0.04, page.shape)
        assert is_written(np.clip(0.6 * page + 0.1 + noise, 0, 1).astype(np.float32)) == PATTERN

    def test_broken_lines(self) -> None:
        page = grid_of(TABLE)
        page[:, 70:73] = page[:, 150:154] = page[100:104] = 0
        assert is_written(np.maximum(page, digits_of(TABLE, page.shape))) == PATTERN

    def test_a_double_frame(self) -> None:
        page = grid_of(TABLE)
        height, width = page.shape
        around = MARGIN - 5
        for line in (around, height - around):
            page[line - 1 : line + 1, around : width - around] = 1
        for line in (around, width - around):
            page[around : height - around, line - 1 : line + 1] = 1
        assert is_written(page) == PATTERN

    @pytest.mark.parametrize(
        "corners",
        [
            [(0.05, 0.02), (0.97, 0.1), (1, 0.97), (0, 0.9)],
            [(0.12, 0), (0.88, 0.02), (1, 0.98), (0, 1)],
            [(0.04, 0), (1, 0.05), (0.96, 1), (0, 0.95)],
        ],
    )
    def test_perspective(self, corners: Any) -> None:
        assert is_written(warped(grid_of(TABLE), corners)) == PATTERN

    def test_hand_drawn_lines_bend(self) -> None:
        page = grid_of(TABLE)
        width = page.shape[1]
        bend = np.rint(4 * np.sin(np.arange(width) / width * np.pi)).astype(int)
        page = np.stack([np.roll(page[:, x], bend[x]) for x in range(width)], axis=1)
        assert is_written(page) == PATTERN

    def test_a_row_of_boxes(self) -> None:
        assert grids(grid_of(["0612"])) == [(1, 4)]

    def test_a_comb_of_small_boxes_on_a_large_page(self) -> None:
        cells, side = 10, 18
        page = np.zeros((300, 1200), np.float32)
        end, below = 100 + cells * side, 100 + side
        for line in range(100, end + 1, side):
            page[100 : below + 2, line : line + 2] = 1
        page[100:102, 100 : end + 2] = page[below : below + 2, 100 : end + 2] = 1
        assert grids(page) == []
        (comb,) = find_combs(page > 0.5, [])
        assert (comb.rows, comb.columns) == (1, cells)
        across = 100.5 + side * np.arange(cells + 1)
        assert np.abs(comb.corners[..., 1] - across).max() <= 1
        assert np.abs(comb.corners[..., 0] - np.array([[100.5], [below + 0.5]])).max() <= 1
        assert len(find_combs(page > 0.5, [comb])) == 1

    def test_rows_of_boxes_on_each_other_are_not_combs(self) -> None:
        page = grid_of(["....", "...."], cell=20)
        assert find_combs(page > 0.5, []) == []

    def test_letters_with_serifs_are_no_boxes(self) -> None:
        page = np.zeros((600, 1280), np.float32)
        for right in range(100, 230, 22):
            page[200:237, right : right + 3] = 1
            page[200:203, right - 6 : right + 9] = page[234:237, right - 6 : right + 9] = 1
        assert grids(page) == []

    def test_rows_of_digits_and_ruled_paper_are_no_grids(self) -> None:
        page = written(["1234", "5678"])
        assert grids(page) == []
        page[60:62] = page[125:127] = 0.9
        assert grids(page) == []


class TestCells:
    def test_digits_on_the_lines(self) -> None:
        empty = grid_of(["...", "..."])
        for off in ((10, 0), (0, -12)):
            page = np.maximum(empty, digits_of([".8.", "5.3"], empty.shape, off=off))
            assert is_written(page) == [".x.", "x.x"]

    def test_a_patch_knows_its_place(self) -> None:
        page = grid_of(TABLE)
        (grid,) = find_grids(1 - page)
        patch = cut_cells(1 - page, grid)[5]
        assert (patch.row, patch.column) == (1, 1)
        rows, columns = patch.inner
        whole = patch.on_page((rows.start, columns.start, rows.stop, columns.stop))
        expected = (MARGIN + CELL, MARGIN + CELL, MARGIN + 2 * CELL, MARGIN + 2 * CELL)
        assert np.abs(np.subtract(whole, expected)).max() <= 2
        assert np.abs(np.subtract(patch.box, expected)).max() <= 2
