"""The lines of a grid in one direction: which are its own, which are missing, where they end.

The lines that border on a grid's cells may be two for one, or those of letters beside it, and some
were not found. But a grid's lines follow each other at nearly the same distance, and those of the
other direction lead from the first to the last.
"""

from __future__ import annotations

import numpy as np

from tinymnist.imaging.digit.components import Index
from tinymnist.imaging.page.lines import Lines
from tinymnist.imaging.picture.pixels import Array

SHORTEST = 7
"""Pixels of a cell's side."""
_MIN_GAP = 0.35  # lines nearer than this share of the usual distance are one line
_MIN_SPAN = 0.3  # a grid's line borders on cells along this share of its width or height
_MIN_REGULAR = 4  # lines that are enough to say that others are missing
_MIN_COVERED = 0.3  # where a line's ridge is darker than this share of the usual, it is inked
_MIN_COVER, _MIN_FILLED, _MIN_BEYOND = 0.55, 0.35, 0.7
"""The share that is inked of a grid's line, of one missing between others, and of one beyond."""
_MIN_COVER_ASIDE = 0.99  # or, a few pixels beside where the line should be, this share
_MIN_LED = 0.7  # the share of the other lines that lead to a grid's first and last line
_MAX_UNEVEN = 0.8  # of one distance between lines to the next, the smallest ratio in a regular grid
_MIN_CHAIN = 0.6  # the share of the lines that are regular, so that the others are not the grid's
_MAX_EXTENDED = 3  # lines beyond the first and the last
_MAX_ASIDE = 2  # pixels from a curve beyond its line's end to where the line goes on


class Ruling:
    """The lines of a grid in one direction, sorted, and what is known of where others may be.

    Args:
        lines: all of the page in this direction.
        borders: the numbers of those on which the grid's cells border, and on how many.
        span: where the grid begins and ends along them, in pixels.
    """

    def __init__(self, lines: Lines, borders: dict[int, int], span: tuple[int, int]) -> None:
        self.lines, self.span = lines, span
        numbers = np.array(list(borders))
        self.counts = np.array(list(borders.values()), float)
        kept = self.counts >= _MIN_SPAN * np.median(self.counts)
        self.at, self.counts = lines.at[numbers[kept]], self.counts[kept]
        self.usual = self._usual(numbers[kept])
        covers = np.array([self.cover(own) for own in self.at])
        kept = covers >= min(_MIN_COVER, np.sort(covers)[-2])  # two are always left
        self.at, self.counts = self.at[kept], self.counts[kept]
        order = np.argsort(self._own(self.at).mean(1))
        self.at, self.counts = self.at[order], self.counts[order]

    def _own(self, at: Array) -> Array:
        return at[..., max(self.span[0], 0) : self.span[1]]

    def _usual(self, numbers: Index) -> float:
        """How dark the ridges of lines are, in the median, where they really are."""
        own = zip(numbers, self.lines.starts[numbers], self.lines.ends[numbers], strict=True)
        first, limit = max(self.span[0], 0), self.span[1]
        dark = [
            self._darkness(self.lines.at[n])[max(start - first, 0) : max(end - first, 0)]
            for n, start, end in own
            if end > first and start < limit
        ]
        return float(np.median([np.median(one) for one in dark if len(one)]))

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

    def trim(self, other: Ruling) -> None:
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

    def extend(self, other: Ruling) -> None:
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
        if len(columns) < SHORTEST:
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
