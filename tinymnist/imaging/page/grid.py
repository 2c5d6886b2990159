"""Grids on a page: tables, sudokus and boxes of forms, from the lines that enclose their cells.

A cell is a quadrilateral between two level lines and two upright ones, with ink along all four
sides. Cells that share sides make a grid; its lines may bend or converge, as in a photograph, since
every cell has its own corners. In a grid that is nearly whole, cells whose sides are too faint are
filled in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinymnist.imaging.digit.components import Index, Mask
from tinymnist.imaging.digit.filters import maximum, shrink
from tinymnist.imaging.digit.paper import light_taken
from tinymnist.imaging.page.lines import Lines, find_lines, stretch_of
from tinymnist.imaging.page.ruling import SHORTEST, Ruling
from tinymnist.imaging.picture.pixels import Array

Corners = npt.NDArray[np.float64]
"""(..., 2), down and right in pixels."""
Heights = npt.NDArray[np.float64]
"""Places along one axis, in pixels."""

_SEARCH_SIDE = 1000  # pixels of the page's longer side in which lines are looked for
_WIDEST_LINE = 0.05  # lines and strokes are at most this share of the page wide
_MIN_SHARE = 0.35  # a line's pixels hold at least this share of its usual darkness
_MIN_SUPPORT = 0.7  # the share of a side that is inked,
_MIN_END_SUPPORT = 0.5  # and the same of either of its ends,
_END = 0.2  # which are this share of a side
_MIN_FULL = 0.5  # the share of a grid's cells that are found before the others are filled in
_LOOK = 3  # crossings from a corner at which a cell may end, so that ink within it does no harm
_MIN_SIDE = 10  # pixels of a cell's sides, in the median,
_MANY_CELLS, _MIN_SIDE_OF_FEW = 4, 16  # and if there are fewer cells: they might be a digit's
_MIN_SHARED = 0.3  # groups that share this share of the smaller one's area are one grid,
_MIN_UNITED = 4  # but fewer cells than this are those of a digit, as in an 8
_BEYOND, _MIN_ON, _ASIDE = (0.2, 0.6), 0.75, 4
"""Where lines that go on are looked for, in cells beyond the last; the share inked, and how many
pixels aside."""
_MIN_DRAWN = 0.85  # the share of all cells' sides that is inked,
_SIDE_INK, _SIDE_ASIDE = 0.4, 0.04
"""where ink is at least this share of the usual, up to this share of a side, or 2 pixels, aside."""
_FINE_SIDE = 20  # pixels of a cell's side; if it is shorter, this is seen at the page's full size


class Cell(NamedTuple):
    """The numbers of the lines around a cell."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Lattice:
    """A grid's corners: (rows + 1, columns + 1, 2), down and right in pixels of the page."""

    corners: Corners

    @property
    def rows(self) -> int:
        """The number of its rows."""
        return len(self.corners) - 1

    @property
    def columns(self) -> int:
        """The number of its columns."""
        return len(self.corners[0]) - 1

    def lies_on(self, other: Lattice) -> bool:
        """Whether much of its frame lies in another's."""
        (start, end), (start_2, end_2) = (
            (one.corners.min((0, 1)), one.corners.max((0, 1))) for one in (self, other)
        )
        both = (np.minimum(end, end_2) - np.maximum(start, start_2)).clip(0)
        return float(np.prod(both)) > _MIN_SHARED * float(np.prod(end - start))


def find_grids(dark: Array) -> list[Lattice]:
    """Find the grids on a page (h, w) in 0..1 whose lines are darker than its paper."""
    small = shrink(dark, _SEARCH_SIDE)
    scale = -(-max(dark.shape) // _SEARCH_SIDE)
    ink = light_taken(small, _WIDEST_LINE, 1.0, 0)
    level, upright = find_lines(ink), find_lines(np.ascontiguousarray(ink.T))
    if len(level.at) < 2 or len(upright.at) < 2:
        return []
    crossings = _crossings(level, upright, reach=stretch_of(ink.shape))
    found: list[Lattice] = []
    groups = _groups(_cells(ink, level, upright, crossings), crossings)
    for group in _united(groups, crossings):
        corners = _lattice(group, level, upright, crossings)
        if corners is None:
            continue
        lattice = Lattice(corners * scale + (scale - 1) / 2)
        is_fine = scale > 1 and _cell_side(corners) < _FINE_SIDE
        if _is_drawn(*(_around(dark, lattice) if is_fine else (ink, corners))):
            found.append(lattice)
    found.sort(key=lambda one: -one.rows * one.columns)
    return [one for n, one in enumerate(found) if not any(map(one.lies_on, found[:n]))]


def _cell_side(corners: Corners) -> float:
    """The usual length of a cell's shorter sides."""
    lengths = [np.linalg.norm(np.diff(corners, axis=axis), axis=-1) for axis in (0, 1)]
    return float(min(np.median(lengths[0]), np.median(lengths[1])))


def _around(dark: Array, lattice: Lattice) -> tuple[Array, Corners]:
    """The ink of a page around a grid, and where its corners are there."""
    side = _cell_side(lattice.corners)
    places = lattice.corners.reshape(-1, 2)
    start = np.maximum(places.min(0) - side, 0).astype(int)
    end = (places.max(0) + side).astype(int)
    area = dark[start[0] : end[0], start[1] : end[1]]
    return light_taken(area, side / 2 / max(area.shape), 1.0, 0), lattice.corners - start


def _is_drawn(ink: Array, corners: Corners) -> bool:
    """Whether the sides of a grid's cells are inked all the way; strokes of letters are not."""
    reach = max(2, round(_SIDE_ASIDE * _cell_side(corners)))
    limits = np.array(ink.shape) - 1
    sides = []
    for axis, aside in ((1, [1, 0]), (0, [0, 1])):
        starts, ends = (np.delete(corners, place, axis).reshape(-1, 1, 2) for place in (-1, 0))
        count = max(SHORTEST, round(float(np.abs(ends - starts).max())))
        places = starts + (ends - starts) * ((np.arange(count) + 0.5) / count)[:, None]
        across = np.arange(-reach, reach + 1)[:, None, None, None] * np.array(aside)
        down, right = np.moveaxis(np.rint(places + across).astype(int).clip(0, limits), -1, 0)
        sides.append(ink[down, right].max(0))  # (sides, count)
    usual = float(np.median(np.concatenate([side.ravel() for side in sides])))
    shares = [(side > _SIDE_INK * usual).mean(1) for side in sides]
    return bool(np.concatenate(shares).mean() >= _MIN_DRAWN)


@dataclass(frozen=True)
class _Crossings:
    """Where level and upright lines cross, (n, m) each."""

    down: Heights
    right: Heights
    real: Mask  # whether both lines reach there


def _crossings(level: Lines, upright: Lines, reach: int) -> _Crossings:
    height, width = level.ridge.shape
    corners = _corners(level.at, upright.at)
    down, right = corners[..., 0], corners[..., 1]
    real = (right > level.starts[:, None] - reach) & (right < level.ends[:, None] + reach)
    real &= (down > upright.starts - reach) & (down < upright.ends + reach)
    real &= (down >= 0) & (down < height) & (right >= 0) & (right < width)
    return _Crossings(down, right, real)


def _corners(level: Array, upright: Array) -> Corners:
    """Where curves (n, w) and (m, h) cross: (n, m, 2). Steps from one to the other come nearer."""
    width, height = level.shape[1], upright.shape[1]
    rows, columns = np.arange(len(level))[:, None], np.arange(len(upright))
    right = np.broadcast_to(upright.mean(1), (len(level), len(upright)))
    for _ in range(4):
        down = level[rows, np.clip(np.rint(right), 0, width - 1).astype(int)]
        right = upright[columns, np.clip(np.rint(down), 0, height - 1).astype(int)]
    return np.stack([down, right], axis=-1).astype(np.float64)


class _Inked:
    """Where the lines of one direction are inked, and along which stretches they hold."""

    def __init__(self, ink: Array, lines: Lines) -> None:
        columns = np.arange(ink.shape[1])
        rows = np.clip(np.rint(lines.at).astype(int), 0, len(ink) - 1)
        dark = ink[rows, columns]  # (n, w)
        usual = [
            np.median(own[a:b]) for own, a, b in zip(dark, lines.starts, lines.ends, strict=True)
        ]
        inked = dark > _MIN_SHARE * np.array(usual)[:, None]
        self._sums = np.pad(np.cumsum(inked, axis=1, dtype=np.int32), ((0, 0), (1, 0)))

    def holds(self, line: int, start: float, end: float) -> bool:
        """Whether a line is inked nearly all the way between two places, also near both."""
        first, last = sorted((round(float(start)), round(float(end))))
        if last - first < SHORTEST:
            return False
        part = max(3, round(_END * (last - first)))
        share = self._share
        ends = min(share(line, first + 1, first + part), share(line, last - part, last - 1))
        return ends >= _MIN_END_SUPPORT and share(line, first, last) >= _MIN_SUPPORT

    def _share(self, line: int, first: int, last: int) -> float:
        width = self._sums.shape[1] - 1
        first, last = max(first, 0), min(last + 1, width)
        if last <= first:
            return 0.0
        return float(self._sums[line, last] - self._sums[line, first]) / (last - first)


def _cells(ink: Array, level: Lines, upright: Lines, at: _Crossings) -> list[Cell]:
    """The smallest quadrilaterals whose sides are inked: the numbers of their four lines."""
    thick = maximum(ink, 1)
    across, along = _Inked(thick, level), _Inked(np.ascontiguousarray(thick.T), upright)
    right_of = [_ordered(at.real[i], at.right[i]) for i in range(len(level.at))]
    below = [_ordered(at.real[:, j], at.down[:, j]) for j in range(len(upright.at))]
    cells = []
    for i, row in enumerate(right_of):
        for place, j in enumerate(row):
            column = below[j]
            start = int(np.flatnonzero(column == i)[0])
            rights = [
                k
                for k in row[place + 1 : place + 1 + _LOOK]
                if across.holds(i, at.right[i, j], at.right[i, k])
            ]
            downs = [
                k
                for k in column[start + 1 : start + 1 + _LOOK]
                if along.holds(j, at.down[i, j], at.down[k, j])
            ]
            cell = next(
                (
                    Cell(i, j, down, right)
                    for down in downs
                    for right in rights
                    if at.real[down, right]
                    and across.holds(down, at.right[down, j], at.right[down, right])
                    and along.holds(right, at.down[i, right], at.down[down, right])
                ),
                None,
            )
            if cell is not None:
                cells.append(cell)
    return cells


def _ordered(real: Mask, places: Heights) -> Index:
    """The numbers of the real crossings of a line, in the order of their places."""
    found = np.flatnonzero(real)
    return found[np.argsort(places[found], kind="stable")]


def _groups(cells: list[Cell], at: _Crossings) -> list[list[Cell]]:
    """Cells that share a side, directly or through others."""
    sides: dict[tuple[int, ...], int] = {}
    root = list(range(len(cells)))

    def top(number: int) -> int:
        while root[number] != number:
            number = root[number]
        return number

    for number, (up, left, down, right) in enumerate(cells):
        for side in (
            (0, up, left, right),
            (0, down, left, right),
            (1, left, up, down),
            (1, right, up, down),
        ):
            other = sides.setdefault(side, number)
            root[top(number)] = top(other)
    groups: dict[int, list[Cell]] = {}
    for number, cell in enumerate(cells):
        groups.setdefault(top(number), []).append(cell)
    return list(groups.values())


def _united(groups: list[list[Cell]], at: _Crossings) -> list[list[Cell]]:
    """Unite groups that lie on each other: a broken line counts as several, and parts a grid."""
    groups = sorted(groups, key=lambda cells: -len(cells))
    united: list[list[Cell]] = []
    frames: list[Array] = []
    for cells in groups:
        frame = _frame(cells, at)
        area = float(np.prod(frame[2:] - frame[:2]))
        for number, other in enumerate(frames):
            shared = np.minimum(frame[2:], other[2:]) - np.maximum(frame[:2], other[:2])
            if np.prod(shared.clip(0)) > _MIN_SHARED * area:
                if len(cells) >= _MIN_UNITED:
                    united[number] = united[number] + cells
                break
        else:
            united.append(cells)
            frames.append(frame)
    return united


def _frame(cells: list[Cell], at: _Crossings) -> Array:
    """Top, left, bottom and right of a group."""
    top, left, bottom, right = np.array(cells).T
    return np.array(
        [
            at.down[top, left].min(),
            at.right[top, left].min(),
            at.down[bottom, right].max(),
            at.right[bottom, right].max(),
        ]
    )


def _lattice(cells: list[Cell], level: Lines, upright: Lines, at: _Crossings) -> Corners | None:
    """The corners of a group of cells, regular where it nearly is; None if it is not a grid."""
    places = np.array([[at.down[c.top, c.left], at.right[c.top, c.left]] for c in cells])
    ends = np.array([[at.down[c.bottom, c.right], at.right[c.bottom, c.right]] for c in cells])
    (top, left), (bottom, right) = places.min(0).astype(int), ends.max(0).astype(int) + 1
    height, width = level.ridge.shape
    if min(bottom, height) <= max(top, 0) or min(right, width) <= max(left, 0):
        return None  # its lines meet outside the picture
    rows = Ruling(level, _borders(cells, 0), (left, right))
    columns = Ruling(upright, _borders(cells, 1), (top, bottom))
    for ruling, other in ((rows, columns), (columns, rows)):
        ruling.merge()
        ruling.regularize()
        ruling.fill()
        ruling.extend(other)
    for ruling, other in ((rows, columns), (columns, rows)):
        ruling.trim(other)
    if _goes_on(rows, columns) or _goes_on(columns, rows):
        return None
    corners = _corners(rows.at, columns.at)
    slots = (len(rows.at) - 1) * (len(columns.at) - 1)
    sides = [np.median(np.linalg.norm(np.diff(corners, axis=axis), axis=-1)) for axis in (0, 1)]
    shortest = _MIN_SIDE if slots >= _MANY_CELLS else _MIN_SIDE_OF_FEW
    if min(sides) < shortest or len(cells) < _MIN_FULL * slots:
        return None
    return corners


def _goes_on(rows: Ruling, columns: Ruling) -> bool:
    """Whether the two lines of a single row of cells both lead on beyond its first or last cell.

    Then some of its cells were not found, or strokes of letters in one long box count as lines.
    """
    if len(rows.at) > 2:
        return False
    places = np.sort([float(at[columns.span[0] : columns.span[1]].mean()) for at in columns.at])
    first, last = float(places[0]), float(places[-1])
    cell = (last - first) / (len(places) - 1)
    near, far = _BEYOND[0] * cell, _BEYOND[1] * cell
    return rows.leads(round(first - far), round(first - near), _MIN_ON, 1.0, _ASIDE) or rows.leads(
        round(last + near), round(last + far), _MIN_ON, 1.0, _ASIDE
    )


def _borders(cells: list[Cell], axis: int) -> dict[int, int]:
    """On how many of the cells each line of one direction borders."""
    lines = np.array([(cell[axis], cell[axis + 2]) for cell in cells])
    numbers, counts = np.unique(lines, return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))
