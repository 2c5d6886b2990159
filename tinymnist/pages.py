"""What is written on a page: digits, rows, grids, and what was passed over."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from tinymnist.adapter import Prediction
from tinymnist.imaging.page.lattice import Box, Row
from tinymnist.imaging.page.tables import Table
from tinymnist.imaging.page.turning import turn_back

SMALL = "small"
"""Why a mark is skipped that is much smaller than a digit."""


@dataclass(frozen=True, repr=False)
class PageDigit:
    """A digit on a page.

    Attributes:
        prediction: what it is taken for.
        box: left, top, right, bottom in pixels of the picture as it is seen upright; right and
            bottom are exclusive.
    """

    prediction: Prediction
    box: tuple[int, int, int, int]

    @property
    def digit(self) -> int | str:
        """The most probable class."""
        return self.prediction.digit

    @property
    def confidence(self) -> float:
        """Its probability."""
        return self.prediction.confidence

    def __repr__(self) -> str:
        return f"PageDigit(digit={self.digit!r}, confidence={self.confidence:.4f}, box={self.box})"


@dataclass(frozen=True)
class Skipped:
    """Ink in a row of digits that was not read.

    Attributes:
        box: left, top, right, bottom as in :class:`PageDigit`.
        why: "sign" for an operator or a parenthesis, "small", "beside other matter" if it looks
            like a digit among words, or "not surely a digit".
    """

    box: tuple[int, int, int, int]
    why: str


ReadRow: TypeAlias = "tuple[tuple[PageDigit, ...], tuple[Skipped, ...]]"
"""What is read in a row from the left, and what is passed over."""


@dataclass(frozen=True)
class GridCell:
    """A cell of a grid.

    Attributes:
        row, column: from 0, at the upper left.
        digits: from the left; none if the cell is empty.
        box: left, top, right, bottom as in :class:`PageDigit`.
    """

    row: int
    column: int
    digits: tuple[PageDigit, ...]
    box: tuple[int, int, int, int]

    @property
    def text(self) -> str:
        """The digits; names longer than one sign have spaces between them."""
        return joined(self.digits)

    @property
    def confidence(self) -> float:
        """The probability that all digits are right, if their errors are independent."""
        return math.prod(digit.confidence for digit in self.digits)


@dataclass(frozen=True)
class Grid:
    """A table, a sudoku or boxes of a form.

    Attributes:
        rows, columns: how many it has.
        cells: row by row.
        box: left, top, right, bottom as in :class:`PageDigit`.
    """

    rows: int
    columns: int
    cells: tuple[GridCell, ...]
    box: tuple[int, int, int, int]

    @property
    def table(self) -> list[list[str]]:
        """The cells' text, row by row; empty cells are ``""``."""
        texts = [cell.text for cell in self.cells]
        return [texts[i : i + self.columns] for i in range(0, len(texts), self.columns)]

    @property
    def lines(self) -> list[str]:
        """Its rows as text in aligned columns, ``.`` for an empty cell."""
        table = [[text or "." for text in row] for row in self.table]
        wide = [max(map(len, column)) for column in zip(*table, strict=True)]
        space = "" if max(wide) == 1 else " "
        return [space.join(t.rjust(w) for t, w in zip(row, wide, strict=True)) for row in table]


@dataclass(frozen=True, repr=False)
class Page:
    """What is written on a page. A notebook shows its rows as the network saw them.

    Attributes:
        rows: from the top, each with its digits from the left; no row is empty. Those in grids are
            among them.
        grids: the tables, sudokus and rows of boxes on the page, from the top.
        lines: the text of each row, and of empty rows of grids, from the top; None takes the rows'.
        turned: by how many degrees to the left the page was turned to stand upright. Boxes are
            always on the picture as it came.
        skipped: what was passed over in the rows, in reading order.
        marked: as ``lines``, with ``_`` for each skipped mark that is not small.
    """

    rows: tuple[tuple[PageDigit, ...], ...]
    grids: tuple[Grid, ...] = ()
    lines: tuple[str, ...] | None = None
    turned: int = 0
    skipped: tuple[Skipped, ...] = ()
    marked: tuple[str, ...] | None = None

    @property
    def digits(self) -> tuple[PageDigit, ...]:
        """All digits in reading order."""
        return tuple(digit for row in self.rows for digit in row)

    @property
    def text(self) -> str:
        """The digits without spaces, the rows joined by newlines.

        Class names longer than one sign, as of a model of your own, have spaces between them. In a
        grid, cells that may hold several digits stand in aligned columns, with spaces between
        them; ``.`` is an empty cell.
        """
        if self.lines is not None:
            return "\n".join(self.lines)
        return "\n".join(joined(row) for row in self.rows)

    def __repr__(self) -> str:
        return f"Page({self.text!r})"

    def _repr_html_(self) -> str:
        """A table of the rows: each digit's picture, class and confidence."""
        rows = (
            [f"<td>{digit.prediction._repr_html_()}</td>" for digit in row] for row in self.rows
        )
        return f"<table>{''.join('<tr>' + ''.join(row) + '</tr>' for row in rows)}</table>"


def joined(digits: Iterable[PageDigit], passed: Iterable[Skipped] = ()) -> str:
    """Digits as text; if any class of the model has a name longer than one sign, with spaces.

    What was passed over is ``_``, except small marks.
    """
    found = list(digits)
    are_long = any(len(name) > 1 for digit in found for name in digit.prediction.class_names)
    marks = [(digit.box, str(digit.digit)) for digit in found]
    if skipped := [(one.box, "_") for one in passed if one.why != SMALL]:
        marks = sorted(marks + skipped)
    return (" " if are_long else "").join(text for _, text in marks)


class _Line(NamedTuple):
    """A line of a page's text."""

    down: float
    text: str
    marked: str  # the same with what was passed over
    digits: tuple[PageDigit, ...]
    passed: tuple[Skipped, ...]


class View(NamedTuple):
    """How the page that was read relates to the picture."""

    shape: tuple[int, ...]  # of the page
    size: tuple[int, int]  # of the picture
    turns: int  # quarters of a circle to the left that made the page of the picture

    def box(self, box: Box) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) on the page to (left, top, right, bottom) on the picture."""
        height, width = self.size[::-1] if self.turns % 2 else self.size
        down, right = height / self.shape[0], width / self.shape[1]
        ends = math.ceil(box[3] * right), math.ceil(box[2] * down)
        starts = math.floor(box[1] * right), math.floor(box[0] * down)
        found = (*starts, min(ends[0], width), min(ends[1], height))
        if self.turns:
            return turn_back(found, self.turns, self.size)
        return found


def assemble(
    rows: Sequence[Row], tables: Sequence[Table], read: Iterable[ReadRow], view: View
) -> Page:
    """The page of what was read: in each of the rows, then in each line of the tables' cells."""
    left = iter(read)
    places: list[_Line] = []
    for row in rows:
        digits, passed = next(left)
        if digits:
            down = float(np.median([one.box[0] + one.box[2] for one in row.candidates]))
            places.append(_Line(down, joined(digits), joined(digits, passed), digits, passed))
    grids = []
    for table in tables:
        cells = []
        for cell in table.cells:
            digits, passed = ((), ()) if cell.line is None else next(left)
            cells.append(GridCell(cell.row, cell.column, digits, view.box(cell.box)))
            places.append(_Line(cell.box[0] + cell.box[2], "", "", (), passed))
        grid = Grid(table.rows, table.columns, tuple(cells), view.box(table.box))
        grids.append(grid)
        for number, line in enumerate(grid.lines):
            own = slice(number * grid.columns, (number + 1) * grid.columns)
            downs = [cell.box[0] + cell.box[2] for cell in table.cells[own]]
            row_digits = tuple(digit for cell in cells[own] for digit in cell.digits)
            places.append(_Line(float(np.median(downs)), line, line, row_digits, ()))
    places.sort(key=lambda place: place.down)
    shown = [place for place in places if place.text]
    return Page(
        tuple(place.digits for place in places if place.digits),
        tuple(grids),
        tuple(place.text for place in shown),
        90 * view.turns,
        tuple(one for place in places for one in place.passed),
        tuple(place.marked for place in shown),
    )
