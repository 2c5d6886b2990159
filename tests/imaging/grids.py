"""Grids with painted digits, for the tests of what reads them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tinymnist.imaging.synthetic.paint import ink

CELL, MARGIN = 48, 40
"""Pixels of a cell's side, and around the grid."""


def grid_of(table: Any, line: float = 2, cell: int = CELL, tall: float = 0.6) -> Any:
    """Ink on paper, (h, w): digits in the cells of a grid, ``.`` for an empty cell."""
    height, width = cell * len(table) + 2 * MARGIN, cell * len(table[0]) + 2 * MARGIN
    page = Image.new("L", (width * 4, height * 4))
    draw = ImageDraw.Draw(page)
    right, bottom = width - MARGIN, height - MARGIN
    for down in range(MARGIN, height, cell):
        draw.line([4 * MARGIN, 4 * down, 4 * right, 4 * down], 255, round(4 * line))
    for across in range(MARGIN, width, cell):
        draw.line([4 * across, 4 * MARGIN, 4 * across, 4 * bottom], 255, round(4 * line))
    drawn = np.asarray(page.resize((width, height)), np.float32) / 255
    return np.maximum(drawn, digits_of(table, (height, width), cell, tall))


@cache
def _digit(digit: int, cell: int, tall: float) -> Any:
    return ink(digit, (cell, cell), height=tall, pen=0.1)


def digits_of(table: Any, size: Any, cell: int = CELL, tall: float = 0.6, off: Any = (0, 0)) -> Any:
    """The digits alone, ``off`` pixels (down, right) from the middle of their cells."""
    page = np.zeros(size, np.float32)
    for i, row in enumerate(table):
        for j, text in enumerate(row):
            if text != ".":
                top, left = MARGIN + i * cell + off[0], MARGIN + j * cell + off[1]
                place = page[top : top + cell, left : left + cell]
                np.maximum(place, _digit(int(text), cell, tall), out=place)
    return page


def warped(page: Any, corners: Any) -> Any:
    """The page (h, w) seen so that its corners come to ``corners``: share of the frame, (4, 2).

    They are (right, down) of the upper left, upper right, lower right and lower left.
    """
    height, width = page.shape
    seen = np.array(corners, float) * [width, height]
    own = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    rows = []
    for (x, y), (u, v) in zip(seen, own, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    factors = np.linalg.solve(np.array(rows), own.ravel())
    picture = Image.fromarray(np.float32(page))
    how = Image.Transform.PERSPECTIVE
    moved = picture.transform(picture.size, how, factors.tolist(), Image.Resampling.BILINEAR)
    return np.asarray(moved)
