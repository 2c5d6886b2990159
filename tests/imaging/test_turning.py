"""Pages that lie on their side or head are put upright."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.imaging.grids import grid_of
from tests.imaging.pages import written
from tinymnist.imaging.page.turning import turn_back
from tinymnist.reader import Reader


@pytest.fixture(scope="module")
def reader() -> Any:
    return Reader()


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_box_is_turned_back(turns: int) -> None:
    page = np.zeros((5, 8))
    page[1:3, 2:7] = 1
    down, right = np.nonzero(np.rot90(page, turns))
    box = right.min(), down.min(), right.max() + 1, down.max() + 1
    assert turn_back(box, turns, page.shape) == (2, 1, 7, 3)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rows(reader: Any, turns: int) -> None:
    page = 1 - written(["23475", "5243"], size=(150, 260))
    found = reader.read(np.rot90(page, turns))
    assert found.text == "23475\n5243" and found.turned == (360 - 90 * turns)


def test_a_grid(reader: Any) -> None:
    page = np.rot90(1 - grid_of(["23.4", "5.72", "43.5"]))
    found = reader.read(page)
    assert found.text == "23.4\n5.72\n43.5" and found.turned == 270
    left, top, right, bottom = found.grids[0].cells[0].box  # at the lower left of the picture
    assert (left + right) / 2 < page.shape[1] / 2 and (top + bottom) / 2 > page.shape[0] / 2


def test_an_upright_page_stays(reader: Any) -> None:
    assert reader.read(1 - written(["61908"], size=(90, 260))).turned == 0
