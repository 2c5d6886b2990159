"""A grid's cells to what may be written in each."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from tinymnist.imaging.digit.components import Components, Mask, surrounding_box
from tinymnist.imaging.digit.isolate import NoDigitFound
from tinymnist.imaging.page.boxes import find_combs
from tinymnist.imaging.page.cells import Patch, cut_cells, find_marks
from tinymnist.imaging.page.grid import Lattice, find_grids
from tinymnist.imaging.page.ink import PageInk, dark_on_light, page_ink
from tinymnist.imaging.page.lattice import Box, Candidate, Row, joined
from tinymnist.imaging.page.marks import find_marks as find_digits
from tinymnist.imaging.page.marks import heights, typical_height, widths
from tinymnist.imaging.page.pieces import find_pieces
from tinymnist.imaging.page.print import compare_with_print
from tinymnist.imaging.page.segment import (
    Confidence,
    image_of,
    looks_of,
    row_of,
    segment,
    segment_line,
    whole_of,
)
from tinymnist.imaging.page.sharpen import is_blurred, sharpen
from tinymnist.imaging.page.turning import (
    ENOUGH_MARKS,
    best_turn,
    combined,
    is_in_doubt,
    likelihoods,
    whole_marks,
)
from tinymnist.imaging.picture.pixels import Array

_MIN_DIGIT = 0.5  # the longer side of a mark that may be a digit, as a share of the usual one
_MAX_SEVERAL = 0.1  # if at most this share of a grid's cells hold several, each holds one digit
_MIN_EMPTY = 4  # empty cells; fewer may be the holes of digits or letters
_MOST_TRIED = 60  # marks that show whether a grid holds digits
_BORDER = 0.15  # of a cell, around the grid, that belongs to its lines
_MIN_BESIDE = 0.6  # digits beside tables are at least this tall, in heights of those in them
_MIN_ENTRY, _MAX_ENTRY_OFF = 0.3, 0.6
"""In a single box, digits are at least this tall, as a share of the box, and their middles differ
by at most this, in heights of a digit."""
_MIN_SQUARES, _MANY_SQUARES, _SUDOKU = 16, 40, (9, 9)
"""Squared paper has at least this many squares; as many as a sudoku are rather that."""
_MAX_ROOM, _CROSSING, _CROSSING_MANY = 3.0, 1.0, 0.8
"""They begin at most this far from the page's edges, in squares, and digits on them are this tall,
or only this if the squares are many."""
_MIN_SURE = 0.7  # a grid is print, or something else, if its usual mark is less surely a digit


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    row: int
    column: int
    box: Box  # top, left, bottom, right in pixels of the page
    line: Row | None  # what may be written there; None if it is empty


@dataclass(frozen=True)
class Table:
    """A grid with what may be written in its cells, row by row."""

    rows: int
    columns: int
    box: Box
    cells: tuple[Cell, ...]
    outline: tuple[tuple[float, float], ...]  # its corners, right and down, with some margin

    @property
    def lines(self) -> list[Row]:
        """What may be written in its cells, those that are not empty."""
        return [cell.line for cell in self.cells if cell.line is not None]


def read_table(dark: Array, lattice: Lattice, confidence: Confidence) -> Table | None:
    """Cut a grid out of a page (h, w) and find what may be written in its cells.

    Args:
        dark: the page in 0..1, ink darker than paper.
        lattice: the grid.
        confidence: as for :func:`tinymnist.imaging.page.segment.segment`.

    Returns:
        The table; None if there is ink in its cells and hardly any of it looks like a digit.
    """
    patches = cut_cells(dark, lattice)
    marks = find_marks(patches)
    written = [number for number, parts in enumerate(marks) if len(parts.boxes)]
    lines: dict[int, Row] = {}
    if not written and len(patches) < _MIN_EMPTY:
        return None
    if len(patches) == 1 and not _is_entry(marks[0], patches[0]):
        return None
    if written:
        own = [marks[number] for number in written]
        spans = np.stack([surrounding_box(parts.boxes) for parts in own])
        typical = float(np.median(heights(spans)))
        pages = [_ink(patches[number], marks[number]) for number in written]
        rows = [_single(page, parts) for page, parts in zip(pages, own, strict=True)]
        if not _hold_one_digit(own):
            if not _are_digits(_each_mark(pages, own), confidence):
                return None
            rows = [
                _several(page, parts, typical, confidence)
                for page, parts in zip(pages, own, strict=True)
            ]
        elif not _are_digits(
            [one.image for row in rows if row for one in row.candidates if one.printed is None],
            confidence,
            sum(one.printed is not None for row in rows if row for one in row.candidates),
        ):
            return None
        lines = {n: _placed(row, patches[n]) for n, row in zip(written, rows, strict=True) if row}
    cells = tuple(
        Cell(patch.row, patch.column, patch.box, lines.get(number))
        for number, patch in enumerate(patches)
    )
    boxes = np.array([cell.box for cell in cells])
    top, left, bottom, right = surrounding_box(boxes).tolist()
    box = (top, left, bottom, right)
    return Table(lattice.rows, lattice.columns, box, cells, _outline(lattice))


def read_upright(grey: Array, confidence: Confidence) -> tuple[list[Row], list[Table], int]:
    """As :func:`read_page`, after the page was turned upright if it lies.

    The third result is by how many quarters of a circle it was turned to the left.
    """
    rows, tables = read_page(grey, confidence)
    cells = whole_marks(max((table.lines for table in tables), key=len, default=[]))
    own = cells if len(cells) >= (ENOUGH_MARKS if rows else 1) else whole_marks(rows)
    likely = likelihoods(own, confidence)
    if own is cells and (turns := best_turn(likely, len(own))):
        return *read_page(np.ascontiguousarray(np.rot90(grey, turns)), confidence), turns
    if own is not cells and is_in_doubt(likely):
        with suppress(NoDigitFound):
            lying = read_page(np.ascontiguousarray(np.rot90(grey)), confidence)
            marks = whole_marks(lying[0])
            likely = combined(likely, likelihoods(marks, confidence))
            turns = best_turn(likely, max(len(own), len(marks)))
            if turns == 1:
                return *lying, turns
            if turns:
                return *read_page(np.ascontiguousarray(np.rot90(grey, turns)), confidence), turns
    return rows, tables, 0


def read_page(grey: Array, confidence: Confidence) -> tuple[list[Row], list[Table]]:
    """Find what may be written on a page: in rows, and in the cells of grids.

    Arguments and errors are those of :func:`tinymnist.imaging.page.segment.segment`; if there are
    grids, there may be nothing beside them.
    """
    dark = dark_on_light(grey)
    grids = find_grids(dark)
    page: PageInk | NoDigitFound
    try:
        page = page_ink(grey)
        grids = [one for one in grids if not _is_squared_paper(one, page.mask)]
        grids = find_combs(page.mask, grids)
    except NoDigitFound as error:  # a grid's lines may be fainter than the ink that is looked for
        page = error
    tables = [table for one in grids if (table := read_table(dark, one, confidence)) is not None]
    if isinstance(page, NoDigitFound):
        if not tables:
            raise page
        return [], tables
    if not tables:
        return segment(page, confidence), []
    try:
        area = table_area(page.mask.shape, tables)
        return segment(page, confidence, area, _MIN_BESIDE * _digit_height(tables)), tables
    except NoDigitFound:
        return [], tables


def _is_squared_paper(lattice: Lattice, mask: Mask) -> bool:
    """Whether a grid is the squares of the paper, which fill the page, and which digits cross.

    ``mask`` (h, w) is the ink of the page, without ruled lines.
    """
    size = lattice.rows, lattice.columns
    if size[0] * size[1] < _MIN_SQUARES or size == _SUDOKU:
        return False
    first, last = lattice.corners.min((0, 1)), lattice.corners.max((0, 1))
    pitch = (last - first) / size
    room = np.stack([first, np.array(mask.shape) - last]) / pitch
    marks = find_digits(mask)
    usual = typical_height(marks.boxes, mask.shape)
    crossing = _CROSSING if size[0] * size[1] < _MANY_SQUARES else _CROSSING_MANY
    return bool((room < _MAX_ROOM).all() and usual > crossing * pitch[0])


def read_line(grey: Array, confidence: Confidence) -> Row:
    """What may be written on a picture of one row: in the boxes of a comb, or without any.

    Arguments and errors are those of :func:`tinymnist.imaging.page.segment.segment`.
    """
    dark = dark_on_light(grey)
    for lattice in find_grids(dark):
        table = read_table(dark, lattice, confidence) if lattice.rows == 1 else None
        if table is not None and table.lines:
            return joined(table.lines)
    return segment_line(grey, confidence)


def _hold_one_digit(marks: list[Components]) -> bool:
    """Whether hardly any cell has several marks of a digit's size, whichever way the page lies."""
    sizes = [np.maximum(heights(parts.boxes), widths(parts.boxes)) for parts in marks]
    usual = float(np.median([own.max() for own in sizes]))
    several = [np.count_nonzero(own >= _MIN_DIGIT * usual) > 1 for own in sizes]
    return bool(np.mean(several) <= _MAX_SEVERAL)


def _each_mark(pages: list[PageInk], marks: list[Components]) -> list[Array]:
    """The marks of all cells in MNIST's form, some if there are many."""
    every = [
        (page, parts, n)
        for page, parts in zip(pages, marks, strict=True)
        for n in range(len(parts.boxes))
    ]
    some = every[:: -(-len(every) // _MOST_TRIED)]
    images = [image_of(page, parts.boxes[n], parts.labels, n, n + 1) for page, parts, n in some]
    return [image for image in images if image is not None]


def _is_entry(parts: Components, patch: Patch) -> bool:
    """Whether a single box holds one row of marks that are not much lower than the box.

    A mark as large as the box is the box itself: the hole of an 8, for instance.
    """
    tall = heights(parts.boxes)
    if len(tall) == 0:
        return False
    large = parts.boxes[tall >= _MIN_DIGIT * tall.max()]
    usual = float(np.median(heights(large)))
    off = np.ptp((large[:, 0] + large[:, 2]) / 2)
    rows, columns = patch.inner
    size = rows.stop - rows.start, columns.stop - columns.start
    if ((large[:, 2:] - large[:, :2]) >= size).all(1).any():
        return False
    return bool(usual >= _MIN_ENTRY * size[0] and off <= _MAX_ENTRY_OFF * usual)


def _are_digits(images: list[Array], confidence: Confidence, printed: int = 0) -> bool:
    """Whether most images (28, 28) look like digits, upright or all turned alike.

    As many others as ``printed`` resemble printed digits.
    """
    if not images:
        return printed > 0
    some = np.stack(images[:: -(-len(images) // _MOST_TRIED)])
    others = np.ones(printed * len(some) // len(images))
    ways = (np.rot90(some, turns, (1, 2)) for turns in range(4))
    return any(np.median([*confidence(way), *others]) >= _MIN_SURE for way in ways)


def _digit_height(tables: list[Table]) -> float:
    """The usual height of what is written in tables, in pixels; 0 if nothing is."""
    lines = [line for table in tables for line in table.lines]
    tall = [one.box[2] - one.box[0] for line in lines for one in line.candidates]
    return float(np.median(tall)) if tall else 0.0


def table_area(shape: tuple[int, ...], tables: list[Table]) -> Mask:
    """The pixels (h, w) of a page that tables cover, with their lines."""
    picture = Image.new("1", (shape[1], shape[0]))
    draw = ImageDraw.Draw(picture)
    for table in tables:
        draw.polygon(list(table.outline), fill=1)
    return np.asarray(picture)


def _outline(lattice: Lattice) -> tuple[tuple[float, float], ...]:
    """The grid's border, moved outwards by a share of a cell."""
    c = lattice.corners
    above, below = c[0] + _BORDER * (c[0] - c[1]), c[-1] + _BORDER * (c[-1] - c[-2])
    left = c[:, 0] + _BORDER * (c[:, 0] - c[:, 1])
    right = c[:, -1] + _BORDER * (c[:, -1] - c[:, -2])
    border = np.concatenate([above, right, below[::-1], left[::-1]])
    return tuple((float(across), float(down)) for down, across in border)


def _ink(patch: Patch, parts: Components) -> PageInk:
    mask = parts.labels >= 0
    return PageInk(sharpen(patch.ink, mask), mask, patch.ink, patch.ink)


def _single(page: PageInk, parts: Components) -> Row | None:
    """All that is written in a cell is one digit."""
    box = surrounding_box(parts.boxes)
    image = image_of(page, box, parts.labels, 0, len(parts.boxes))
    if image is None:
        return None
    top, left, bottom, right = map(int, box)
    printed = compare_with_print(page.dark, page.mask) if is_blurred(page.dark, page.mask) else None
    one = Candidate(0, 1, (top, left, bottom, right), image, 0.0, printed)
    never = np.full(1, np.inf, np.float32)
    return Row([one], never, np.zeros(1, np.float32), never, never)


def _several(
    page: PageInk, parts: Components, typical: float, confidence: Confidence
) -> Row | None:
    """A cell may hold any number of digits, in one row."""
    looks = looks_of(page, parts, typical, confidence)
    wholes = [whole_of(mark, box, looks, typical) for mark, box in enumerate(parts.boxes)]
    row = row_of(page, find_pieces(parts, wholes, typical), typical)
    return row if row.candidates else None


def _placed(row: Row, patch: Patch) -> Row:
    """The same row with its boxes on the page."""
    moved = [replace(one, box=patch.on_page(one.box)) for one in row.candidates]
    marks = tuple(mark._replace(box=patch.on_page(mark.box)) for mark in row.marks)
    return replace(row, candidates=moved, marks=marks)
