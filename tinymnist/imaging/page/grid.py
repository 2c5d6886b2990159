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
_SHORTEST = 7  # pixels of a cell's side
_MIN_SPAN = 0.3  # a grid's line borders on cells along this share of its width or height
_MIN_GAP = 0.35  # lines of a grid nearer than this share of the usual distance are one line
_MIN_REGULAR = 4  # lines that are enough to say that others are missing
_MIN_COVERED = 0.3  # where a line's ridge is darker than this share of the usual, it is inked
_MIN_COVER, _MIN_FILLED, _MIN_BEYOND = 0.55, 0.35, 0.7
"""The share that is inked of a grid's line, of one missing between others, and of one beyond."""
_MIN_COVER_ASIDE = 0.99  # or, a few pixels beside where the line should be, this share
_MIN_LED = 0.7  # the share of the other lines that lead to a grid's first and last line
_MAX_UNEVEN = 0.8  # of one distance between lines to the next, the smallest ratio in a regular grid
_MIN_CHAIN = 0.6  # the share of the lines that are regular, so that the others are not the grid's
_MAX_EXTENDED = 3  # lines beyond the first and the last
_MIN_FULL = 0.5  # the share of a grid's cells that are found before the others are filled in
_LOOK = 3  # crossings from a corner at which a cell may end, so that ink within it does no harm
_MIN_SIDE = 10  # pixels of a cell's sides, in the median,
_MANY_CELLS, _MIN_SIDE_OF_FEW = 4, 16  # and if there are fewer cells: they might be a digit's
_MIN_SHARED = 0.3  # groups that share this share of the smaller one's area are one grid,
_MIN_UNITED = 4  # but fewer cells than this are those of a digit, as in an 8
_BEYOND, _MIN_ON, _ASIDE = (0.2, 0.6), 0.75, 4
"""Where lines that go on are looked for, in cells beyond the last; the share inked, and how many
pixels aside."""
_MAX_ASIDE = 2  # pixels from a curve beyond its line's end to where the line goes on


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


def find_grids(dark: Array) -> list[Lattice]:
    """Find the grids on a page (h, w) in 0..1 whose lines are darker than its paper."""
    small = shrink(dark, _SEARCH_SIDE)
    scale = -(-max(dark.shape) // _SEARCH_SIDE)
    ink = light_taken(small, _WIDEST_LINE, 1.0, 0)
    level, upright = find_lines(ink), find_lines(np.ascontiguousarray(ink.T))
    if len(level.at) < 2 or len(upright.at) < 2:
        return []
    crossings = _crossings(level, upright, reach=stretch_of(ink.shape))
    found = []
    groups = _groups(_cells(ink, level, upright, crossings), crossings)
    for group in _united(groups, crossings):
        corners = _lattice(group, level, upright, crossings)
        if corners is not None:
            found.append(Lattice(corners * scale + (scale - 1) / 2))
    return found


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
        if last - first < _SHORTEST:
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
    rows = _Ruling(level, _borders(cells, 0), (left, right))
    columns = _Ruling(upright, _borders(cells, 1), (top, bottom))
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


def _goes_on(rows: _Ruling, columns: _Ruling) -> bool:
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


class _Ruling:
    """The lines of a grid in one direction, sorted, and what is known of where others may be."""

    def __init__(self, lines: Lines, borders: dict[int, int], span: tuple[int, int]) -> None:
        self.lines, self.span = lines, span
        numbers = np.array(list(borders))
        self.counts = np.array(list(borders.values()), float)
        kept = self.counts >= _MIN_SPAN * np.median(self.counts)
        self.at, self.counts = lines.at[numbers[kept]], self.counts[kept]
        self.usual = float(np.median([np.median(self._darkness(own)) for own in self.at]))
        covers = np.array([self.cover(own) for own in self.at])
        kept = covers >= min(_MIN_COVER, np.sort(covers)[-2])  # two are always left
        self.at, self.counts = self.at[kept], self.counts[kept]
        order = np.argsort(self._own(self.at).mean(1))
        self.at, self.counts = self.at[order], self.counts[order]

    def _own(self, at: Array) -> Array:
        return at[..., max(self.span[0], 0) : self.span[1]]

    def _darkness(self, at: Array) -> Array:
        """How dark the ridge is along a curve within the span."""
        columns = np.arange(max(self.span[0], 0), min(self.span[1], self.lines.ridge.shape[1]))
        rows = np.rint(at[columns]).astype(int)
        inside = (rows >= 0) & (rows < len(self.lines.ridge))
        return np.where(
            inside, self.lines.ridge[np.clip(rows, 0, len(self.lines.ridge) - 1), columns], 0
        )

    def cover(self, at: Array) -> float:
        """The share of a curve that is a line, 0..1."""
        return float(np.mean(self._darkness(at) > _MIN_COVERED * self.usual))

    @property
    def gaps(self) -> Array:
        """From each line to the next, in pixels."""
        return np.diff(self._own(self.at).mean(1))

    def _drop(self, number: int) -> None:
        self.at = np.delete(self.at, number, 0)
        self.counts = np.delete(self.counts, number)

    def merge(self) -> None:
        """Drop lines that cross others, and one of two that are much nearer than usual."""
        while len(self.at) > 2:
            least = np.diff(self._own(self.at), axis=0).min(1)
            usual = float(np.median(self.gaps))
            number = int(np.argmin(least))
            if least[number] >= _MIN_GAP * usual:
                return
            self._drop(number + int(self.counts[number + 1] < self.counts[number]))

    def regularize(self) -> None:
        """Keep the longest chain of lines whose distance changes little, if it has most of them."""
        places = self._own(self.at).mean(1)
        chains = {(i, j): [i, j] for j in range(len(places)) for i in range(j)}
        for j, k in sorted(chains):  # by its last line but one
            for i in range(j):
                ratio = (places[k] - places[j]) / (places[j] - places[i])
                if _MAX_UNEVEN < ratio < 1 / _MAX_UNEVEN:
                    chains[j, k] = max(chains[j, k], [*chains[i, j], k], key=len)
        longest = max(chains.values(), key=len, default=[])
        if len(longest) >= max(_MIN_REGULAR, _MIN_CHAIN * len(places)):
            self.at, self.counts = self.at[longest], self.counts[longest]

    def trim(self, other: _Ruling) -> None:
        """Drop outer lines to which those of the other direction do not lead."""
        for last, before in ((0, 1), (-1, -2)):
            while len(self.at) > 2:
                start, end = sorted(self._between(last, before))
                if other.leads(start, end, _MIN_COVER, _MIN_LED, 0) or other.leads(
                    start, end, _MIN_COVER_ASIDE, _MIN_LED
                ):
                    break
                self._drop(last)

    def _between(self, one: int, other: int) -> tuple[int, int]:
        """The places of two lines, rounded."""
        places = self._own(self.at).mean(1)
        return round(float(places[one])), round(float(places[other]))

    def fill(self) -> None:
        """Find lines where the gap is a multiple of the usual one."""
        if len(self.at) < _MIN_REGULAR:
            return
        usual = float(np.median(self.gaps))
        made = [self.at[:1]]
        for one, other, gap in zip(self.at, self.at[1:], self.gaps, strict=False):
            several = round(float(gap) / usual)
            for number in range(1, several):
                share = number / several
                at, cover = self._nearest((1 - share) * one + share * other, usual)
                if cover >= _MIN_FILLED:
                    made.append(at[None])
            made.append(other[None])
        self.at = np.concatenate(made)
        self.counts = np.ones(len(self.at))

    def extend(self, other: _Ruling) -> None:
        """Find lines beyond the first and the last, if those of the other direction lead there."""
        if len(self.at) < _MIN_REGULAR:
            return
        for last, before in ((0, 1), (-1, -2)):
            for _ in range(_MAX_EXTENDED):
                step = self.at[last] - self.at[before]
                at, cover = self._nearest(self.at[last] + step, float(np.abs(step).mean()))
                ends = sorted(float(self._own(line).mean()) for line in (self.at[last], at))
                start, end = round(ends[0]), round(ends[1])
                if cover < _MIN_COVER or not other.leads(start, end, _MIN_BEYOND, _MIN_BEYOND):
                    break
                self.at = np.concatenate([at[None], self.at] if last == 0 else [self.at, at[None]])
                other.span = min(other.span[0], start), max(other.span[1], end)

    def leads(
        self, start: int, end: int, cover: float, share: float, aside: int = _MAX_ASIDE
    ) -> bool:
        """Whether a share of the lines is inked, to a share, from one place to another."""
        there = slice(max(start, 0), end)
        columns = np.arange(self.lines.ridge.shape[1])[there]
        if len(columns) < _SHORTEST:
            return False
        middle, limit = np.rint(self.at[:, there]).astype(int), len(self.lines.ridge) - 1
        ridges = [
            self.lines.ridge[np.clip(middle + off, 0, limit), columns]
            for off in range(-aside, aside + 1)
        ]
        inked = np.max(ridges, axis=0) > _MIN_COVERED * self.usual
        return bool(np.mean(inked.mean(1) >= cover) >= share)

    def _nearest(self, at: Array, gap: float) -> tuple[Array, float]:
        """The most inked curve among those moved by up to a quarter of a gap."""
        reach = max(1, round(gap / 4))
        ways = [at + shift for shift in range(-reach, reach + 1)]
        covers = [self.cover(way) - abs(shift) * 1e-3 for shift, way in enumerate(ways, -reach)]
        best = int(np.argmax(covers))
        return ways[best], covers[best]
